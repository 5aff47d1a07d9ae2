# The Vivado commands that the stub knows, from UG835 (Vivado Design Suite Tcl Command Reference
# Guide, 2023.2): those that macforge's scripts use and their neighbours, so that a slip lands on an
# error and not on an unknown command only. -quiet and -verbose belong to every command.
#
#   vivado NAME PHASE {POSITIONAL ...} {OPTION KIND ...}
#
# PHASE: what must have been done before: any, synthesized, placed, routed; xdc marks a command that
# may also stand in a constraint file (and else needs a synthesized design).
# POSITIONAL: a kind, with ? if it may be absent, + for one or more, * for any number.
# KIND, of an option: flag (takes no value), or the kind of its value: text, number, int, list, part,
# infiles (a Tcl list of existing files), outfile (its folder exists), objects (a Tcl list of what
# get_* returned), or {enum VALUE ...}. A leading ! marks an option that must be given, a trailing *
# one that may be repeated.

set match_style {enum sdc ucf}
set endpoints {
    -from objects -rise_from objects -fall_from objects -to objects -rise_to objects
    -fall_to objects -through objects* -rise_through objects* -fall_through objects*
}

# Sources.
vivado read_verilog any {infiles+} {-library text -sv flag}
vivado read_vhdl any {infiles+} {-library text -vhdl2008 flag -vhdl2019 flag}
vivado read_mem any {infiles+} {}
vivado read_xdc any {infiles+} {
    -cells objects -ref text -quiet_diff_pairs flag -mode {enum default out_of_context}
    -unmanaged flag -no_add flag
}
vivado read_checkpoint any {infiles?} {
    -cell objects -incremental flag -directive text -part part -strict flag
}
vivado add_files any {infiles*} {
    -fileset text -of_objects objects -norecurse flag -copy_to text -force flag
    -scan_for_includes flag
}
vivado create_project any {text? text?} {-part part -force flag -in_memory flag -ip flag}
vivado set_param any {text text} {}
vivado set_msg_config any {} {
    -id text -string text -limit int -severity text -suppress flag -regexp flag
    -new_severity {enum ERROR "CRITICAL WARNING" WARNING INFO STATUS}
}

