//! Integer graphs that are built node by node, and their way through plan, Verilog and scoreboard
//! without a model file.

use crate::cosim::run::{Request, Verified, verify};
use crate::cosim::samples;
use crate::layers_support::Rng;
use crate::project::{self, Project, Target};
use macforge_codegen::{Design, Network, generate};
use macforge_numeric::pool::Mean;
use macforge_numeric::{
    AffineParams, AttentionRule, AveragePoolRule, BinaryRule, Clamp, RequantRule, Requantizer,
    Semantics, SoftmaxRule,
};
use macforge_plan::HwPlan;
use macforge_quant::{
    Attention, Conv2d, DType, FullyConnected, MatMul, QGraph, QNode, QOp, QState, QTensor,
    TensorId, Window,
};
use macforge_reference::Value;
use std::sync::atomic::AtomicBool;

/// A graph under construction; weights and tables are drawn from a seed.
pub struct Graph {
    graph: QGraph,
    rng: Rng,
    zero_point: i32,
    /// Largest magnitude of a weight.
    weights: i64,
    /// What results are clamped to.
    clamp: Clamp,
}

/// A window without dilation.
pub fn window(kernel: [usize; 2], stride: [usize; 2], pad: [usize; 2]) -> Window {
    Window {
        kernel,
        stride,
        dilation: [1, 1],
        pad,
    }
}

