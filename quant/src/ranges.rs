//! Reachable values: of every tensor, and of the accumulators that feed the requantizers.

use macforge_numeric::lstm::Factor;
use macforge_numeric::{Clamp, Interval, accumulator_interval, partial_sum_interval};

use crate::QuantError;
use crate::graph::{HostOp, Lstm, LstmArithmetic, QGraph, QNode, QOp, QTensor};

/// What an int32 accumulator holds.
const INT32: Interval = Interval {
    lo: i32::MIN as i64,
    hi: i32::MAX as i64,
};

impl QGraph {
    /// For every tensor, an interval that holds all values it can take, whatever the graph's
    /// input; the whole of its type for a graph input that nothing limits ([`QGraph::input_ranges`]), of int8
    /// for float32 tensors.
    ///
    /// # Errors
    /// [`QuantError::Invalid`] where an accumulator, or a partial sum in any order of addition,
    /// can leave int32, or the 48 bits of layers with int16 operands or results. Indices and sizes must be consistent, see [`QGraph::verify`].
    pub fn value_ranges(&self) -> Result<Vec<Interval>, QuantError> {
        let all = |t: &QTensor| t.dtype.limits().unwrap_or(Clamp::INT8).interval();
        let mut ranges: Vec<Interval> = self.tensors.iter().map(all).collect();
        for (input, &range) in self.inputs.iter().zip(&self.input_ranges) {
            ranges[input.0] = range;
        }
        for node in &self.nodes {
            ranges[node.output.0] = self.output_range(node, ranges[node.inputs[0].0])?;
        }
        Ok(ranges)
    }

    /// For every output channel of a convolution or fully connected node, the range of
    /// `sum(w * (x - zx)) + bias` when the input's values lie in `input` (see
    /// [`QGraph::value_ranges`]); padding counts as `x = zx`. Empty for other nodes.
    pub fn accumulator_ranges(&self, node: &QNode, input: Interval) -> Vec<Interval> {
        self.channels(node)
            .map(|(weights, bias)| {
                let (zero_point, padded) = self.zero_point_and_padding(node);
                accumulator_interval(&weights, input, zero_point, bias.into(), padded)
            })
            .collect()
    }

    fn output_range(&self, node: &QNode, input: Interval) -> Result<Interval, QuantError> {
        Ok(match &node.op {
            QOp::Conv2d(c) | QOp::ConvTranspose2d(c) => {
                self.requantized(node, input, &c.requant)?
            }
            QOp::FullyConnected(f) => self.requantized(node, input, &f.requant)?,
            QOp::Binary(rule) => rule.clamp.interval(),
            QOp::MaxPool(_, clamp) => clamped(*clamp, input),
            QOp::AveragePool(_, rule) => clamped(rule.clamp, input),
            QOp::Reshape | QOp::Transpose(_) | QOp::Slice { .. } | QOp::Resize { .. } => input,
            QOp::Pad { value, .. } => input.union(Interval::point((*value).into())),
            QOp::Concat(_) | QOp::MatMul(_) | QOp::Attention(_) => Clamp::INT8.interval(),
            QOp::Table(table) => (input.lo..=input.hi)
                .map(|q| Interval::point(table[usize::from(q as u8)].into()))
                .reduce(Interval::union)
                .unwrap_or(Clamp::INT8.interval()),
            QOp::Lstm(lstm) => {
                self.lstm_ranges(node, lstm, input)?;
                Clamp::INT8.interval()
            }
            QOp::Host(HostOp::Quantize(_, clamp)) => clamp.interval(),
            QOp::Quantize => {
                let limits = self.tensor(node.output).dtype.limits();
                limits.unwrap_or(Clamp::INT8).interval()
            }
            QOp::Softmax(_) | QOp::Dequantize | QOp::Host(_) => Clamp::INT8.interval(),
        })
    }

