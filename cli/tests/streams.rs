//! Back-to-back inferences: words of the next sample are offered while the design computes, and
//! must wait without being lost. `macforge simulate` gives one sample after the other.

mod support;

use std::fs;
use std::path::Path;
use support::bench::{Simulator, labelled, pack, real_input, real_output, run, unpack};
use support::compile;

const SAMPLES: usize = 4;

fn outputs(dir: &Path, words: &[u32]) -> Result<Vec<u32>, String> {
    run(dir, Simulator::Verilator, words, SAMPLES)
}

/// Replaces `old`, which stands once in `file`.
fn replace(file: &Path, old: &str, new: &str) {
    let text = fs::read_to_string(file).expect("the file is there");
    assert_eq!(
        text.matches(old).count(),
        1,
        "`{old}` in {}",
        file.display()
    );
    fs::write(file, text.replace(old, new)).expect("the file can be written");
}

#[test]
fn words_offered_while_the_design_computes_wait() {
    let (input, golden) = labelled(SAMPLES);
    let dir = tempfile::tempdir().expect("a temporary folder");
    compile("fire-risk", "pynq-z2", &["--shape", "3x8x4"], dir.path());
    assert_eq!(
        outputs(dir.path(), &pack(&input)).map(|w| unpack(&w)),
        Ok(golden.clone())
    );
    // the test notices a design that does not make them wait
    replace(
        &dir.path().join("rtl/macforge_top.v"),
        ".enable(input_open)",
        ".enable(input_open || enable)",
    );
    assert_ne!(
        outputs(dir.path(), &pack(&input)).map(|w| unpack(&w)),
        Ok(golden)
    );
}

#[test]
fn float_words_offered_while_the_design_computes_wait() {
    let (input, golden) = labelled(SAMPLES);
    let dir = tempfile::tempdir().expect("a temporary folder");
    compile(
        "fire-risk",
        "pynq-z2",
        &["--shape", "3x8x4", "--io", "float"],
        dir.path(),
    );
    let words = real_input(&input);
    assert_eq!(outputs(dir.path(), &words), Ok(real_output(&golden)));
    // the test notices a quantizer that takes more than it can keep
    replace(
        &dir.path().join("rtl/quantize_stream.v"),
        "claimed_q != CAPACITY[FAW:0]",
        "claimed_q != CAPACITY[FAW:0] || CAPACITY != 0",
    );
    assert_ne!(outputs(dir.path(), &words), Ok(real_output(&golden)));
}