impl Graph {
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let zero_point = rng.pick(&[-128, -7, 0, 33, 127]);
        Graph {
            graph: QGraph {
                name: "graph".into(),
                semantics: Semantics::TfliteDouble,
                tensors: Vec::new(),
                nodes: Vec::new(),
                inputs: Vec::new(),
                outputs: Vec::new(),
                states: Vec::new(),
                input_ranges: Vec::new(),
            },
            rng,
            zero_point,
            weights: 127,
            clamp: Clamp::INT8,
        }
    }

    /// From now on weights of 4 bits, and results of 4 bits from `lowest` on, around the zero point.
    pub fn four_bits(&mut self, lowest: i32) {
        self.weights = 7;
        self.clamp = Clamp {
            lo: lowest,
            hi: lowest + 15,
        };
        self.zero_point = lowest + self.rng.within(0, 15) as i32;
    }

    /// The rules of the graph's layers, if they are not TFLite's.
    pub fn semantics(&mut self, semantics: Semantics) {
        self.graph.semantics = semantics;
    }

    /// All tensors share their parameters, so that any two can be joined.
    fn tensor(&mut self, shape: &[usize]) -> TensorId {
        self.tensor_with(shape, self.params())
    }

    fn tensor_with(&mut self, shape: &[usize], quant: AffineParams) -> TensorId {
        let id = TensorId(self.graph.tensors.len());
        self.graph.tensors.push(QTensor {
            name: format!("t{}", id.0),
            shape: shape.to_vec(),
            dtype: DType::I8,
            quant: Some(quant),
            unsigned: false,
            channels_first: false,
        });
        id
    }

    pub fn input(&mut self, shape: &[usize]) -> TensorId {
        let id = self.tensor(shape);
        self.graph.inputs.push(id);
        id
    }

    pub fn input_with(&mut self, shape: &[usize], zero_point: i32) -> TensorId {
        let quant = AffineParams {
            zero_point,
            ..self.params()
        };
        let id = self.tensor_with(shape, quant);
        self.graph.inputs.push(id);
        id
    }

    /// The last layer's accumulators as int32.
    pub fn accumulators(&mut self, y: TensorId) -> TensorId {
        let node = self.graph.nodes.last_mut().expect("a layer");
        match &mut node.op {
            QOp::Conv2d(conv) => conv.requant.clear(),
            QOp::FullyConnected(layer) => layer.requant.clear(),
            other => panic!("{} has no accumulators", other.kind()),
        }
        let tensor = &mut self.graph.tensors[y.0];
        (tensor.dtype, tensor.quant) = (DType::I32, None);
        y
    }

    /// `[.., M, K]` times `[.., K, N]`, or `[.., N, K]`.
    pub fn matmul(&mut self, [a, b]: [TensorId; 2], transpose_b: bool) -> TensorId {
        let mut shape = self.shape(a);
        let of_b = self.shape(b);
        let columns = of_b[of_b.len() - if transpose_b { 2 } else { 1 }];
        let depth = std::mem::replace(shape.last_mut().expect("a matrix"), columns);
        let y = self.tensor(&shape);
        let requant = Some(self.requant(depth));
        let op = QOp::MatMul(MatMul {
            transpose_b,
            requant,
        });
        self.node(op, &[a, b], y)
    }

    /// A variable; [`Graph::update`] says what it becomes.
    pub fn state(&mut self, shape: &[usize], initial: Vec<i8>) -> TensorId {
        let read = self.tensor(shape);
        let write = read;
        self.graph.states.push(QState {
            read,
            write,
            initial,
        });
        read
    }

    pub fn update(&mut self, state: TensorId, write: TensorId) {
        let mut states = self.graph.states.iter_mut();
        states.find(|s| s.read == state).expect("a state").write = write;
    }

    pub fn unsigned(&mut self, tensor: TensorId) {
        self.graph.tensors[tensor.0].unsigned = true;
    }

    pub fn shape_of(&self, x: TensorId) -> Vec<usize> {
        self.shape(x)
    }

    fn shape(&self, x: TensorId) -> Vec<usize> {
        self.graph.tensor(x).shape.clone()
    }

    fn node(&mut self, op: QOp, inputs: &[TensorId], output: TensorId) -> TensorId {
        let number = self.graph.nodes.len();
        let kind = op.kind();
        self.graph.nodes.push(QNode {
            name: format!("{}_{number}", kind.to_lowercase()),
            source: format!("{kind} #{number}"),
            inputs: inputs.to_vec(),
            output,
            op,
        });
        output
    }

    fn requant(&mut self, fan_in: usize) -> Requantizer {
        // spreads the sums of random weights over int8
        let narrow = if self.weights < 127 { 0 } else { 5 };
        let shift = -(narrow + fan_in.ilog2() as i32 / 2);
        Requantizer {
            rule: RequantRule::TfliteDouble {
                multiplier: self.rng.within(1 << 30, (1 << 31) - 1) as i32,
                shift,
            },
            zero_point: self.zero_point,
            clamp: self.clamp,
        }
    }

    pub fn conv(&mut self, x: TensorId, channels: usize, window: Window) -> TensorId {
        self.grouped(x, channels, window, 1)
    }

    pub fn depthwise(&mut self, x: TensorId, window: Window) -> TensorId {
        let [_, _, c] = self.graph.tensor(x).hwc();
        self.grouped(x, c, window, c)
    }

    fn grouped(&mut self, x: TensorId, channels: usize, w: Window, groups: usize) -> TensorId {
        let [h, width, c] = self.graph.tensor(x).hwc();
        let out = |size: usize, i: usize| (size + 2 * w.pad[i] - w.kernel[i]) / w.stride[i] + 1;
        let y = self.tensor(&[out(h, 0), out(width, 1), channels]);
        let conv = self.conv_op(w, c, channels, groups);
        self.node(QOp::Conv2d(conv), &[x], y)
    }

    fn conv_op(&mut self, w: Window, inputs: usize, channels: usize, groups: usize) -> Conv2d {
        let fan_in = w.kernel[0] * w.kernel[1] * inputs / groups;
        Conv2d {
            window: w,
            weights: self.values(channels * fan_in, self.weights),
            weight_zero_points: vec![0; channels],
            groups,
            out_channels: channels,
            in_channels: inputs,
            bias: (0..channels)
                .map(|_| self.rng.within(-999, 999) as i32)
                .collect(),
            requant: (0..channels).map(|_| self.requant(fan_in)).collect(),
            lower_is_activation: false,
        }
    }

    fn values(&mut self, count: usize, limit: i64) -> Vec<i16> {
        (0..count)
            .map(|_| self.rng.within(-limit, limit) as i16)
            .collect()
    }

    pub fn fully_connected(&mut self, x: TensorId, channels: usize) -> TensorId {
        let fan_in = self.graph.tensor(x).elements();
        let y = self.tensor(&[channels]);
        let layer = FullyConnected {
            weights: self.values(channels * fan_in, self.weights),
            weight_zero_points: vec![0; channels],
            out_channels: channels,
            in_features: fan_in,
            bias: vec![0; channels],
            requant: (0..channels).map(|_| self.requant(fan_in)).collect(),
            lower_is_activation: false,
        };
        self.node(QOp::FullyConnected(layer), &[x], y)
    }

    fn wide_tensor(&mut self, shape: &[usize]) -> TensorId {
        let scale = 1e-3;
        let id = self.tensor_with(
            shape,
            AffineParams {
                scale,
                zero_point: 0,
            },
        );
        self.graph.tensors[id.0].dtype = DType::I16;
        id
    }

    /// An int16 input.
    pub fn wide_input(&mut self, shape: &[usize]) -> TensorId {
        let id = self.wide_tensor(shape);
        self.graph.inputs.push(id);
        id
    }

    /// Weights of 8 or 16 bits, of 16 such that both bytes lie within -127..=127.
    fn wide_values(&mut self, count: usize, bits: usize) -> Vec<i16> {
        let mut values = self.values(count, 127);
        if bits == 16 {
            let high = self.values(count, 127);
            values.iter_mut().zip(high).for_each(|(v, h)| *v += 256 * h);
        }
        values
    }

    /// Requantizers that spread the sums of random values over the output's type.
    fn wide_requant(
        &mut self,
        fan_in: usize,
        bits: [usize; 3],
        channels: usize,
    ) -> Vec<Requantizer> {
        let deviation = |bits: usize| if bits == 16 { 19_000.0 } else { 74.0 };
        let [x, w, y] = bits.map(deviation);
        let (clamp, zero_point) = match bits[2] {
            16 => (Clamp::INT16, 0),
            _ => (Clamp::INT8, self.zero_point),
        };
        (0..channels)
            .map(|_| {
                let spread = self.rng.within(60, 140) as f64 / 100.0;
                let real = spread * y / (x * w * (fan_in as f64).sqrt());
                Requantizer::wide(real, zero_point, clamp).expect("a small factor")
            })
            .collect()
    }

    fn bits(&self, x: TensorId) -> usize {
        match self.graph.tensor(x).dtype {
            DType::I16 => 16,
            _ => 8,
        }
    }

    fn output(&mut self, shape: &[usize], bits: usize) -> TensorId {
        match bits {
            16 => self.wide_tensor(shape),
            _ => self.tensor(shape),
        }
    }

    /// A convolution by the rule of int16 values, with weights and results of 8 or 16 bits.
    pub fn wide_conv(
        &mut self,
        x: TensorId,
        channels: usize,
        w: Window,
        [weights, results]: [usize; 2],
    ) -> TensorId {
        let [h, width, c] = self.graph.tensor(x).hwc();
        let reach = |i: usize| (w.kernel[i] - 1) * w.dilation[i] + 1;
        let out = |size: usize, i: usize| (size + 2 * w.pad[i] - reach(i)) / w.stride[i] + 1;
        let y = self.output(&[out(h, 0), out(width, 1), channels], results);
        let mut conv = self.conv_op(w, c, channels, 1);
        let fan_in = w.kernel[0] * w.kernel[1] * c;
        conv.weights = self.wide_values(channels * fan_in, weights);
        let bits = [self.bits(x), weights, results];
        conv.requant = self.wide_requant(fan_in, bits, channels);
        self.node(QOp::Conv2d(conv), &[x], y)
    }

    /// The last layer's results are held at or above 0, and below half of their type.
    pub fn bounded(&mut self) {
        let node = self.graph.nodes.last_mut().expect("a layer");
        let QOp::Conv2d(conv) = &mut node.op else {
            panic!("no convolution")
        };
        conv.lower_is_activation = true;
        for requant in &mut conv.requant {
            requant.clamp.lo = requant.zero_point;
            requant.clamp.hi = (requant.clamp.hi / 2).max(requant.zero_point);
        }
    }

    /// A fully connected layer by the same rule.
    pub fn wide_fully_connected(
        &mut self,
        x: TensorId,
        channels: usize,
        [weights, results]: [usize; 2],
    ) -> TensorId {
        let fan_in = self.graph.tensor(x).elements();
        let y = self.output(&[channels], results);
        let bits = [self.bits(x), weights, results];
        let layer = FullyConnected {
            weights: self.wide_values(channels * fan_in, weights),
            weight_zero_points: vec![0; channels],
            out_channels: channels,
            in_features: fan_in,
            bias: (0..channels as i32).map(|c| 99_999 * c - 55_555).collect(),
            requant: self.wide_requant(fan_in, bits, channels),
            lower_is_activation: false,
        };
        self.node(QOp::FullyConnected(layer), &[x], y)
    }

    /// int16 values under another shape.
    pub fn wide_reshape(&mut self, x: TensorId, shape: &[usize]) -> TensorId {
        let y = self.wide_tensor(shape);
        self.node(QOp::Reshape, &[x], y)
    }

    pub fn concat(&mut self, parts: &[TensorId], axis: usize) -> TensorId {
        let mut shape = self.shape(parts[0]);
        shape[axis] = parts.iter().map(|&p| self.shape(p)[axis]).sum();
        let y = self.tensor(&shape);
        self.node(QOp::Concat(axis), parts, y)
    }

    pub fn slice(
        &mut self,
        x: TensorId,
        start: &[usize],
        step: &[usize],
        shape: &[usize],
    ) -> TensorId {
        let y = self.tensor(shape);
        let op = QOp::Slice {
            start: start.to_vec(),
            step: step.to_vec(),
        };
        self.node(op, &[x], y)
    }

    pub fn pad(&mut self, x: TensorId, before: &[usize], value: i8, shape: &[usize]) -> TensorId {
        let y = self.tensor(shape);
        let op = QOp::Pad {
            before: before.to_vec(),
            value,
        };
        self.node(op, &[x], y)
    }

    pub fn resize(&mut self, x: TensorId, rows: &[usize], columns: &[usize]) -> TensorId {
        let c = self.graph.tensor(x).hwc()[2];
        let y = self.tensor(&[rows.len(), columns.len(), c]);
        let op = QOp::Resize {
            rows: rows.to_vec(),
            columns: columns.to_vec(),
        };
        self.node(op, &[x], y)
    }

    pub fn transpose(&mut self, x: TensorId, perm: &[usize]) -> TensorId {
        let from = self.shape(x);
        let shape: Vec<usize> = perm.iter().map(|&p| from[p]).collect();
        let y = self.tensor(&shape);
        self.node(QOp::Transpose(perm.to_vec()), &[x], y)
    }

    pub fn reshape(&mut self, x: TensorId, shape: &[usize]) -> TensorId {
        let y = self.tensor(shape);
        self.node(QOp::Reshape, &[x], y)
    }

    pub fn table(&mut self, x: TensorId) -> TensorId {
        let y = self.tensor(&self.shape(x));
        let mut table = [0; 256];
        table
            .iter_mut()
            .for_each(|v| *v = self.rng.within(self.clamp.lo.into(), self.clamp.hi.into()) as i8);
        self.node(QOp::Table(Box::new(table)), &[x], y)
    }

    pub fn max_pool(&mut self, x: TensorId, w: Window) -> TensorId {
        let y = self.pooled(x, w);
        self.node(QOp::MaxPool(w, self.clamp), &[x], y)
    }

    pub fn average(&mut self, x: TensorId, w: Window) -> TensorId {
        let y = self.pooled(x, w);
        let rule = AveragePoolRule {
            mean: Mean::Tflite,
            clamp: Clamp { lo: -128, hi: 127 },
        };
        self.node(QOp::AveragePool(w, rule), &[x], y)
    }

    /// An average whose output parameters are those of the graph's other tensors, or the rule's own.
    pub fn average_to(
        &mut self,
        x: TensorId,
        w: Window,
        [rows, columns]: [usize; 2],
        rule: AveragePoolRule,
    ) -> TensorId {
        let shape = [rows, columns, self.graph.tensor(x).hwc()[2]];
        let y = match rule.mean {
            Mean::OrtX86(mean) => self.tensor_with(&shape, mean.output),
            _ => self.tensor(&shape),
        };
        self.node(QOp::AveragePool(w, rule), &[x], y)
    }

    pub fn params_of(&self, x: TensorId) -> AffineParams {
        self.graph.tensor(x).quant.expect("int8")
    }

    fn params(&self) -> AffineParams {
        AffineParams {
            scale: 0.05,
            zero_point: self.zero_point,
        }
    }

    /// A transposed convolution with any output size.
    pub fn transpose_conv(
        &mut self,
        x: TensorId,
        channels: usize,
        window: Window,
        [rows, columns]: [usize; 2],
        depthwise: bool,
    ) -> TensorId {
        let inputs = self.graph.tensor(x).hwc()[2];
        let (channels, groups) = if depthwise {
            (inputs, inputs)
        } else {
            (channels, 1)
        };
        let y = self.tensor(&[rows, columns, channels]);
        let conv = self.conv_op(window, inputs, channels, groups);
        self.node(QOp::ConvTranspose2d(conv), &[x], y)
    }

    fn pooled(&mut self, x: TensorId, w: Window) -> TensorId {
        let [h, width, c] = self.graph.tensor(x).hwc();
        let out = |size: usize, i: usize| (size + 2 * w.pad[i] - w.kernel[i]) / w.stride[i] + 1;
        self.tensor(&[out(h, 0), out(width, 1), c])
    }

    /// The shape of the sum is that of `a`.
    pub fn add(&mut self, a: TensorId, b: TensorId) -> TensorId {
        let y = self.tensor(&self.shape(a));
        let quant = |t: TensorId| self.graph.tensor(t).quant.expect("int8");
        let mut rule = BinaryRule::tflite_add(quant(a), quant(b), quant(y)).expect("like scales");
        rule.clamp = self.clamp;
        self.node(QOp::Binary(rule), &[a, b], y)
    }

    /// An element-wise function of two tensors; the rule is made from the parameters of the operands and of
    /// the output, which are drawn.
    pub fn binary(
        &mut self,
        [a, b]: [TensorId; 2],
        shape: &[usize],
        rule: impl Fn(AffineParams, AffineParams, AffineParams) -> BinaryRule,
    ) -> TensorId {
        let out = AffineParams {
            // no simple ratio, which would put many sums on ties
            scale: 0.05 * (0.6137 + 0.010_73 * self.rng.within(0, 99) as f32),
            zero_point: self.rng.within(-128, 127) as i32,
        };
        let rule = rule(self.params_of(a), self.params_of(b), out);
        let zero_point = rule.zero_point;
        let y = self.tensor_with(shape, AffineParams { zero_point, ..out });
        self.node(QOp::Binary(rule), &[a, b], y)
    }

    pub fn softmax(&mut self, x: TensorId) -> TensorId {
        let quant = AffineParams {
            scale: 1.0 / 256.0,
            zero_point: -128,
        };
        let y = self.tensor_with(&self.shape(x), quant);
        let rule = SoftmaxRule::tflite(0.05, 1.0).expect("a plain scale");
        self.node(QOp::Softmax(rule), &[x], y)
    }

    /// Attention of the tokens (rows of `[T, C]`) of three tensors; the scores are scaled by `alpha`.
    pub fn attention(&mut self, [q, k, v]: [TensorId; 3], heads: usize, alpha: f64) -> TensorId {
        let y = self.tensor(&self.shape(q));
        let scales = [q, k, v].map(|t| self.params_of(t).scale);
        let output = self.params_of(y);
        let rule = AttentionRule::new(scales, alpha, output.scale, output.zero_point);
        let rule = rule.expect("plain scales");
        self.node(QOp::Attention(Attention { heads, rule }), &[q, k, v], y)
    }

    pub fn finish(mut self, outputs: &[TensorId]) -> QGraph {
        self.graph.outputs = outputs.to_vec();
        self.graph.verify().expect("a valid graph");
        self.graph
    }
}

