//! Writes the cases of the test `tflite_operators` into a folder, for
//! `testdata/tflite-operators/generate.py`: `N.tflite`, and the inputs one behind the other as `N.in`.

#[allow(dead_code)]
#[path = "../tests/conformance/mod.rs"]
mod conformance;

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).expect("a folder to write into");
    for (number, case) in conformance::tflite::cases().into_iter().enumerate() {
        std::fs::write(format!("{folder}/{number}.tflite"), case.model)?;
        std::fs::write(format!("{folder}/{number}.in"), case.inputs.concat())?;
        println!("{}", case.name);
    }
    Ok(())
}
