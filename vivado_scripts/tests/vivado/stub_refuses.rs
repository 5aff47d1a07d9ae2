//! The stub is a check only if it refuses what Vivado would refuse.

use crate::stub::{Bundle, Outcome, design};
use macforge_constraints::xdc::{Constraint, Name, Object, Xdc};

fn good_bundle() -> Bundle {
    let bundle = Bundle::new("bundle");
    bundle.fill(&design());
    bundle
}

/// The design's script with `old` (which must be there) replaced by `new`.
fn changed(old: &str, new: &str) -> String {
    let text = design().render().unwrap();
    assert!(text.contains(old), "{old}: {text}");
    text.replacen(old, new, 1)
}

#[test]
fn misspelt_commands_options_and_values_are_refused() {
    for (old, new, words) in [
        (
            "synth_design",
            "synth_desing",
            "invalid command name \"synth_desing\"",
        ),
        (
            "-flatten_hierarchy",
            "-flatten_hierachy",
            "unknown option '-flatten_hierachy'",
        ),
        (
            "rebuilt",
            "rebuild",
            "'rebuild' is no enum full none rebuilt",
        ),
        (
            "-mode out_of_context -flatten",
            "-mode ooc -flatten",
            "'ooc' is no enum",
        ),
        (
            "-new_severity ERROR",
            "-new_severity Error",
            "'Error' is no enum",
        ),
        (
            "xc7z020clg400-1 -mode",
            "xc7z020-clg400 -mode",
            "'xc7z020-clg400' is no part",
        ),
        ("-max_paths 10", "-max_paths ten", "'ten' is no int"),
        (
            "ERRORS_IN_ROUTES",
            "ERRORS_IN_ROUTE",
            "'ERRORS_IN_ROUTE' is no enum",
        ),
        (
            "get_property SLACK",
            "get_property SLAK",
            "the stub has no SLAK",
        ),
    ] {
        good_bundle()
            .run_script(&changed(old, new))
            .expect_error(words);
    }
}

#[test]
fn misplaced_options_and_arguments_are_refused() {
    for (old, new, words) in [
        (
            "\nopt_design\n",
            "\nopt_design -hierarchical\n",
            "opt_design: unknown option",
        ),
        (
            "\nopt_design\n",
            "\nopt_design now\n",
            "opt_design: too many arguments",
        ),
        (
            "\nopt_design\n",
            "\nopt_design -directive\n",
            "'-directive' lacks its value",
        ),
        (
            "\nopt_design\n",
            "\nopt_design -sweep -sweep\n",
            "'-sweep' given twice",
        ),
        (
            "read_mem [",
            "read_mem ;# [",
            "read_mem: wanted 1 arguments",
        ),
        (
            "-file $reports/power.rpt",
            "-file $reports/none/power.rpt",
            "is no outfile",
        ),
        (
            "read_xdc -mode out_of_context [list $root/",
            "read_xdc [list $root/x/",
            "no file",
        ),
    ] {
        good_bundle()
            .run_script(&changed(old, new))
            .expect_error(words);
    }
}

#[test]
fn a_bare_name_with_a_space_is_split_as_vivado_splits_it() {
    let bundle = good_bundle();
    bundle.write("rtl/a b.v", "// nothing\n");
    let script = changed("read_mem [", "read_verilog \"$root/rtl/a b.v\"\nread_mem [");
    bundle.run_script(&script).expect_error("no file");
    let script = changed(
        "read_mem [",
        "read_verilog [list \"$root/rtl/a b.v\"]\nread_mem [",
    );
    assert_eq!(bundle.run_script(&script).code, 0);
}

#[test]
fn steps_out_of_order_are_refused() {
    for (old, new, words) in [
        (
            "place_design\n",
            "",
            "phys_opt_design: the design is not placed yet",
        ),
        (
            "\nopt_design\nplace_design\nphys_opt_design\n",
            "\n",
            "route_design: the design is not placed",
        ),
        (
            "set here",
            "report_power\nset here",
            "report_power: the design is not synthesized yet",
        ),
    ] {
        good_bundle()
            .run_script(&changed(old, new))
            .expect_error(words);
    }
}

#[test]
fn the_exit_code_is_the_one_that_the_script_gives() {
    assert_eq!(good_bundle().run_script("exit 7\n").code, 7);
    assert_eq!(good_bundle().run_script("# nothing\n").code, 0);
}

/// Outcome of the whole flow with the constraint file `xdc`.
fn with_xdc(xdc: &str) -> Outcome {
    let bundle = good_bundle();
    bundle.write(&design().xdc, xdc);
    bundle.run()
}

#[test]
fn every_typed_constraint_is_one_that_vivado_knows() {
    let name = |text| Name::new(text).unwrap();
    let (clock, reset) = (Object::Clock(name("c")), Object::Port(name("rst")));
    let mut xdc = Xdc::new();
    xdc.comment("every kind of constraint").blank();
    for constraint in [
        Constraint::Clock {
            name: name("c"),
            period_ps: 4000,
            port: name("clk"),
        },
        Constraint::InputJitter {
            clock: name("c"),
            jitter_ps: 120,
        },
        Constraint::ClockUncertainty {
            clock: name("c"),
            margin_ps: 50,
        },
        Constraint::FalsePath {
            from: reset.clone(),
            to: None,
        },
        Constraint::FalsePath {
            from: reset.clone(),
            to: Some(clock),
        },
        Constraint::Property {
            name: "HD.CLK_SRC".into(),
            value: "BUFGCTRL_X0Y0".into(),
            of: reset,
        },
    ] {
        xdc.constraint(&constraint);
    }
    let outcome = with_xdc(&xdc.to_string());
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(
        outcome.arguments("create_clock"),
        ["-name", "c", "-period", "4.000", "clk"]
    );
    assert_eq!(
        outcome.arguments("set_clock_uncertainty"),
        ["0.050", "clock:c"]
    );
    assert_eq!(
        outcome.arguments("set_property"),
        ["HD.CLK_SRC", "BUFGCTRL_X0Y0", "rst"]
    );
}

#[test]
fn wrong_constraints_are_refused() {
    for (xdc, words) in [
        (
            "create_clock -name clk [get_ports clk]",
            "option '-period' is required",
        ),
        (
            "create_clock -periode 5 [get_ports clk]",
            "unknown option '-periode'",
        ),
        (
            "create_clock -period fast [get_ports clk]",
            "'fast' is no number",
        ),
        ("create_clock -period 5 [get_ports clock]", "is no objects"),
        ("create_clock -period 5 [get_ports fake]", "is no objects"),
        ("create_clock -period 5 clock", "no object 'clock'"),
        ("set_input_jitter [get_clocks clk] 0.1", "is no objects"),
        (
            "set_false_path -form [get_ports rst]",
            "unknown option '-form'",
        ),
        (
            "set_property HD.CLK_SRC [get_ports clk]",
            "wanted a name, a value and objects",
        ),
        ("puts hello", "invalid command name \"puts\""),
        ("foreach p {clk} {}", "invalid command name \"foreach\""),
        ("route_design", "invalid command name \"route_design\""),
    ] {
        with_xdc(xdc).expect_error(words);
    }
}