/// Builds a graph for an array shape and runs it; the first differences, if any.
pub fn run(graph: &QGraph, shape: &str, samples: usize, stall: Option<u64>) -> Result<(), String> {
    let inputs = samples::random(graph, samples).map_err(|e| format!("{e:?}"))?;
    let request = Request {
        layers: true,
        stall,
        ..Request::default()
    };
    let simulation = simulated(graph, shape, &inputs, &request)?.simulation;
    match simulation.mismatches {
        0 => Ok(()),
        n => Err(format!(
            "{n} mismatches\n{}",
            simulation.differences.join("\n")
        )),
    }
}

/// Runs 4 samples on every array shape, with stalls on the last one; nothing may differ.
#[track_caller]
pub fn assert_exact(case: &str, shapes: &[&str], graph: &QGraph) {
    for (number, shape) in shapes.iter().enumerate() {
        let stall = (number + 1 == shapes.len()).then_some(5);
        if let Err(why) = run(graph, shape, 4, stall) {
            panic!("{case} on {shape}: {why}\n{graph}");
        }
    }
}

/// The plan of a graph for an array shape, or for the best one.
pub fn plan(graph: &QGraph, shape: Option<&str>) -> miette::Result<HwPlan> {
    let board = macforge_constraints::board("pynq-z2").expect("a known board");
    let target = Target {
        shape: shape.map(|shape| shape.parse().expect("an array shape")),
        ..Target::new(board)
    };
    project::plan(&[graph], &target)
}

