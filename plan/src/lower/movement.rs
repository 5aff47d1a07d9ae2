//! CONCATENATION, SLICE, PAD, RESIZE_NEAREST, TRANSPOSE.

use super::{MAX_PIECES, Pass, select, unsupported};
use crate::error::PlanError;
use crate::gather::Gather;
use crate::layers::{LayerKind, Residual, unit_window};
use crate::region::Region;
use macforge_numeric::{Clamp, MulAdd, PairSum};
use macforge_quant::{TensorId, Window};

/// Every `step`-th index from `first` on; a part of a resized dimension.
struct Run {
    out_first: usize,
    in_first: usize,
    in_step: usize,
    count: usize,
}

impl Pass<'_> {
    /// Position of dimension `axis` of a tensor in `[H, W, C]`.
    fn axis(&self, tensor: TensorId, axis: usize) -> usize {
        3 + axis - self.graph.tensor(tensor).shape.len()
    }

    /// One value per dimension as one per `[H, W, C]`.
    fn dimensions(&self, tensor: TensorId, values: &[usize], unit: usize) -> [usize; 3] {
        let mut hwc = [unit; 3];
        for (axis, &value) in values.iter().enumerate() {
            hwc[self.axis(tensor, axis)] = value;
        }
        hwc
    }

    pub(super) fn concat(&mut self, index: usize, axis: usize) -> Result<(), PlanError> {
        let node = &self.graph.nodes[index];
        let axis = self.axis(node.output, axis);
        let tensor = self.graph.tensor(node.output);
        let mut offsets = Vec::new();
        let mut end = 0;
        for &part in &node.inputs {
            offsets.push(end);
            end += self.graph.tensor(part).hwc()[axis];
        }
        if axis == 2 && offsets.iter().any(|o| !o.is_multiple_of(self.grain)) {
            return self.interleave(index, &offsets);
        }
        let output = self.area(&tensor.name, tensor.hwc());
        let mut ready = 0;
        for (which, &offset) in offsets.iter().enumerate() {
            let part = self.graph.nodes[index].inputs[which];
            let mut at = [0; 3];
            at[axis] = offset;
            let target = output.part(at, [1, 1], self.graph.tensor(part).hwc());
            if self.merge(&self.home(part), &target) {
                ready = ready.max(self.ready[part.0]);
            } else {
                let from = self.aligned_operand(index, which)?;
                self.copy_to(index, from, target);
                ready = self.layers.len();
            }
        }
        self.complete_at(index, output, ready);
        Ok(())
    }

    /// Joins channels that do not begin with words: each part is spread over all channels and added
    /// to the parts before it.
    fn interleave(&mut self, index: usize, offsets: &[usize]) -> Result<(), PlanError> {
        let node = &self.graph.nodes[index];
        let tensor = self.graph.tensor(node.output);
        let [h, w, c] = tensor.hwc();
        let zero_point = self.zero_point(node.output);
        let mut before: Option<Region> = None;
        for (which, &offset) in offsets.iter().enumerate() {
            let from = self.operand(index, which)?;
            let channels = from.hwc[2];
            let inside = |o: usize| o.checked_sub(offset).filter(|&i| i < channels);
            let kind = select::channels(channels, c, zero_point, inside);
            let output = self.area(&tensor.name, [h, w, c]);
            self.layer(index, from, kind, true, output.clone());
            self.layers.last_mut().expect("just pushed").residual = before.map(|region| Residual {
                region,
                rule: exact_sum(zero_point),
                lower_is_activation: true,
            });
            before = Some(output);
        }
        self.complete(index, before.expect("a concatenation has parts"));
        Ok(())
    }

    pub(super) fn slice(
        &mut self,
        index: usize,
        start: &[usize],
        step: &[usize],
    ) -> Result<(), PlanError> {
        let node = &self.graph.nodes[index];
        let [y, x, first] = self.dimensions(node.inputs[0], start, 0);
        let [sy, sx, sc] = self.dimensions(node.inputs[0], step, 1);
        let [h, w, c] = self.graph.tensor(node.output).hwc();
        let input = self.operand(index, 0)?;
        if sc == 1 || c == 1 {
            self.ready[node.output.0] = self.ready_of(&input, node.inputs[0]);
            self.homes[node.output.0] = Some(input.part([y, x, first], [sy, sx], [h, w, c]));
            return Ok(());
        }
        let channels = input.hwc[2];
        let from = input.part([y, x, 0], [sy, sx], [h, w, channels]);
        let zero_point = self.zero_point(node.output);
        let kind = select::channels(channels, c, zero_point, |o| Some(first + o * sc));
        self.push(index, from, kind, true);
        Ok(())
    }

    /// When a region that was made from `tensor` is complete.
    fn ready_of(&self, region: &Region, tensor: TensorId) -> usize {
        let home = self.home(tensor);
        if home.storage == region.storage {
            self.ready[tensor.0]
        } else {
            self.layers.len()
        }
    }

    pub(super) fn pad(
        &mut self,
        index: usize,
        before: &[usize],
        value: i8,
    ) -> Result<(), PlanError> {
        let node = &self.graph.nodes[index];
        let [top, left, first] = self.dimensions(node.inputs[0], before, 0);
        let [h, w, c] = self.graph.tensor(node.output).hwc();
        let mut input = self.operand(index, 0)?;
        let channels = input.hwc[2];
        let around = [h, w] != [input.hwc[0], input.hwc[1]];
        if around {
            let input_here = self.aligned(index, input, self.zero_point(node.inputs[0]));
            let window = Window {
                pad: [top, left],
                ..unit_window()
            };
            let kind = LayerKind::Copy(window, value);
            if channels == c {
                self.push(index, input_here, kind, true);
                return Ok(());
            }
            input = self.area(&format!("{}_around", node.name), [h, w, channels]);
            self.layer(index, input_here, kind, true, input.clone());
        }
        let zero_point = self.zero_point(node.output);
        let inside = |o: usize| o.checked_sub(first).filter(|&i| i < channels);
        let kind = select::filled(channels, c, zero_point, value.into(), inside);
        self.push(index, input, kind, true);
        Ok(())
    }

    /// Every combination of rows and columns that lie in a regular distance is a copy.
    pub(super) fn resize(
        &mut self,
        index: usize,
        rows: &[usize],
        columns: &[usize],
    ) -> Result<(), PlanError> {
        let node = &self.graph.nodes[index];
        let (Some((row_step, row_runs)), Some((column_step, column_runs))) =
            (runs(rows), runs(columns))
        else {
            return self.irregular_resize(index, rows, columns);
        };
        let input = self.aligned_operand(index, 0)?;
        let tensor = self.graph.tensor(node.output);
        let output = self.area(&tensor.name, tensor.hwc());
        let c = input.hwc[2];
        for row in &row_runs {
            for column in &column_runs {
                let hwc = [row.count, column.count, c];
                let from = input.part(
                    [row.in_first, column.in_first, 0],
                    [row.in_step, column.in_step],
                    hwc,
                );
                let at = [row.out_first, column.out_first, 0];
                let to = output.part(at, [row_step, column_step], hwc);
                self.copy_to(index, from, to);
            }
        }
        self.complete(index, output);
        Ok(())
    }

    /// Rows first, then columns, neighbours that stay neighbours together.
    fn irregular_resize(
        &mut self,
        index: usize,
        rows: &[usize],
        columns: &[usize],
    ) -> Result<(), PlanError> {
        let node = &self.graph.nodes[index];
        let (row_runs, column_runs) = (neighbours(rows), neighbours(columns));
        if row_runs.len() + column_runs.len() > MAX_PIECES {
            return Err(unsupported(
                &node.source,
                "a resize whose rows or columns repeat without a short pattern".into(),
                "resize by a small ratio, such as 2 or 3/2, or a smaller image",
            ));
        }
        let input = self.aligned_operand(index, 0)?;
        let tensor = self.graph.tensor(node.output);
        let [_, w, c] = input.hwc;
        let between = self.area(&format!("{}_rows", node.name), [rows.len(), w, c]);
        let output = self.area(&tensor.name, tensor.hwc());
        for run in &row_runs {
            let hwc = [run.count, w, c];
            let from = input.part([run.in_first, 0, 0], [1, 1], hwc);
            let to = between.part([run.out_first, 0, 0], [1, 1], hwc);
            self.copy_to(index, from, to);
        }
        for run in &column_runs {
            let hwc = [rows.len(), run.count, c];
            let from = between.part([0, run.in_first, 0], [1, 1], hwc);
            let to = output.part([0, run.out_first, 0], [1, 1], hwc);
            self.copy_to(index, from, to);
        }
        self.complete(index, output);
        Ok(())
    }

    pub(super) fn transpose(&mut self, index: usize, perm: &[usize]) -> Result<(), PlanError> {
        let node = &self.graph.nodes[index];
        let input_hwc = self.graph.tensor(node.inputs[0]).hwc();
        let lead = 3 - perm.len();
        let mut order = [0, 1, 2];
        for (to, &from) in perm.iter().enumerate() {
            order[lead + to] = lead + from;
        }
        let moved: Vec<usize> = order.into_iter().filter(|&d| input_hwc[d] > 1).collect();
        if moved.is_sorted() {
            // only dimensions of one element change places
            self.reshape(index);
            return Ok(());
        }
        if order != [1, 0, 2] {
            let input = self.operand(index, 0)?;
            let kind = LayerKind::Gather(Gather::Transposed(order));
            self.push(index, input, kind, true);
            return Ok(());
        }
        let input = self.aligned_operand(index, 0)?;
        let tensor = self.graph.tensor(node.output);
        let output = self.area(&tensor.name, tensor.hwc());
        self.copy_to(index, input, output.transposed());
        self.complete(index, output);
        Ok(())
    }
}

