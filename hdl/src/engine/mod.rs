//! The engine: one output-stationary dot-product array driven by a static program.
//!
//! The modules below are parametric Verilog with generate loops; [`Engine::render`] adds the
//! top module, which binds them to one shape, one program format and one set of optional blocks.
//! Compute cells (`packed_mac`, `lane_split`, `quad_mac`, `pool_max`, `channel_mul`, `requant_lane`, `add_lane`,
//! `softmax_unit`, `quantize_f32`, `dequantize_f32`) come from [`crate::blocks`] and
//! [`crate::cells`].
//!
//! | module | does |
//! | --- | --- |
//! | `sequencer`, `axil_registers` | program, control, status, counters |
//! | `input_unpack`, `input_direct`, `input_folded` | stream to activation buffer |
//! | `activation_buffer`, `act_ram` | banked activation memory |
//! | `feeder`, `lane_agu`, `word_select` | addresses, rotator, padding |
//! | `dot_array`, `mac_column`, `lut_mac`, `sum_tree` | packed MACs and accumulators |
//! | `nibbles`, `quad_column` | four products of 4-bit operands per DSP |
//! | `channel_array` | pooling, depthwise convolution |
//! | `drain`, `drain_unit`, `drain_walker` | requantizer lanes, table, residual add, write back |
//! | `pair_exceptions` | pairs on which the residual add is off by one |
//! | [`lstm`] | LSTM unit |
//! | [`attention`] | attention unit |
//! | `softmax_port` | softmax unit on the buffers |
//! | `gather_unit`, `weight_ram` | transposed tensors, products of two computed ones |
//! | `weight_widen` | 2 and 4-bit weights on chip to 8 bits |
//! | `weight_stream`, `axi_reader`, `weight_unpack`, `crc32_step`, `weight_ring` | weights from memory |
//! | `activation_port`, `activation_writer`, `activation_reader`, `region_walk`, `beat_fifo` | activations in memory |
//! | `output_walk`, `output_pack` | activation buffer to stream |

pub mod attention;
pub(crate) mod constants;
pub mod lstm;
pub mod lstm_constants;

pub use attention::{AttentionConstants, AttentionUnit};
pub use lstm::LstmUnit;

use crate::VerilogModule;
use crate::blocks::{dequantize_f32, quantize_f32};
use macforge_numeric::quad_packing;
use serde::Serialize;
use tera::{Context, Tera};

/// Cycles from `rd_en` to `rd_data` at the softmax unit's port (see `softmax_port`).
pub const SOFTMAX_READ_LATENCY: usize = 5;

/// Cycles by which `pair_exceptions` lengthens the residual add.
pub const PAIR_EXCEPTIONS_LATENCY: usize = 1;

/// Modules that every design has, with their text.
const COMMON: [(&str, &str); 17] = [
    ("pixel_walker", include_str!("pixel_walker.v")),
    ("bank_step", include_str!("bank_step.v")),
    ("delay_line", include_str!("delay_line.v")),
    ("word_select", include_str!("word_select.v")),
    ("act_ram", include_str!("act_ram.v")),
    ("activation_buffer", include_str!("activation_buffer.v")),
    ("lane_agu", include_str!("lane_agu.v")),
    ("feeder", include_str!("feeder.v.tera")),
    ("sum_tree", include_str!("sum_tree.v")),
    ("mac_column", include_str!("mac_column.v")),
    ("dot_array", include_str!("dot_array.v")),
    ("drain_walker", include_str!("drain_walker.v")),
    ("sequencer", include_str!("sequencer.v.tera")),
    ("axil_registers", include_str!("axil_registers.v.tera")),
    ("output_walk", include_str!("output_walk.v")),
    ("input_direct", include_str!("input_direct.v")),
    ("input_folded", include_str!("input_folded.v")),
];

/// Those of these and of [`STREAM`] that are templates: what they have for several precisions, or for narrow
/// weights, is not in other designs.
const TEMPLATES: [&str; 5] = [
    "sequencer",
    "axil_registers",
    "feeder",
    "axi_reader",
    "weight_stream",
];

/// A slice of the program word.
#[derive(Clone, Debug, Serialize)]
pub struct FieldSlice {
    /// Name without the `f_` prefix.
    pub name: String,
    /// Bits.
    pub width: usize,
    /// First bit.
    pub offset: usize,
    /// Signed in Verilog.
    pub signed: bool,
}

