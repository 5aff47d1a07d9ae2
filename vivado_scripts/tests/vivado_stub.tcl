# Stands in for `vivado -mode batch -source SCRIPT`:
#
#   tclsh vivado_stub.tcl RECORD SCRIPT
#
# It runs SCRIPT in an interpreter of its own that has Tcl's commands and those of
# vivado_commands.tcl. Every call is checked: the command and its options exist, values have the
# right kind, files are there, the flow's order is kept, objects named in constraints exist in the
# sources. RECORD gets one line per call: the command and its arguments, separated by tabs (in them,
# backslash, tab and newline as \\, \t, \n). As in Vivado's batch mode, the exit code is 0 at the
# end of the script, 1 after an error, and what the script gives to `exit`.
#
# Results that the real tool computes come from the environment: STUB_SETUP_SLACK and
# STUB_HOLD_SLACK (ns, default 0.1; `none`: no such path), STUB_ROUTE_ERRORS (default 0).

namespace eval stub {
    variable record         ;# channel of RECORD
    variable commands {}    ;# name -> phase, positionals, options
    variable phase start    ;# start, synthesized, placed, routed
    variable sources {}     ;# files, in the order of reading
    variable memories {}
    variable constraints {}
    variable severity {}    ;# message identifier -> severity
    variable ports {}       ;# of the top module, once synthesized: name -> direction
    variable clocks {}      ;# name -> period, ns
    variable objects {}     ;# everything that get_* returned
}

# Enters one command of the table.
proc vivado {name phase positionals options} {
    dict set stub::commands $name [list $phase $positionals [dict merge $options {
        -quiet flag -verbose flag
    }]]
}

proc stub::environment {name default} {
    if {[info exists ::env($name)]} { return $::env($name) }
    return $default
}

# Checks that `value` is of `kind`.
proc stub::check {what kind value} {
    switch -- [lindex $kind 0] {
        text { set ok [expr {$value ne ""}] }
        number { set ok [string is double -strict $value] }
        int { set ok [expr {[string is integer -strict $value] && $value >= 0}] }
        list { set ok [expr {[string is list $value] && [llength $value] > 0}] }
        part { set ok [regexp {^xc7z\d{3}s?[a-z]{3}\d{3,4}-[123]L?$} $value] }
        enum { set ok [expr {$value in [lrange $kind 1 end]}] }
        infiles {
            set ok [expr {[string is list $value] && [llength $value] > 0}]
            if {$ok} {
                foreach file $value {
                    if {![file isfile $file]} { error "$what: no file '$file'" }
                }
            }
        }
        outfile { set ok [file isdirectory [file dirname $value]] }
        objects {
            set ok [expr {[string is list $value] && [llength $value] > 0}]
            if {$ok} {
                foreach object $value {
                    if {![dict exists $stub::objects $object]} {
                        error "$what: no object '$object'"
                    }
                }
            }
        }
        default { error "stub: unknown kind '$kind'" }
    }
    if {!$ok} { error "$what: '$value' is no [join $kind { }]" }
}

# Splits the arguments of `name` into options (a dictionary) and positional values, checking both.
proc stub::parse {name arguments} {
    lassign [dict get $stub::commands $name] phase positionals table
    set specs [dict create]
    dict for {option kind} $table {
        set required [string match !* $option]
        set option [string trimleft $option !]
        set repeats [string match *\\* [lindex $kind 0]]
        set kind [lreplace $kind 0 0 [string trimright [lindex $kind 0] *]]
        dict set specs $option [list $kind $required $repeats]
    }
    set options {}
    set values {}
    for {set i 0} {$i < [llength $arguments]} {incr i} {
        set word [lindex $arguments $i]
        if {![regexp {^-[A-Za-z_]} $word]} {
            lappend values $word
            continue
        }
        if {![dict exists $specs $word]} { error "$name: unknown option '$word'" }
        lassign [dict get $specs $word] kind required repeats
        if {[dict exists $options $word] && !$repeats} { error "$name: '$word' given twice" }
        if {$kind eq "flag"} {
            dict set options $word 1
            continue
        }
        if {[incr i] >= [llength $arguments]} { error "$name: '$word' lacks its value" }
        check "$name $word" $kind [lindex $arguments $i]
        dict lappend options $word [lindex $arguments $i]
    }
    dict for {option spec} $specs {
        if {[lindex $spec 1] && ![dict exists $options $option]} {
            error "$name: option '$option' is required"
        }
    }
    check_values $name $positionals $values
    return [list $options $values]
}