    /// For every gate and unit of an LSTM, the ranges of `sum(W (x - zx)) + bias` and
    /// `sum(R (h - zh))` when the input's values lie in `input` and the hidden state anywhere in int8.
    ///
    /// # Errors
    /// [`QuantError::Invalid`] where a sum, a partial sum in any order of addition, or a sum shifted
    /// left for its product can leave int32.
    pub fn lstm_ranges(
        &self,
        node: &QNode,
        lstm: &Lstm,
        input: Interval,
    ) -> Result<[Vec<[Interval; 2]>; 4], QuantError> {
        let zero_point = |id| self.tensor(id).quant.map_or(0, |q| q.zero_point);
        let (zx, zh) = (zero_point(node.inputs[0]), zero_point(node.output));
        let hidden = Clamp::INT8.interval();
        let mut ranges = [const { Vec::new() }; 4];
        for (index, (gate, ranges)) in lstm.gates.iter().zip(&mut ranges).enumerate() {
            let own = gate.input_weights.chunks_exact(lstm.inputs);
            let back = gate.recurrent_weights.chunks_exact(lstm.units);
            for (unit, ((own, back), &bias)) in own.zip(back).zip(&gate.bias).enumerate() {
                let bias = i64::from(bias);
                let own_sums = partial_sum_interval(own, input, zx, bias, false);
                let back_sums = partial_sum_interval(back, hidden, zh, 0, false);
                let fits = match &lstm.rule {
                    LstmArithmetic::Integer(rule) => {
                        shifted_fits(rule.input[index], own_sums)
                            && shifted_fits(rule.recurrent[index], back_sums)
                    }
                    LstmArithmetic::Fp16(_) => {
                        INT32.encloses(own_sums) && INT32.encloses(back_sums)
                    }
                };
                if !fits {
                    return Err(QuantError::Invalid {
                        place: format!("{} ({})", node.name, node.source),
                        what: format!(
                            "gate {index}, unit {unit} can accumulate {own_sums} and {back_sums}, which \
                             with its multiplier's left shift is beyond int32"
                        ),
                    });
                }
                ranges.push([
                    accumulator_interval(own, input, zx, bias, false),
                    accumulator_interval(back, hidden, zh, 0, false),
                ]);
            }
        }
        Ok(ranges)
    }

    /// Hull over the channels; requantizers are monotone, so the ends are reached at the ends.
    fn requantized(
        &self,
        node: &QNode,
        input: Interval,
        requant: &[macforge_numeric::Requantizer],
    ) -> Result<Interval, QuantError> {
        let (zero_point, padded) = self.zero_point_and_padding(node);
        for (channel, (weights, bias)) in self.channels(node).enumerate() {
            let sums = partial_sum_interval(&weights, input, zero_point, bias.into(), padded);
            let bits = (requant.get(channel)).map_or(32, |r| r.rule.accumulator_bits());
            if sums.bits_signed() > bits {
                return Err(QuantError::Invalid {
                    place: format!("{} ({})", node.name, node.source),
                    what: format!(
                        "output channel {channel} can accumulate {sums}, beyond int{bits}"
                    ),
                });
            }
        }
        let ranges = self.accumulator_ranges(node, input);
        let ends = ranges.iter().zip(requant).map(|(acc, r)| Interval {
            lo: r.apply(acc.lo).into(),
            hi: r.apply(acc.hi).into(),
        });
        Ok(ends
            .reduce(Interval::union)
            .unwrap_or(Clamp::INT8.interval()))
    }

    /// Weights, less their zero point, and bias of every output channel.
    fn channels<'g>(&self, node: &'g QNode) -> impl Iterator<Item = (Vec<i16>, i32)> + 'g {
        let (weights, zero_points, bias): (&[i16], &[i32], &[i32]) = match &node.op {
            QOp::Conv2d(c) | QOp::ConvTranspose2d(c) => {
                (&c.weights, &c.weight_zero_points, &c.bias)
            }
            QOp::FullyConnected(f) => (&f.weights, &f.weight_zero_points, &f.bias),
            _ => (&[], &[], &[]),
        };
        let per_channel = (weights.len() / bias.len().max(1)).max(1);
        let rows = weights.chunks_exact(per_channel).zip(zero_points);
        rows.zip(bias).map(|((row, &zero_point), &bias)| {
            let centred = row.iter().map(|&w| w - zero_point as i16);
            (centred.collect(), bias)
        })
    }

    fn zero_point_and_padding(&self, node: &QNode) -> (i32, bool) {
        let zero_point = self
            .tensor(node.inputs[0])
            .quant
            .map_or(0, |q| q.zero_point);
        (
            zero_point,
            matches!(node.op, QOp::Conv2d(_) | QOp::ConvTranspose2d(_)),
        )
    }
}

fn clamped(clamp: Clamp, range: Interval) -> Interval {
    Interval {
        lo: clamp.apply(range.lo).into(),
        hi: clamp.apply(range.hi).into(),
    }
}

/// Whether sums stay in int32, also after the left shift that their multiplier asks for.
fn shifted_fits(factor: Factor, sums: Interval) -> bool {
    let left = factor.shift.clamp(0, 31);
    INT32.encloses(sums)
        && INT32.encloses(Interval {
            lo: sums.lo << left,
            hi: sums.hi << left,
        })
}
