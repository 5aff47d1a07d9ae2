//! Pass 1: graph nodes to hardware layers. Reshapes become aliases, activation tables and residual
//! adds move into the drain of the layer before them, the boundary's float conversions leave.

use crate::error::PlanError;
use crate::lstm::{self, LstmLayer};
use crate::{constant_channels, convolution, staircases};
use macforge_numeric::{AveragePoolRule, Clamp, MulAdd, Requantizer, SoftmaxRule};
use macforge_quant::{DType, QGraph, QNode, QOp, TensorId, Window};

/// What the engine does in a layer.
#[derive(Clone, Debug, PartialEq)]
pub enum LayerKind {
    /// Dot array: convolution; a fully connected layer is one whose kernel covers the input.
    Dot {
        /// Kernel geometry.
        window: Window,
        /// Weights less their zero point, `[OC, KH, KW, IC]`.
        weights: Vec<i16>,
        /// Bias per output channel, before the zero-point term is folded in.
        bias: Vec<i32>,
        /// Requantizer per output channel.
        requant: Vec<Requantizer>,
    },
    /// Channel array: each channel has a kernel of its own.
    Depthwise {
        /// Kernel geometry.
        window: Window,
        /// Weights less their zero point, `[C, KH, KW]`.
        weights: Vec<i16>,
        /// Bias per channel, before the zero-point term is folded in.
        bias: Vec<i32>,
        /// Requantizer per channel.
        requant: Vec<Requantizer>,
    },
    /// Channel array: maximum over a window (a 1x1 window copies).
    Max(Window, Clamp),
    /// Channel array: average over a window.
    Average(Window, AveragePoolRule),
    /// Softmax unit.
    Softmax(SoftmaxRule),
    /// LSTM unit.
    Lstm(Box<LstmLayer>),
}

/// What a dot layer and a depthwise one have in common.
#[derive(Clone, Copy, Debug)]
pub struct Weighted<'a> {
    /// Weights, output channel first.
    pub weights: &'a [i16],
    /// Bias per output channel.
    pub bias: &'a [i32],
    /// Requantizer per output channel.
    pub requant: &'a [Requantizer],
}

impl Weighted<'_> {
    /// Weights of one output channel.
    pub fn of_channel(&self, channel: usize) -> &[i16] {
        let each = self.weights.len() / self.bias.len();
        &self.weights[channel * each..(channel + 1) * each]
    }
}

/// The residual operand of a fused add.
#[derive(Clone, Debug, PartialEq)]
pub struct Residual {
    /// Storage that holds the operand.
    pub tensor: TensorId,
    /// `a` scales the layer's own value, `b` the residual.
    pub rule: MulAdd,
    /// The lower clamp is an activation.
    pub lower_is_activation: bool,
}

/// One entry of the sequencer's program.
#[derive(Clone, Debug, PartialEq)]
pub struct HwLayer {
    /// Name of the first node.
    pub name: String,
    /// Source for messages.
    pub source: String,
    /// Kinds of the fused nodes, `CONV_2D+ADD`.
    pub op: String,
    /// Graph nodes that this layer computes, in order.
    pub nodes: Vec<usize>,
    /// What it does.
    pub kind: LayerKind,
    /// Input storage.
    pub input: TensorId,
    /// Output storage.
    pub output: TensorId,
    /// The lower clamp of the requantizer is an activation.
    pub lower_is_activation: bool,
    /// Activation table applied to the requantized value.
    pub table: Option<usize>,
    /// Fused add.
    pub residual: Option<Residual>,
}

/// The result of the pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Layers {
    /// Layers in execution order.
    pub layers: Vec<HwLayer>,
    /// Activation tables.
    pub tables: Vec<[i8; 256]>,
    /// Storage behind each tensor (reshapes and boundary conversions are aliases).
    pub storage_of: Vec<TensorId>,
    /// Storage of the graph input.
    pub input: TensorId,
    /// Storage of the graph output.
    pub output: TensorId,
    /// The input stream carries float32.
    pub float_input: bool,
    /// The output stream carries float32.
    pub float_output: bool,
}

