//! Small TFLite models of one operator each, with pseudo-random parameters, weights and inputs. They
//! are made anew every time, always the same; what TFLite computes for them lies in
//! `testdata/tflite-operators/outputs.bin`.

pub mod judge;
mod layers;
mod simple;

use macforge_model::tflite::writer::{ModelWriter, Options, TensorSpec, element};

/// One model.
pub struct Case {
    /// Operator, type and variant.
    pub name: String,
    /// The `.tflite` file.
    pub model: Vec<u8>,
    /// Raw bytes of every graph input.
    pub inputs: Vec<Vec<u8>>,
}

/// Models per operator, type and variant.
const ROUNDS: usize = 3;

/// All cases, int8 and uint8.
pub fn cases() -> Vec<Case> {
    let mut maker = Maker {
        state: 0x1234_5678_9abc_def1,
        unsigned: false,
        cases: Vec::new(),
    };
    for _ in 0..ROUNDS {
        for unsigned in [false, true] {
            maker.unsigned = unsigned;
            simple::add_all(&mut maker);
            layers::add_all(&mut maker);
        }
    }
    maker.cases
}

/// Scale, and zero point as int8.
type Params = (f32, i64);

/// Makes cases of one type.
struct Maker {
    state: u64,
    unsigned: bool,
    cases: Vec<Case>,
}

impl Maker {
    /// xorshift64
    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    /// A number below `n`.
    fn below(&mut self, n: u64) -> i32 {
        (self.next() % n) as i32
    }

    fn real(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * ((self.next() >> 40) as f32 / (1u64 << 24) as f32)
    }

    fn params(&mut self, low: f32, high: f32) -> Params {
        (self.real(low, high), i64::from(self.below(256)) - 128)
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next() as u8).collect()
    }

    /// A tensor of the current type; `data` makes it a constant.
    fn spec(&self, name: &str, shape: &[i32], params: Params, data: Vec<u8>) -> TensorSpec {
        let offset = if self.unsigned { 128 } else { 0 };
        TensorSpec {
            name: name.into(),
            shape: shape.into(),
            element_type: if self.unsigned {
                element::U8
            } else {
                element::I8
            },
            scale: vec![params.0],
            zero_point: vec![params.1 + offset],
            data,
            ..Default::default()
        }
    }

    /// A case of one operator: `inputs` are its computed operands, which come first; `constants`
    /// follow.
    fn operator(
        &mut self,
        name: &str,
        inputs: &[(&[i32], Params)],
        constants: Vec<TensorSpec>,
        output: (&[i32], Params),
        options: Options,
    ) {
        let output = self.spec("y", output.0, output.1, Vec::new());
        self.operator_to(name, inputs, constants, output, options);
    }

    fn operator_to(
        &mut self,
        name: &str,
        inputs: &[(&[i32], Params)],
        constants: Vec<TensorSpec>,
        output: TensorSpec,
        options: Options,
    ) {
        let mut w = ModelWriter::new();
        let computed: Vec<i32> = inputs
            .iter()
            .map(|&(shape, params)| w.tensor(self.spec("x", shape, params, Vec::new())))
            .collect();
        let constants: Vec<i32> = constants.into_iter().map(|c| w.tensor(c)).collect();
        let y = w.tensor(output);
        let operands = if name == "TRANSPOSE_CONV" {
            [&constants[..], &computed[..]].concat()
        } else {
            [&computed[..], &constants[..]].concat()
        };
        w.operator(name, &operands, &[y], options);
        let shapes: Vec<&[i32]> = inputs.iter().map(|i| i.0).collect();
        self.case(name, w.finish(&computed, &[y]), &shapes);
    }

    fn case(&mut self, name: &str, model: Vec<u8>, shapes: &[&[i32]]) {
        let size = |shape: &[i32]| shape.iter().product::<i32>() as usize;
        let mut input = |shape: &[i32]| match size(shape) {
            // every value once
            256 => (0..=255).collect(),
            n => self.bytes(n),
        };
        let inputs = shapes.iter().map(|shape| input(shape)).collect();
        let number = self.cases.len();
        let of = if self.unsigned { "uint8" } else { "int8" };
        self.cases.push(Case {
            name: format!("#{number} {name} {of}"),
            model,
            inputs,
        });
    }
}

/// A constant int32 tensor.
fn int32(shape: &[i32], data: &[i32]) -> TensorSpec {
    TensorSpec {
        name: "constant".into(),
        shape: shape.into(),
        element_type: element::I32,
        data: data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ..Default::default()
    }
}
