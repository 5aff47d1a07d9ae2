//! The plan's numbers as parameters of the engine's modules.

use macforge_hdl::engine::lstm::Datapath;
use macforge_hdl::engine::lstm_constants::{CellConstants, LstmConstants};
use macforge_hdl::engine::{
    ActivationPort, AttentionConstants, AttentionUnit, Engine, FieldSlice, LstmUnit, MemoryInput,
    PortBlock, ReadPort, ReadRegion, Stream,
};
use macforge_plan::{
    Distance, HwPlan, InputMode, LstmLayer, LstmTables, PAGE, Packing, Port, Region, WeightStream,
};
use macforge_quant::{DType, LstmArithmetic, QGraph};

/// The engine of a plan.
pub fn engine(plan: &HwPlan, graph: &QGraph, top: &str) -> Engine {
    let shape = &plan.shape;
    let fields = plan.program[0]
        .fields
        .iter()
        .map(|f| FieldSlice {
            name: f.name.to_string(),
            width: f.width,
            offset: f.offset,
            signed: f.signed,
        })
        .collect();
    Engine {
        top: top.to_string(),
        p: shape.p,
        oc: shape.oc,
        ic: shape.ic,
        ac: plan.accumulators_per_pixel(),
        q: shape.drained,
        d: shape.lanes,
        wb: shape.word,
        nseg: shape.segments(),
        chain: shape.chain(),
        fabric: shape.fabric,
        quad: shape.packing == Packing::Four,
        quad_parts: shape.packing == Packing::Four
            && plan.program.iter().any(|l| l.loops.passes > 1),
        tree_levels: shape.tree_levels(),
        rw: plan.widths.bank,
        aw: plan.widths.address,
        xw: plan.widths.coordinate,
        nw: plan.widths.counter,
        pw: plan.widths.pixels,
        waw: plan.widths.weight,
        paw: plan.widths.param,
        accw: plan.features.acc_bits as usize,
        biasw: plan.bias_bits()[0],
        act_depths: plan.act_depths,
        weight_depth: plan.weights.len().max(1),
        param_depth: plan.params.len().max(1),
        weight_tail: plan.memories.weight_tail,
        weight_parts: plan.weight_parts,
        stream: plan.stream.as_ref().map(stream),
        memory: memory(plan),
        params_distributed: plan.memories.params_distributed,
        layers: plan.program.len(),
        fields,
        reset_layers: plan.layers.reset_layers,
        sets: sets(plan),
        inputs: ports(&plan.layers.inputs, |port| input(plan, graph, port)),
        outputs: ports(&plan.layers.outputs, |port| output(plan, graph, port)),
        float_input: plan.layers.inputs.iter().any(|p| p.float),
        float_output: plan.layers.outputs.iter().any(|p| p.float),
        has_channel: plan.features.channel,
        channel_width: plan.channel_bits,
        has_max: plan.features.max,
        has_depthwise: plan.features.depthwise,
        has_product: plan.features.product,
        tables: plan.features.tables,
        has_add: plan.features.add,
        add_exceptions: plan.features.add_exceptions,
        has_wrap: plan.features.wraps,
        has_wide: plan.features.shifts,
        has_wide_lane: plan.features.has_wide_lanes(),
        has_halves: plan.features.halves,
        has_gather: plan.features.gather,
        has_computed: plan.features.computed,
        lane_width: plan.widths.lane,
        target_width: plan.widths.target,
        softmax_constants: plan.features.softmax,
        lstm: lstm(plan),
        attention: attention(plan),
        lane_latency: plan.latencies.requant,
        add_latency: plan.latencies.residual_add(plan.features),
        layer_comments: layer_comments(plan),
    }
}

/// First and last layer of each precision, where there are several.
fn sets(plan: &HwPlan) -> Vec<[usize; 2]> {
    let sets = plan
        .layers
        .sets
        .iter()
        .filter(|_| plan.layers.sets.len() > 1);
    sets.map(|set| [set.start, set.end - 1]).collect()
}

