//! float32 to int8, in every bit as [`AffineParams::quantize_as`].
//!
//! The function is a staircase: monotone in its argument, with at most 256 values. Float32 bit
//! patterns become ordered integers (keys) when a negative number's bits are complemented and a
//! positive number's sign bit is set. So the whole of IEEE division and rounding is 255
//! thresholds on the keys, found by asking `numeric` itself, and the block is a binary search
//! over them: eight comparisons, one per stage, each with a threshold from a small table.

use crate::VerilogModule;
use crate::typed::{Expr, Header, Module, concat, constant, mux, repeat, signed, unsigned};
use macforge_numeric::{AffineParams, Clamp, Interval, Semantics, thresholds};

/// Cycles from `x` to `q_q`.
pub const LATENCY: usize = 10;

/// Key of minus infinity; smaller ones are NaNs.
const FIRST_KEY: i64 = 0x007f_ffff;
/// Key of plus infinity; larger ones are NaNs.
const LAST_KEY: i64 = 0xff80_0000;
/// A threshold that no number reaches.
const NEVER: i128 = 0xffff_ffff;

/// The float32 with an ordered key.
fn number(key: i64) -> f32 {
    let key = key as u32;
    f32::from_bits(if key >> 31 == 1 {
        key ^ 0x8000_0000
    } else {
        !key
    })
}

/// `result[i]`: the smallest key whose int8 is at least `i - 127`.
fn key_thresholds(params: AffineParams, semantics: Semantics) -> Vec<i128> {
    let quantize = |key: i64| Clamp::INT8.apply(params.quantize_as(semantics, number(key)));
    let range = Interval {
        lo: FIRST_KEY,
        hi: LAST_KEY,
    };
    let lowest = quantize(FIRST_KEY);
    let steps = thresholds(quantize, range);
    (-127..=127)
        .map(|q| match steps.iter().find(|&&(_, value)| value >= q) {
            _ if q <= lowest => 0,
            Some(&(key, _)) => key.into(),
            None => NEVER,
        })
        .collect()
}

/// The block `quantize_f32` for one tensor's parameters: `x` are float32 bits, `q_q` is int8.
pub fn module(params: AffineParams, semantics: Semantics) -> Module {
    let AffineParams { scale, zero_point } = params;
    let halves = match semantics {
        Semantics::OrtX86 => "half to even",
        _ => "half away from zero",
    };
    let mut m = Module::new(
        "quantize_f32",
        Header {
            purpose: "float32 to int8, by a binary search over 255 thresholds".into(),
            equation: format!(
                "q = clamp(round(x / {scale:e}) + {zero_point}), IEEE binary32 division,\n\
                 {halves}; NaN gives {zero_point}"
            ),
            latency: format!("{LATENCY}; initiation interval 1; never stalls"),
        },
    );
    let x = m.input("x", unsigned(32));
    let thresholds = key_thresholds(params, semantics);
    m.section("1: the key is ordered as the numbers are");
    let flip = concat(&[constant(unsigned(1), 1), repeat(&x.bit(31), 31)]);
    let mut key = m.register("key", &x.xor(&flip));
    let nan = x.slice(23, 8).all().and(&x.slice(0, 23).any());
    let mut nan = m.register("nan", &nan);
    let mut found: Option<Expr> = None;
    for k in 0..8u32 {
        m.section(&format!("{}: bit {} of q + 128", k + 2, 7 - k));
        let threshold = threshold(&mut m, k, found.as_ref(), &thresholds);
        let reached = key.less(&threshold).not();
        let bits = match &found {
            None => reached,
            Some(found) => concat(&[found.clone(), reached]),
        };
        found = Some(m.register(&format!("found{}", k + 1), &bits));
        nan = m.register(&format!("nan{}", k + 1), &nan);
        if k < 7 {
            key = m.register(&format!("key{}", k + 1), &key);
        }
    }
    m.section("10: back from q + 128");
    let found = found.expect("eight bits were found");
    let q = concat(&[found.bit(7).not(), found.slice(0, 7)]).as_signed();
    let of_nan = constant(signed(8), params.quantize(f32::NAN).into());
    let q = m.register("q", &mux(&nan, &of_nan, &q));
    m.output(&q);
    m
}

/// The printed block.
pub fn build(params: AffineParams, semantics: Semantics) -> VerilogModule {
    module(params, semantics).build()
}

/// Step `k`: with the top `k` bits of `q + 128` known, the next one is set from this key on.
fn threshold(m: &mut Module, k: u32, found: Option<&Expr>, thresholds: &[i128]) -> Expr {
    let step = 1 << (7 - k);
    let of_prefix = |prefix: usize| thresholds[prefix * 2 * step + step - 1];
    match found {
        None => constant(unsigned(32), of_prefix(0)),
        Some(found) => {
            let words: Vec<i128> = (0..1 << k).map(of_prefix).collect();
            m.table(&format!("threshold{}", k + 1), found, unsigned(32), &words)
        }
    }
}
