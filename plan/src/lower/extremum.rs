//! MINIMUM, MAXIMUM of two tensors: both lie one above the other, and a window of two rows, as far apart as
//! the tensors, takes the larger one. The smaller one is the complement of the larger complement.

use super::{Pass, unsupported};
use crate::error::PlanError;
use crate::layers::{LayerKind, Residual, copy};
use crate::region::Region;
use macforge_numeric::{BinaryRule, Clamp, Extremum, MulAdd, PairSum};
use macforge_quant::Window;

impl Pass<'_> {
    pub(super) fn extremum(&mut self, index: usize, rule: &BinaryRule) -> Result<(), PlanError> {
        let node = &self.graph.nodes[index];
        let solved = Extremum::solve(rule).map_err(|source| PlanError::Numeric {
            layer: node.source.clone(),
            source,
        })?;
        let h = self.graph.tensor(node.output).hwc()[0];
        let identity =
            |table: &[i8; 256]| (-128..=127).all(|q: i8| table[usize::from(q as u8)] == q);
        let tables = solved
            .operands
            .each_ref()
            .map(|t| Some(t).filter(|t| !identity(t)));
        let both = self.both_operands(index, tables)?;
        let window = Window {
            kernel: [2, 1],
            stride: [1, 1],
            dilation: [h, 1],
            pad: [0, 0],
        };
        self.push(index, both, LayerKind::Max(window, Clamp::INT8), true);
        if let Some(table) = &solved.result {
            self.set_table(self.layers.len() - 1, table);
        }
        Ok(())
    }

    /// The two operands of node `index`, each repeated to the shape of the output and through its table, the
    /// first one above the second one.
    pub(super) fn both_operands(
        &mut self,
        index: usize,
        tables: [Option<&[i8; 256]>; 2],
    ) -> Result<Region, PlanError> {
        let node = &self.graph.nodes[index];
        let [h, w, c] = self.graph.tensor(node.output).hwc();
        let both = self.area(&format!("{}_both", node.name), [2 * h, w, c]);
        for (which, table) in tables.into_iter().enumerate() {
            let target = both.part([which * h, 0, 0], [1, 1], [h, w, c]);
            let tensor = self.graph.nodes[index].inputs[which];
            if table.is_none() && self.merge(&self.home(tensor), &target) {
                continue;
            }
            self.upper_or_lower_operand(index, which, target)?;
            if let Some(table) = table {
                self.set_table(self.layers.len() - 1, table);
            }
        }
        Ok(both)
    }

    /// A copy of operand `which`, repeated to the shape of `target`.
    fn upper_or_lower_operand(
        &mut self,
        index: usize,
        which: usize,
        target: Region,
    ) -> Result<(), PlanError> {
        let region = self.repeated_operand(index, which)?;
        let node = &self.graph.nodes[index];
        let [shape, other] = [which, 1 - which].map(|i| self.graph.tensor(node.inputs[i]).hwc());
        if shape == target.hwc {
            self.copy_to(index, region, target);
            return Ok(());
        }
        // the array reads no pixel twice, the residual's port does
        if other != target.hwc {
            return Err(unsupported(
                &node.source,
                "operands that both repeat to the output's shape".into(),
                "one of the two must have the shape of the output",
            ));
        }
        let node_name = node.name.clone();
        let beside = self.aligned_operand(index, 1 - which)?;
        let repeated = self.area(&format!("{node_name}_repeated"), target.hwc);
        self.layer(index, beside, copy(), true, repeated.clone());
        let rule = PairSum::from(MulAdd {
            a: 0,
            b: 2,
            c: 0,
            shift: 1,
            clamp: Clamp::INT8,
        });
        self.layers.last_mut().expect("just pushed").residual = Some(Residual {
            region,
            rule,
            lower_is_activation: true,
        });
        // a table comes before the sum
        self.copy_to(index, repeated, target);
        Ok(())
    }
}