/// The weight stream's ports.
fn stream(stream: &WeightStream) -> Stream {
    let ports = 0..stream.slices.len();
    Stream {
        bus: stream.bus,
        beats: stream.slices.iter().sum(),
        depth: stream.depth,
        ports: ports
            .map(|port| ReadPort {
                index: port,
                regions: (0..stream.sets.len())
                    .map(|set| ReadRegion {
                        bursts: stream.bursts(set, port),
                        page: stream.first_page(set, port),
                    })
                    .collect(),
            })
            .collect(),
        param_entries: stream.param_entries,
        param_parts: stream.param_parts,
        param_slots: stream.param_slots,
    }
}

/// The port of the activations in memory, which lie behind the weights.
fn memory(plan: &HwPlan) -> Option<ActivationPort> {
    let (stream, memory) = plan.stream.as_ref().zip(plan.activation_memory.as_ref())?;
    Some(ActivationPort {
        port: stream.slices.len(),
        page: stream.image_bytes() / PAGE,
        burst_width: plan.widths.bursts,
        input: memory.input.as_ref().map(|input| MemoryInput {
            index: input.index,
            burst: input.burst,
            row_words: input.row_words,
        }),
    })
}

const ONE_ARITHMETIC: &str = "the planner gives a unit layers of one arithmetic";

/// The LSTM unit, if there is one.
fn lstm(plan: &HwPlan) -> Option<LstmUnit> {
    let size = plan.features.lstm?;
    let layers: Vec<&LstmLayer> = plan.units.lstms(&plan.layers.layers).collect();
    let first = layers.first()?;
    let [weights, params] = &plan.units.lstm_parts;
    let part = |number: usize| match size.parts {
        // streamed weights have no memory
        Some(_) => [0, params[number]],
        None => [weights[number], params[number]],
    };
    let numbered = layers.iter().enumerate();
    let datapath = match &first.tables {
        LstmTables::Integer(tables) => Datapath::Integer {
            constants: numbered
                .map(|(number, layer)| LstmConstants {
                    parts: part(number),
                    output: match &layer.lstm.rule {
                        LstmArithmetic::Integer(rule) => CellConstants::new(rule, tables)
                            .expect("the planner makes the tables of all cell states"),
                        LstmArithmetic::Fp16(_) => unreachable!("{ONE_ARITHMETIC}"),
                    },
                })
                .collect(),
            functions: tables.base.len(),
            table_block: tables.block_bits,
            delta_width: tables.delta_bits,
        },
        LstmTables::Fp16(_) => Datapath::Fp16(
            numbered
                .map(|(number, layer)| LstmConstants {
                    parts: part(number),
                    output: match &layer.lstm.rule {
                        LstmArithmetic::Fp16(rule) => rule.output,
                        LstmArithmetic::Integer(_) => unreachable!("{ONE_ARITHMETIC}"),
                    },
                })
                .collect(),
        ),
    };
    let sizes = [size.inputs, size.units, first.length];
    let shape = [size.parallel, size.interval()];
    Some(LstmUnit::new(sizes, shape, datapath).streamed(size.parts))
}

/// The attention unit, if there is one.
fn attention(plan: &HwPlan) -> Option<AttentionUnit> {
    let size = plan.features.attention?;
    let constants = plan
        .units
        .attentions(&plan.layers.layers)
        .map(|layer| AttentionConstants {
            zero_points: layer.zero_points,
            rule: layer.rule,
        });
    Some(AttentionUnit {
        queries: size.queries,
        keys: size.keys,
        heads: size.heads,
        width: size.width,
        parallel: size.parallel(plan.shape.word),
        constants: constants.collect(),
    })
}

fn layer_comments(plan: &HwPlan) -> Vec<String> {
    let layers = plan.layers.layers.iter().zip(&plan.program).enumerate();
    layers
        .map(|(i, (layer, program))| {
            format!(
                "layer {i}: {} {} ({}), {} tiles x {} pixel groups x {} steps",
                layer.name,
                layer.op,
                one_line(&layer.source),
                program.loops.tiles,
                program.loops.groups,
                program.loops.steps()
            )
        })
        .collect()
}

/// One block per stream, numbered where there are several.
fn ports(streams: &[Port], block: impl Fn(&Port) -> PortBlock) -> Vec<PortBlock> {
    let mut blocks: Vec<PortBlock> = streams.iter().map(block).collect();
    if blocks.len() > 1 {
        for (number, block) in blocks.iter_mut().enumerate() {
            block.suffix = format!("_{number}");
        }
    }
    blocks
}

