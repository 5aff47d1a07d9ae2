//! Which array computes a convolution: dense ones run on the dot array, depthwise ones on the
//! channel array; what lies between becomes dense, with zeros for the channels of other groups.

use crate::error::PlanError;
use crate::layers::{LayerKind, MOST_IN_PASSES, unit_window};
use crate::weights;
use macforge_quant::{Conv2d, FullyConnected, Window};

/// Most weights of a grouped convolution after its expansion.
const MAX_DENSE: usize = 1 << 24;

/// The kind of a convolution's layer; `source` names the node in messages.
pub fn kind(conv: &Conv2d, source: &str) -> Result<LayerKind, PlanError> {
    check_output(conv.requant.len(), source)?;
    if !conv.is_depthwise() {
        return dense(conv, source);
    }
    let weights = centred(&conv.weights, &conv.weight_zero_points, source)?;
    let (window, bias, requant) = (conv.window, conv.bias.clone(), conv.requant.clone());
    Ok(LayerKind::Depthwise {
        window,
        weights,
        bias,
        requant,
    })
}

/// A fully connected layer as a window that covers the rows and columns of its input: it reads the elements
/// in their order, whatever the form.
pub fn fully_connected(
    layer: &FullyConnected,
    kernel: [usize; 2],
    source: &str,
) -> Result<LayerKind, PlanError> {
    Ok(LayerKind::Dot {
        window: Window {
            kernel,
            ..unit_window()
        },
        weights: centred(&layer.weights, &layer.weight_zero_points, source)?,
        bias: layer.bias.clone(),
        requant: layer.requant.clone(),
    })
}

/// The kind on the dot array, which may be without requantizers.
pub fn dense(conv: &Conv2d, source: &str) -> Result<LayerKind, PlanError> {
    let weights = centred(&conv.weights, &conv.weight_zero_points, source)?;
    let dense = conv.weights.len().saturating_mul(conv.groups);
    if dense > MAX_DENSE {
        return Err(PlanError::Unsupported {
            layer: source.into(),
            found: format!("{} groups with {dense} weights when dense", conv.groups),
            remedy:
                "the engine takes dense and depthwise convolutions, and others as long as they are \
                     small"
                    .into(),
        });
    }
    Ok(LayerKind::Dot {
        window: conv.window,
        weights: dense_weights(conv, weights),
        bias: conv.bias.clone(),
        requant: conv.requant.clone(),
    })
}

/// Only layers of the dot array have int32 outputs.
fn check_output(requantizers: usize, source: &str) -> Result<(), PlanError> {
    if requantizers > 0 {
        return Ok(());
    }
    Err(PlanError::Unsupported {
        layer: source.into(),
        found: "an int32 output".into(),
        remedy: "the engine has it for convolutions, and for products with constant weights".into(),
    })
}

/// Weights less the zero point of their output channel.
pub fn centred(weights: &[i16], zero_points: &[i32], source: &str) -> Result<Vec<i16>, PlanError> {
    let per_channel = (weights.len() / zero_points.len()).max(1);
    let channels = weights.chunks_exact(per_channel).zip(zero_points);
    let centred: Vec<i16> = channels
        .flat_map(|(row, &zero)| row.iter().map(move |&w| w - zero as i16))
        .collect();
    let symmetric = zero_points.iter().all(|&zero| zero == 0);
    let bytes = |w: &&i16| weights::bytes(**w).is_none();
    let beyond = centred.iter().find(|w| w.abs() > MOST_IN_PASSES);
    match beyond {
        None => Ok(centred),
        Some(_) if symmetric => match centred.iter().find(bytes) {
            None => Ok(centred),
            Some(weight) => Err(PlanError::Unsupported {
                layer: source.into(),
                found: format!("a 16-bit weight of {weight}"),
                remedy:
                    "the array multiplies a high and a low byte of -127..=127 each: weights of at \
                         most 32639 whose low byte is not 128; `quantize` makes such ones"
                        .into(),
            }),
        },
        Some(weight) => Err(PlanError::Unsupported {
            layer: source.into(),
            found: format!("a weight of {weight} above its zero point"),
            remedy:
                "the array multiplies -254..=254; choose a zero point inside the weights' range"
                    .into(),
        }),
    }
}

/// `[OC, KH, KW, IC / groups]` to `[OC, KH, KW, IC]`.
fn dense_weights(conv: &Conv2d, weights: Vec<i16>) -> Vec<i16> {
    if conv.groups == 1 {
        return weights;
    }
    let each = conv.in_channels / conv.groups;
    let positions = conv.window.kernel[0] * conv.window.kernel[1];
    let outputs = conv.out_channels / conv.groups;
    let mut dense = vec![0; conv.out_channels * positions * conv.in_channels];
    for (from, values) in weights.chunks(each).enumerate() {
        let group = from / positions / outputs;
        let to = from * conv.in_channels + group * each;
        dense[to..to + each].copy_from_slice(values);
    }
    dense
}
