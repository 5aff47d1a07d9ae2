//! All cases of CMSIS-NN's unit tests through the reference model.

#[allow(dead_code)]
mod conformance;

use conformance::{Outcome, cmsis_nn};

#[test]
#[ignore = "needs ../shared/models"]
fn every_int8_and_int4_case_of_cmsis_nn_passes() {
    let (mut passed, mut not_applicable, mut failed) = (0, 0, 0);
    for case in cmsis_nn::judged() {
        let (word, note) = match case.outcome {
            Outcome::Passed(_) => {
                passed += 1;
                ("passed", String::new())
            }
            Outcome::NotApplicable(reason) => {
                not_applicable += 1;
                ("not applicable", reason)
            }
            Outcome::Failed(what) => {
                failed += 1;
                ("failed", what)
            }
        };
        println!("{:58} {word:15} {note}", case.name);
    }
    println!("{passed} passed, {not_applicable} not applicable, {failed} failed");
    assert_eq!(failed, 0);
    assert!(passed >= 97, "{passed} cases");
}
