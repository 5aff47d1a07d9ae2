//! Small ONNX networks with an LSTM, in float and with QuantizeLinear and DequantizeLinear.
#![allow(dead_code)] // each test binary uses its own part

use macforge_model::onnx::{
    OnnxAttribute, OnnxGraph, OnnxNode, OnnxTensor, OnnxType, OnnxValue, TensorData,
};

/// A network `[1, T, I] -> LSTM of U units -> all hidden states, or the last one and a product`.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// Steps, inputs, units.
    pub size: [usize; 3],
    /// Scale and zero point of the hidden state.
    pub hidden: (f32, i8),
    /// Outputs of a product behind the last hidden state; without it all hidden states leave.
    pub classes: usize,
}

/// Uniform numbers in -1..1, always the same ones.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    fn reals(&mut self, shape: &[usize], size: f32) -> OnnxTensor {
        let count = shape.iter().product();
        let values = (0..count).map(|_| self.next() * size).collect();
        OnnxTensor::new(shape.to_vec(), TensorData::F32(values))
    }

    fn int8(&mut self, shape: &[usize]) -> OnnxTensor {
        let count = shape.iter().product();
        let values = (0..count).map(|_| (self.next() * 127.0).round() as i8);
        OnnxTensor::new(shape.to_vec(), TensorData::I8(values.collect()))
    }
}

fn scalar(value: f32) -> OnnxTensor {
    OnnxTensor::new(vec![], TensorData::F32(vec![value]))
}

fn zero(value: i8) -> OnnxTensor {
    OnnxTensor::new(vec![], TensorData::I8(vec![value]))
}

/// Adds a graph output `to` that is `from` between QuantizeLinear and DequantizeLinear.
pub fn quantized_as(graph: &mut OnnxGraph, from: &str, to: &str, params: (f32, i8)) {
    let mut builder = Builder(std::mem::take(graph));
    builder.quantized(from, to, params);
    *graph = builder.0;
    let output = OnnxValue {
        name: to.into(),
        dtype: Some(OnnxType::F32),
        shape: None,
    };
    graph.outputs.push(output);
}

/// A graph under construction.
struct Builder(OnnxGraph);

impl Builder {
    fn constant(&mut self, name: &str, tensor: OnnxTensor) {
        self.0.initializers.insert(name.into(), tensor);
    }

    fn node(&mut self, op: &str, inputs: &[&str], output: &str) {
        let node = OnnxNode::new(op, output, inputs, &[output]);
        self.0.nodes.push(node);
    }

    /// `to` is `from` between QuantizeLinear and DequantizeLinear.
    fn quantized(&mut self, from: &str, to: &str, (scale, zero_point): (f32, i8)) {
        let [s, z, q] = ["scale", "zero_point", "quantized"].map(|what| format!("{to}_{what}"));
        self.constant(&s, scalar(scale));
        self.constant(&z, zero(zero_point));
        self.node("QuantizeLinear", &[from, &s, &z], &q);
        self.node("DequantizeLinear", &[&q, &s, &z], to);
    }

    /// Dequantized weights with a scale per row.
    fn weights(&mut self, name: &str, values: OnnxTensor, scales: Vec<f32>, axis: i64) {
        let [q, s] = ["quantized", "scale"].map(|what| format!("{name}_{what}"));
        self.constant(&q, values);
        let shape = if scales.len() == 1 {
            vec![]
        } else {
            vec![scales.len()]
        };
        self.constant(&s, OnnxTensor::new(shape, TensorData::F32(scales)));
        let node = OnnxNode::new("DequantizeLinear", name, &[&q, &s], &[name]);
        self.0
            .nodes
            .push(node.with("axis", OnnxAttribute::Int(axis)));
    }

    fn transposed(&mut self, from: &str, to: &str) {
        let node = OnnxNode::new("Transpose", to, &[from], &[to]);
        let perm = OnnxAttribute::Ints(vec![1, 0, 2]);
        self.0.nodes.push(node.with("perm", perm));
    }

