//! The plan and the order of the passes that make it.

use crate::activation_memory::{ActivationMemory, row_bursts};
use crate::allocate;
use crate::bits::BitWord;
use crate::cycles::{self, LayerCycles, Pipeline, latency, softmax_cycles};
use crate::error::PlanError;
use crate::explore::{self, Choice};
use crate::gather::{self, WeightPlace};
use crate::input::{self, InputMode};
use crate::layers::{HwLayer, LayerKind, Layers};
use crate::layout::{self, Layout, Placement};
use crate::loops::Loops;
use crate::lower::{Lowered, Saving};
use crate::macs;
use crate::memories::{self, Memories, Words};
use crate::narrow;
use crate::params::{self, ChannelConstants};
use crate::program::{self, Context, LayerProgram, Widths};
use crate::proof::{self, Proofs};
use crate::resources::{Budget, Estimate, Features, LstmSize};
use crate::shape::Shape;
use crate::stream::{BURST, WeightOptions, WeightStream};
use crate::units::Units;
use crate::{verify, weights};
use macforge_numeric::RequantRule;
use macforge_quant::QGraph;

/// Latencies of the hdl blocks that the plan needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockLatencies {
    /// Requantizer lane.
    pub requant: usize,
    /// Residual add lane.
    pub add: usize,
    /// What its exceptions add.
    pub pair_exceptions: usize,
    /// Softmax unit apart from its three passes.
    pub softmax_fixed: usize,
    /// A step of the LSTM unit apart from its products and their tree.
    pub lstm_step: usize,
    /// The same for a unit with FP16 state.
    pub fp16_lstm_step: usize,
    /// What a step takes longer with weights from the weight stream.
    pub lstm_ring: usize,
    /// One head of one query in the attention unit apart from its products, keys and channels.
    pub attention_row: usize,
    /// The attention unit apart from loading and rows.
    pub attention_fixed: usize,
}

impl BlockLatencies {
    /// Residual add of a design, with its exceptions where there are any.
    pub fn residual_add(&self, features: Features) -> usize {
        let exceptions = features.add_exceptions > 0;
        self.add + if exceptions { self.pair_exceptions } else { 0 }
    }
}

/// What the user may ask for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// The device.
    pub budget: Budget,
    /// Array shape; chosen by [`candidates`](crate::candidates) when absent.
    pub shape: Option<Shape>,
    /// All that is chosen, where it is known: a design is planned as it was.
    pub choice: Option<Choice>,
    /// Of the blocks that will be built.
    pub latencies: BlockLatencies,
    /// Where the weights may lie.
    pub weights: WeightOptions,
}

/// The hardware plan: all that codegen needs, and nothing that it has to decide.
#[derive(Clone, Debug, PartialEq)]
pub struct HwPlan {
    /// Model name.
    pub name: String,
    /// Engine shape.
    pub shape: Shape,
    /// How activation memory is saved.
    pub saving: Saving,
    /// Optional blocks.
    pub features: Features,
    /// Layers, tables and aliases.
    pub layers: Layers,
    /// Constants of softmax, LSTM and attention unit.
    pub units: Units,
    /// How the input is stored.
    pub input_mode: InputMode,
    /// Enumerated columns and storages.
    pub layout: Layout,
    /// Where every area lies, by [`StorageId`](crate::StorageId).
    pub placements: Vec<Placement>,
    /// Bank words per bank of each activation buffer.
    pub act_depths: [usize; 2],
    /// Weight words.
    pub weights: Vec<BitWord>,
    /// Parts of a weight word that have addresses of their own: 1, or 2 or 4 where steps with narrow weights
    /// share words.
    pub weight_parts: usize,
    /// Parameter words on chip.
    pub params: Vec<BitWord>,
    /// Words of the stream that hold the constants of its layers' tiles, in order.
    pub streamed_params: Vec<BitWord>,
    /// Field widths.
    pub widths: Widths,
    /// Program per layer.
    pub program: Vec<LayerProgram>,
    /// Proofs per layer.
    pub proofs: Vec<Proofs>,
    /// Multiply-accumulates per layer.
    pub macs: Vec<u64>,
    /// Estimated cycles per layer.
    pub cycles: Vec<LayerCycles>,
    /// Block RAM or LUTs, memory by memory.
    pub memories: Memories,
    /// How the weights come from memory; absent where they are on chip.
    pub stream: Option<WeightStream>,
    /// Where activations in memory lie; absent where all are on chip.
    pub activation_memory: Option<ActivationMemory>,
    /// Estimated resources.
    pub estimate: Estimate,
    /// Widest window sum in bits (channel array).
    pub channel_bits: usize,
    /// Block latencies that the plan was made for.
    pub latencies: BlockLatencies,
}

