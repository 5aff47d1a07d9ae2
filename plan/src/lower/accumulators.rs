//! int32 outputs: four channels per accumulator, one for each of its bytes, lowest first. They have the same
//! weights and another shift, and their lanes keep the low byte of the shifted value. The stream of the
//! bytes is that of the little-endian integers.

use super::{Pass, unsupported};
use crate::error::PlanError;
use crate::layers::LayerKind;
use crate::region::Region;
use macforge_numeric::{Clamp, RequantRule, Requantizer};

/// Bytes of an int32.
const BYTES: usize = 4;

impl Pass<'_> {
    /// The layer of node `index`, whose accumulators are the output. `kind` has weights and bias, and no
    /// requantizers.
    pub(super) fn accumulators(
        &mut self,
        index: usize,
        input: Region,
        kind: LayerKind,
    ) -> Result<(), PlanError> {
        let node = &self.graph.nodes[index];
        let LayerKind::Dot {
            window,
            weights,
            bias,
            ..
        } = kind
        else {
            return Err(unsupported(
                &node.source,
                "a depthwise convolution with an int32 output".into(),
                "end the model with int8 values",
            ));
        };
        let each = weights.len() / bias.len();
        let channels = weights.chunks(each).zip(&bias);
        let bytes = channels.flat_map(|(row, &bias)| (0..BYTES).map(move |b| (row, bias, b)));
        let mut of_bytes = (Vec::new(), Vec::new(), Vec::new());
        for (row, bias, byte) in bytes {
            let shift = 8 * byte as u32;
            // the lane rounds half up, the byte is cut off
            let Some(bias) = bias.checked_sub((1 << shift) >> 1) else {
                return Err(unsupported(
                    &node.source,
                    format!("a bias of {bias}"),
                    "accumulators have 25 bits",
                ));
            };
            of_bytes.0.extend_from_slice(row);
            of_bytes.1.push(bias);
            of_bytes.2.push(Requantizer {
                rule: RequantRule::Pow2 { shift },
                zero_point: 0,
                clamp: Clamp::INT8,
            });
        }
        let (weights, bias, requant) = of_bytes;
        let kind = LayerKind::Dot {
            window,
            weights,
            bias,
            requant,
        };
        let tensor = self.graph.tensor(node.output);
        let [h, w, c] = tensor.hwc();
        let output = self.area(&tensor.name, [h, w, BYTES * c]);
        self.layer(index, input, kind, true, output.clone());
        let layer = self.layers.last_mut().expect("just pushed");
        layer.wraps = true;
        self.complete(index, output);
        // no int8 tensor that could be compared
        let layer = self.layers.last_mut().expect("just pushed");
        layer.completes.clear();
        Ok(())
    }
}
