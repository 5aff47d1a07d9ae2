//! MATMUL of two computed operands: the gather unit writes the second one into the weight memory, then the
//! dot array runs an ordinary layer.
//!
//! `sum((a - za) * (b - zb)) = sum(a * v) + sum(za * -v)` with `v = b - zb`. The array multiplies weights
//! of -127..=127, so `v` is the sum of up to three parts, each at a kernel column of its own (at a distance
//! of zero, so that all of them meet the same pixel). Where `za` is not zero there is a second kernel row,
//! outside of the image, whose activations are the padding value `za`; its weights are the parts negated.

use super::{MAX_PIECES, Pass, unsupported};
use crate::error::PlanError;
use crate::gather::{ComputedWeights, Gather};
use crate::layers::{ComputedDot, LayerKind};
use crate::region::Region;
use macforge_numeric::{Interval, Requantizer};
use macforge_quant::{MatMul, Window};

/// One product of two matrices.
struct Matrices {
    a: Region,
    b: Region,
    output: Region,
}

impl Pass<'_> {
    pub(super) fn matmul(&mut self, index: usize, op: &MatMul) -> Result<(), PlanError> {
        let node = &self.graph.nodes[index];
        let Some(requant) = &op.requant else {
            return Err(unsupported(
                &node.source,
                "an int32 output".into(),
                "the engine has it for products with constant weights; end the model with int8 values",
            ));
        };
        let a = self.aligned_operand(index, 0)?;
        let b = self.operand(index, 1)?;
        let output = self.area(
            &self.graph.tensor(node.output).name,
            self.graph.tensor(node.output).hwc(),
        );
        let batches = b.hwc[0];
        if batches > MAX_PIECES {
            return Err(unsupported(
                &node.source,
                format!("{batches} products of two tensors"),
                "at most 64 per operator",
            ));
        }
        if batches == 1 {
            let all = Matrices {
                a,
                b,
                output: output.clone(),
            };
            self.product_of(index, op, requant, all);
        } else {
            for batch in 0..batches {
                let [a, b, output] = [&a, &b, &output].map(|region| {
                    let [_, rows, columns] = region.hwc;
                    region.part([batch, 0, 0], [1, 1], [1, rows, columns])
                });
                self.product_of(index, op, requant, Matrices { a, b, output });
            }
        }
        self.complete(index, output);
        Ok(())
    }

    fn product_of(&mut self, index: usize, op: &MatMul, requant: &Requantizer, m: Matrices) {
        let node = &self.graph.nodes[index];
        let [za, zb] = [0, 1].map(|which| self.zero_point(node.inputs[which]));
        let source = node.source.clone();
        let values = |z: i32| Interval::INT8 + Interval::point(-i64::from(z));
        let (of_a, of_b) = (values(za), values(zb));
        let parts = of_b.hi.max(-of_b.lo).unsigned_abs().div_ceil(127) as usize;
        let rows = 1 + usize::from(za != 0);
        let dims = if op.transpose_b { [1, 2] } else { [2, 1] };
        let slot = (self.layers.iter())
            .filter(|l| l.computed().is_some())
            .count();
        for (row, part) in (0..rows).flat_map(|row| (0..parts).map(move |part| (row, part))) {
            let weights = ComputedWeights {
                slot,
                dims,
                zero_point: zb,
                row,
                part,
            };
            // the unit writes no activations
            let nothing = self.area(&format!("{source}_weights"), [1, 1, 1]);
            let kind = LayerKind::Gather(Gather::Weights(weights));
            self.layer(index, m.b.clone(), kind, true, nothing);
        }
        let depth = m.a.hwc[2] as i64;
        let terms = of_a * of_b;
        let dot = ComputedDot {
            slot,
            window: Window {
                kernel: [rows, parts],
                stride: [1, 1],
                dilation: [m.a.hwc[0], 0],
                pad: [0, 0],
            },
            reach: Interval::new(depth * terms.lo, depth * terms.hi),
            requant: requant.clone(),
        };
        let kind = LayerKind::ComputedDot(Box::new(dot));
        self.layer(index, m.a, kind, false, m.output);
    }
}
