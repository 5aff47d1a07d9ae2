//! Every block and cell: lint, and co-simulation of the printed text against `macforge-numeric`.

mod add_and_boundary;
mod attention_unit;
mod buffers;
mod channel_mul;
mod common;
mod fp16;
mod lstm_unit;
mod packed_mac;
mod quad_mac;
mod requant_lane;
mod softmax_unit;
mod typed;
mod weight_widen;
mod wide_lane;
