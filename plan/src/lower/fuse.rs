//! What moves into the drain of the layer before it: activation tables and sums.

use super::{Pass, select, unsupported};
use crate::error::PlanError;
use crate::layers::{Residual, copy};
use crate::region::Region;
use macforge_numeric::PairSum;
use macforge_quant::{QOp, TensorId};

impl Pass<'_> {
    /// The layer that alone computes `tensor` for the node `consumer`, so that the consumer can move
    /// into its drain.
    fn fusable(&self, tensor: TensorId, consumer: usize) -> Option<usize> {
        let home = self.homes[tensor.0].as_ref()?;
        let area = &self.areas[home.storage.0];
        let mut writers =
            (self.layers.iter().enumerate()).filter(|(_, l)| l.output.storage == home.storage);
        let (layer, writer) = writers.next()?;
        let whole = home.covers(area.hwc) || area.dense;
        if writers.next().is_some() || !whole || !writer.output.covers(area.hwc) || area.keeps {
            return None;
        }
        let alone = (0..self.homes.len()).map(TensorId).all(|t| {
            let elsewhere = (self.homes[t.0].as_ref()).is_none_or(|r| r.storage != home.storage);
            let moves_on =
                |&n: &usize| n == consumer || matches!(self.graph.nodes[n].op, QOp::Reshape);
            elsewhere || (!self.leaves(t) && self.graph.consumers(t).iter().all(moves_on))
        });
        let takes_more = !writer.is_unit() && writer.residual.is_none();
        (alone && takes_more).then_some(layer)
    }

    /// Node `index` moves into `layer`, whose output was the node's input `which`.
    fn fuse(&mut self, layer: usize, index: usize, which: usize) {
        let node = &self.graph.nodes[index];
        let region = self.home(node.inputs[which]);
        let target = &mut self.layers[layer];
        target.op = format!("{}+{}", target.op, node.op.kind());
        target.nodes.push(index);
        // the layer's own values never reach the memory
        target.completes.clear();
        for home in &mut self.homes {
            if home.as_ref().is_some_and(|r| r.storage == region.storage) {
                *home = None;
            }
        }
        self.complete_at(index, region, layer + 1);
    }

    pub(super) fn table(&mut self, index: usize, table: &[i8; 256]) -> Result<(), PlanError> {
        let node = &self.graph.nodes[index];
        let input = node.inputs[0];
        match (self.fusable(input, index)).filter(|&l| self.layers[l].table.is_none()) {
            Some(layer) => {
                self.fuse(layer, index, 0);
                self.set_table(layer, table);
            }
            None => {
                // element by element, whatever the form
                let from = self.aligned(index, self.home(input), self.zero_point(input));
                let to = self.area(&self.graph.tensor(node.output).name, from.hwc);
                self.copy_to(index, from, to.clone());
                self.set_table(self.layers.len() - 1, table);
                self.complete(index, to);
            }
        }
        Ok(())
    }

    /// The results of `layer` go through a table.
    pub(super) fn set_table(&mut self, layer: usize, table: &[i8; 256]) {
        self.tables.push(*table);
        self.layers[layer].table = Some(self.tables.len() - 1);
    }

    pub(super) fn add(&mut self, index: usize) -> Result<(), PlanError> {
        let node = &self.graph.nodes[index];
        let QOp::Binary(rule) = &node.op else {
            unreachable!("called for Binary")
        };
        let solved = PairSum::solve(rule).map_err(|source| PlanError::Numeric {
            layer: node.source.clone(),
            source,
        })?;
        let alike = node.inputs[0] == node.inputs[1];
        let fusable = [0, 1].map(|which| {
            let layer = self.fusable(node.inputs[which], index).filter(|_| !alike)?;
            let residual = self.residual_for(index, layer, 1 - which)?;
            Some((layer, which, residual))
        });
        // the operand that is computed last takes the other one as its residual
        let last = fusable
            .into_iter()
            .flatten()
            .max_by_key(|&(layer, ..)| layer);
        let (layer, which, region) = match last {
            Some((layer, which, region)) => {
                self.fuse(layer, index, which);
                (layer, which, region)
            }
            None => {
                // the layer reads the operand that has the output's shape
                let shape = &self.graph.tensor(node.output).shape;
                let which = usize::from(self.graph.tensor(node.inputs[0]).shape != *shape);
                let input = self.aligned_operand(index, which)?;
                let region = self.repeated_operand(index, 1 - which)?;
                if input.hwc != region.hwc {
                    return Err(unsupported(
                        &node.source,
                        "operands that both repeat to the output's shape".into(),
                        "one of the two must have the shape of the output",
                    ));
                }
                self.push(index, input, copy(), true);
                (self.layers.len() - 1, which, region)
            }
        };
        self.layers[layer].residual = Some(Residual {
            region,
            rule: if which == 0 { solved } else { solved.swapped() },
            lower_is_activation: rule.lower_is_activation,
        });
        Ok(())
    }

    /// Input `which` of node `index`, repeated to the output's shape.
    pub(super) fn repeated_operand(
        &mut self,
        index: usize,
        which: usize,
    ) -> Result<Region, PlanError> {
        let node = &self.graph.nodes[index];
        let wanted = self.graph.tensor(node.output).hwc();
        let mut region = self.aligned_operand(index, which)?;
        let [h, w, c] = region.hwc;
        if c == 1 && wanted[2] > 1 {
            let zero_point = self.zero_point(node.inputs[which]);
            let kind = select::channels(1, wanted[2], zero_point, |_| Some(0));
            let output = self.area(&format!("{}_repeated", node.name), [h, w, wanted[2]]);
            self.select_layer(index, region, kind, zero_point, output.clone());
            region = output;
        }
        Ok(region.repeated(wanted))
    }

    /// Input `which` of node `index` as the residual of `layer`: complete before the layer runs, in
    /// the form of its output, in whole words, and not in the area that the layer reads (a buffer
    /// has one read port for both).
    fn residual_for(&self, index: usize, layer: usize, which: usize) -> Option<Region> {
        let tensor = self.graph.nodes[index].inputs[which];
        let output = &self.layers[layer].output;
        let home = self.homes[tensor.0].as_ref()?;
        let [a, b] = [0, 1].map(|i| self.graph.tensor(self.graph.nodes[index].inputs[i]).hwc());
        let region = if a == b {
            home.reshaped(output.hwc[0], output.hwc[1])?
        } else {
            home.repeated(output.hwc)
        };
        let fits = region.hwc == output.hwc
            && region.channel.is_multiple_of(self.grain)
            && self.ready[tensor.0] <= layer
            && self.layers[layer].input.storage != region.storage;
        fits.then_some(region)
    }
}