/// First bank word and the walk over a region whose stored rows have `columns` pixels.
fn walk(plan: &HwPlan, region: &Region, columns: usize) -> Vec<(String, i64)> {
    let placement = &plan.placements[region.storage.0];
    let storage = &placement.storage;
    let flat = |d: Distance| d.flat(storage.pitch) as i64;
    let p = plan.shape.p as i64;
    let word = region.channel / plan.shape.word;
    let base = (placement.base + word * storage.plane) as i64;
    let start = flat(region.start);
    let (row, column) = (flat(region.row), flat(region.column));
    let jump = row - (columns as i64 - 1) * column;
    // addresses are added modulo their width
    let modulus = 1i64 << plan.widths.address;
    let named = [
        ("BASE", base + start / p),
        ("PLANE", storage.plane as i64),
        ("START_REM", start % p),
        ("STEP_QUOT", (column / p).rem_euclid(modulus)),
        ("STEP_REM", column % p),
        ("ROW_QUOT", jump.div_euclid(p).rem_euclid(modulus)),
        ("ROW_REM", jump.rem_euclid(p)),
    ];
    named.map(|(name, value)| (name.to_string(), value)).into()
}

fn number(name: &str, value: usize) -> (String, i64) {
    (name.to_string(), value as i64)
}

fn block(plan: &HwPlan, graph: &QGraph, port: &Port, what: &str) -> PortBlock {
    let [rows, columns, channels] = port.region.hwc;
    PortBlock {
        module: String::new(),
        suffix: String::new(),
        comment: format!(
            "{what} tensor {} {rows}x{columns}x{channels}",
            one_line(&graph.tensor(port.tensor).name)
        ),
        unsigned: port.unsigned && !port.float,
        buffer: plan.placements[port.region.storage.0].buffer_bit(),
        params: vec![number("ROWS", rows)],
    }
}

fn input(plan: &HwPlan, graph: &QGraph, port: &Port) -> PortBlock {
    let mut block = block(plan, graph, port, "input");
    let [_, columns, channels] = port.region.hwc;
    match plan.input_mode {
        InputMode::Folded {
            area,
            fold,
            stride,
            pad,
            columns: out_columns,
            pad_value,
            ..
        } if area == port.region.storage => {
            block.module = "input_folded".into();
            let (row, before) = (columns * channels, pad * channels);
            let reach = ((out_columns - 1) * stride + fold) * channels;
            block.params.extend([
                number("OUT_COLS", out_columns),
                number("ROW_BYTES", row),
                number("PAD_BYTES", before),
                number("WINDOW", fold * channels),
                number("STEP", stride * channels),
                number("SPAN", reach.max(before + row)),
                ("PAD_VALUE".to_string(), i64::from(pad_value as u8)),
            ]);
            if graph.tensor(port.tensor).dtype == DType::I16 {
                block.params.push(number("PAIRS", 1));
            }
            block.params.extend(walk(plan, &port.region, out_columns));
        }
        _ => {
            block.module = "input_direct".into();
            (block.params).extend([number("COLS", columns), number("CHANNELS", channels)]);
            block.params.extend(walk(plan, &port.region, columns));
        }
    }
    block
}

fn output(plan: &HwPlan, graph: &QGraph, port: &Port) -> PortBlock {
    let mut block = block(plan, graph, port, "output");
    let [_, columns, channels] = port.region.hwc;
    block.module = "output_walk".into();
    (block.params).extend([number("COLS", columns), number("CHANNELS", channels)]);
    block.params.extend(walk(plan, &port.region, columns));
    block
}

/// Names come from model files: anything but printable ASCII could end the Verilog comment, and
/// fused layers carry the names of all their origins.
pub fn one_line(name: &str) -> String {
    const MOST: usize = 60;
    let printable = |c: char| {
        if c == ' ' || c.is_ascii_graphic() {
            c
        } else {
            '_'
        }
    };
    let cut: String = name.chars().take(MOST).map(printable).collect();
    if cut.chars().count() < name.chars().count() {
        cut + ".."
    } else {
        cut
    }
}