/// A port block (input loader or output walker) with its Verilog parameters.
#[derive(Clone, Debug, Serialize)]
pub struct PortBlock {
    /// Module name.
    pub module: String,
    /// Ends the instance name; empty where there is one block of the kind.
    pub suffix: String,
    /// One line that says which tensor.
    pub comment: String,
    /// The stream carries uint8: the top bit is inverted.
    pub unsigned: bool,
    /// Activation buffer, 0 or 1.
    pub buffer: usize,
    /// Parameter names and values.
    pub params: Vec<(String, i64)>,
}

/// Modules of a design whose weights come from memory, with their text.
const STREAM: [(&str, &str); 6] = [
    ("param_ring", include_str!("param_ring.v")),
    ("axi_reader", include_str!("axi_reader.v.tera")),
    ("crc32_step", include_str!("crc32_step.v")),
    ("weight_unpack", include_str!("weight_unpack.v")),
    ("weight_ring", include_str!("weight_ring.v")),
    ("weight_stream", include_str!("weight_stream.v.tera")),
];

/// Modules of a design with activations in memory.
const MEMORY: [(&str, &str); 5] = [
    ("beat_fifo", include_str!("beat_fifo.v")),
    ("region_walk", include_str!("region_walk.v")),
    ("activation_writer", include_str!("activation_writer.v")),
    ("activation_reader", include_str!("activation_reader.v")),
    ("activation_port", include_str!("activation_port.v")),
];

/// The port for activations in memory; its bus is that of the weights'.
#[derive(Clone, Debug, Serialize)]
pub struct ActivationPort {
    /// Its number, behind those of the weights.
    pub port: usize,
    /// First page behind WEIGHT_BASE.
    pub page: usize,
    /// Width of a number of bursts.
    pub burst_width: usize,
    /// The input that goes to memory.
    pub input: Option<MemoryInput>,
}

/// An input that goes to memory.
#[derive(Clone, Debug, Serialize)]
pub struct MemoryInput {
    /// Which one.
    pub index: usize,
    /// Its first burst.
    pub burst: usize,
    /// Words of a row.
    pub row_words: usize,
}

/// A read port of the weight stream.
#[derive(Clone, Debug, Serialize)]
pub struct ReadPort {
    /// Its number.
    pub index: usize,
    /// What it reads in an inference of each precision.
    pub regions: Vec<ReadRegion>,
}

/// A region of the weight image.
#[derive(Clone, Debug, Serialize)]
pub struct ReadRegion {
    /// Bursts of 16 beats.
    pub bursts: usize,
    /// First page in the image.
    pub page: usize,
}

/// Weights from memory.
#[derive(Clone, Debug, Serialize)]
pub struct Stream {
    /// Data bits of a port: 32 or 64.
    pub bus: usize,
    /// Beats of a weight word, all ports.
    pub beats: usize,
    /// Words of the ring.
    pub depth: usize,
    /// One to four ports.
    pub ports: Vec<ReadPort>,
    /// Parameter words in a weight word; 0 where they are on chip.
    pub param_entries: usize,
    /// Weight words in a parameter word; one of both numbers is 1.
    pub param_parts: usize,
    /// Places for parameter words, a power of two.
    pub param_slots: usize,
}