/// Builds a graph for an array shape and runs samples.
pub fn simulated(
    graph: &QGraph,
    shape: &str,
    inputs: &[Vec<Value>],
    request: &Request,
) -> Result<Verified, String> {
    let text = |e: miette::Report| format!("{e:?}");
    let plan = plan(graph, Some(shape)).map_err(text)?;
    let board = macforge_constraints::board("pynq-z2").expect("a known board");
    let design = Design {
        networks: &[Network {
            name: "graph",
            graph,
            model_file: ("graph", b"built by a test"),
            policy: None,
        }],
        plan: &plan,
        board,
        io: "int8",
        clock_mhz: 100.0,
    };
    let bundle = generate(&design).map_err(|e| e.to_string())?;
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("out");
    bundle.write(&out).map_err(|e| e.to_string())?;
    let manifest = bundle.get("manifest.json").expect("every design has one");
    let project = Project {
        manifest: serde_json::from_slice(manifest).expect("valid JSON"),
        networks: vec![project::Network {
            name: "graph".into(),
            graph: graph.clone(),
            head: None,
            tail: None,
        }],
        plan,
    };
    let go = AtomicBool::new(false);
    verify(
        &out,
        &project,
        &[inputs.to_vec()],
        request,
        &go,
        &mut |_, _| {},
    )
    .map_err(text)
}