# Synthesis and implementation.
vivado synth_design any {} {
    -name text -part part -constrset text -top text -include_dirs list -generic text*
    -define text* -verilog_define text* -vhdl_define text*
    -flatten_hierarchy {enum full none rebuilt} -gated_clock_conversion {enum off on auto}
    -directive {enum default RuntimeOptimized AreaOptimized_high AreaOptimized_medium
        AlternateRoutability AreaMapLargeShiftRegToBRAM AreaMultThresholdDSP FewerCarryChains
        PerformanceOptimized LogicCompaction PowerOptimized_high PowerOptimized_medium}
    -rtl flag -lint flag -file outfile -bufg int -no_lc flag -lut_cascade flag
    -shreg_min_size int -mode {enum default out_of_context}
    -fsm_extraction {enum off one_hot sequential johnson gray user_encoding auto}
    -rtl_skip_mlo flag -rtl_skip_ip flag -rtl_skip_constraints flag -srl_style text
    -keep_equivalent_registers flag -resource_sharing {enum auto on off}
    -cascade_dsp {enum auto tree force} -control_set_opt_threshold text
    -incremental_mode {enum off default quick aggressive} -max_bram number -max_uram number
    -max_dsp number -max_bram_cascade_height number -max_uram_cascade_height number
    -global_retiming {enum on off auto} -no_srlextract flag -assert flag -no_timing_driven flag
    -sfcu flag -debug_log flag
}
vivado opt_design synthesized {} {
    -retarget flag -propconst flag -sweep flag -bram_power_opt flag -remap flag
    -aggressive_remap flag -resynth_remap flag -resynth_area flag -resynth_seq_area flag
    -directive {enum Default Explore ExploreArea ExploreSequentialArea ExploreWithRemap
        AddRemap NoBramPowerOpt RuntimeOptimized RQS}
    -muxf_remap flag -hier_fanout_limit int -bufg_opt flag -mbufg_opt flag
    -shift_register_opt flag -dsp_register_opt flag -srl_remap_modes text
    -control_set_merge flag -control_set_opt flag -merge_equivalent_drivers flag
    -carry_remap flag -debug_log flag -property_opt_only flag
}
vivado power_opt_design synthesized {} {
    -include_cells objects -exclude_cells objects -clocks objects -cell_types list
}
vivado place_design synthesized {} {
    -directive {enum Default Explore WLDrivenBlockPlacement EarlyBlockPlacement
        ExtraNetDelay_high ExtraNetDelay_low AltSpreadLogic_high AltSpreadLogic_medium
        AltSpreadLogic_low ExtraPostPlacementOpt ExtraTimingOpt RuntimeOptimized Quick RQS}
    -no_timing_driven flag -timing_summary flag -unplace flag -post_place_opt flag
    -no_psip flag -sll_align_opt flag -no_bufg_opt flag -ultrathreads flag
}
vivado phys_opt_design placed {} {
    -fanout_opt flag -placement_opt flag -routing_opt flag -slr_crossing_opt flag
    -insert_negative_edge_ffs flag -restruct_opt flag -interconnect_retime flag -lut_opt flag
    -casc_opt flag -cell_group_opt flag -critical_cell_opt flag -dsp_register_opt flag
    -bram_register_opt flag -uram_register_opt flag -bram_enable_opt flag
    -shift_register_opt flag -hold_fix flag -aggressive_hold_fix flag -retime flag
    -force_replication_on_nets objects
    -directive {enum Default Explore ExploreWithHoldFix ExploreWithAggressiveHoldFix
        AggressiveExplore AlternateReplication AggressiveFanoutOpt AlternateFlowWithRetiming
        AddRetime RuntimeOptimized RQS}
    -critical_pin_opt flag -clock_opt flag -path_groups objects -tns_cleanup flag
    -sll_reg_hold_fix flag
}
vivado route_design placed {} {
    -directive {enum Default Explore AggressiveExplore NoTimingRelaxation MoreGlobalIterations
        HigherDelayCost AdvancedSkewModeling AlternateCLBRouting RuntimeOptimized Quick RQS}
    -unroute flag -release_memory flag -nets objects -physical_nets flag -pins objects
    -tns_cleanup flag -no_timing_driven flag -preserve flag -delay flag -auto_delay flag
    -max_delay number -min_delay number -timing_summary flag -finalize flag
    -ultrathreads flag -eco flag -no_psir flag
}

# Results.
vivado write_checkpoint synthesized {outfile?} {
    -force flag -cell objects -logic_function_stripped flag -encrypt flag -key text
}
vivado report_timing_summary synthesized {} {
    -check_timing_verbose flag -delay_type {enum max min min_max} -no_detailed_paths flag
    -setup flag -hold flag -max_paths int -nworst int -unique_pins flag
    -path_type {enum end summary short full full_clock full_clock_expanded}
    -no_reused_label flag -input_pins flag -no_pr_attribute flag -no_pblock flag
    -routable_nets flag -slack_lesser_than number -report_unconstrained flag
    -significant_digits int -no_header flag -file outfile -append flag -name text
    -return_string flag -warn_on_violation flag -datasheet flag -cells objects -rpx outfile
}
vivado report_timing synthesized {} [list {*}$endpoints {*}{
    -delay_type {enum max min min_max max_rise max_fall min_rise min_fall} -setup flag
    -hold flag -max_paths int -nworst int -unique_pins flag
    -path_type {enum end summary short full full_clock full_clock_expanded}
    -input_pins flag -no_header flag -no_reused_label flag -slack_lesser_than number
    -slack_greater_than number -group list -sort_by {enum group slack}
    -no_report_unconstrained flag -user_ignored flag -of_objects objects
    -significant_digits int -column_style text -file outfile -append flag -name text
    -no_pr_attribute flag -no_pblock flag -routable_nets flag -return_string flag
    -warn_on_violation flag -cells objects -rpx outfile
}]
vivado report_utilization synthesized {} {
    -file outfile -append flag -pblocks objects -evaluate_pblock flag
    -exclude_child_pblocks flag -exclude_non_assigned flag -cells objects -return_string flag
    -slr flag -packthru flag -name text -no_primitives flag -omit_locs flag
    -hierarchical flag -spreadsheet_file outfile -spreadsheet_table text
    -spreadsheet_depth int -hierarchical_depth int -hierarchical_percentages flag
}
vivado report_power synthesized {} {
    -no_propagation flag -hier {enum logic power all} -hierarchical_depth int -vid flag
    -advisory flag -file outfile -name text -format {enum text xml} -xpe outfile -l int
    -return_string flag -append flag -rpx outfile
}
vivado report_route_status synthesized {} {
    -return_string flag -file outfile -append flag -of_objects objects -route_type text
    -list_all_nets flag -show_all flag -has_routing flag -ignore_cache flag
    -boolean_check {enum PLACED_FULLY PARTIALLY_ROUTED ROUTED_FULLY ERRORS_IN_ROUTES}
}
vivado report_drc synthesized {} {
    -name text -upgrade_cw flag -checks list -ruledecks list -file outfile -rpx outfile
    -append flag -waived flag -no_waivers flag -return_string flag
}
vivado get_timing_paths synthesized {} [list {*}$endpoints {*}{
    -delay_type {enum max min min_max max_rise max_fall min_rise min_fall} -setup flag
    -hold flag -max_paths int -nworst int -unique_pins flag -slack_lesser_than number
    -slack_greater_than number -group list -no_report_unconstrained flag -user_ignored flag
    -routable_nets flag -sort_by {enum group slack} -filter text -regexp flag -nocase flag
    -cell objects
}]
vivado get_property synthesized {text objects} {-min flag -max flag}

