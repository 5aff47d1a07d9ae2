//! AVERAGE_POOL_2D. Where a window reaches into the padding it divides by fewer values; rows and
//! columns with equally many become a layer each.

use super::{MAX_PIECES, Pass, unsupported};
use crate::error::PlanError;
use crate::layers::LayerKind;
use macforge_numeric::AveragePoolRule;
use macforge_numeric::pool::Mean;
use macforge_quant::Window;

/// Consecutive output rows or columns whose windows have equally many inputs.
struct Run {
    first: usize,
    length: usize,
    inputs: usize,
}

impl Pass<'_> {
    pub(super) fn average(
        &mut self,
        index: usize,
        window: Window,
        rule: AveragePoolRule,
    ) -> Result<(), PlanError> {
        let node = &self.graph.nodes[index];
        let [h, w, c] = self.graph.tensor(node.inputs[0]).hwc();
        let [oh, ow, _] = self.graph.tensor(node.output).hwc();
        let (rows, columns) = (runs(&window, 0, h, oh), runs(&window, 1, w, ow));
        let area = window.kernel[0] * window.kernel[1];
        // only a change of scale can leave int8
        let bounded = !matches!(rule.mean, Mean::OrtX86(_));
        let counted = matches!(rule.mean, Mean::OrtX86(mean) if mean.divisor.is_some());
        // padding that counts has the value zero, so that all windows are alike
        let alike = rows.len() * columns.len() == 1 && rows[0].inputs * columns[0].inputs == area;
        if counted || alike {
            let kind = LayerKind::Average {
                window,
                rule,
                count: area,
                outside: if counted {
                    self.zero_point(node.inputs[0])
                } else {
                    0
                },
            };
            let input = self.aligned_operand(index, 0)?;
            self.push(index, input, kind, bounded);
            return Ok(());
        }
        if rows.len() * columns.len() > MAX_PIECES {
            let found = format!(
                "windows with {} different counts of rows and {} of columns",
                rows.len(),
                columns.len()
            );
            let remedy = "the engine computes at most 64 parts, one per pair of counts";
            return Err(unsupported(&node.source, found, remedy));
        }
        let input = self.aligned_operand(index, 0)?;
        let name = &self.graph.tensor(self.graph.nodes[index].output).name;
        let output = self.area(name, [oh, ow, c]);
        for row in &rows {
            for column in &columns {
                let (from_y, pad_y) = begin(&window, 0, row.first);
                let (from_x, pad_x) = begin(&window, 1, column.first);
                let kind = LayerKind::Average {
                    window: Window {
                        pad: [pad_y, pad_x],
                        ..window
                    },
                    rule,
                    count: row.inputs * column.inputs,
                    outside: 0,
                };
                let from = input.part([from_y, from_x, 0], [1, 1], [h - from_y, w - from_x, c]);
                let hwc = [row.length, column.length, c];
                let to = output.part([row.first, column.first, 0], [1, 1], hwc);
                self.layer(index, from, kind, bounded, to);
            }
        }
        self.complete(index, output);
        Ok(())
    }
}

/// First input that a window starts at, or how far before the first one.
fn begin(window: &Window, axis: usize, output: usize) -> (usize, usize) {
    let (at, pad) = (output * window.stride[axis], window.pad[axis]);
    (at.saturating_sub(pad), pad.saturating_sub(at))
}

fn runs(window: &Window, axis: usize, inputs: usize, outputs: usize) -> Vec<Run> {
    let inside = |output: usize| {
        let taps = (0..window.kernel[axis])
            .map(|k| output * window.stride[axis] + k * window.dilation[axis]);
        taps.filter(|at| (window.pad[axis]..window.pad[axis] + inputs).contains(at))
            .count()
    };
    let mut runs: Vec<Run> = Vec::new();
    for (first, inputs) in (0..outputs).map(|o| (o, inside(o))) {
        match runs.last_mut() {
            Some(run) if run.inputs == inputs => run.length += 1,
            _ => runs.push(Run {
                first,
                length: 1,
                inputs,
            }),
        }
    }
    runs
}
