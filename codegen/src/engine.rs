//! The plan's numbers as parameters of the engine's modules.

use macforge_hdl::engine::{Engine, FieldSlice, LstmUnit, PortBlock};
use macforge_plan::{ACC_BITS, HwPlan, InputMode, LANE_BITS, LstmLayer, Placement};
use macforge_quant::QGraph;

/// Bits of a lane's parameters besides the bias: multiplier, shift, double rounding.
const LANE_BITS_WITHOUT_BIAS: usize = 31 + 6 + 1;

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
        d: shape.lanes,
        wb: shape.word,
        nseg: shape.segments(),
        chain: shape.chain(),
        tree_levels: shape.tree_levels(),
        rw: plan.widths.bank,
        aw: plan.widths.address,
        xw: plan.widths.coordinate,
        nw: plan.widths.counter,
        pw: plan.widths.pixels,
        waw: plan.widths.weight,
        paw: plan.widths.param,
        accw: ACC_BITS as usize,
        biasw: LANE_BITS - LANE_BITS_WITHOUT_BIAS,
        act_depth: plan.act_depth,
        weight_depth: plan.weights.len().max(1),
        param_depth: plan.params.len().max(1),
        weight_tail: plan.memories.weight_tail,
        params_distributed: plan.memories.params_distributed,
        layers: plan.program.len(),
        fields,
        input: input(plan, graph),
        output: output(plan, graph),
        float_input: plan.layers.float_input,
        float_output: plan.layers.float_output,
        has_channel: plan.features.channel,
        channel_width: plan.channel_bits,
        has_max: plan.features.max,
        has_depthwise: plan.features.depthwise,
        tables: plan.features.tables,
        has_add: plan.features.add,
        has_softmax: plan.features.softmax,
        lstm: plan
            .layers
            .layers
            .iter()
            .find_map(|l| Some(lstm(l.lstm()?))),
        lane_latency: plan.latencies.requant,
        add_latency: plan.latencies.add,
        layer_comments: layer_comments(plan),
    }
}

/// The LSTM unit of a recurrent layer.
fn lstm(layer: &LstmLayer) -> LstmUnit {
    let size = layer.size();
    LstmUnit::new(
        [size.inputs, size.units, layer.length],
        [size.parallel, size.interval()],
        &layer.lstm.rule,
        &layer.tables,
    )
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

/// Quotient and remainder of the flat distance from a row's last pixel to the next row's first.
fn row_step(plan: &HwPlan, placement: &Placement, columns: usize) -> [(String, i64); 2] {
    let jump = placement.storage.pitch - columns + 1;
    [
        ("ROW_QUOT".to_string(), (jump / plan.shape.p) as i64),
        ("ROW_REM".to_string(), (jump % plan.shape.p) as i64),
    ]
}

fn number(name: &str, value: usize) -> (String, i64) {
    (name.to_string(), value as i64)
}

fn input(plan: &HwPlan, graph: &QGraph) -> PortBlock {
    let tensor = graph.tensor(plan.layers.input);
    let placement = &plan.placements[&plan.layers.input];
    let [rows, columns, channels] = tensor.hwc();
    let mut params = vec![
        number("BASE", placement.base),
        number("PLANE", placement.storage.plane),
        number("ROWS", rows),
    ];
    let module = match plan.input_mode {
        InputMode::Direct => {
            params.extend([number("COLS", columns), number("CHANNELS", channels)]);
            params.extend(row_step(plan, placement, columns));
            "input_direct"
        }
        InputMode::Folded {
            kernel_w,
            stride,
            pad,
            columns: out_columns,
            pad_value,
            ..
        } => {
            let (row, before) = (columns * channels, pad * channels);
            let reach = ((out_columns - 1) * stride + kernel_w) * channels;
            params.extend([
                number("OUT_COLS", out_columns),
                number("ROW_BYTES", row),
                number("PAD_BYTES", before),
                number("WINDOW", kernel_w * channels),
                number("STEP", stride * channels),
                number("SPAN", reach.max(before + row)),
                ("PAD_VALUE".to_string(), i64::from(pad_value as u8)),
            ]);
            params.extend(row_step(plan, placement, out_columns));
            "input_folded"
        }
    };
    PortBlock {
        module: module.to_string(),
        comment: format!(
            "input tensor {} {rows}x{columns}x{channels}",
            one_line(&tensor.name)
        ),
        buffer: placement.buffer,
        params,
    }
}

fn output(plan: &HwPlan, graph: &QGraph) -> PortBlock {
    let tensor = graph.tensor(plan.layers.output);
    let placement = &plan.placements[&plan.layers.output];
    let [rows, columns, channels] = tensor.hwc();
    let mut params = vec![
        number("BASE", placement.base),
        number("PLANE", placement.storage.plane),
        number("ROWS", rows),
        number("COLS", columns),
        number("CHANNELS", channels),
    ];
    params.extend(row_step(plan, placement, columns));
    PortBlock {
        module: "output_walk".to_string(),
        comment: format!(
            "output tensor {} {rows}x{columns}x{channels}",
            one_line(&tensor.name)
        ),
        buffer: placement.buffer,
        params,
    }
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