/// Everything that the top module depends on; widths in bits, counts in their own units.
#[derive(Clone, Debug, Serialize)]
pub struct Engine {
    /// Name of the top module.
    pub top: String,
    /// Pixel lanes.
    pub p: usize,
    /// Output channels per tile.
    pub oc: usize,
    /// Input channels per step.
    pub ic: usize,
    /// Accumulators that the drain takes per pixel.
    pub ac: usize,
    /// Pixels that the drain handles at once.
    pub q: usize,
    /// Requantizer lanes of each.
    pub d: usize,
    /// Bytes of an activation word; channels of the channel array.
    pub wb: usize,
    /// Segments of an activation word.
    pub nseg: usize,
    /// Longest DSP chain.
    pub chain: usize,
    /// DSP chains that are built of LUTs.
    pub fabric: usize,
    /// Four products of 4-bit operands per DSP.
    pub quad: bool,
    /// Layers have activations of eight bits there, in two parts.
    pub quad_parts: bool,
    /// Levels of the adder tree.
    pub tree_levels: usize,
    /// Bank index width.
    pub rw: usize,
    /// Activation address width.
    pub aw: usize,
    /// Coordinate width.
    pub xw: usize,
    /// Counter width.
    pub nw: usize,
    /// Pixel counter width.
    pub pw: usize,
    /// Weight address width.
    pub waw: usize,
    /// Parameter address width.
    pub paw: usize,
    /// Accumulator width.
    pub accw: usize,
    /// Bias width.
    pub biasw: usize,
    /// Words per bank of each activation buffer.
    pub act_depths: [usize; 2],
    /// Weight words.
    pub weight_depth: usize,
    /// Of these, words in LUTs at the end (the rest is then a multiple of 512).
    pub weight_tail: usize,
    /// Parts of a weight word that have addresses of their own: 1, or 2 or 4 with narrow weights.
    pub weight_parts: usize,
    /// The weights come from memory.
    pub stream: Option<Stream>,
    /// Activations in memory.
    pub memory: Option<ActivationPort>,
    /// Parameter words on chip.
    pub param_depth: usize,
    /// Parameter memory in LUTs.
    pub params_distributed: bool,
    /// Layers of the program.
    pub layers: usize,
    /// Program word format.
    pub fields: Vec<FieldSlice>,
    /// Layers that run after a reset only.
    pub reset_layers: usize,
    /// First and last layer of each precision that a register chooses from; empty in designs with one.
    pub sets: Vec<[usize; 2]>,
    /// Input loaders, in the order of the streams.
    pub inputs: Vec<PortBlock>,
    /// Output walkers, in the order of the streams.
    pub outputs: Vec<PortBlock>,
    /// float32 input stream.
    pub float_input: bool,
    /// float32 output stream.
    pub float_output: bool,
    /// Channel array present.
    pub has_channel: bool,
    /// Width of the channel array's sums, at least 17.
    pub channel_width: usize,
    /// The channel array takes maxima.
    pub has_max: bool,
    /// The channel array multiplies.
    pub has_depthwise: bool,
    /// It multiplies two tensors.
    pub has_product: bool,
    /// Activation tables.
    pub tables: usize,
    /// Residual add present.
    pub has_add: bool,
    /// Longest list of pairs on which a residual add is off by one.
    pub add_exceptions: usize,
    /// Lanes that give bytes of accumulators.
    pub has_wrap: bool,
    /// Steps that count 2^8 or 2^16 times: int16 inputs or weights.
    pub has_wide: bool,
    /// Lanes for accumulators of more than 25 bits.
    pub has_wide_lane: bool,
    /// Lanes that give bytes of int16 values.
    pub has_halves: bool,
    /// Gather unit present.
    pub has_gather: bool,
    /// It writes weights.
    pub has_computed: bool,
    /// Width of a channel index within an activation word.
    pub lane_width: usize,
    /// Address width of what the gather unit writes to.
    pub target_width: usize,
    /// Sets of constants of the softmax unit; 0 without one.
    pub softmax_constants: usize,
    /// LSTM unit.
    pub lstm: Option<LstmUnit>,
    /// Attention unit.
    pub attention: Option<AttentionUnit>,
    /// Latency of `requant_lane`.
    pub lane_latency: usize,
    /// Latency of the residual add.
    pub add_latency: usize,
    /// One line per layer for the header of the top module.
    pub layer_comments: Vec<String>,
}

/// Bits that count `values` different things; at least one.
fn index_bits(values: usize) -> usize {
    values.next_power_of_two().trailing_zeros().max(1) as usize
}

