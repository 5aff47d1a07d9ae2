//! Geometry of convolutions and pools in one or more spatial dimensions.

use super::{Known, Types, Unclear, one, wrong};
use crate::onnx::graph::OnnxNode;
use crate::onnx::types::OnnxType;

/// Attribute `auto_pad`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoPad {
    /// `NOTSET`: attribute `pads`.
    Explicit,
    /// `SAME_UPPER`: the odd element goes behind.
    SameUpper,
    /// `SAME_LOWER`: the odd element goes in front.
    SameLower,
    /// `VALID`: none.
    Valid,
}

/// Window geometry, one entry per spatial dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowSizes {
    /// Window sizes.
    pub kernel: Vec<usize>,
    /// Strides, at least 1.
    pub stride: Vec<usize>,
    /// Dilations, at least 1.
    pub dilation: Vec<usize>,
    /// Padding in front; negative padding is not accepted.
    pub pad_begin: Vec<usize>,
    /// Padding behind; more where `ceil_mode` lets the last window hang over.
    pub pad_end: Vec<usize>,
    /// Output sizes.
    pub output: Vec<usize>,
}

/// Sizes above this are refused, so that products of a few of them stay inside 64 bits.
const MAX_SIZE: usize = 1 << 24;

/// Geometry of a convolution or pool over `input` (spatial sizes) with a window of `kernel`.
///
/// # Errors
/// A message: attributes that do not fit each other, or a window that does not fit the input.
pub fn window_sizes(
    node: &OnnxNode,
    input: &[usize],
    kernel: &[usize],
) -> Result<WindowSizes, String> {
    let rank = input.len();
    let list = |name: &str, default: usize, count: usize| match node.ints(name) {
        None => Ok(vec![default; count]),
        Some(values) if values.len() == count => values
            .iter()
            .map(|&v| usize::try_from(v).ok().filter(|&v| v <= MAX_SIZE))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| format!("{name} {values:?}")),
        Some(values) => Err(format!("{name} {values:?}, wanted {count} values")),
    };
    let stride = list("strides", 1, rank)?;
    let dilation = list("dilations", 1, rank)?;
    let sizes = input.iter().chain(kernel);
    let bounded = sizes.chain(&stride).chain(&dilation);
    if kernel.len() != rank || bounded.clone().any(|&v| v == 0 || v > MAX_SIZE) {
        return Err(format!(
            "input {input:?}, window {kernel:?}, strides {stride:?}, dilations {dilation:?}"
        ));
    }
    let auto = match node.text("auto_pad") {
        None | Some("NOTSET" | "") => AutoPad::Explicit,
        Some("SAME_UPPER") => AutoPad::SameUpper,
        Some("SAME_LOWER") => AutoPad::SameLower,
        Some("VALID") => AutoPad::Valid,
        Some(other) => return Err(format!("auto_pad {other}")),
    };
    let pads = match auto {
        AutoPad::Explicit => list("pads", 0, 2 * rank)?,
        _ => vec![0; 2 * rank],
    };
    let mut sizes = WindowSizes {
        kernel: kernel.to_vec(),
        stride,
        dilation,
        pad_begin: pads[..rank].to_vec(),
        pad_end: pads[rank..].to_vec(),
        output: Vec::new(),
    };
    let ceil = node.int("ceil_mode").unwrap_or(0) != 0;
    for (d, &size) in input.iter().enumerate() {
        let output = axis_output(&mut sizes, auto, ceil, size, d)?;
        sizes.output.push(output);
    }
    Ok(sizes)
}

/// Output size along dimension `d`; settles the padding.
fn axis_output(
    sizes: &mut WindowSizes,
    auto: AutoPad,
    ceil: bool,
    input: usize,
    d: usize,
) -> Result<usize, String> {
    let reach = (sizes.kernel[d] - 1) * sizes.dilation[d] + 1;
    let stride = sizes.stride[d];
    if let AutoPad::SameUpper | AutoPad::SameLower = auto {
        let output = input.div_ceil(stride);
        let total = ((output - 1) * stride + reach).saturating_sub(input);
        let (small, large) = (total / 2, total - total / 2);
        (sizes.pad_begin[d], sizes.pad_end[d]) = match auto {
            AutoPad::SameUpper => (small, large),
            _ => (large, small),
        };
        return Ok(output);
    }
    let padded = input + sizes.pad_begin[d] + sizes.pad_end[d];
    let Some(moves) = padded.checked_sub(reach) else {
        return Err(format!(
            "a window of {reach} does not fit {padded} elements (dimension {d})"
        ));
    };
    let floor = moves / stride + 1;
    if !ceil {
        return Ok(floor);
    }
    // a window that would start behind the input and its padding is left out
    let up = moves.div_ceil(stride) + 1;
    let starts_inside = (up - 1) * stride < input + sizes.pad_begin[d];
    Ok(if starts_inside { up } else { floor })
}

