//! Every TFLite operator against tflite-runtime 2.14's reference kernels, int8 and uint8.

#[allow(dead_code)]
mod conformance;

use conformance::Outcome;
use conformance::tflite::cases;
use conformance::tflite::judge::judged;
use macforge_quant::lower;

#[test]
fn every_operator_equals_tflite() {
    for case in judged() {
        match case.outcome {
            Outcome::Passed(_) => {}
            Outcome::NotApplicable(why) | Outcome::Failed(why) => panic!("{}: {why}", case.name),
        }
    }
}

#[test]
fn corrupted_files_of_every_operator_give_a_graph_or_an_error() {
    let (mut good, mut bad) = (0, 0);
    let cases = cases();
    for case in &cases[..cases.len() / 3] {
        for seed in 0..150 {
            let damaged = macforge_model::tflite::corrupt::corrupt(&case.model, seed);
            let imported = macforge_model::from_bytes("case", &damaged);
            match imported.map(|model| lower(&model, None)) {
                Ok(Ok(_)) => good += 1,
                _ => bad += 1,
            }
        }
    }
    assert!(good > 300 && bad > 5000, "{good} accepted, {bad} refused");
}
