//! Attention: the operands become neighbours, so that the unit reads one area.

use super::{Pass, unsupported};
use crate::attention;
use crate::error::PlanError;
use crate::layers::LayerKind;
use macforge_quant::Attention;

impl Pass<'_> {
    /// The unit walks a plain area from its first pixel on: queries, keys, values. What lies in an area of
    /// its own is written there at once, other operands are copied.
    pub(super) fn attention(&mut self, index: usize, op: &Attention) -> Result<(), PlanError> {
        let node = &self.graph.nodes[index];
        if self.layers.iter().any(|l| l.attention().is_some()) {
            return Err(unsupported(
                &node.source,
                "a second attention".into(),
                "the design has one attention unit; split the model between the two",
            ));
        }
        let layer = attention::layer(self.graph, node, op, self.dsps)?;
        let channels = layer.size.heads * layer.size.width;
        let name = format!("{}_tokens", node.name);
        let all = self.area(&name, [1, layer.size.tokens(), channels]);
        let mut first = 0;
        for which in 0..3 {
            let tensor = self.graph.nodes[index].inputs[which];
            let hwc = self.graph.tensor(tensor).hwc();
            let target = all.part([0, first, 0], [1, 1], hwc);
            if !self.merge(&self.home(tensor), &target) {
                let from = self.aligned_operand(index, which)?;
                self.copy_to(index, from, target);
            }
            first += hwc[1];
        }
        self.push(index, all, LayerKind::Attention(layer), false);
        Ok(())
    }
}