proc stub::check_values {name positionals values} {
    set least 0
    set most 0
    set kinds {}
    foreach positional $positionals {
        regexp {^(\w+)([?+*]?)$} $positional -> kind count
        if {$count in {"" +}} { incr least }
        incr most [expr {$count in {+ *} ? 1000000 : 1}]
        lappend kinds $kind
    }
    if {[llength $values] < $least} { error "$name: wanted $least arguments: $positionals" }
    if {[llength $values] > $most} { error "$name: too many arguments: $values" }
    # Absent optional arguments come first only where the last is required: align at the end.
    set skip [expr {max(0, [llength $kinds] - [llength $values])}]
    if {[regexp {[?*]$} [lindex $positionals end]]} { set skip 0 }
    set kinds [lrange $kinds $skip end]
    for {set i 0} {$i < [llength $values]} {incr i} {
        set kind [lindex $kinds [expr {min($i, [llength $kinds] - 1)}]]
        check $name $kind [lindex $values $i]
    }
}

proc stub::check_phase {name needed} {
    variable phase
    if {$needed eq "any"} { return }
    if {$needed eq "xdc"} { set needed synthesized }
    set order {start synthesized placed routed}
    if {[lsearch $order $phase] < [lsearch $order $needed]} {
        error "$name: the design is not $needed yet"
    }
}

# Entry of every call from the script or from a constraint file.
proc stub::call {name args} {
    set fields [lmap field [list $name {*}$args] {
        string map {\\ \\\\ \t \\t \n \\n} $field
    }]
    puts $stub::record [join $fields \t]
    check_phase $name [lindex [dict get $stub::commands $name] 0]
    lassign [parse $name $args] options values
    if {[info procs ::stub::do_$name] eq ""} { return "" }
    return [do_$name $options $values]
}

proc stub::read_text {file} {
    set channel [open $file r]
    fconfigure $channel -encoding utf-8
    set text [read $channel]
    close $channel
    return $text
}

foreach {name list} {read_verilog sources read_mem memories read_xdc constraints} {
    proc stub::do_$name {options values} [format {
        variable %1$s
        foreach files $values { lappend %1$s {*}$files }
        return $%1$s
    } $list]
}

proc stub::do_set_msg_config {options values} {
    if {![dict exists $options -new_severity]} { return "" }
    variable severity
    dict set severity [lindex [dict get $options -id] 0] [lindex [dict get $options -new_severity] 0]
}

proc stub::do_synth_design {options values} {
    variable sources
    variable constraints
    variable phase
    set text ""
    foreach file $sources { append text [read_text $file] \n }
    # One by one: in a single expression the first branch would make the second greedy.
    regsub -all {//[^\n]*} $text { } text
    regsub -all {/\*.*?\*/} $text { } text
    find_memories $text
    find_ports $text [lindex [dict get $options -top] 0]
    set phase synthesized
    foreach file $constraints { apply_xdc $file }
}

# Every memory image that a string of the sources names, without its folder, must have been read.
proc stub::find_memories {text} {
    variable memories
    variable severity
    set known [lmap file $memories { lindex [split $file /] end }]
    foreach {- image} [regexp -all -inline {"([^"\n]*\.(?:mem|hex|dat))"} $text] {
        if {$image in $known} { continue }
        set message "\[Synth 8-4445\] could not open \$readmem data file '$image'"
        if {[dict exists $severity "Synth 8-4445"] && [dict get $severity "Synth 8-4445"] eq "ERROR"} {
            error $message
        }
        puts "CRITICAL WARNING: $message"
    }
}