    fn lstm(&mut self, inputs: &[&str], outputs: &[&str], units: usize) {
        let node = OnnxNode::new("LSTM", "lstm", inputs, outputs);
        let hidden_size = OnnxAttribute::Int(units as i64);
        self.0.nodes.push(node.with("hidden_size", hidden_size));
    }

    fn reshaped(&mut self, from: &str, to: &str, shape: &[i64]) {
        let name = format!("{to}_shape");
        let sizes = TensorData::I64(shape.to_vec());
        self.constant(&name, OnnxTensor::new(vec![shape.len()], sizes));
        self.node("Reshape", &[from, &name], to);
    }
}

impl Network {
    fn builder(&self, output: &[usize]) -> Builder {
        let [length, inputs, _] = self.size;
        Builder(OnnxGraph {
            name: "recurrent".into(),
            ir_version: 8,
            opsets: [(String::new(), 14)].into(),
            inputs: vec![OnnxValue::fixed("x", OnnxType::F32, &[1, length, inputs])],
            outputs: vec![OnnxValue::fixed("y", OnnxType::F32, output)],
            ..OnnxGraph::default()
        })
    }

    fn output_shape(&self) -> Vec<usize> {
        let [length, _, units] = self.size;
        match self.classes {
            0 => vec![length, 1, 1, units],
            classes => vec![1, classes],
        }
    }

    /// The network in QDQ form: weights per row, a float32 bias.
    pub fn quantized(&self, seed: u64) -> OnnxGraph {
        let [_, inputs, units] = self.size;
        let mut random = Random(seed);
        let mut b = self.builder(&self.output_shape());
        b.quantized("x", "x_real", (0.02, 3));
        b.transposed("x_real", "sequence");
        let mut scales = |fan_in: usize| -> Vec<f32> {
            let spread = 3.0 / (127.0 * (fan_in as f32).sqrt());
            (0..4 * units)
                .map(|_| spread * (1.5 + random.next()))
                .collect()
        };
        let (own, back) = (scales(inputs), scales(units));
        let w = random.int8(&[1, 4 * units, inputs]);
        b.weights("w", w, own, 1);
        let r = random.int8(&[1, 4 * units, units]);
        b.weights("r", r, back, 1);
        b.constant("b", random.reals(&[1, 8 * units], 0.5));
        let operands = ["sequence", "w", "r", "b"];
        if self.classes == 0 {
            b.lstm(&operands, &["hidden"], units);
            b.quantized("hidden", "y", self.hidden);
        } else {
            b.lstm(&operands, &["", "last"], units);
            b.quantized("last", "last_real", self.hidden);
            b.reshaped("last_real", "vector", &[1, units as i64]);
            let m = random.int8(&[units, self.classes]);
            b.weights("m", m, vec![0.01], 1);
            b.node("MatMul", &["vector", "m"], "product");
            b.quantized("product", "y", (0.03, -5));
        }
        b.0
    }

    /// The network in float: weights and a bias of the usual size.
    pub fn float(&self, seed: u64) -> OnnxGraph {
        let [_, inputs, units] = self.size;
        let mut random = Random(seed);
        let mut b = self.builder(&self.output_shape());
        b.transposed("x", "sequence");
        for (name, shape, size) in [
            ("w", vec![1, 4 * units, inputs], 1.0),
            ("r", vec![1, 4 * units, units], 0.5),
            ("b", vec![1, 8 * units], 0.3),
            ("m", vec![units, self.classes.max(1)], 1.0),
        ] {
            b.constant(name, random.reals(&shape, size));
        }
        // exporters name all three outputs, whether they are used or not
        let operands = ["sequence", "w", "r", "b"];
        match self.classes {
            0 => b.lstm(&operands, &["y", "last", "cell"], units),
            classes => {
                b.lstm(&operands, &["hidden", "last", "cell"], units);
                b.reshaped("last", "vector", &[1, units as i64]);
                b.node("MatMul", &["vector", "m"], "y");
                debug_assert!(classes > 0);
            }
        }
        b.0
    }
}