/// Runs the pass.
pub fn lower(graph: &QGraph) -> Result<Layers, PlanError> {
    let graph = &*staircases::as_lane_rules(graph)?;
    let mut pass = Pass {
        graph,
        layers: Vec::new(),
        tables: Vec::new(),
        storage_of: (0..graph.tensors.len()).map(TensorId).collect(),
    };
    let ([input], [output]) = (graph.inputs.as_slice(), graph.outputs.as_slice()) else {
        return Err(unsupported(
            &graph.name,
            format!(
                "{} inputs and {} outputs",
                graph.inputs.len(),
                graph.outputs.len()
            ),
            "the engine takes one input and gives one output; split the model",
        ));
    };
    for index in 0..graph.nodes.len() {
        pass.node(index)?;
    }
    for layer in &mut pass.layers {
        let input = graph.tensor(layer.input).quant;
        constant_channels::replace(layer, input.map_or(0, |q| q.zero_point));
    }
    let is_float = |t: TensorId| graph.tensor(t).dtype == DType::F32;
    if pass.layers.is_empty() {
        return Err(unsupported(
            &graph.name,
            "no layer to compute".into(),
            "nothing to build",
        ));
    }
    Ok(Layers {
        input: pass.input_storage(*input),
        output: pass.storage_of[output.0],
        float_input: is_float(*input),
        float_output: is_float(*output),
        layers: pass.layers,
        tables: pass.tables,
        storage_of: pass.storage_of,
    })
}

fn unsupported(layer: &str, found: String, remedy: &str) -> PlanError {
    PlanError::Unsupported {
        layer: layer.into(),
        found,
        remedy: remedy.into(),
    }
}

struct Pass<'a> {
    graph: &'a QGraph,
    layers: Vec<HwLayer>,
    tables: Vec<[i8; 256]>,
    storage_of: Vec<TensorId>,
}

