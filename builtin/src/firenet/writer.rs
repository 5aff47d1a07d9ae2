//! Writes nodes with their weights; every layer's node has the layer's name.

use macforge_model::onnx::{
    OnnxAttribute, OnnxGraph, OnnxNode, OnnxTensor, OnnxType, OnnxValue, TensorData,
};

use super::parameters::Parameters;

/// A graph under construction.
pub(super) struct Writer<'p> {
    graph: OnnxGraph,
    parameters: &'p mut dyn Parameters,
}

/// A convolution: output and input channels, kernel, stride.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConvSize {
    pub out: usize,
    pub into: usize,
    pub kernel: usize,
    pub stride: usize,
}

impl<'p> Writer<'p> {
    pub fn new(name: &str, parameters: &'p mut dyn Parameters) -> Self {
        let graph = OnnxGraph {
            name: name.into(),
            ir_version: 8,
            producer: "macforge".into(),
            opsets: [(String::new(), 13)].into(),
            ..OnnxGraph::default()
        };
        Writer { graph, parameters }
    }

    pub fn input(&mut self, name: &str, shape: &[usize]) {
        let value = OnnxValue::fixed(name, OnnxType::F32, shape);
        self.graph.inputs.push(value);
    }

    /// The graph, of which the value `output` leaves.
    pub fn finish(mut self, output: &str, dtype: OnnxType, shape: &[usize]) -> OnnxGraph {
        self.graph.outputs = vec![OnnxValue::fixed(output, dtype, shape)];
        self.graph
    }

    /// A node named as its output; the output's name.
    pub fn node(
        &mut self,
        op: &str,
        name: &str,
        inputs: &[&str],
        attributes: &[(&str, OnnxAttribute)],
    ) -> String {
        let mut node = OnnxNode::new(op, name, inputs, &[name]);
        for (key, value) in attributes {
            node = node.with(key, value.clone());
        }
        self.graph.nodes.push(node);
        name.to_string()
    }

    pub fn relu(&mut self, x: &str) -> String {
        self.node("Relu", &format!("{x}.relu"), &[x], &[])
    }

    /// The same elements under another shape.
    pub fn reshape(&mut self, name: &str, x: &str, shape: &[usize]) -> String {
        let sizes = shape.iter().map(|&d| d as i64).collect();
        let shape = format!("{name}.shape");
        self.constant(&shape, OnnxTensor::vector_i64(sizes));
        self.node("Reshape", name, &[x, &shape], &[])
    }

    pub fn transpose(&mut self, name: &str, x: &str, order: &[i64]) -> String {
        let order = OnnxAttribute::Ints(order.to_vec());
        self.node("Transpose", name, &[x], &[("perm", order)])
    }

    /// A convolution padded by half its kernel; `scale` multiplies the weights.
    pub fn conv(&mut self, name: &str, x: &str, size: ConvSize, gain: f32, scale: f32) -> String {
        let ConvSize {
            out,
            into,
            kernel,
            stride,
        } = size;
        let fan_in = into * kernel * kernel;
        let weights = format!("{name}.weight");
        let shape = [out, into, kernel, kernel];
        let mut values = self.parameters.get(&weights, &shape, fan_in, gain);
        values.iter_mut().for_each(|w| *w *= scale);
        self.floats(&weights, &shape, values);
        let bias = self.bias(name, out);
        let ints = |v: usize, count| OnnxAttribute::Ints(vec![v as i64; count]);
        let attributes = [
            ("kernel_shape", ints(kernel, 2)),
            ("pads", ints(kernel / 2, 4)),
            ("strides", ints(stride, 2)),
        ];
        self.node("Conv", name, &[x, &weights, &bias], &attributes)
    }

    /// A fully connected layer on each row of `x`.
    pub fn dense(&mut self, name: &str, x: &str, [out, into]: [usize; 2], gain: f32) -> String {
        let weights = self.weights(&format!("{name}.weight"), [out, into], gain);
        let bias = self.bias(name, out);
        let transposed = [("transB", OnnxAttribute::Int(1))];
        self.node("Gemm", name, &[x, &weights, &bias], &transposed)
    }

    /// The last hidden state `[1, 1, units]` of an LSTM over `[T, 1, inputs]`.
    pub fn lstm(&mut self, name: &str, x: &str, units: usize, inputs: usize) -> String {
        let mut directional = |what: &str, columns: usize| {
            let own = format!("{name}.{what}");
            let shape = [4 * units, columns];
            let values = self.parameters.get(&own, &shape, columns, 1.0);
            self.floats(&own, &[1, 4 * units, columns], values);
            own
        };
        let own = directional("weight", inputs);
        let back = directional("recurrence", units);
        let bias = format!("{name}.bias");
        let mut values = self.parameters.get(&bias, &[4 * units], 1, 0.0);
        // ONNX has a bias for each of the two products
        values.resize(8 * units, 0.0);
        self.floats(&bias, &[1, 8 * units], values);
        let mut node = OnnxNode::new("LSTM", name, &[x, &own, &back, &bias], &["", name]);
        node = node.with("hidden_size", OnnxAttribute::Int(units as i64));
        self.graph.nodes.push(node);
        name.to_string()
    }

    /// One real number.
    pub fn scalar(&mut self, name: &str, value: f32) -> String {
        self.constant(name, OnnxTensor::scalar_f32(value))
    }

    fn weights(&mut self, name: &str, shape: [usize; 2], gain: f32) -> String {
        let values = self.parameters.get(name, &shape, shape[1], gain);
        self.floats(name, &shape, values)
    }

    fn bias(&mut self, layer: &str, count: usize) -> String {
        let name = format!("{layer}.bias");
        let values = self.parameters.get(&name, &[count], 1, 0.0);
        self.floats(&name, &[count], values)
    }

    fn floats(&mut self, name: &str, shape: &[usize], values: Vec<f32>) -> String {
        self.constant(
            name,
            OnnxTensor::new(shape.to_vec(), TensorData::F32(values)),
        )
    }

    fn constant(&mut self, name: &str, tensor: OnnxTensor) -> String {
        self.graph.initializers.insert(name.into(), tensor);
        name.to_string()
    }
}
