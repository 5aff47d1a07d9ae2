//! `vivado/synth.tcl` under the recording stub: the calls it makes and the errors it ends with.

use crate::stub::{Bundle, design};
use macforge_vivado_scripts::ScriptError;

fn good_bundle() -> Bundle {
    let bundle = Bundle::new("bundle");
    bundle.fill(&design());
    bundle
}

#[test]
fn a_design_that_meets_timing_ends_with_success_and_its_slack() {
    let outcome =
        good_bundle().run_with(&[("STUB_SETUP_SLACK", "0.000"), ("STUB_HOLD_SLACK", "0.034")]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    assert_eq!(
        outcome.stdout,
        "Worst slack: setup 0.000 ns, hold 0.034 ns.\n"
    );
}

#[test]
fn files_are_read_before_synthesis_and_results_are_reported_after_routing() {
    let outcome = good_bundle().run();
    let names: Vec<&str> = outcome.calls.iter().map(|call| call[0].as_str()).collect();
    assert_eq!(
        names,
        [
            "read_verilog",
            "read_mem",
            "set_msg_config",
            "read_xdc",
            "synth_design",
            // From the XDC, which synthesis applies.
            "get_ports",
            "create_clock",
            "get_clocks",
            "set_input_jitter",
            "get_ports",
            "set_property",
            "report_utilization",
            "opt_design",
            "place_design",
            "phys_opt_design",
            "route_design",
            "report_timing_summary",
            "report_utilization",
            "report_utilization",
            "report_route_status",
            "report_power",
            "write_checkpoint",
            "report_route_status",
            "get_timing_paths",
            "get_property",
            "get_timing_paths",
            "get_property",
        ]
    );
}

#[test]
fn calls_carry_the_design() {
    let bundle = good_bundle();
    let outcome = bundle.run();
    let root = bundle.root.canonicalize().unwrap();
    let root = root.to_str().unwrap();
    assert_eq!(
        outcome.arguments("synth_design"),
        [
            "-top",
            "accelerator",
            "-part",
            "xc7z020clg400-1",
            "-mode",
            "out_of_context",
            "-flatten_hierarchy",
            "rebuilt"
        ]
    );
    let sources = format!("{root}/rtl/accelerator.v {root}/rtl/mac.v");
    assert_eq!(outcome.arguments("read_verilog"), [sources]);
    assert_eq!(
        outcome.arguments("read_mem"),
        [format!("{root}/mem/weights.hex")]
    );
    let xdc = format!("{root}/constraints/accelerator_ooc.xdc");
    assert_eq!(
        outcome.arguments("read_xdc"),
        ["-mode", "out_of_context", &xdc]
    );
    let timing = format!("{root}/vivado/reports/timing_summary.rpt");
    assert_eq!(
        outcome.arguments("report_timing_summary"),
        ["-file", &timing, "-max_paths", "10"]
    );
    assert_eq!(
        outcome.arguments("write_checkpoint"),
        ["-force", &format!("{root}/vivado/routed.dcp")]
    );
    assert!(bundle.root.join("vivado/reports").is_dir());
}

#[test]
fn missed_timing_ends_with_exit_code_1_after_the_reports() {
    for (variable, word) in [("STUB_SETUP_SLACK", "setup"), ("STUB_HOLD_SLACK", "hold")] {
        let outcome = good_bundle().run_with(&[(variable, "-0.001")]);
        outcome.expect_error(&format!("{word} timing is not met: slack -0.001 ns"));
        assert!(
            outcome
                .calls
                .iter()
                .any(|call| call[0] == "report_timing_summary")
        );
        assert!(
            outcome
                .calls
                .iter()
                .any(|call| call[0] == "write_checkpoint")
        );
    }
}

#[test]
fn a_design_without_a_timed_path_is_not_taken_for_a_good_one() {
    let bundle = good_bundle();
    bundle
        .run_with(&[("STUB_HOLD_SLACK", "none")])
        .expect_error("no path has a hold check");
    bundle.write("constraints/accelerator_ooc.xdc", "# no clock\n");
    bundle.run().expect_error("no path has a setup check");
}

#[test]
fn routing_errors_end_with_exit_code_1() {
    good_bundle()
        .run_with(&[("STUB_ROUTE_ERRORS", "1")])
        .expect_error("routing failed");
}

#[test]
fn each_missing_file_is_an_error() {
    let script = design();
    for file in [&script.sources[1], &script.memory_files[0], &script.xdc] {
        let bundle = good_bundle();
        std::fs::remove_file(bundle.root.join(file)).unwrap();
        bundle
            .run()
            .expect_error(&format!("no file '{}'", bundle.root.join(file).display()));
    }
}

#[test]
fn a_memory_image_that_was_not_read_is_an_error() {
    let bundle = good_bundle();
    bundle.write(
        "rtl/mac.v",
        "module mac; initial $readmemh(\"bias.hex\", rom); endmodule\n",
    );
    bundle
        .run()
        .expect_error("[Synth 8-4445] could not open $readmem data file 'bias.hex'");
}

#[test]
fn a_design_without_memories_reads_none() {
    let mut script = design();
    script.memory_files.clear();
    let bundle = Bundle::new("bundle");
    let outcome = bundle.fill(&script).run();
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.calls.iter().all(|call| call[0] != "read_mem"));
}