/// Runs all passes.
pub fn build(graph: &QGraph, options: &Options) -> Result<HwPlan, PlanError> {
    build_sets(&[graph], options)
}

/// Runs all passes for several quantizations of one network; each inference runs one of them.
///
/// # Errors
/// As [`build`]; the graphs do not have the same streams, or need what a design has once.
pub fn build_sets(graphs: &[&QGraph], options: &Options) -> Result<HwPlan, PlanError> {
    let lowered = Lowered::new(graphs, options.budget.dsp)?;
    let choice = explore::resolve_shape(&lowered, options)?;
    let shape = choice.shape;
    let layers = lowered.layers(shape.word, choice.saving)?.as_ref().clone();
    let plan = build_with_shape(graphs, layers, choice, options)?;
    let free = options.shape.is_none() && options.choice.is_none();
    if free && !plan.estimate.fits(&options.budget) {
        return Err(PlanError::NoFit(format!(
            "the best shape is {shape}: {:?}",
            plan.estimate
        )));
    }
    verify::verify(&plan)?;
    Ok(plan)
}

fn build_with_shape(
    graphs: &[&QGraph],
    layers: Layers,
    choice: Choice,
    options: &Options,
) -> Result<HwPlan, PlanError> {
    let Choice {
        shape,
        source,
        saving,
    } = choice;
    let features = features(&layers).placed(&shape, source);
    explore::check_shape(&layers, &shape, source)?;
    let input_mode = input::choose(&layers, &shape);
    let layout = layout::arrange(&layers, &input_mode, &shape)?;
    let placements = allocate::place(&layers, &layout, &shape);
    let act_depths = allocate::depths(&placements);
    let loops: Vec<Loops> = (layers.layers.iter().enumerate())
        .map(|(i, layer)| Loops::new(&shape, layer, &layout, i))
        .collect();
    let on_chip = (!source.streamed()).then(|| narrow::parts(&shape, &layers, &loops));
    let (weight_words, weight_bases) =
        weights::pack(&layers, &layout, &input_mode, &shape, on_chip);
    let weight_parts = on_chip.unwrap_or(1);
    let constants: Vec<Vec<ChannelConstants>> = layers
        .layers
        .iter()
        .map(|layer| params::constants(layer, shape.packing))
        .collect::<Result<_, _>>()?;
    let stream = (source.streamed())
        .then(|| WeightStream::new(&shape, &layers, &loops, features, &options.weights));
    let (mut param_words, mut streamed_params) = (Vec::new(), Vec::new());
    let mut param_bases: Vec<usize> = Vec::new();
    for (index, layer) in layers.layers.iter().enumerate() {
        let words = || {
            params::words(
                layer,
                &constants[index],
                &loops[index],
                shape.lanes,
                features,
            )
        };
        if let Some(stream) = stream.as_ref().filter(|s| s.layers[index].params > 0) {
            let words = words();
            let tiles = words.chunks(loops[index].drain_groups);
            let bits = shape.oc * shape.ic * 8;
            streamed_params.extend(tiles.flat_map(|tile| stream.param_words(tile, bits)));
            param_bases.push(0);
            continue;
        }
        if let Some(first) = layers.first_of(index) {
            param_bases.push(param_bases[first]);
            continue;
        }
        let words = words();
        let known = layers.known_words(index, &param_bases, &param_words, &words);
        param_bases.push(known.unwrap_or(param_words.len()));
        if known.is_none() {
            param_words.extend(words);
        }
    }
    let computed: Vec<WeightPlace> = (layers.layers.iter().zip(&weight_bases))
        .filter_map(|(layer, &base)| {
            let dot = layer.computed()?;
            Some(WeightPlace {
                slot: dot.slot,
                base,
                kernel: dot.window.kernel,
            })
        })
        .collect();
    let units = Units::new(&layers.layers);
    let activation_memory = (stream.as_ref())
        .and_then(|stream| ActivationMemory::new(&layers, &layout, &shape, stream.bus));
    let cx = Context {
        shape: &shape,
        layout: &layout,
        loops: &loops,
        placements: &placements,
        weight_bases: &weight_bases,
        weight_parts,
        param_bases: &param_bases,
        constants: &constants,
        features,
        computed: &computed,
        units: &units,
        stream: stream.as_ref(),
        memory: activation_memory.as_ref(),
    };
    let words = Words {
        activations: act_depths,
        params: param_words.len(),
    };
    let memory = (weight_words.len(), words);
    let widths = program::widths(&cx, &layers.layers, memory, layers.tables.len());
    let program: Vec<LayerProgram> = (0..layers.layers.len())
        .map(|i| program::layer_program(&cx, &widths, i, &layers.layers[i]))
        .collect();
    let proofs = prove_all(&layers, &layout, &input_mode, &constants, &shape)?;
    let latencies = &options.latencies;
    let of_stream = stream.as_ref();
    let mut cycles = layer_cycles(
        &layers, features, &loops, &layout, &shape, latencies, of_stream,
    );
    let macs = macs::of_layers(graphs, &layers);
    let program_bits = program[0].fields.iter().map(|f| f.width).sum();
    let (memories, estimate, stream) = if let Some(stream) = stream {
        let inputs = (stream, cycles.as_mut_slice());
        place_streamed(
            &shape,
            features,
            program_bits,
            words,
            inputs,
            &options.budget,
        )
    } else {
        let on_chip = ([weight_words.len(), weight_parts], words);
        let (memories, estimate) =
            memories::choose(&shape, features, program_bits, on_chip, &options.budget);
        (memories, estimate, None)
    };
    Ok(HwPlan {
        name: graphs[0].name.clone(),
        channel_bits: channel_bits(&layers, &constants, &proofs),
        latencies: options.latencies,
        shape,
        saving,
        features,
        layers,
        units,
        input_mode,
        layout,
        placements,
        act_depths,
        weights: weight_words,
        weight_parts,
        params: param_words,
        streamed_params,
        widths,
        program,
        proofs,
        macs,
        cycles,
        memories,
        stream,
        activation_memory,
        estimate,
    })
}

