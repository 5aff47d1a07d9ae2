//! The quantized model as ONNX: QuantizeLinear and DequantizeLinear around every operator.

use std::collections::{BTreeMap, BTreeSet};

use macforge_model::onnx::{
    OnnxAttribute, OnnxGraph, OnnxNode, OnnxTensor, OnnxType, OnnxValue, TensorData,
};

use crate::layers::{Activation, Layer};
use crate::prepare::{Weights, edit};
use crate::scale::Grid;
use crate::weights::QuantizedWeights;

/// What becomes of the weights of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightPlan {
    /// Integers and grids.
    pub quantized: QuantizedWeights,
    /// Bias in accumulator units; `None` leaves it float, for float activations.
    pub bias: Option<Vec<i32>>,
}

/// All that is needed to write the quantized model.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Grid of every quantized activation.
    pub grids: BTreeMap<String, Grid>,
    /// Weights per layer name.
    pub weights: BTreeMap<String, WeightPlan>,
    /// Weights of the input and of the hidden state per LSTM's name.
    pub recurrent: BTreeMap<String, [QuantizedWeights; 2]>,
    /// Layers that are left out, by name.
    pub outside: BTreeSet<String>,
}

impl Plan {
    /// Gives an LSTM in a float graph the real values of its quantized weights.
    pub fn quantize_recurrent(&self, layer: &Layer, graph: &mut OnnxGraph) {
        let own = layer.recurrent.iter().flatten();
        let quantized = self.recurrent.get(&layer.name).into_iter().flatten();
        for (weights, q) in own.zip(quantized) {
            let values = q.dequantized(weights);
            edit(graph, &weights.name, |i, _| values[i]);
        }
    }
}

/// First operator set with a scale per channel.
const OPSET: i64 = 13;

/// First operator set whose conversions take int16.
const INT16_OPSET: i64 = 21;

/// The model with quantized weights and activations. Layers outside are cut off: what they read
/// leaves the graph.
pub fn emit(graph: &OnnxGraph, layers: &[Layer], plan: &Plan) -> OnnxGraph {
    let mut emitter = Emitter {
        out: OnnxGraph {
            name: graph.name.clone(),
            ir_version: graph.ir_version.max(7),
            opsets: graph.opsets.clone(),
            inputs: graph.inputs.clone(),
            initializers: graph.initializers.clone(),
            ..OnnxGraph::default()
        },
        plan,
        outputs: outputs(graph, layers, plan),
    };
    let opset = graph.opset().max(OPSET);
    emitter.out.opsets.insert(String::new(), opset);
    for input in &graph.inputs {
        emitter.quantize(&input.name, &input.name);
    }
    for layer in layers.iter().filter(|l| !plan.outside.contains(&l.name)) {
        emitter.layer(graph, layer);
    }
    let names = emitter.outputs.iter();
    let declared = |name: &String| graph.outputs.iter().find(|o| o.name == *name).cloned();
    let value = |name| declared(name).unwrap_or_else(|| unknown_shape(name));
    emitter.out.outputs = names.map(value).collect();
    emitter.out.drop_unused_constants();
    emitter.out
}

fn unknown_shape(name: &str) -> OnnxValue {
    OnnxValue {
        name: name.to_string(),
        dtype: Some(OnnxType::F32),
        shape: None,
    }
}

/// Graph outputs: the model's own, as far as they are inside, then what layers outside read.
pub fn outputs(graph: &OnnxGraph, layers: &[Layer], plan: &Plan) -> Vec<String> {
    let outside = |l: &&Layer| plan.outside.contains(&l.name);
    let made_outside: BTreeSet<&String> = layers
        .iter()
        .filter(outside)
        .flat_map(|l| &l.outputs)
        .collect();
    let own = graph.outputs.iter().map(|o| &o.name);
    let cut = layers.iter().filter(outside).flat_map(|l| &l.inputs);
    let mut seen = BTreeSet::new();
    own.chain(cut)
        .filter(|name| !made_outside.contains(name) && seen.insert(*name))
        .cloned()
        .collect()
}

struct Emitter<'a> {
    out: OnnxGraph,
    plan: &'a Plan,
    outputs: Vec<String>,
}