impl Pass<'_> {
    /// The graph input's own storage: behind a Quantize node it is the int8 tensor.
    fn input_storage(&self, input: TensorId) -> TensorId {
        let quantized = self
            .graph
            .nodes
            .iter()
            .find(|n| matches!(n.op, QOp::Quantize) && n.inputs[0] == input);
        quantized.map_or(input, |n| n.output)
    }

    fn node(&mut self, index: usize) -> Result<(), PlanError> {
        let node = &self.graph.nodes[index];
        let input = self.storage_of[node.inputs[0].0];
        self.check_form(node)?;
        match &node.op {
            QOp::Conv2d(c) => {
                let kind = convolution::kind(c, &node.source)?;
                self.push(index, input, kind, c.lower_is_activation);
            }
            QOp::FullyConnected(f) => {
                convolution::check_output(f.requant.len(), &node.source)?;
                let [h, w, _] = self.graph.tensor(input).hwc();
                let window = Window {
                    kernel: [h, w],
                    ..unit_window()
                };
                let kind = LayerKind::Dot {
                    window,
                    weights: convolution::centred(&f.weights, &f.weight_zero_points, &node.source)?,
                    bias: f.bias.clone(),
                    requant: f.requant.clone(),
                };
                self.push(index, input, kind, f.lower_is_activation);
            }
            QOp::MaxPool(window, clamp) => {
                self.push(index, input, LayerKind::Max(*window, *clamp), true);
            }
            QOp::AveragePool(window, rule) => {
                self.check_unpadded(node, window)?;
                self.push(index, input, LayerKind::Average(*window, *rule), true);
            }
            QOp::Softmax(rule) => {
                let [h, w, c] = self.graph.tensor(input).hwc();
                if h * w != 1 || c > 1024 {
                    return Err(unsupported(
                        &node.source,
                        format!("softmax over {c} classes at {h}x{w} positions"),
                        "the softmax unit takes one vector of at most 1024 classes",
                    ));
                }
                self.push(index, input, LayerKind::Softmax(*rule), true);
            }
            QOp::Lstm(op) => {
                if self.layers.iter().any(|l| l.lstm().is_some()) {
                    return Err(unsupported(
                        &node.source,
                        "a second LSTM".into(),
                        "the design has one LSTM unit; split the model between the two",
                    ));
                }
                let layer = lstm::layer(self.graph, node, op)?;
                self.push(index, input, LayerKind::Lstm(Box::new(layer)), false);
            }
            QOp::Table(table) => self.table(index, input, table),
            QOp::Binary(_) => self.add(index)?,
            QOp::ConvTranspose2d(_)
            | QOp::MatMul(_)
            | QOp::Transpose(_)
            | QOp::Concat(_)
            | QOp::Slice { .. }
            | QOp::Pad { .. }
            | QOp::Resize { .. }
            | QOp::Host(_) => {
                return Err(unsupported(
                    &node.source,
                    format!("{} has no hardware", node.op.kind()),
                    "the reference model computes it; the engine does not yet",
                ));
            }
            QOp::Reshape | QOp::Dequantize => self.storage_of[node.output.0] = input,
            QOp::Quantize => {}
        }
        Ok(())
    }

    /// A reshape moves nothing, so what follows it sees the stored form. Only a fully connected
    /// layer reads elements in their order, whatever the form.
    fn check_form(&self, node: &QNode) -> Result<(), PlanError> {
        let by_order = matches!(
            node.op,
            QOp::FullyConnected(_) | QOp::Reshape | QOp::Dequantize | QOp::Quantize
        );
        for &tensor in node.inputs.iter().filter(|_| !by_order) {
            let stored = self.graph.tensor(self.storage_of[tensor.0]);
            let ([h, w, c], [sh, sw, sc]) = (self.graph.tensor(tensor).hwc(), stored.hwc());
            if [h, w, c] != [sh, sw, sc] {
                return Err(unsupported(
                    &node.source,
                    format!(
                        "`{}`, stored as {sh}x{sw}x{sc}, is read as {h}x{w}x{c}",
                        stored.name
                    ),
                    "reshape only before a fully connected layer or at the output",
                ));
            }
        }
        Ok(())
    }

    /// An average whose window reaches into the padding divides by a count that varies.
    fn check_unpadded(&self, node: &QNode, window: &Window) -> Result<(), PlanError> {
        let [h, w, _] = self.graph.tensor(node.inputs[0]).hwc();
        let [oh, ow, _] = self.graph.tensor(node.output).hwc();
        let reach = |o: usize, s: usize, k: usize| (o - 1) * s + k;
        let inside = window.pad == [0, 0]
            && reach(oh, window.stride[0], window.kernel[0]) <= h
            && reach(ow, window.stride[1], window.kernel[1]) <= w;
        if inside {
            return Ok(());
        }
        Err(unsupported(
            &node.source,
            "an average pool whose window reaches into the padding".into(),
            "use VALID padding, or a depthwise convolution",
        ))
    }

    fn push(&mut self, index: usize, input: TensorId, kind: LayerKind, lower_is_activation: bool) {
        let node = &self.graph.nodes[index];
        self.layers.push(HwLayer {
            name: node.name.clone(),
            source: node.source.clone(),
            op: node.op.kind().to_string(),
            nodes: vec![index],
            kind,
            input,
            output: node.output,
            lower_is_activation,
            table: None,
            residual: None,
        });
    }

    /// The layer that alone produces `storage` for the node `consumer`, so that the consumer can
    /// move into its drain.
    fn fusable(&self, storage: TensorId, consumer: usize) -> Option<usize> {
        let layer = self.layers.iter().position(|l| l.output == storage)?;
        let aliases: Vec<TensorId> = (0..self.storage_of.len())
            .filter(|&t| self.storage_of[t] == storage)
            .map(TensorId)
            .collect();
        let alone = aliases.iter().all(|&t| {
            !self.graph.outputs.contains(&t)
                && self
                    .graph
                    .consumers(t)
                    .iter()
                    .all(|&n| n == consumer || matches!(self.graph.nodes[n].op, QOp::Reshape))
        });
        let takes_more = !self.layers[layer].is_unit() && self.layers[layer].residual.is_none();
        (alone && takes_more).then_some(layer)
    }

    fn fuse(&mut self, layer: usize, index: usize) {
        let node = &self.graph.nodes[index];
        let target = &mut self.layers[layer];
        target.op = format!("{}+{}", target.op, node.op.kind());
        target.nodes.push(index);
        target.output = node.output;
    }

    fn table(&mut self, index: usize, input: TensorId, table: &[i8; 256]) {
        self.tables.push(*table);
        let table_index = Some(self.tables.len() - 1);
        match self
            .fusable(input, index)
            .filter(|&l| self.layers[l].table.is_none())
        {
            Some(layer) => {
                self.fuse(layer, index);
                self.layers[layer].table = table_index;
            }
            None => {
                self.push(index, input, copy(), true);
                let last = self.layers.len() - 1;
                self.layers[last].table = table_index;
            }
        }
    }

    fn add(&mut self, index: usize) -> Result<(), PlanError> {
        let node = &self.graph.nodes[index];
        let QOp::Binary(rule) = &node.op else {
            unreachable!("called for Binary")
        };
        let [a, b] = [node.inputs[0], node.inputs[1]].map(|t| &self.graph.tensor(t).shape);
        if a != b {
            let remedy = "the adder takes two operands of the same shape";
            return Err(unsupported(
                &node.source,
                format!("shapes {a:?} and {b:?}"),
                remedy,
            ));
        }
        let solved = MulAdd::solve(rule).map_err(|source| PlanError::Numeric {
            layer: node.source.clone(),
            source,
        })?;
        let [a, b] = [node.inputs[0], node.inputs[1]].map(|t| self.storage_of[t.0]);
        let fusable_a = self.fusable(a, index).filter(|_| a != b);
        let fusable_b = self.fusable(b, index).filter(|_| a != b);
        // the operand that is computed last takes the other one as its residual
        let (layer, residual, swap) = match (fusable_a, fusable_b) {
            (la, Some(lb)) if la.is_none_or(|la| lb > la) && self.joins(lb, a) => (lb, a, true),
            (Some(la), _) if self.joins(la, b) => (la, b, false),
            _ => {
                self.push(index, a, copy(), true);
                let last = self.layers.len() - 1;
                self.layers[last].residual = Some(Residual {
                    tensor: b,
                    rule: solved,
                    lower_is_activation: rule.lower_is_activation,
                });
                return Ok(());
            }
        };
        self.fuse(layer, index);
        let rule_for_layer = if swap {
            MulAdd {
                a: solved.b,
                b: solved.a,
                ..solved
            }
        } else {
            solved
        };
        self.layers[layer].residual = Some(Residual {
            tensor: residual,
            rule: rule_for_layer,
            lower_is_activation: rule.lower_is_activation,
        });
        Ok(())
    }

    /// Layer `layer` can take `storage` as its residual: it is written before the layer runs, and
    /// it is not the layer's input as well (a buffer has one read port for both).
    fn joins(&self, layer: usize, storage: TensorId) -> bool {
        let writer = self.layers.iter().position(|l| l.output == storage);
        writer.is_none_or(|at| at < layer) && self.layers[layer].input != storage
    }
}