proc stub::find_ports {text top} {
    variable ports
    variable objects
    if {![regexp "\\mmodule\\s+$top\\M(\[^;]*);" $text - head]} {
        error "\[Synth 8-439\] module '$top' not found"
    }
    set pattern {\m(input|output|inout)\s+(?:(?:wire|reg|signed)\s+)*(?:\[[^\]]*\]\s*)?(\w+)}
    foreach {- direction port} [regexp -all -inline $pattern $head] {
        dict set ports $port $direction
        dict set objects $port port
    }
}

# Runs a constraint file in an interpreter that has nothing but what UG903 allows there.
proc stub::apply_xdc {file} {
    variable commands
    set xdc [interp create]
    foreach command [$xdc eval {info commands}] {
        if {$command ni {set list expr}} { $xdc hide $command }
    }
    dict for {name spec} $commands {
        if {[lindex $spec 0] eq "xdc"} { $xdc alias $name ::stub::call $name }
    }
    set failed [catch { $xdc eval [read_text $file] } message]
    interp delete $xdc
    if {$failed} { error "[file tail $file]: $message" }
}

foreach {name to} {place_design placed route_design routed} {
    proc stub::do_$name {options values} "variable phase; set phase $to"
}

proc stub::matching {names values} {
    set patterns [expr {[llength $values] ? [lindex $values 0] : "*"}]
    set found {}
    foreach pattern $patterns { lappend found {*}[lsearch -all -inline $names $pattern] }
    return $found
}

proc stub::do_get_ports {options values} {
    return [matching [dict keys $stub::ports] $values]
}

proc stub::do_get_clocks {options values} {
    return [lmap clock [matching [dict keys $stub::clocks] $values] { string cat clock: $clock }]
}

proc stub::do_create_clock {options values} {
    variable clocks
    variable objects
    set name [lindex $values 0]
    if {[dict exists $options -name]} { set name [lindex [dict get $options -name] 0] }
    if {$name eq ""} { error "create_clock: a clock without a source needs -name" }
    dict set clocks $name [lindex [dict get $options -period] 0]
    dict set objects clock:$name clock
    return clock:$name
}

proc stub::do_set_property {options values} {
    set least [expr {[dict exists $options -dict] ? 1 : 3}]
    if {[llength $values] < $least} { error "set_property: wanted a name, a value and objects" }
}

# Ports are not constrained by a clock alone: only register paths of a clocked design are found.
proc stub::do_get_timing_paths {options values} {
    variable clocks
    variable objects
    set kind [expr {[dict exists $options -hold] ? "HOLD" : "SETUP"}]
    if {[dict size $clocks] == 0 || [environment STUB_${kind}_SLACK 0.1] eq "none"} { return {} }
    dict set objects path:$kind path
    return path:$kind
}

proc stub::do_get_property {options values} {
    lassign $values name object
    if {$name eq "SLACK" && [regexp {^path:(\w+)$} $object - kind]} {
        return [environment STUB_${kind}_SLACK 0.1]
    }
    error "get_property: the stub has no $name of $object"
}

proc stub::do_report_route_status {options values} {
    if {![dict exists $options -boolean_check]} { return "" }
    switch [lindex [dict get $options -boolean_check] 0] {
        ERRORS_IN_ROUTES { return [environment STUB_ROUTE_ERRORS 0] }
        default { error "report_route_status: the stub does not know this check" }
    }
}

proc stub::main {arguments} {
    if {[llength $arguments] != 2} { error "usage: vivado_stub.tcl RECORD SCRIPT" }
    lassign $arguments record script
    set stub::record [open $record w]
    fconfigure $stub::record -encoding utf-8 -translation lf -buffering line
    set vivado [interp create]
    foreach name [dict keys $stub::commands] { $vivado alias $name ::stub::call $name }
    $vivado alias exit ::exit
    if {[catch { $vivado eval [list source $script] } message]} {
        puts stderr "ERROR: $message"
        exit 1
    }
}

source [file join [file dirname [info script]] vivado_commands.tcl]
stub::main $argv
