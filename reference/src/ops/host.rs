//! Work of the host in float32, in front of the first integers and behind the last ones.

use macforge_numeric::step::apply_steps;
use macforge_numeric::{Clamp, Number, Step, float_rows};
use macforge_quant::{HostOp, QTensor, Window};
use ndarray::{ArrayD, IxDyn};

use super::{Context, Output};
use crate::error::ReferenceError;
use crate::value::Value;

pub(super) fn eval(cx: &Context, op: &HostOp) -> Result<Output, ReferenceError> {
    let value = match op {
        HostOp::Steps(steps) => {
            let numbers = numbers(cx)?;
            Value::F32(stepped(&numbers, steps).mapv(Number::to_f32))
        }
        HostOp::Quantize(steps, clamp) => return quantize(cx, steps, *clamp),
        HostOp::FullyConnected {
            weights,
            out_channels,
        } => {
            let x: Vec<f32> = cx.input_f32(0)?.iter().copied().collect();
            cx.expect("number of weights", weights.len(), x.len() * out_channels)?;
            let rows = weights.chunks_exact(x.len().max(1));
            shaped(cx, rows.map(|row| dot(row, &x)).collect())?
        }
        HostOp::Conv2d {
            window,
            weights,
            out_channels,
        } => conv2d(cx, window, weights, *out_channels)?,
        HostOp::Softmax => rows(cx, float_rows::softmax)?,
        HostOp::LogSoftmax => rows(cx, float_rows::log_softmax)?,
        HostOp::Sigmoid => Value::F32(cx.input_f32(0)?.mapv(float_rows::sigmoid)),
        HostOp::ArgMax => {
            let x = cx.input_f32(0)?;
            let found: Vec<i32> = each_row(x)
                .map(|r| float_rows::arg_max(&r) as i32)
                .collect();
            let shape = IxDyn(&output(cx).shape);
            let count = found.len();
            Value::I32(ArrayD::from_shape_vec(shape, found).map_err(|_| mismatch(cx, count))?)
        }
        HostOp::Select(index) => {
            let picked = each_row(cx.input_f32(0)?).map(|row| row.get(*index).copied());
            let picked: Option<Vec<f32>> = picked.collect();
            shaped(cx, picked.unwrap_or_default())?
        }
    };
    Ok(Output {
        value,
        saturations: 0,
    })
}

fn output<'a>(cx: &Context<'a>) -> &'a QTensor {
    cx.graph.tensor(cx.node.output)
}

/// The input as scalars of a chain.
fn numbers(cx: &Context) -> Result<ArrayD<Number>, ReferenceError> {
    Ok(match cx.input_value(0)?.1 {
        Value::I8(x) => x.mapv(|q| Number::Integer(q.into())),
        Value::I16(x) => x.mapv(|q| Number::Integer(q.into())),
        Value::I32(x) => x.mapv(|q| Number::Integer(q.into())),
        Value::F32(x) => x.mapv(Number::Float),
    })
}

/// Every element through the chain of its channel.
fn stepped(x: &ArrayD<Number>, steps: &[Vec<Step>]) -> ArrayD<Number> {
    let channels = steps.len();
    let values = x.iter().enumerate();
    let values = values.map(|(i, &v)| apply_steps(&steps[i % channels], v));
    ArrayD::from_shape_vec(x.raw_dim(), values.collect()).expect("one value per element")
}

fn quantize(cx: &Context, steps: &[Vec<Step>], clamp: Clamp) -> Result<Output, ReferenceError> {
    let zero_point = i64::from(cx.output_params()?.zero_point);
    let mut saturations = 0;
    let value = stepped(&numbers(cx)?, steps).mapv(|level| {
        let y = (level.to_f32() as i64).saturating_add(zero_point);
        saturations += u64::from(clamp.saturates(y, false));
        clamp.apply(y) as i8
    });
    Ok(Output {
        value: Value::I8(value),
        saturations,
    })
}

fn dot(weights: &[f32], x: &[f32]) -> f32 {
    weights.iter().zip(x).fold(0.0, |sum, (w, x)| sum + w * x)
}

fn conv2d(
    cx: &Context,
    window: &Window,
    weights: &[f32],
    out_channels: usize,
) -> Result<Value, ReferenceError> {
    let x = cx.input_f32(0)?;
    let [h, w, c] = cx.graph.tensor(cx.node.inputs[0]).hwc();
    let [oh, ow, _] = output(cx).hwc();
    let [kh, kw] = window.kernel;
    cx.expect(
        "number of weights",
        weights.len(),
        kh * kw * c * out_channels,
    )?;
    let x: Vec<f32> = x.iter().copied().collect();
    let mut patch = vec![0.0; kh * kw * c];
    let mut out = Vec::with_capacity(oh * ow * out_channels);
    for (oy, ox) in (0..oh).flat_map(|y| (0..ow).map(move |x| (y, x))) {
        for (position, taps) in patch.chunks_exact_mut(c).enumerate() {
            let at = |o: usize, k: usize, axis: usize| {
                let place = o * window.stride[axis] + k * window.dilation[axis];
                place.checked_sub(window.pad[axis])
            };
            let inside = at(oy, position / kw, 0)
                .zip(at(ox, position % kw, 1))
                .filter(|&(y, x)| y < h && x < w);
            match inside {
                Some((row, column)) => {
                    let first = (row * w + column) * c;
                    taps.copy_from_slice(&x[first..first + c]);
                }
                None => taps.fill(0.0),
            }
        }
        out.extend(
            weights
                .chunks_exact(patch.len())
                .map(|row| dot(row, &patch)),
        );
    }
    shaped(cx, out)
}

fn each_row(x: &ArrayD<f32>) -> impl Iterator<Item = Vec<f32>> {
    let length = x.shape().last().copied().unwrap_or(1).max(1);
    let values: Vec<f32> = x.iter().copied().collect();
    (0..values.len() / length).map(move |row| values[row * length..][..length].to_vec())
}

fn rows(cx: &Context, f: impl Fn(&[f32]) -> Vec<f32>) -> Result<Value, ReferenceError> {
    let x = cx.input_f32(0)?;
    shaped(cx, each_row(x).flat_map(|row| f(&row)).collect())
}

/// The values in the output tensor's shape.
fn shaped(cx: &Context, values: Vec<f32>) -> Result<Value, ReferenceError> {
    let count = values.len();
    let shape = IxDyn(&output(cx).shape);
    let array = ArrayD::from_shape_vec(shape, values).map_err(|_| mismatch(cx, count))?;
    Ok(Value::F32(array))
}

fn mismatch(cx: &Context, found: usize) -> ReferenceError {
    ReferenceError::Parameters {
        node: cx.node.name.clone(),
        what: "number of results",
        found,
        wanted: output(cx).elements(),
    }
}