/// Memories of a plan with streamed weights; adds the waiting to its cycles.
fn place_streamed(
    shape: &Shape,
    features: Features,
    program_bits: usize,
    words: Words,
    (mut stream, cycles): (WeightStream, &mut [LayerCycles]),
    budget: &Budget,
) -> (Memories, Estimate, Option<WeightStream>) {
    let compute: Vec<u64> = cycles.iter().map(LayerCycles::total).collect();
    let of_stream = (&stream, compute.as_slice());
    let (memories, estimate, depth) =
        memories::choose_streamed(shape, features, program_bits, words, of_stream, budget);
    stream.depth = depth;
    for (cycles, stall) in cycles.iter_mut().zip(stream.stalls(depth, &compute)) {
        cycles.stall = stall;
    }
    (memories, estimate, Some(stream))
}

/// Which optional blocks the layers need, their weights on chip.
pub fn features(layers: &Layers) -> Features {
    let units = Units::new(&layers.layers);
    Features {
        add: layers.layers.iter().any(|l| l.residual.is_some()),
        add_exceptions: (layers.layers.iter())
            .filter_map(|l| Some(l.residual.as_ref()?.rule.exceptions.len()))
            .max()
            .unwrap_or(0),
        product_constants: (layers.layers.iter())
            .filter_map(|l| l.weighted())
            .flat_map(|w| w.requant)
            .any(|r| matches!(r.rule, RequantRule::MultiplyAdd { .. })),
        tables: layers.tables.len(),
        channel: layers.layers.iter().any(|l| l.is_channel()),
        max: layers.layers.iter().any(|l| l.is_max()),
        depthwise: layers.layers.iter().any(|l| l.multiplies_channels()),
        product: layers.layers.iter().any(|l| l.product().is_some()),
        wraps: layers.layers.iter().any(|l| l.wraps),
        acc_bits: layers.acc_bits,
        shifts: layers.shifts_sums(),
        halves: layers.layers.iter().any(|l| l.wide.output.is_some()),
        gather: layers.layers.iter().any(|l| l.gather().is_some()),
        computed: layers.layers.iter().any(|l| l.computed().is_some()),
        transfers: layers.areas.iter().any(|area| area.memory),
        softmax: units.softmax.len(),
        lstm: units.lstms(&layers.layers).next().map(|l| LstmSize {
            stored: units.lstm_stored(),
            ..l.size()
        }),
        attention: units.attentions(&layers.layers).next().map(|a| a.size),
    }
}

/// Cycles from the lanes' inputs to the write.
fn lane_path(latencies: &BlockLatencies, features: Features, layer: &HwLayer) -> usize {
    latencies.requant
        + usize::from(features.tables > 0)
        + if layer.residual.is_some() {
            latencies.residual_add(features)
        } else {
            0
        }
}

