//! The test writer's operands of a `UNIDIRECTIONAL_SEQUENCE_LSTM`.

use super::writer::{ModelWriter, TensorSpec, element};

/// A fully integer LSTM.
#[derive(Clone, Debug)]
pub struct LstmSpec {
    /// Length of an input vector.
    pub inputs: i32,
    /// Length of the states.
    pub units: i32,
    /// Scale and zero point of the hidden state.
    pub hidden: (f32, i64),
    /// Scale of the cell state.
    pub cell_scale: f32,
    /// Scales of the input's weights.
    pub weight_scale: [f32; 4],
    /// Scales of the recurrent weights.
    pub recurrent_scale: [f32; 4],
    /// Four input matrices, then four recurrent ones.
    pub weights: Vec<i8>,
    /// Four biases, `units` each.
    pub bias: Vec<i32>,
}

impl ModelWriter {
    /// Adds the constants and states of an LSTM that reads tensor `x`; gives its 24 operands, and
    /// the tensor for its intermediates.
    pub fn lstm(&mut self, x: i32, spec: &LstmSpec) -> (Vec<i32>, i32) {
        let (inputs, units) = (spec.inputs, spec.units);
        let mut operands = vec![x];
        let (own, back) = spec.weights.split_at((4 * inputs * units) as usize);
        for (columns, scales, weights) in [
            (inputs, spec.weight_scale, own),
            (units, spec.recurrent_scale, back),
        ] {
            let matrices = weights.chunks((columns * units) as usize);
            for (data, scale) in matrices.zip(scales) {
                operands.push(self.weights("lstm_weights", &[units, columns], &[scale], data));
            }
        }
        operands.extend([-1; 3]);
        for bias in spec.bias.chunks(units as usize) {
            operands.push(self.int32("lstm_bias", &[0.001], bias));
        }
        operands.extend([-1; 2]);
        let (scale, zero_point) = spec.hidden;
        operands.push(self.int8("lstm_hidden", &[1, units], scale, zero_point));
        operands.push(self.tensor(TensorSpec {
            name: "lstm_cell".into(),
            shape: vec![1, units],
            element_type: element::I16,
            scale: vec![spec.cell_scale],
            zero_point: vec![0],
            ..Default::default()
        }));
        operands.extend([-1; 4]);
        let intermediate = self.int8("lstm_intermediate", &[0], scale, zero_point);
        (operands, intermediate)
    }
}
