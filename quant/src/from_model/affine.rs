//! Scales and zero points: what the file states, checked, and the clamp of an activation function.

use macforge_model::{Activation, ElementType, Tensor};
use macforge_numeric::{AffineParams, Clamp};

use crate::QuantError;

/// Per-tensor parameters of an int8 or uint8 activation, as int8.
///
/// # Errors
/// None or several scales, or values that are no scale or no zero point of the type.
pub(super) fn params(node: &str, tensor: &Tensor) -> Result<AffineParams, QuantError> {
    let name = &tensor.name;
    let refuse = |found: String| QuantError::Parameter {
        node: node.to_string(),
        found,
        wanted: "one scale and one zero point of the tensor's type".into(),
    };
    let q = tensor
        .quantization
        .as_ref()
        .ok_or_else(|| refuse(format!("tensor `{name}` without quantization parameters")))?;
    let &[scale] = q.scale.as_slice() else {
        let count = q.scale.len();
        return Err(refuse(format!("tensor `{name}` with {count} scales")));
    };
    let zero_point = q.zero_point.first().copied().unwrap_or(0);
    let zero_point = held(tensor, zero_point)
        .ok_or_else(|| refuse(format!("tensor `{name}` with zero point {zero_point}")))?;
    AffineParams::new(scale, zero_point).map_err(|source| QuantError::Rule {
        node: node.to_string(),
        what: format!("tensor `{name}`"),
        source,
    })
}

/// A zero point as int8: of uint8 tensors 128 less.
fn held(tensor: &Tensor, zero_point: i64) -> Option<i32> {
    let offset = i64::from(tensor.dtype == ElementType::U8) * 128;
    i32::try_from(zero_point.checked_sub(offset)?).ok()
}

/// Scales and zero points of weights, one per output channel.
pub(super) struct WeightScales {
    /// The file states one scale per channel.
    pub per_channel: bool,
    pub scales: Vec<f32>,
    pub zero_points: Vec<i32>,
}

/// Of weights with their output channels along `dimension`.
pub(super) fn weight_scales(
    node: &str,
    tensor: &Tensor,
    dimension: usize,
    channels: usize,
) -> Result<WeightScales, QuantError> {
    let name = &tensor.name;
    let refuse = |found: String, wanted: &str| QuantError::Parameter {
        node: node.to_string(),
        found: format!("weights `{name}` {found}"),
        wanted: wanted.into(),
    };
    let Some(q) = &tensor.quantization else {
        return Err(refuse("without quantization parameters".into(), "scales"));
    };
    let count = q.scale.len();
    if count != 1 && (count != channels || q.dimension != dimension) {
        return Err(refuse(
            format!("with {count} scales along dimension {}", q.dimension),
            &format!("1 scale, or {channels} along dimension {dimension}"),
        ));
    }
    let stated = match q.zero_point.as_slice() {
        [] => &[0],
        stated => stated,
    };
    let zero_points = stated
        .iter()
        .map(|&z| {
            let held = held(tensor, z).filter(|&z| i8::try_from(z).is_ok());
            held.ok_or_else(|| refuse(format!("with zero point {z}"), "one of the weights' type"))
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(WeightScales {
        per_channel: count > 1,
        scales: q.scale.iter().copied().cycle().take(channels).collect(),
        zero_points: zero_points.into_iter().cycle().take(channels).collect(),
    })
}

/// Output bounds of a fused activation: TFLite `CalculateActivationRangeQuantized`.
///
/// # Errors
/// `None` where a bound divided by the scale leaves int32, which TFLite refuses too.
pub(super) fn clamp(activation: Activation, out: AffineParams) -> Option<Clamp> {
    let (lo, hi) = bounds(activation);
    // One float32 division, rounded half away from zero, as `TfLiteRound(f / scale)`.
    let quantize = |real: f32| {
        let steps = (real / out.scale).round();
        let fits = steps >= i32::MIN as f32 && steps < i32::MAX as f32;
        fits.then(|| i64::from(steps as i32) + i64::from(out.zero_point))
    };
    let at = |bound: Option<f32>, open: i32| match bound {
        Some(real) => quantize(real).map(|q| Clamp::INT8.apply(q)),
        None => Some(open),
    };
    Some(Clamp {
        lo: at(lo, Clamp::INT8.lo)?,
        hi: at(hi, Clamp::INT8.hi)?,
    })
}

/// Real bounds of an activation function.
fn bounds(activation: Activation) -> (Option<f32>, Option<f32>) {
    match activation {
        Activation::None => (None, None),
        Activation::Relu => (Some(0.0), None),
        Activation::ReluN1To1 => (Some(-1.0), Some(1.0)),
        Activation::Relu6 => (Some(0.0), Some(6.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(activation: Activation, scale: f32, zero_point: i32) -> (i32, i32) {
        let c = clamp(activation, AffineParams { scale, zero_point }).unwrap();
        (c.lo, c.hi)
    }

    #[test]
    fn activation_ranges_follow_tflite() {
        assert_eq!(range(Activation::None, 0.1, 5), (-128, 127));
        assert_eq!(range(Activation::Relu, 0.1, 5), (5, 127));
        assert_eq!(range(Activation::Relu, 0.1, -128), (-128, 127));
        assert_eq!(range(Activation::Relu6, 0.1, -128), (-128, -68));
        assert_eq!(range(Activation::Relu6, 0.02, -128), (-128, 127));
        assert_eq!(range(Activation::ReluN1To1, 0.1, 5), (-5, 15));
        // 1 / 0.4 = 2.5 in float32: half goes away from zero on both sides.
        assert_eq!(range(Activation::ReluN1To1, 0.4, 0), (-3, 3));
    }

    #[test]
    fn a_bound_beyond_int32_is_refused() {
        let out = AffineParams {
            scale: 1e-12,
            zero_point: 0,
        };
        assert_eq!(clamp(Activation::Relu6, out), None);
    }
}
