//! Writes the cases of the test `tflite_operators` into a folder, for
//! `testdata/tflite-operators/generate.py`: `N.tflite`, and the inputs one behind the other as `N.in`.

#[path = "../tests/tflite_cases/mod.rs"]
mod tflite_cases;

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).expect("a folder to write into");
    for (number, case) in tflite_cases::cases().into_iter().enumerate() {
        std::fs::write(format!("{folder}/{number}.tflite"), case.model)?;
        std::fs::write(format!("{folder}/{number}.in"), case.inputs.concat())?;
        println!("{}", case.name);
    }
    Ok(())
}