impl Engine {
    /// The engine's modules; the last one is the top.
    ///
    /// # Errors
    /// A template does not render; that is a defect of the template.
    pub fn render(&self) -> Result<Vec<VerilogModule>, tera::Error> {
        let common = COMMON.iter().filter(|(name, _)| self.uses(name));
        let mut modules: Vec<VerilogModule> = common
            .map(|&(name, text)| self.module(name, text))
            .collect::<Result<_, tera::Error>>()?;
        if self.fabric > 0 {
            modules.push(module("lut_mac", include_str!("lut_mac.v")));
        }
        if self.quad {
            modules.push(module("nibbles", include_str!("nibbles.v")));
            modules.push(quad_column()?);
        }
        if self.add_exceptions > 0 {
            let text = include_str!("pair_exceptions.v");
            modules.push(module("pair_exceptions", text));
        }
        modules.push(VerilogModule {
            name: "drain_unit".into(),
            text: render(include_str!("drain_unit.v.tera"), &self.context()?)?,
        });
        modules.push(VerilogModule {
            name: "drain".into(),
            text: render(include_str!("drain.v.tera"), &self.context()?)?,
        });
        if self.has_channel {
            modules.push(VerilogModule {
                name: "channel_array".into(),
                text: render(include_str!("channel_array.v.tera"), &self.context()?)?,
            });
        }
        if self.has_gather {
            modules.push(VerilogModule {
                name: "gather_unit".into(),
                text: render(include_str!("gather_unit.v.tera"), &self.context()?)?,
            });
        }
        if self.softmax_constants > 0 {
            modules.push(module("softmax_port", include_str!("softmax_port.v")));
        }
        if let Some(lstm) = &self.lstm {
            modules.extend(lstm.render()?);
        }
        if let Some(attention) = &self.attention {
            if self.lstm.is_none() {
                modules.push(lstm::writer());
            }
            modules.extend(attention.render(self.wb)?);
        }
        modules.push(if self.float_input {
            module("quantize_stream", include_str!("quantize_stream.v"))
        } else {
            module("input_unpack", include_str!("input_unpack.v"))
        });
        modules.push(if self.float_output {
            module("dequantize_stream", include_str!("dequantize_stream.v"))
        } else {
            module("output_pack", include_str!("output_pack.v"))
        });
        if let Some(stream) = &self.stream {
            let needed = STREAM
                .iter()
                .filter(|(name, _)| *name != "param_ring" || stream.param_entries > 0);
            for &(name, text) in needed {
                modules.push(self.module(name, text)?);
            }
        } else if self.has_computed {
            modules.push(module("weight_ram", include_str!("weight_ram.v")));
        } else if self.weight_tail > 0 {
            modules.push(module("weight_rom", include_str!("weight_rom_split.v")));
        } else {
            modules.push(rom("weight_rom", "weights.mem", "block")?);
        }
        if self.memory.is_some() {
            modules.extend(MEMORY.map(|(name, text)| module(name, text)));
        }
        if self.weight_parts > 1 {
            modules.push(weight_widen());
        }
        let style = if self.params_distributed {
            "distributed"
        } else {
            "block"
        };
        modules.push(rom("param_rom", "params.mem", style)?);
        if self.tables > 0 {
            let mut context = Context::new();
            context.insert("tables", &self.tables);
            context.insert("index_width", &index_bits(self.tables));
            let text = render(include_str!("activation_table.v.tera"), &context)?;
            modules.push(VerilogModule {
                name: "activation_table".into(),
                text,
            });
        }
        let text = render(include_str!("top.v.tera"), &self.context()?)?;
        modules.push(VerilogModule {
            name: self.top.clone(),
            text,
        });
        Ok(modules)
    }

    /// A module with this text, or what its template gives for this design.
    fn module(&self, name: &str, text: &str) -> Result<VerilogModule, tera::Error> {
        if TEMPLATES.contains(&name) {
            Ok(module(name, &render(text, &self.context()?)?))
        } else {
            Ok(module(name, text))
        }
    }

    fn uses(&self, name: &str) -> bool {
        match name {
            "mac_column" => !self.quad,
            _ => !name.starts_with("input_") || self.inputs.iter().any(|i| i.module == name),
        }
    }

