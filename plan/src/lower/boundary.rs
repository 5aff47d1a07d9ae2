//! Graph inputs and outputs: their streams, and the form in which an input is stored.

use super::{Pass, unsupported};
use crate::error::PlanError;
use crate::layers::Port;
use crate::region::Region;
use macforge_quant::{QOp, TensorId};

impl Pass<'_> {
    /// The int8 tensor behind a graph input: a float one is quantized while it streams in.
    fn stored_input(&self, input: TensorId) -> TensorId {
        let quantized = (self.graph.nodes.iter())
            .find(|n| matches!(n.op, QOp::Quantize) && n.inputs[0] == input);
        quantized.map_or(input, |n| n.output)
    }

    /// Gives the graph inputs their areas, in the form in which they are read.
    pub(super) fn inputs(&mut self) -> Result<(), PlanError> {
        let floats = self
            .graph
            .inputs
            .iter()
            .filter(|&&t| self.is_float(t))
            .count();
        if floats > 0 && self.graph.inputs.len() > 1 {
            return Err(unsupported(
                &self.graph.name,
                "several inputs of which one is float32".into(),
                "feed the quantized tensors, or give the model a single input",
            ));
        }
        for &input in &self.graph.inputs {
            let tensor = self.stored_input(input);
            self.check_stream(input, tensor)?;
            let mut forms = self.graph.consumers(tensor).into_iter().map(|n| {
                let node = &self.graph.nodes[n];
                matches!(node.op, QOp::Reshape).then(|| self.graph.tensor(node.output).hwc())
            });
            let own = self.stored_hwc(tensor);
            // the stream has no form, so a reshape of all its readers costs nothing
            let form = match forms.next() {
                Some(Some(first)) if !self.is_wide(tensor) && forms.all(|f| f == Some(first)) => {
                    first
                }
                _ => own,
            };
            let region = self.area(&self.graph.tensor(tensor).name, form);
            self.homes[tensor.0] = Some(region);
        }
        Ok(())
    }

    /// Refuses a float32 stream of int16 values.
    fn check_stream(&self, boundary: TensorId, inner: TensorId) -> Result<(), PlanError> {
        if !self.is_float(boundary) || !self.is_wide(inner) {
            return Ok(());
        }
        Err(unsupported(
            &self.graph.tensor(boundary).name,
            "a float32 stream of int16 values".into(),
            "take --io int8, where the host converts, or set activations = { bits = 8 } for the tensor",
        ))
    }

    /// The streams of the graph inputs.
    pub(super) fn input_ports(&self) -> Vec<Port> {
        let port = |&input: &TensorId| {
            let tensor = self.stored_input(input);
            Port {
                tensor,
                region: self.home(tensor),
                float: self.is_float(input),
                unsigned: self.graph.tensor(input).unsigned,
            }
        };
        self.graph.inputs.iter().map(port).collect()
    }

    /// The streams of the graph outputs. What lies in an area that a state's update changes, and
    /// what begins within a word, is copied out.
    pub(super) fn output_ports(&mut self) -> Result<Vec<Port>, PlanError> {
        let floats = self
            .graph
            .outputs
            .iter()
            .filter(|&&t| self.is_float(t))
            .count();
        if floats > 0 && self.graph.outputs.len() > 1 {
            return Err(unsupported(
                &self.graph.name,
                "several outputs of which one is float32".into(),
                "take the quantized tensors, or give the model a single output",
            ));
        }
        let outputs = self.graph.outputs.clone();
        outputs
            .iter()
            .map(|&output| self.output_port(output))
            .collect()
    }

    fn output_port(&mut self, output: TensorId) -> Result<Port, PlanError> {
        let graph = self.graph;
        let dequantize =
            (graph.nodes.iter()).find(|n| matches!(n.op, QOp::Dequantize) && n.output == output);
        let tensor = dequantize.map_or(output, |n| n.inputs[0]);
        self.check_stream(output, tensor)?;
        let Some(home) = self.homes[output.0].clone() else {
            return Err(unsupported(
                &graph.tensor(output).name,
                "an output that nothing computes".into(),
                "remove it from the model's outputs",
            ));
        };
        let stays = home.channel.is_multiple_of(self.grain)
            && !self.areas[home.storage.0].keeps
            && self.ready[output.0] > 0;
        let region = if stays {
            home
        } else {
            self.copy_out(tensor, home)
        };
        Ok(Port {
            tensor,
            region,
            float: self.is_float(output),
            unsigned: graph.tensor(output).unsigned,
        })
    }

    /// A copy of a tensor in an area of its own.
    pub(super) fn copy_out(&mut self, tensor: TensorId, home: Region) -> Region {
        let zero_point = self.zero_point(tensor);
        let name = self.graph.tensor(tensor).name.clone();
        let output = self.area(&name, home.hwc);
        self.free_layer(tensor, home, zero_point, output.clone());
        output
    }
}