impl Emitter<'_> {
    /// A node's nodes, with its operands dequantized and its outputs quantized.
    fn layer(&mut self, graph: &OnnxGraph, layer: &Layer) {
        for &before in &layer.before {
            let node = self.on_dequantized(&graph.nodes[before]);
            self.out.nodes.push(node);
        }
        let mut node = self.on_dequantized(&graph.nodes[layer.node]);
        if let (Some(weights), Some(plan)) = (&layer.weights, self.plan.weights.get(&layer.name)) {
            self.weights(&mut node, layer, weights, plan);
        }
        if let (Some(own), Some(plans)) = (&layer.recurrent, self.plan.recurrent.get(&layer.name)) {
            for (operand, (weights, q)) in (1..).zip(own.iter().zip(plans)) {
                node.inputs[operand] = self.dequantized_weights(weights, q);
            }
        }
        let activation = layer.activation.filter(|a| !self.is_redundant(layer, a));
        match activation {
            None => {
                let last = layer.activation.map_or(layer.node, |a| a.node);
                // an output without a name keeps its place
                let renamed = graph.nodes[last].outputs.iter().map(|o| match o.as_str() {
                    "" => String::new(),
                    name => self.float_name(name),
                });
                node.outputs = renamed.collect();
                self.out.nodes.push(node);
            }
            Some(a) => {
                let mut behind = graph.nodes[a.node].clone();
                behind.outputs[0] = self.float_name(&layer.outputs[0]);
                self.out.nodes.push(node);
                self.out.nodes.push(behind);
            }
        }
        for output in &layer.outputs {
            let float = self.float_name(output);
            self.quantize(output, &float);
        }
    }

    /// A node that reads the dequantized forms of the values that have one.
    fn on_dequantized(&self, node: &OnnxNode) -> OnnxNode {
        let mut node = node.clone();
        for input in &mut node.inputs {
            if self.plan.grids.contains_key(input.as_str()) {
                *input = dequantized(input);
            }
        }
        node
    }

    /// Whether the bounds of the grid already do what the activation does.
    fn is_redundant(&self, layer: &Layer, activation: &Activation) -> bool {
        let Some(grid) = self.plan.grids.get(&layer.outputs[0]) else {
            return false;
        };
        let range = grid.range();
        let bounded = grid.lo == -grid.hi - 1 || narrow(grid);
        let lower = activation.lo.is_none_or(|lo| range.lo >= f64::from(lo));
        let upper = activation.hi.is_none_or(|hi| range.hi <= f64::from(hi));
        bounded && lower && upper
    }

    /// Name of a value before it is quantized: its own, unless the dequantized one leaves the graph.
    fn float_name(&self, value: &str) -> String {
        let leaves = self.outputs.iter().any(|o| o == value);
        if leaves && self.plan.grids.contains_key(value) {
            format!("{value}_float")
        } else {
            value.to_string()
        }
    }

    /// QuantizeLinear and DequantizeLinear behind `float`, which holds the value `name`.
    fn quantize(&mut self, name: &str, float: &str) {
        let Some(grid) = self.plan.grids.get(name) else {
            return;
        };
        let wide = grid.is_wide();
        let zero_point = integers(wide, &[grid.params.zero_point]);
        let scale = self.constant(
            name,
            "scale",
            vec![],
            TensorData::F32(vec![grid.params.scale]),
        );
        let zero_point = self.constant(name, "zero_point", vec![], zero_point);
        let mut from = float.to_string();
        if narrow(grid) {
            if self.out.inputs.iter().any(|i| i.name == name) {
                // what enters the graph fills its container; the integers are cut inside
                let [container, real] = ["container", "cut"].map(|what| format!("{name}_{what}"));
                let constants = [scale.as_str(), zero_point.as_str()];
                self.convert("QuantizeLinear", &from, constants, &container, wide);
                self.convert("DequantizeLinear", &container, constants, &real, wide);
                from = real;
            }
            from = self.clip(name, &from, grid);
        }
        let quantized = format!("{name}_quantized");
        let leaves = self.outputs.iter().any(|o| o == name);
        let result = if leaves {
            name.to_string()
        } else {
            dequantized(name)
        };
        let constants = [scale.as_str(), zero_point.as_str()];
        self.convert("QuantizeLinear", &from, constants, &quantized, wide);
        self.convert("DequantizeLinear", &quantized, constants, &result, wide);
        if leaves {
            // readers inside use the same name as everywhere
            let inner = dequantized(name);
            self.convert("DequantizeLinear", &quantized, constants, &inner, wide);
        }
    }

    /// Bounds of a grid of fewer than eight bits.
    fn clip(&mut self, name: &str, float: &str, grid: &Grid) -> String {
        let range = [grid.dequantize(grid.lo), grid.dequantize(grid.hi)];
        let [lo, hi] = range.map(|v| TensorData::F32(vec![v]));
        let lo = self.constant(name, "lowest", vec![], lo);
        let hi = self.constant(name, "highest", vec![], hi);
        let clipped = format!("{name}_clipped");
        self.push("Clip", &[float, &lo, &hi], &clipped);
        clipped
    }

    fn weights(
        &mut self,
        node: &mut OnnxNode,
        layer: &Layer,
        weights: &Weights,
        plan: &WeightPlan,
    ) {
        let name = weights.name.clone();
        let q = &plan.quantized;
        node.inputs[1] = self.dequantized_weights(weights, q);
        let (Some(bias), Some(input)) = (&plan.bias, self.plan.grids.get(&layer.inputs[0])) else {
            return;
        };
        if bias.iter().all(|&b| b == 0) && node.inputs.len() < 3 {
            return;
        }
        let own = weights
            .bias
            .clone()
            .unwrap_or_else(|| format!("{name}_bias"));
        let unit = |g: &Grid| input.params.scale * g.params.scale;
        let units = TensorData::F32(q.grids.iter().map(unit).collect());
        let length = vec![bias.len()];
        let values = self.constant(
            &own,
            "quantized",
            length.clone(),
            TensorData::I32(bias.clone()),
        );
        let units = self.constant(&own, "scale", length.clone(), units);
        let zeros = TensorData::I32(vec![0; bias.len()]);
        let zeros = self.constant(&own, "zero_point", length, zeros);
        let real = dequantized(&own);
        self.dequantize(&[&values, &units, &zeros], &real, 0, false);
        node.inputs.truncate(2);
        node.inputs.push(real);
    }

    /// DequantizeLinear of a layer's quantized weights; the name of its result.
    fn dequantized_weights(&mut self, weights: &Weights, q: &QuantizedWeights) -> String {
        let name = &weights.name;
        let wide = q.grids.iter().any(Grid::is_wide);
        let values: Vec<i32> = q.values.iter().map(|&v| v.into()).collect();
        let values = integers(wide, &values);
        let values = self.constant(name, "quantized", weights.shape.clone(), values);
        let count = if q.per_tensor { 1 } else { q.grids.len() };
        let shape = if q.per_tensor { vec![] } else { vec![count] };
        let params = q.grids.iter().take(count).map(|g| g.params);
        let (scales, zero_points): (Vec<f32>, Vec<i32>) =
            params.map(|p| (p.scale, p.zero_point)).unzip();
        let scale = self.constant(name, "scale", shape.clone(), TensorData::F32(scales));
        let zero_point = integers(wide, &zero_points);
        let zero_point = self.constant(name, "zero_point", shape, zero_point);
        let real = dequantized(name);
        let inputs = [&values, &scale, &zero_point].map(String::as_str);
        self.dequantize(&inputs, &real, weights.axis, wide);
        real
    }

    fn dequantize(&mut self, inputs: &[&str], output: &str, axis: usize, wide: bool) {
        let node = OnnxNode::new("DequantizeLinear", output, inputs, &[output]);
        let node = node.with("axis", OnnxAttribute::Int(axis as i64));
        let node = self.of_type(node, wide);
        self.out.nodes.push(node);
    }

    /// QuantizeLinear or DequantizeLinear of a tensor.
    fn convert(&mut self, op: &str, from: &str, constants: [&str; 2], to: &str, wide: bool) {
        let [scale, zero_point] = constants;
        let node = OnnxNode::new(op, to, &[from, scale, zero_point], &[to]);
        let node = self.of_type(node, wide);
        self.out.nodes.push(node);
    }

    /// Before operator set 21 only onnxruntime's own domain has conversions of int16.
    fn of_type(&mut self, mut node: OnnxNode, wide: bool) -> OnnxNode {
        const DOMAIN: &str = "com.microsoft";
        if wide && self.out.opset() < INT16_OPSET {
            node.domain = DOMAIN.into();
            self.out.opsets.entry(DOMAIN.into()).or_insert(1);
        }
        node
    }

    fn push(&mut self, op: &str, inputs: &[&str], output: &str) {
        self.out
            .nodes
            .push(OnnxNode::new(op, output, inputs, &[output]));
    }

    fn constant(&mut self, of: &str, what: &str, shape: Vec<usize>, data: TensorData) -> String {
        let name = format!("{of}_{what}");
        let tensor = OnnxTensor::new(shape, data);
        self.out.initializers.insert(name.clone(), tensor);
        name
    }
}

/// Integers in the container of their grid.
fn integers(wide: bool, values: &[i32]) -> TensorData {
    match wide {
        true => TensorData::I16(values.iter().map(|&v| v as i16).collect()),
        false => TensorData::I8(values.iter().map(|&v| v as i8).collect()),
    }
}

/// Whether a grid has fewer than eight bits.
fn narrow(grid: &Grid) -> bool {
    grid.hi < 127
}

fn dequantized(name: &str) -> String {
    format!("{name}_dequantized")
}
