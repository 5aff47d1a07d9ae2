//! The AXI4-Lite register map of a macforge system (byte addresses).

/// Identification, reads [`ID_VALUE`].
pub(crate) const ID: u32 = 0x000;
pub(crate) const ID_VALUE: u32 = 0x4D46_4731;
/// Bit 0: enable.
pub(crate) const CONTROL: u32 = 0x004;
/// Bit 0: busy.
pub(crate) const STATUS: u32 = 0x008;
/// Cycles of the last inference.
pub(crate) const CYCLES: u32 = 0x00C;
/// Inferences done since reset.
pub(crate) const INFERENCES: u32 = 0x010;
/// Cycles in which the input stream kept the design waiting.
pub(crate) const INPUT_STALL: u32 = 0x014;
/// Cycles in which the output stream kept the design waiting.
pub(crate) const OUTPUT_STALL: u32 = 0x018;
/// Number of layers.
pub(crate) const LAYERS: u32 = 0x01C;
/// Address of the weight image (designs that read their weights from memory).
pub(crate) const WEIGHT_BASE: u32 = 0x020;
/// Code, port and block of the error that stopped the design.
pub(crate) const ERROR: u32 = 0x024;
/// Which precision the next inference runs (designs that have several).
pub(crate) const PRECISION: u32 = 0x028;
/// Cycles of layer `i` at `LAYER_CYCLES + 4 * i`.
pub(crate) const LAYER_CYCLES: u32 = 0x400;
/// Saturated results of layer `i` at `LAYER_SATURATIONS + 4 * i`.
pub(crate) const LAYER_SATURATIONS: u32 = 0x800;
/// Cycles in which layer `i` waited for weights at `LAYER_STALLS + 4 * i`.
pub(crate) const LAYER_STALLS: u32 = 0xC00;
/// Layers that the map has room for.
pub(crate) const MAX_LAYERS: u32 = (LAYER_SATURATIONS - LAYER_CYCLES) / 4;
