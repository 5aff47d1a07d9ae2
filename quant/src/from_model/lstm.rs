//! `UNIDIRECTIONAL_SEQUENCE_LSTM`.

use macforge_model::LstmOptions;
use macforge_numeric::lstm::LstmScales;
use macforge_numeric::{AffineParams, LstmRule};

use super::node::Node;
use super::{TFLITE, affine};
use crate::QuantError;
use crate::graph::{Lstm, LstmArithmetic, LstmGate, QOp};

/// Operand positions in the file, per gate: weights, recurrent weights, bias; then the states.
const INPUT_WEIGHTS: usize = 1;
const RECURRENT_WEIGHTS: usize = 5;
const BIAS: usize = 12;
const HIDDEN_STATE: usize = 18;
const CELL_STATE: usize = 19;

impl Node<'_> {
    /// TFLite's integer LSTM. The hidden state has three descriptions in the file (the state's, the
    /// intermediate's and the output's), which must be one.
    pub(super) fn lstm(&self, options: LstmOptions) -> Result<QOp, QuantError> {
        self.require(TFLITE)?;
        let hidden = self.output_params()?;
        let stored = affine::params(&self.source, &self.model.tensors[options.hidden])?;
        let state = self.input_params(HIDDEN_STATE)?;
        if stored != hidden || state != hidden {
            return Err(self.parameter(
                format!("hidden state {state:?}, before it is stored {stored:?}"),
                format!("the output's parameters {hidden:?} on both"),
            ));
        }
        let scales = LstmScales {
            input: self.input_params(0)?.scale,
            input_weights: self.gate_scales(INPUT_WEIGHTS)?,
            recurrent_weights: self.gate_scales(RECURRENT_WEIGHTS)?,
            hidden: hidden.scale,
            hidden_zero_point: hidden.zero_point,
            cell: self.cell_params()?.scale,
            cell_clip: options.cell_clip,
        };
        let gate = |gate: usize| {
            let weights = |first| self.input_tensor(first + gate).as_i8();
            LstmGate {
                input_weights: weights(INPUT_WEIGHTS).expect("the importer requires int8"),
                recurrent_weights: weights(RECURRENT_WEIGHTS).expect("the importer requires int8"),
                bias: (self.input_tensor(BIAS + gate).as_i32())
                    .expect("the importer requires int32"),
            }
        };
        let &[_, _, inputs] = self.input_tensor(0).shape.as_slice() else {
            unreachable!("the importer requires rank 3");
        };
        Ok(QOp::Lstm(Box::new(Lstm {
            inputs,
            units: self.input_tensor(HIDDEN_STATE).elements(),
            gates: [0, 1, 2, 3].map(gate),
            rule: LstmArithmetic::Integer(
                LstmRule::tflite(self.semantics, &scales)
                    .map_err(self.rule("scales of the LSTM"))?,
            ),
        })))
    }

    /// One scale per gate.
    fn gate_scales(&self, first: usize) -> Result<[f32; 4], QuantError> {
        let mut scales = [0.0; 4];
        for (gate, scale) in scales.iter_mut().enumerate() {
            let weights = self.input_tensor(first + gate);
            // With no channels to choose from, only one scale is accepted.
            let one = affine::weight_scales(&self.source, weights, 0, 1)?;
            if one.zero_points != [0] {
                let found = format!("weights `{}` with a zero point", weights.name);
                return Err(self.parameter(found, "zero point 0"));
            }
            *scale = one.scales[0];
        }
        Ok(scales)
    }

    fn cell_params(&self) -> Result<AffineParams, QuantError> {
        let params = self.input_params(CELL_STATE)?;
        if params.zero_point == 0 {
            return Ok(params);
        }
        Err(self.parameter(
            format!("cell state with zero point {}", params.zero_point),
            "zero point 0",
        ))
    }
}