#[test]
fn a_top_module_that_is_not_there_is_an_error() {
    let bundle = good_bundle();
    bundle.write(
        "rtl/accelerator.v",
        "module accelerator_2 (input wire clk); endmodule\n",
    );
    bundle.run().expect_error("module 'accelerator' not found");
}

#[test]
fn odd_file_and_folder_names_survive() {
    let odd = [
        "a b",
        "{",
        "}x{",
        "[exit 3]",
        "$root",
        "back\\slash",
        "qu\"ote",
        "~user",
        "-sv",
        "#x;y",
        "é語",
        "new\nline",
    ];
    let mut script = design();
    script.sources = odd.iter().map(|name| format!("{name}/{name}.v")).collect();
    script.memory_files = odd.iter().map(|name| format!("mem/{name}.hex")).collect();
    // The top module's text names the images, and these two cannot stand in a Verilog string.
    script
        .memory_files
        .retain(|name| !name.contains(['"', '\n']));
    script.xdc = "c [d] $e/{ooc}.xdc".to_owned();
    for folder in ["plain", "x [y] $z {", "quote\" \\ ~"] {
        let bundle = Bundle::new(folder);
        let outcome = bundle.fill(&script).run();
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        assert_eq!(outcome.calls.len(), 27);
    }
}

#[test]
fn the_text_is_ascii_and_the_same_every_time() {
    let mut script = design();
    script.header = "modèle {\\".to_owned();
    script.sources.push("rtl/é.v".to_owned());
    let text = script.render().unwrap();
    assert!(text.is_ascii());
    assert_eq!(text, script.render().unwrap());
    assert!(text.lines().all(|line| line.len() <= 100), "{text}");
}

#[test]
fn what_cannot_become_a_script_is_refused() {
    let with = |change: fn(&mut macforge_vivado_scripts::SynthScript)| {
        let mut script = design();
        change(&mut script);
        script.render().unwrap_err()
    };
    assert_eq!(with(|s| s.sources.clear()), ScriptError::NoSources);
    assert!(matches!(
        with(|s| s.top.clear()),
        ScriptError::BadName {
            what: "top module",
            ..
        }
    ));
    assert!(matches!(
        with(|s| s.part = "-rtl".into()),
        ScriptError::BadName { what: "part", .. }
    ));
    assert!(matches!(
        with(|s| s.xdc = "/etc/x.xdc".into()),
        ScriptError::BadPath { .. }
    ));
    assert!(matches!(
        with(|s| s.sources.push("../x.v".into())),
        ScriptError::BadPath { .. }
    ));
    assert!(matches!(
        with(|s| s.memory_files.push(String::new())),
        ScriptError::BadPath { .. }
    ));
}
