//! Small random recurrent models.

use macforge_model::tflite::lstm_writer::LstmSpec;
use macforge_model::tflite::writer::{Fused, ModelWriter, Options};

/// A model `[T, I] -> LSTM of U units -> [fully connected -> softmax]`.
#[derive(Clone, Copy, Debug)]
pub struct Recurrent {
    /// Steps, inputs, units.
    pub size: [usize; 3],
    /// Integer bits of the cell state.
    pub cell_bits: i32,
    /// Bound of the cell state, 0 for none.
    pub cell_clip: f32,
    /// Scale of the hidden state; below 1/128 it saturates.
    pub hidden_scale: f32,
    /// Classes behind it, 0 for none.
    pub classes: usize,
}

impl Recurrent {
    /// The file.
    pub fn file(&self, seed: u64) -> Vec<u8> {
        let [steps, inputs, units] = self.size;
        let mut state = seed;
        let mut random = move |width: u32| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as i32 % (1 << width) - (1 << (width - 1))
        };
        let mut w = ModelWriter::new();
        let x = w.int8("x", &[1, steps as i32, inputs as i32], 0.05, -7);
        let count = 4 * units * (inputs + units);
        let spec = LstmSpec {
            inputs: inputs as i32,
            units: units as i32,
            hidden: (self.hidden_scale, 11),
            cell_scale: 2f32.powi(self.cell_bits - 15),
            weight_scale: [0.002, 0.004, 0.006, 0.003],
            recurrent_scale: [0.004, 0.005, 0.007, 0.006],
            weights: (0..count).map(|_| random(8) as i8).collect(),
            bias: (0..4 * units).map(|_| random(13)).collect(),
        };
        let (operands, hidden) = w.lstm(x, &spec);
        let y = w.int8("y", &[1, steps as i32, units as i32], self.hidden_scale, 11);
        let cell_clip = self.cell_clip;
        let options = Options::Lstm { cell_clip, hidden };
        w.operator("UNIDIRECTIONAL_SEQUENCE_LSTM", &operands, &[y], options);
        if self.classes == 0 {
            return w.finish(&[x], &[y]);
        }
        let flat = (steps * units) as i32;
        let f = w.int8("f", &[1, flat], self.hidden_scale, 11);
        let shape = w.int32("shape", &[], &[1, flat]);
        w.operator("RESHAPE", &[y, shape], &[f], Options::None);
        let classes = self.classes as i32;
        let data: Vec<i8> = (0..flat * classes).map(|_| random(8) as i8).collect();
        let k = w.weights("k", &[classes, flat], &[0.01], &data);
        // sums of the hidden state, and so the softmax's scale, follow its scale
        let z = w.int8("z", &[1, classes], 25.6 * self.hidden_scale, 3);
        w.operator(
            "FULLY_CONNECTED",
            &[f, k],
            &[z],
            Options::FullyConnected(Fused::None),
        );
        let p = w.int8("p", &[1, classes], 1.0 / 256.0, -128);
        w.operator("SOFTMAX", &[z], &[p], Options::Softmax(1.0));
        w.finish(&[x], &[p])
    }
}
