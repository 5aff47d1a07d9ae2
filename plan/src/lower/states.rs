//! States: areas that keep their content. When all layers have run, each takes its new value; the
//! initial values are written by layers that run after a reset only.

use super::{MAX_PIECES, Pass, select, unsupported};
use crate::error::PlanError;
use crate::layers::{HwLayer, LayerKind, Layers, Stored, copy, unit_window};
use crate::proof::ACC_BITS;
use crate::region::Region;
use macforge_quant::{QState, TensorId, Window};

impl Pass<'_> {
    /// Boundary, updates of the states, reset layers.
    pub(super) fn finish(mut self) -> Result<Layers, PlanError> {
        let outputs = self.output_ports()?;
        self.update_states()?;
        let updates = self.layers.len();
        for state in &self.graph.states {
            self.reset_state(state)?;
        }
        let mut layers = self.layers.split_off(updates);
        let reset_layers = layers.len();
        layers.append(&mut self.layers);
        Ok(Layers {
            inputs: self.input_ports(),
            outputs,
            layers,
            reset_layers,
            sets: Vec::new(),
            tables: self.tables,
            areas: self.areas,
            compact: false,
            strips: Vec::new(),
            acc_bits: ACC_BITS,
        })
    }

    /// Copies the new values into the states. A value that an earlier update would change is saved
    /// first; a shift within an area reads ahead of what it writes.
    fn update_states(&mut self) -> Result<(), PlanError> {
        let states: Vec<QState> = self.graph.states.clone();
        let mut sources: Vec<Region> = states.iter().map(|s| self.home(s.write)).collect();
        for i in 0..states.len() {
            let own = self.home(states[i].read);
            let hazard = (0..states.len()).any(|j| {
                let target = self.home(states[j].read).storage;
                target == sources[i].storage && (j != i || !reads_ahead(&sources[i], &own))
            });
            if hazard && sources[i] != own {
                sources[i] = self.copy_out(states[i].write, sources[i].clone());
            }
        }
        for (state, source) in states.iter().zip(sources) {
            let target = self.home(state.read);
            if source == target {
                continue;
            }
            let source = self.in_form(state.write, source, target.hwc)?;
            self.free_layer(state.write, source, self.zero_point(state.write), target);
        }
        Ok(())
    }

    /// The new value of a state in the state's form.
    fn in_form(
        &mut self,
        tensor: TensorId,
        region: Region,
        hwc: [usize; 3],
    ) -> Result<Region, PlanError> {
        match region.reshaped(hwc[0], hwc[1]).filter(|r| r.hwc == hwc) {
            Some(region) => Ok(region),
            None => {
                let producer = self.graph.producer(tensor);
                let index = producer.expect("graph inputs and states have the form of their shape");
                self.relayout(index, region, hwc, self.zero_point(tensor))
            }
        }
    }

    /// A copy that belongs to no node; it completes `tensor` where it writes.
    pub(super) fn free_layer(
        &mut self,
        tensor: TensorId,
        input: Region,
        zero_point: i32,
        output: Region,
    ) {
        let channels = input.hwc[2];
        let kind = if input.channel.is_multiple_of(self.grain) {
            copy()
        } else {
            select::channels(channels, channels, zero_point, Some)
        };
        let layer = self.boundary_layer("copy", tensor, input, kind, output);
        self.layers.push(layer);
    }

    fn boundary_layer(
        &self,
        what: &str,
        tensor: TensorId,
        input: Region,
        kind: LayerKind,
        output: Region,
    ) -> HwLayer {
        let source = format!("{what} of `{}`", self.graph.tensor(tensor).name);
        let name = format!("{what}_{}", self.layers.len());
        let op = what.to_uppercase();
        HwLayer {
            input_zero_point: self.zero_point(tensor),
            completes: vec![Stored {
                tensor,
                first_row: 0,
                region: output.clone(),
            }],
            ..HwLayer::plain(name, (op.as_str(), kind), source, [input, output])
        }
    }

    /// Fills a state with its initial value: one layer if it is constant, otherwise one per pixel.
    fn reset_state(&mut self, state: &QState) -> Result<(), PlanError> {
        let region = self.home(state.read);
        let [h, w, c] = region.hwc;
        let first = state.initial[0];
        if state.initial.iter().all(|&v| v == first) {
            // every position of the window lies above the input
            let window = Window {
                pad: [h, 0],
                ..unit_window()
            };
            let kind = LayerKind::Copy(window, first);
            let layer = self.boundary_layer("reset", state.read, region.clone(), kind, region);
            self.layers.push(layer);
            return Ok(());
        }
        if h * w > MAX_PIECES {
            return Err(unsupported(
                &self.graph.tensor(state.read).name,
                format!("a state of {h}x{w} pixels whose initial value is not constant"),
                "the engine writes a constant, or at most 64 different pixels",
            ));
        }
        for (pixel, values) in state.initial.chunks(c).enumerate() {
            let at = region.part([pixel / w, pixel % w, 0], [1, 1], [1, 1, c]);
            let mut kind = select::channels(c, c, 0, |_| None);
            if let LayerKind::Dot { bias, .. } = &mut kind {
                *bias = values.iter().map(|&v| v.into()).collect();
            }
            let mut layer = self.boundary_layer("reset", state.read, at.clone(), kind, at);
            layer.completes.clear();
            self.layers.push(layer);
        }
        let last = self.layers.len() - 1;
        self.layers[last].completes.push(Stored {
            tensor: state.read,
            first_row: 0,
            region,
        });
        Ok(())
    }
}

/// A copy from `source` to `target` in one area never overwrites what it has not read yet.
fn reads_ahead(source: &Region, target: &Region) -> bool {
    source.row == target.row
        && source.column == target.column
        && source.channel == target.channel
        && source.start.rows >= target.start.rows
        && source.start.pixels >= target.start.pixels
}