/// A 1x1 window with stride 1.
pub fn unit_window() -> Window {
    Window {
        kernel: [1, 1],
        stride: [1, 1],
        dilation: [1, 1],
        pad: [0, 0],
    }
}

/// The channel array as a copy.
fn copy() -> LayerKind {
    LayerKind::Max(unit_window(), Clamp { lo: -128, hi: 127 })
}

impl HwLayer {
    /// The window that the feeder walks; 1x1 for the units that read on their own.
    pub fn window(&self) -> Window {
        match &self.kind {
            LayerKind::Dot { window, .. } | LayerKind::Depthwise { window, .. } => *window,
            LayerKind::Max(window, _) | LayerKind::Average(window, _) => *window,
            LayerKind::Softmax(_) | LayerKind::Lstm(_) => unit_window(),
        }
    }

    /// How often the array walks a kernel position: twice where a weight needs more than the
    /// multiplier takes at once (see [`crate::weights::part`]).
    pub fn passes(&self) -> usize {
        let beyond = |least: i16, weights: &[i16]| weights.iter().any(|&w| w < least || w > 127);
        match &self.kind {
            LayerKind::Dot { weights, .. } => 1 + usize::from(beyond(-127, weights)),
            LayerKind::Depthwise { weights, .. } => 1 + usize::from(beyond(-128, weights)),
            _ => 1,
        }
    }

    /// Runs on the dot array.
    pub fn is_dot(&self) -> bool {
        matches!(self.kind, LayerKind::Dot { .. })
    }

    /// Runs on the channel array.
    pub fn is_channel(&self) -> bool {
        matches!(
            self.kind,
            LayerKind::Max(..) | LayerKind::Average(..) | LayerKind::Depthwise { .. }
        )
    }

    /// Runs on the channel array with weights.
    pub fn is_depthwise(&self) -> bool {
        matches!(self.kind, LayerKind::Depthwise { .. })
    }

    /// Compares the values of a window; a window of one value is copied by the sum.
    pub fn is_max(&self) -> bool {
        matches!(&self.kind, LayerKind::Max(window, _) if window.kernel != [1, 1])
    }

    /// Weights, bias and requantizer of every output channel, in layers that have them.
    pub fn weighted(&self) -> Option<Weighted<'_>> {
        match &self.kind {
            LayerKind::Dot {
                weights,
                bias,
                requant,
                ..
            }
            | LayerKind::Depthwise {
                weights,
                bias,
                requant,
                ..
            } => Some(Weighted {
                weights,
                bias,
                requant,
            }),
            _ => None,
        }
    }

    /// The LSTM unit's layer.
    pub fn lstm(&self) -> Option<&LstmLayer> {
        match &self.kind {
            LayerKind::Lstm(layer) => Some(layer),
            _ => None,
        }
    }

    /// Runs on a unit that reads and writes the buffers on its own, without feeder and drain.
    pub fn is_unit(&self) -> bool {
        self.is_softmax() || self.lstm().is_some()
    }

    /// Runs on the softmax unit.
    pub fn is_softmax(&self) -> bool {
        matches!(self.kind, LayerKind::Softmax(_))
    }
}