# Constraints: the timing and object commands that UG903 allows in an XDC file.
vivado get_ports xdc {list?} [list -match_style $match_style {*}{
    -regexp flag -nocase flag -filter text -of_objects objects
    -scoped_to_current_instance flag -no_traverse flag -prop_thru_buffers flag
}]
vivado get_clocks xdc {list?} [list -match_style $match_style {*}{
    -regexp flag -nocase flag -filter text -of_objects objects -include_generated_clocks flag
}]
vivado all_inputs xdc {} {}
vivado all_outputs xdc {} {}
vivado all_clocks xdc {} {}
vivado set_property xdc {text? text? objects+} {-dict list}
vivado create_clock xdc {objects?} {!-period number -name text -waveform list -add flag}
vivado create_generated_clock xdc {objects} {
    -name text -source objects -edges list -divide_by int -multiply_by int
    -combinational flag -duty_cycle number -invert flag -edge_shift list -add flag
    -master_clock objects
}
vivado set_clock_uncertainty xdc {number objects?} {
    -setup flag -hold flag -from objects -rise_from objects -fall_from objects -to objects
    -rise_to objects -fall_to objects
}
vivado set_clock_latency xdc {number objects} {
    -clock objects -rise flag -fall flag -min flag -max flag -source flag -late flag
    -early flag
}
vivado set_clock_groups xdc {} {
    -name text -logically_exclusive flag -physically_exclusive flag -asynchronous flag
    -group objects*
}
vivado set_input_jitter xdc {objects number} {}
vivado set_system_jitter xdc {number} {}
vivado set_false_path xdc {} [list {*}$endpoints {*}{
    -setup flag -hold flag -rise flag -fall flag -reset_path flag
}]
vivado set_multicycle_path xdc {int} [list {*}$endpoints {*}{
    -setup flag -hold flag -rise flag -fall flag -start flag -end flag -reset_path flag
}]
vivado set_max_delay xdc {number} [list {*}$endpoints {*}{
    -rise flag -fall flag -reset_path flag -datapath_only flag
}]
vivado set_min_delay xdc {number} [list {*}$endpoints {*}{
    -rise flag -fall flag -reset_path flag
}]
foreach delay {set_input_delay set_output_delay} {
    vivado $delay xdc {number objects} {
        -clock objects -reference_pin objects -clock_fall flag -rise flag -fall flag
        -max flag -min flag -add_delay flag -network_latency_included flag
        -source_latency_included flag
    }
}