    fn context(&self) -> Result<Context, tera::Error> {
        let mut context = Context::from_serialize(self)?;
        let part_width = self.weight_parts.trailing_zeros();
        let weight_on = match part_width {
            0 => "1'b1".to_string(),
            _ => format!("{{{{(WAW-{}){{1'b0}}}}, weight_step}}", part_width + 1),
        };
        context.insert("narrow", &(part_width > 0));
        context.insert("part_width", &part_width);
        context.insert("weight_on", &weight_on);
        context.insert("subw", &index_bits(self.nseg.max(self.wb / self.ic)));
        context.insert("lane_levels", &self.p.next_power_of_two().trailing_zeros());
        context.insert("quantize_latency", &quantize_f32::LATENCY);
        context.insert("dequantize_latency", &dequantize_f32::LATENCY);
        context.insert("liw", &index_bits(self.layers));
        context.insert("siw", &index_bits(self.sets.len()));
        context.insert("dw", &self.fields.iter().map(|f| f.width).sum::<usize>());
        context.insert("has_table_bit", &u8::from(self.tables > 0));
        context.insert("has_max_bit", &u8::from(self.has_max));
        context.insert("has_depthwise_bit", &u8::from(self.has_depthwise));
        context.insert("has_add_bit", &u8::from(self.has_add));
        context.insert("table_index_width", &index_bits(self.tables));
        context.insert("softmax_lane_width", &index_bits(self.wb));
        context.insert("has_softmax", &(self.softmax_constants > 0));
        let lstm = self.lstm.as_ref().map_or(0, LstmUnit::constants);
        let attention = self.attention.as_ref().map_or(0, |a| a.constants.len());
        for (name, constants) in [
            ("softmax_number", self.softmax_constants),
            ("lstm_number", lstm),
            ("attention_number", attention),
        ] {
            context.insert(name, &constants::width(constants));
        }
        context.insert("has_lstm", &self.lstm.is_some());
        let ring_bits = self.lstm.as_ref().map_or(0, LstmUnit::ring_bits);
        context.insert("lstm_ring_bits", &ring_bits);
        context.insert("has_attention", &self.attention.is_some());
        let depth = self.stream.as_ref().map_or(2, |s| s.depth);
        let ports = self.stream.iter().flat_map(|s| &s.ports);
        let bursts = ports.flat_map(|p| &p.regions).map(|r| r.bursts).max();
        let weight_ports = self.stream.as_ref().map_or(0, |s| s.ports.len());
        let hp_ports = weight_ports + usize::from(self.memory.is_some());
        context.insert("hp_ports", &hp_ports);
        context.insert("burst_width", &index_bits(bursts.unwrap_or(1)));
        context.insert("ring_index_width", &index_bits(depth));
        context.insert("ring_count_width", &index_bits(depth + 1));
        let [entries, slots] =
            (self.stream.as_ref()).map_or([0, 1], |s| [s.param_entries, s.param_slots]);
        context.insert("param_entries", &entries);
        context.insert("param_slot_width", &index_bits(slots));
        Ok(context)
    }
}

/// Dot products of two pixels with two output channels, with the constants of its packing.
///
/// # Errors
/// The template does not render; that is a defect of the template.
pub fn quad_column() -> Result<VerilogModule, tera::Error> {
    let mut context = Context::new();
    context.insert("field", &quad_packing::FIELD_BITS);
    context.insert("activations", &quad_packing::ACTIVATIONS_BITS);
    context.insert("start", &quad_packing::START);
    context.insert("chain", &quad_packing::MAX_CHAIN);
    context.insert("operand", &quad_packing::OPERAND_BITS);
    let text = render(include_str!("quad_column.v.tera"), &context)?;
    Ok(module("quad_column", &text))
}

/// One of the modules that every design has with the same text.
pub fn common(name: &str) -> Option<VerilogModule> {
    let mut fixed = COMMON.iter().filter(|(n, _)| !TEMPLATES.contains(n));
    let found = fixed.find(|(n, _)| *n == name)?;
    Some(module(found.0, found.1))
}

/// Narrow weights on chip to 8 bits; needs `delay_line`.
pub fn weight_widen() -> VerilogModule {
    module("weight_widen", include_str!("weight_widen.v"))
}

fn module(name: &str, text: &str) -> VerilogModule {
    VerilogModule {
        name: name.to_string(),
        text: text.to_string(),
    }
}

fn rom(name: &str, file: &str, style: &str) -> Result<VerilogModule, tera::Error> {
    let mut context = Context::new();
    context.insert("name", name);
    context.insert("file", file);
    context.insert("style", style);
    let text = render(include_str!("rom.v.tera"), &context)?;
    Ok(VerilogModule {
        name: name.to_string(),
        text,
    })
}

fn render(template: &str, context: &Context) -> Result<String, tera::Error> {
    Tera::one_off(template, context, false)
}
