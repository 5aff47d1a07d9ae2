//! All cases of CMSIS-NN's unit tests through the reference model.

mod cmsis_nn;

use macforge_reference::Interpreter;

/// What became of a case.
fn outcome(name: &str) -> Result<&'static str, String> {
    let case = match cmsis_nn::case(name) {
        Ok(case) => case,
        Err(reason) => return Ok(reason),
    };
    let interpreter = Interpreter::new(&case.graph);
    for (index, (inputs, wanted)) in case.samples.iter().enumerate() {
        let run = interpreter.run(inputs).map_err(|e| e.to_string())?;
        let found = run.outputs(&case.graph)[0].as_i8().unwrap();
        let differing = found.iter().zip(wanted).filter(|(a, b)| a != b).count();
        if found.len() != wanted.len() || differing > 0 {
            return Err(format!(
                "sample {index}: {differing} of {} differ",
                wanted.len()
            ));
        }
    }
    Ok("")
}

#[test]
#[ignore = "needs ../shared/models"]
fn every_int8_and_int4_case_of_cmsis_nn_passes() {
    let (mut passed, mut not_applicable, mut failed) = (0, 0, 0);
    for name in cmsis_nn::names() {
        let (word, note) = match outcome(&name) {
            Ok("") => {
                passed += 1;
                ("passed", String::new())
            }
            Ok(reason) => {
                not_applicable += 1;
                ("not applicable", reason.to_owned())
            }
            Err(what) => {
                failed += 1;
                ("failed", what)
            }
        };
        println!("{name:58} {word:15} {note}");
    }
    println!("{passed} passed, {not_applicable} not applicable, {failed} failed");
    assert_eq!(failed, 0);
    assert!(passed >= 97, "{passed} cases");
}
