//! `Quant`, `BipolarQuant`, `MultiThreshold`: real values become integers of a few bits.

use std::sync::Arc;

use macforge_numeric::{Interval, Number, Rounding, Step, step};

use super::constant::{Constant, Data};
use super::value::{Chain, Levels, Value};
use super::{At, Pass};
use crate::QuantError;

/// Parameters of a `Quant` node, as the QONNX operator reference states them.
struct Quant {
    bounds: Interval,
    rounding: Rounding,
    zero_point: i64,
}

impl Pass<'_> {
    pub(super) fn quant(&mut self, at: &At) -> Result<Value, QuantError> {
        let quant = self.quant_parameters(at)?;
        let scale = self.constant(at, 1)?.clone();
        let steps = |s: f32| {
            let mut steps = Vec::new();
            if s != 1.0 {
                steps.push(Step::Divide(Number::Float(s)));
            }
            if quant.zero_point != 0 {
                steps.push(Step::Add(Number::Float(quant.zero_point as f32)));
            }
            steps.push(Step::Round(quant.rounding));
            steps
        };
        match self.value(at, 0)?.clone() {
            Value::Constant(x) => {
                let (data, scales) = quantized(at, &x, &scale, |s, x| {
                    let level = step::apply_steps(&steps(s), x).to_f32() as i64;
                    let Interval { lo, hi } = quant.bounds;
                    level.clamp(lo, hi) - quant.zero_point
                })?;
                Ok(Value::Constant(Constant {
                    shape: x.shape,
                    data: Data::Float(data),
                    scales: Some(scales),
                }))
            }
            Value::Chain(mut chain) => {
                let scale = positive(at, one_scale(at, &scale)?)?;
                chain.become_real();
                for step in steps(scale) {
                    chain.push(|_| step.clone(), 1);
                }
                chain.levels = Some(Levels {
                    scale,
                    zero_point: quant.zero_point,
                    bounds: quant.bounds,
                });
                Ok(Value::Chain(chain))
            }
        }
    }

    fn quant_parameters(&self, at: &At) -> Result<Quant, QuantError> {
        let whole = |index: usize, what: &str| {
            let value = self.constant(at, index)?.scalar();
            let value = value.filter(|v| v.fract() == 0.0 && v.abs() <= 65536.0);
            value.ok_or_else(|| at.error(format!("{what} that is no whole number"), "one integer"))
        };
        let zero_point = whole(2, "a zero point")? as i64;
        let bits = whole(3, "a bit width")? as i64;
        if !(1..=8).contains(&bits) {
            return Err(at.error(format!("{bits} bits"), "1 to 8"));
        }
        let (signed, narrow) = (
            at.node.int("signed").unwrap_or(1) == 1,
            i64::from(at.node.int("narrow").unwrap_or(0) == 1),
        );
        let (lo, hi) = match signed {
            // a signed bit is -1 or 1, which BipolarQuant states
            true if bits == 1 => {
                return Err(at.error("a signed Quant of one bit", "BipolarQuant"));
            }
            true => (-(1 << (bits - 1)) + narrow, (1 << (bits - 1)) - 1),
            false => (0, (1 << bits) - 1 - narrow),
        };
        let mode = at
            .node
            .text("rounding_mode")
            .unwrap_or("ROUND")
            .to_uppercase();
        let rounding = match mode.as_str() {
            "ROUND" | "HALF_EVEN" => Rounding::HalfEven,
            "FLOOR" => Rounding::Floor,
            "CEIL" => Rounding::Ceil,
            "ROUND_TO_ZERO" | "DOWN" => Rounding::ToZero,
            "UP" => Rounding::Away,
            "HALF_UP" => Rounding::HalfUp,
            "HALF_DOWN" => Rounding::HalfDown,
            _ => return Err(at.error(format!("rounding mode {mode}"), "one of QONNX")),
        };
        Ok(Quant {
            bounds: Interval::new(lo, hi),
            rounding,
            zero_point,
        })
    }

    pub(super) fn bipolar(&mut self, at: &At) -> Result<Value, QuantError> {
        let scale = self.constant(at, 1)?.clone();
        match self.value(at, 0)?.clone() {
            Value::Constant(x) => {
                let sign = |_, x| Step::Sign.apply(x).to_f32() as i64;
                let (data, scales) = quantized(at, &x, &scale, sign)?;
                Ok(Value::Constant(Constant {
                    shape: x.shape,
                    data: Data::Float(data),
                    scales: Some(scales),
                }))
            }
            Value::Chain(chain) => {
                let scale = positive(at, one_scale(at, &scale)?)?;
                let mut chain = chain.then(Step::Sign);
                chain.levels = Some(Levels {
                    scale,
                    zero_point: 0,
                    bounds: Interval::new(-1, 1),
                });
                Ok(Value::Chain(chain))
            }
        }
    }

    /// `out_scale * #{thresholds of the channel at or below x} + out_bias`.
    pub(super) fn multi_threshold(&mut self, at: &At) -> Result<Value, QuantError> {
        let mut chain = self.chain(at, 0)?;
        let table = self.constant(at, 1)?;
        let &[rows, count] = table.shape.as_slice() else {
            return Err(at.error(
                format!("thresholds of shape {:?}", table.shape),
                "two dimensions",
            ));
        };
        let layout = at.node.text("data_layout").unwrap_or("NCHW");
        if ![1, chain.channels()].contains(&rows) || !(1..=255).contains(&count) || layout != "NCHW"
        {
            let found = format!("{rows} rows of {count} thresholds, layout {layout}");
            return Err(at.error(
                found,
                "one row, or one per channel, of 1 to 255; layout NCHW",
            ));
        }
        let values = table.reals();
        if values.chunks(count).any(|row| !row.is_sorted()) {
            return Err(at.error("thresholds out of order", "rows that never decrease"));
        }
        let levels: Vec<Arc<[f32]>> = values.chunks(count).map(Arc::from).collect();
        chain.push(|channel| Step::Count(levels[channel].clone()), rows);
        let scale = positive(at, at.node.float("out_scale").unwrap_or(1.0))?;
        let bias = at.node.float("out_bias").unwrap_or(0.0);
        Ok(Value::Chain(scaled_count(at, chain, count, scale, bias)?))
    }
}

