//! The compute blocks: fixed-latency pipelines that accept new operands every cycle, and the
//! sequential softmax unit.
//!
//! | block | computes |
//! | --- | --- |
//! | [`packed_mac`] | two int8 multiply-accumulates in one DSP48E1 |
//! | [`quad_mac`] | four 4-bit multiply-accumulates in one DSP48E1 |
//! | [`channel_mul`] | product of two int8 values in LUTs |
//! | [`requant_lane`] | accumulator to int8 ([`macforge_numeric::LaneConstants`]) |
//! | [`add_lane`] | residual addition ([`macforge_numeric::MulAdd`]) |
//! | [`quantize_f32`], [`dequantize_f32`] | float32 to int8 and back ([`AffineParams`]) |
//! | [`fp16`] | IEEE binary16 arithmetic and conversions ([`macforge_numeric::Fp16`]) |
//! | [`high_product`] | gemmlowp's rounding doubling high product |
//! | [`softmax_unit`] | softmax of a vector ([`SoftmaxRule`]) |

pub mod add_lane;
mod booth;
pub mod channel_mul;
mod clamp;
pub mod dequantize_f32;
pub mod fp16;
pub mod high_product;
pub mod packed_mac;
pub mod quad_mac;
pub mod quantize_f32;
pub mod requant_lane;
mod shift;
pub mod softmax_unit;
mod tie;

pub use requant_lane::RequantLane;

use crate::{HdlError, VerilogModule, cells, engine};
use macforge_numeric::{AffineParams, Semantics, SoftmaxRule};

/// Which cells and blocks a design needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// Rounding rules of the requantizer lanes, and of float32 inputs.
    pub semantics: Semantics,
    /// Bits of an accumulator.
    pub acc_bits: u32,
    /// Bits of a bias.
    pub bias_bits: u32,
    /// Bits of its fraction, see [`RequantLane`].
    pub fraction_bits: u32,
    /// Lanes that give bytes of accumulators, see [`RequantLane`].
    pub wraps: bool,
    /// Lanes that give bytes of int16 values, see [`RequantLane`].
    pub halves: bool,
    /// Four products of 4-bit operands per DSP.
    pub quad: bool,
    /// Maximum over a window.
    pub max: bool,
    /// Products in LUTs: depthwise convolution, or chains that there are no DSPs for.
    pub lut_products: bool,
    /// Residual addition.
    pub add: bool,
    /// Rules of the softmax unit, by number; none without one.
    pub softmax: Vec<SoftmaxRule>,
    /// LSTM unit.
    pub lstm: Option<LstmCells>,
    /// Attention unit.
    pub attention: bool,
    /// float32 input, with the parameters of the int8 input tensor.
    pub quantize: Option<AffineParams>,
    /// float32 output, with the parameters of the int8 output tensor.
    pub dequantize: Option<AffineParams>,
}

/// What an LSTM unit is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LstmCells {
    /// gemmlowp's high product.
    Integer,
    /// The FP16 lane.
    Fp16,
}

/// The modules of a selection: the MAC array's and the requantizer lane's always, others on
/// request.
///
/// # Errors
/// A block refuses its parameters.
pub fn compute_cells(selection: &Selection) -> Result<Vec<VerilogModule>, HdlError> {
    let Selection {
        semantics,
        acc_bits,
        bias_bits,
        fraction_bits,
        wraps,
        halves,
        ..
    } = *selection;
    let lane = RequantLane {
        semantics,
        acc_bits,
        bias_bits,
        fraction_bits,
        wraps,
        halves,
    };
    let mut modules = if selection.quad {
        quad_mac::build().to_vec()
    } else {
        vec![packed_mac::build(), cells::lane_split()]
    };
    modules.push(lane.build()?);
    if selection.max {
        modules.push(cells::pool_max());
    }
    if selection.lut_products {
        modules.push(channel_mul::build());
    }
    if selection.add {
        modules.push(add_lane::build());
    }
    if !selection.softmax.is_empty() {
        let (rules, latency) = (&selection.softmax, engine::SOFTMAX_READ_LATENCY);
        modules.extend(softmax_unit::build(rules, latency)?);
    }
    match selection.lstm {
        // softmax has brought it
        Some(LstmCells::Integer) if !selection.softmax.is_empty() => {}
        Some(LstmCells::Integer) => modules.push(high_product::module().build()),
        Some(LstmCells::Fp16) => modules.extend(fp16::build()),
        None => {}
    }
    if selection.attention {
        let there = |m: &VerilogModule| modules.iter().any(|other| other.name == m.name);
        let missing = fp16::attention().into_iter().filter(|m| !there(m));
        let missing: Vec<_> = missing.collect();
        modules.extend(missing);
    }
    modules.extend(
        selection
            .quantize
            .map(|q| quantize_f32::build(q, semantics)),
    );
    modules.extend(selection.dequantize.map(dequantize_f32::build));
    Ok(modules)
}
