//! The integer arithmetic contract of macforge: every rounding rule, stated once.
//!
//! The reference model calls these rules, the planner proves its bounds with them, and the
//! hardware is built from the constants they produce. The crate depends on nothing else of the
//! project and knows neither networks nor hardware.
//!
//! | module | states |
//! | --- | --- |
//! | [`mod@format`] | affine parameters, float32 to int8 and back, clamps, the names of the semantics |
//! | [`interval`] | interval arithmetic and the reachable range of an accumulator |
//! | [`dynamic`] | ONNX's DynamicQuantizeLinear |
//! | [`fixed`] | gemmlowp's fixed-point primitives and TFLite's multiplier encoding |
//! | [`requant`] | the requantizers: accumulator to int8 or int16 |
//! | [`thresholds`] | any other non-decreasing accumulator function, given by its steps |
//! | [`lane`] | the one integer formula that the hardware lane evaluates for all of them |
//! | [`step`] | scalar steps of a float32 or int64 chain between two integer tensors |
//! | [`float_rows`] | float32 functions of a row, which a host computes behind the last integers |
//! | [`solve_lane`] | lane constants for a general staircase |
//! | [`staircase`] | equality of two monotone step functions, proved from their thresholds |
//! | [`packing`] | two int8 products in one wide multiplier, and when the low one overflows |
//! | [`quad_packing`] | four products of 4-bit numbers in one wide multiplier |
//! | [`binary`] | rules of two operands: TFLite's ADD, SUB, MUL, onnxruntime's, minimum and maximum |
//! | [`mul_add`] | a weighted sum's proved form as one multiply-add |
//! | [`product`] | a product's proved form as a requantizer of the integer product |
//! | [`extremum`] | minimum and maximum as the larger of two table values |
//! | [`float_functions`] | onnxruntime's float32 element-wise functions |
//! | [`pool`] | average pooling |
//! | [`transcendental`] | gemmlowp's exponential, logistic function and tanh on fixed point |
//! | [`softmax`] | TFLite's int8 softmax |
//! | [`half_table`] | 16-bit functions as tables, proved on every input |
//! | [`fp16`] | IEEE binary16 by its bits: arithmetic, conversions, functions |
//! | [`fp16_lstm`] | an LSTM with int8 weights, FP16 gates and cell state |
//! | [`attention`] | attention with int8 operands, FP16 scores and exponentials |
//! | [`lstm`] | TFLite's LSTM with int8 activations and an int16 cell state |
//! | [`mean`] | TFLite's MEAN as a requantizer of the sum |
//! | [`unary`] | TFLite's LOGISTIC, TANH, HARD_SWISH, LEAKY_RELU, PRELU |
//! | [`table`] | any unary int8 function as 256 entries |

pub mod attention;
pub mod binary;
pub mod dynamic;
pub mod error;
pub mod extremum;
pub mod fixed;
pub mod float_functions;
pub mod float_rows;
pub mod format;
pub mod fp16;
pub mod fp16_lstm;
pub mod half_table;
pub mod interval;
pub mod lane;
pub mod lstm;
pub mod mean;
pub mod mul_add;
pub mod packing;
pub mod pool;
pub mod product;
pub mod quad_packing;
pub mod requant;
mod requant_row;
pub mod softmax;
pub mod solve_constant;
mod solve_lane;
pub mod staircase;
pub mod step;
pub mod table;
pub mod thresholds;
pub mod transcendental;
pub mod unary;

pub use attention::AttentionRule;
pub use binary::{BinaryFunction, BinaryRule, FloatOperation, WeightedSum};
pub use error::NumericError;
pub use extremum::Extremum;
pub use format::{AffineParams, Clamp, Semantics};
pub use fp16::{Fp16, Fp16Factor, Fp16Quantizer, Fp16Tables};
pub use fp16_lstm::Fp16LstmRule;
pub use half_table::HalfTables;
pub use interval::{Interval, accumulator_interval, partial_sum_interval};
pub use lane::{FRACTION_BITS, FRACTION_PLACES, LaneConstants, TieWindow};
pub use lstm::LstmRule;
pub use mean::mean_requantizer;
pub use mul_add::{MulAdd, PairException, PairSum};
pub use pool::AveragePoolRule;
pub use product::Product;
pub use requant::{RequantRule, Requantizer};
pub use requant_row::RequantRow;
pub use softmax::SoftmaxRule;
pub use solve_lane::{SolvedLane, StaircaseChannel, solve_lanes};
pub use staircase::{
    StaircaseCounterexample, StaircaseProof, prove_equal, prove_equal_functions, thresholds,
};
pub use step::{Direction, Number, Rounding, Step};
pub use thresholds::Thresholds;
