//! What follows the last integers: work of the host.

use super::value::{Chain, Source, Value};
use super::{At, Pass};
use crate::QuantError;
use crate::graph::{DType, HostOp, QOp};

impl Pass<'_> {
    pub(super) fn host(&mut self, at: &At) -> Result<Value, QuantError> {
        let chain = self.chain(at, 0)?;
        let chain = self.floats(at, chain)?;
        let Source::Floats(input) = chain.source else {
            unreachable!("floats() returns a float32 tensor");
        };
        if chain.elements() != chain.channels() {
            return Err(at.error(format!("a value of {:?}", chain.shape), "a vector"));
        }
        self.check_axis(at, &chain)?;
        let shape = self.shape(at)?;
        let (op, dtype) = match at.node.op_type.as_str() {
            "Softmax" => (HostOp::Softmax, DType::F32),
            "LogSoftmax" => (HostOp::LogSoftmax, DType::F32),
            "Sigmoid" => (HostOp::Sigmoid, DType::F32),
            "ArgMax" if at.node.int("select_last_index").unwrap_or(0) == 0 => {
                (HostOp::ArgMax, DType::I32)
            }
            "TopK" => {
                let k = self.constant(at, 1)?.scalar();
                let largest = at.node.int("largest").unwrap_or(1) == 1;
                let read = at.node.output(0).is_some_and(|v| self.is_read(v));
                if k != Some(1.0) || !largest || read {
                    let found = format!("TopK of {k:?}, largest {largest}, values read {read}");
                    return Err(at.error(found, "the index of the largest value"));
                }
                (HostOp::ArgMax, DType::I32)
            }
            "Gather" => {
                let index = self.constant(at, 1)?.scalar();
                let index = index.filter(|&i| i >= 0.0 && (i as usize) < chain.channels());
                let index =
                    index.ok_or_else(|| at.error("Gather", "one index along the channels"))?;
                (HostOp::Select(index as usize), DType::F32)
            }
            _ => return Err(self.unsupported(at)),
        };
        let hwc = match op {
            HostOp::ArgMax | HostOp::Select(_) => vec![1],
            _ => chain.hwc.clone(),
        };
        // the index is TopK's second output
        let output = at.node.output(1).unwrap_or_default().to_string();
        let output = if at.node.op_type == "TopK" {
            output
        } else {
            at.output()
        };
        let id = self.add_tensor(&output, hwc.clone(), dtype, None, false);
        self.add_node(at.source(), QOp::Host(op), vec![input], id);
        let value = Chain {
            source: Source::Floats(id),
            hwc,
            shape,
            steps: vec![vec![]],
            levels: None,
            label: output.clone(),
            origin: at.source(),
        };
        self.values.insert(output, Value::Chain(value.clone()));
        Ok(Value::Chain(value))
    }

    /// The operator works along the dimension that holds all elements.
    fn check_axis(&self, at: &At, chain: &Chain) -> Result<(), QuantError> {
        let default = match at.node.op_type.as_str() {
            "Sigmoid" => return Ok(()),
            "ArgMax" | "Gather" => 0,
            "Softmax" | "LogSoftmax" if self.model.opset() < 13 => 1,
            _ => -1,
        };
        let axis = at.node.int("axis").unwrap_or(default);
        let rank = chain.shape.len() as i64;
        let from_start = usize::try_from(if axis < 0 { axis + rank } else { axis });
        let size = from_start.ok().and_then(|a| chain.shape.get(a));
        if size == Some(&chain.elements()) {
            return Ok(());
        }
        let found = format!("axis {axis} of a value of {:?}", chain.shape);
        Err(at.error(found, "the axis of all elements"))
    }

    fn is_read(&self, name: &str) -> bool {
        let output = self.model.outputs.iter().any(|o| o.name == name);
        output
            || self
                .model
                .nodes
                .iter()
                .any(|n| n.inputs.iter().any(|i| i == name))
    }
}