/// Levels of `scale * count + bias`: counts where the bias is a multiple of the scale, otherwise
/// multiples of a fraction of it.
fn scaled_count(
    at: &At,
    mut chain: Chain,
    count: usize,
    scale: f32,
    bias: f32,
) -> Result<Chain, QuantError> {
    let fits = |parts: i64| {
        let offset = bias / (scale / parts as f32);
        (offset.fract() == 0.0 && offset.abs() < 256.0).then_some((parts, offset as i64))
    };
    let Some((parts, offset)) = [1, 2, 4, 8].into_iter().find_map(fits) else {
        let found = format!("out_scale {scale} and out_bias {bias}");
        return Err(at.error(found, "a bias that is a multiple of an eighth of the scale"));
    };
    if parts > 1 {
        chain.push_on_levels(Step::Multiply(Number::Float(parts as f32)));
    }
    if offset != 0 {
        chain.push_on_levels(Step::Add(Number::Float(offset as f32)));
    }
    chain.levels = Some(Levels {
        scale: scale / parts as f32,
        zero_point: 0,
        bounds: Interval::new(offset, parts * count as i64 + offset),
    });
    Ok(chain)
}

/// Integers of a constant, with the scale of each element.
fn quantized(
    at: &At,
    x: &Constant,
    scale: &Constant,
    level: impl Fn(f32, Number) -> i64,
) -> Result<(Vec<f32>, Vec<f32>), QuantError> {
    let mut levels = Vec::with_capacity(x.len());
    let mut scales = Vec::with_capacity(x.len());
    for index in 0..x.len() {
        let Some(own) = scale.broadcast_index(&x.shape, index) else {
            let found = format!("scales of shape {:?} for {:?}", scale.shape, x.shape);
            return Err(at.error(found, "shapes that broadcast"));
        };
        let s = positive(at, scale.number(own).to_f32())?;
        levels.push(level(s, x.number(index)) as f32);
        scales.push(s);
    }
    Ok((levels, scales))
}

fn one_scale(at: &At, scale: &Constant) -> Result<f32, QuantError> {
    let values = scale.reals();
    match values.first() {
        Some(&first) if values.iter().all(|&v| v == first) => Ok(first),
        _ => Err(at.error("an activation with several scales", "one scale per tensor")),
    }
}

fn positive(at: &At, scale: f32) -> Result<f32, QuantError> {
    if scale.is_normal() && scale > 0.0 {
        return Ok(scale);
    }
    Err(at.error(format!("scale {scale}"), "a positive normal float32"))
}