/// `a + b - zero_point`, of which one is always the zero point.
fn exact_sum(zero_point: i32) -> PairSum {
    PairSum::from(MulAdd {
        a: 2,
        b: 2,
        c: -2 * i64::from(zero_point),
        shift: 1,
        clamp: Clamp { lo: -128, hi: 127 },
    })
}

/// Runs of indices that grow by one.
fn neighbours(of: &[usize]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (at, &from) in of.iter().enumerate() {
        match runs.last_mut() {
            Some(run) if run.in_first + run.count == from => run.count += 1,
            _ => runs.push(Run {
                out_first: at,
                in_first: from,
                in_step: 1,
                count: 1,
            }),
        }
    }
    runs
}

/// The smallest distance of output indices at which the input indices are regular, and the runs.
fn runs(of: &[usize]) -> Option<(usize, Vec<Run>)> {
    let run = |first: usize, step: usize| -> Option<Run> {
        let picked: Vec<usize> = of[first..].iter().step_by(step).copied().collect();
        let in_step = match picked.as_slice() {
            [a, b, ..] => b.checked_sub(*a)?,
            _ => 1,
        };
        let regular = picked.windows(2).all(|p| p[0] + in_step == p[1]);
        regular.then_some(Run {
            out_first: first,
            in_first: picked[0],
            in_step,
            count: picked.len(),
        })
    };
    let most = of.len().min(MAX_PIECES.isqrt());
    (1..=most).find_map(|step| {
        let all: Option<Vec<Run>> = (0..step).map(|first| run(first, step)).collect();
        Some((step, all?))
    })
}