/// Cycles from the arrays' operands to the accumulators.
fn array_latency(shape: &Shape, layer: &HwLayer, features: Features) -> usize {
    if layer.is_dot() {
        latency::DOT + shape.packing.chain() - 1 + shape.tree_levels()
    } else if features.depthwise {
        latency::CHANNEL + latency::CHANNEL_MUL
    } else {
        latency::CHANNEL
    }
}

/// Cycles of every layer that does not wait for weights; `stream` brings them, if anything does.
pub fn layer_cycles(
    layers: &Layers,
    features: Features,
    loops: &[Loops],
    layout: &Layout,
    shape: &Shape,
    latencies: &BlockLatencies,
    stream: Option<&WeightStream>,
) -> Vec<LayerCycles> {
    let of_layer = |(index, (layer, loops)): (usize, (&HwLayer, &Loops))| {
        if layer.is_softmax() {
            return softmax_cycles(layer.output.hwc[2], latencies.softmax_fixed);
        }
        if let (Some(lstm), Some(size)) = (layer.lstm(), &features.lstm) {
            return lstm.cycles(size, shape.word, latencies);
        }
        if let Some(attention) = layer.attention() {
            return attention.cycles(shape.word, latencies);
        }
        if layer.gather().is_some() {
            return cycles::gather_cycles(gather::elements(shape, layer));
        }
        if let Some((stream, [region, _])) = stream.zip(layer.transfer()) {
            let storage = layout.storage(region.storage);
            let bursts = storage.hwc[0] * row_bursts(storage, shape, stream.bus);
            return cycles::transfer_cycles((bursts * BURST) as u64);
        }
        let pipeline = Pipeline {
            array: array_latency(shape, layer, features),
            lane_path: lane_path(latencies, features, layer),
            reduce: layout.views[index].reduce,
        };
        let mut cycles = cycles::estimate(shape, loops, pipeline);
        cycles.busy += stream.map_or(0, |s| s.param_cycles(index));
        cycles
    };
    layers
        .layers
        .iter()
        .zip(loops)
        .enumerate()
        .map(of_layer)
        .collect()
}

fn prove_all(
    layers: &Layers,
    layout: &Layout,
    mode: &InputMode,
    constants: &[Vec<ChannelConstants>],
    shape: &Shape,
) -> Result<Vec<Proofs>, PlanError> {
    layers
        .layers
        .iter()
        .enumerate()
        .map(|(i, layer)| {
            if let Some(lstm) = layer.lstm() {
                return lstm.prove(&layer.source);
            }
            let kernel = weights::kernel(layers, layout, mode, shape.packing, i);
            proof::prove(layer, &constants[i], kernel.as_ref(), shape)
        })
        .collect()
}

/// Bits of the channel array's widest sum, at least those of a product and its carry.
fn channel_bits(layers: &Layers, constants: &[Vec<ChannelConstants>], proofs: &[Proofs]) -> usize {
    let sums = layers.layers.iter().enumerate().map(|(i, layer)| {
        let of_channels = proofs[i].channels.iter().zip(&constants[i]);
        match &layer.kind {
            LayerKind::Average { window: w, .. } => 128 * (w.kernel[0] * w.kernel[1]) as u64,
            LayerKind::Product(p) => {
                128 * (128
                    + p.weights
                        .iter()
                        .map(|w| u64::from(w.unsigned_abs()))
                        .sum::<u64>())
            }
            // the reach has the bias, which the sum has not
            LayerKind::Depthwise { .. } => of_channels
                .map(|(proof, c)| {
                    let (lo, hi) = (proof.reach.lo - c.bias, proof.reach.hi - c.bias);
                    lo.unsigned_abs().max(hi.unsigned_abs())
                })
                .max()
                .unwrap_or(0),
            _ => 0,
        }
    });
    let widest = sums.max().unwrap_or(0);
    (64 - widest.leading_zeros() as usize + 1).max(17)
}

impl HwPlan {
    /// Accumulators that the drain takes per pixel.
    pub fn accumulators_per_pixel(&self) -> usize {
        self.shape.accumulators(self.features)
    }

    /// Bits of a lane's bias in the parameter words, and how many of them are a fraction.
    pub fn bias_bits(&self) -> [usize; 2] {
        let all = params::bias_bits(self.features);
        [all, all - self.features.acc_bits as usize]
    }

    /// Sum of the layers' estimates, without those that run after a reset only; of the first set.
    pub fn estimated_cycles(&self) -> u64 {
        self.estimated_cycles_of(0)
    }

    /// The same of a set.
    pub fn estimated_cycles_of(&self, set: usize) -> u64 {
        let each = self.cycles[self.layers.sets[set].clone()].iter();
        each.map(LayerCycles::total).sum()
    }
}