pub(super) fn types(op: &str, node: &OnnxNode, known: &Known) -> Types {
    let x = known.of(node, 0)?;
    let channels_last = op.starts_with("QLinear")
        && op.ends_with("Pool")
        && node.int("channels_last").unwrap_or(0) != 0;
    if channels_last {
        return Err(Unclear::Unknown);
    }
    let [n, c, spatial @ ..] = x.shape.as_slice() else {
        return wrong(format!("shape {:?} has no channels", x.shape));
    };
    let shape = |channels: usize, sizes: &[usize]| [&[*n, channels], sizes].concat();
    match op {
        "GlobalAveragePool" | "GlobalMaxPool" | "QLinearGlobalAveragePool" => {
            one(x.dtype, shape(*c, &vec![1; spatial.len()]))
        }
        "MaxPool" | "AveragePool" | "LpPool" | "QLinearAveragePool" => {
            let kernel = positive(node.ints("kernel_shape"))?;
            let sizes = window_sizes(node, spatial, &kernel).map_err(Unclear::Wrong)?;
            one(x.dtype, shape(*c, &sizes.output))
        }
        "ConvTranspose" => transposed(node, known, *n, *c, spatial),
        _ => {
            let weights = match op {
                "QLinearConv" => 3,
                _ => 1,
            };
            let w = &known.of(node, weights)?.shape;
            let [oc, ic, kernel @ ..] = w.as_slice() else {
                return wrong(format!("weights of shape {w:?}"));
            };
            let group = node.int("group").unwrap_or(1);
            let fits = usize::try_from(group)
                .is_ok_and(|g| g > 0 && ic.checked_mul(g) == Some(*c) && oc % g == 0);
            if !fits || kernel.len() != spatial.len() {
                return wrong(format!(
                    "weights of shape {w:?} in {group} groups on an input of shape {:?}",
                    x.shape
                ));
            }
            let sizes = window_sizes(node, spatial, kernel).map_err(Unclear::Wrong)?;
            let dtype = match op {
                "QLinearConv" => known.of(node, 7)?.dtype,
                "ConvInteger" => OnnxType::I32,
                _ => x.dtype,
            };
            one(dtype, shape(*oc, &sizes.output))
        }
    }
}

fn positive(values: Option<&[i64]>) -> Result<Vec<usize>, Unclear> {
    let Some(values) = values else {
        return wrong("kernel_shape is missing");
    };
    let size = |&v: &i64| {
        usize::try_from(v)
            .ok()
            .filter(|&v| (1..=MAX_SIZE).contains(&v))
    };
    match values.iter().map(size).collect() {
        Some(sizes) => Ok(sizes),
        None => wrong(format!("kernel_shape {values:?}")),
    }
}

/// ConvTranspose with explicit padding; `output_shape` and automatic padding stay unknown.
fn transposed(node: &OnnxNode, known: &Known, n: usize, c: usize, spatial: &[usize]) -> Types {
    let x = known.of(node, 0)?;
    let w = &known.of(node, 1)?.shape;
    let [ic, oc, kernel @ ..] = w.as_slice() else {
        return wrong(format!("weights of shape {w:?}"));
    };
    if *ic != c || kernel.len() != spatial.len() {
        return wrong(format!(
            "weights of shape {w:?} on an input of {:?}",
            x.shape
        ));
    }
    let automatic = !matches!(node.text("auto_pad"), None | Some("NOTSET" | "VALID"));
    if node.ints("output_shape").is_some() || automatic {
        return Err(Unclear::Unknown);
    }
    let rank = spatial.len();
    let list = |name: &str, default: i64, count: usize| {
        let values = node
            .ints(name)
            .map_or(vec![default; count], <[i64]>::to_vec);
        let bounded = values.iter().all(|v| (0..=MAX_SIZE as i64).contains(v));
        match values.len() == count && bounded {
            true => Ok(values),
            false => wrong(format!("{name} {values:?}")),
        }
    };
    let (stride, dilation) = (list("strides", 1, rank)?, list("dilations", 1, rank)?);
    let (pads, extra) = (list("pads", 0, 2 * rank)?, list("output_padding", 0, rank)?);
    let group = node.int("group").unwrap_or(1);
    let mut shape = vec![n];
    match usize::try_from(group).ok().and_then(|g| oc.checked_mul(g)) {
        Some(channels) => shape.push(channels),
        None => return wrong(format!("{group} groups")),
    }
    for d in 0..rank {
        if spatial[d] == 0 || kernel[d] == 0 || spatial[d].max(kernel[d]) > MAX_SIZE {
            return wrong(format!("input {:?}, weights {w:?}", x.shape));
        }
        let full = (spatial[d] as i64 - 1) * stride[d] + (kernel[d] as i64 - 1) * dilation[d] + 1;
        let size = full + extra[d] - pads[d] - pads[rank + d];
        match usize::try_from(size) {
            Ok(size) if size > 0 => shape.push(size),
            _ => return wrong(format!("output size {size} in dimension {d}")),
        }
    }
    one(x.dtype, shape)
}
