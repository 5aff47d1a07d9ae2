//! A second simulator: Icarus Verilog, which shares no code with Verilator and knows X, runs one
//! inference of the shipped Verilog and gives the golden output.

mod support;

use support::bench::{Simulator, labelled, pack, real_input, real_output, run, unpack};
use support::compile;

/// Compiles the built-in model with `options`, runs the first sample and compares the int8 output.
fn assert_golden(options: &[&str], standard: &'static str) {
    let (input, golden) = labelled(1);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("out");
    compile("fire-risk", "pynq-z2", options, &out);
    let found = run(&out, Simulator::Icarus(standard), &pack(&input), 1);
    assert_eq!(found.map(|words| unpack(&words)), Ok(golden));
}

#[test]
fn icarus_gives_the_golden_output() {
    assert_golden(&["--shape", "3x8x4"], "-g2005");
}

#[test]
#[ignore = "Icarus needs minutes for the whole array"]
fn icarus_gives_the_golden_output_of_the_demo_design() {
    assert_golden(&[], "-g2012");
}

#[test]
fn icarus_gives_the_golden_output_through_the_float_boundary() {
    let (input, golden) = labelled(1);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("out");
    compile(
        "fire-risk",
        "pynq-z2",
        &["--shape", "5x8x4", "--io", "float"],
        &out,
    );
    let found = run(&out, Simulator::Icarus("-g2012"), &real_input(&input), 1);
    assert_eq!(found, Ok(real_output(&golden)));
}
