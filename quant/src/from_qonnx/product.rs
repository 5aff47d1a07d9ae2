//! `Conv`, `MatMul`, `Gemm`: sums of products with constant weights.

use macforge_model::onnx::window_sizes;
use macforge_numeric::{Number, Step};

use super::constant::Constant;
use super::value::{Chain, Product, Source, Value};
use super::{At, Pass, channels_last};
use crate::QuantError;
use crate::graph::{DType, HostOp, QOp, Window};

/// Integer weights of one layer, channels first, with the scale of each output channel.
struct Weights {
    levels: Vec<i16>,
    scales: Vec<f32>,
}

/// Form of a product.
struct Geometry {
    /// Of a convolution, and whether it reaches into padding.
    window: Option<(Window, bool)>,
    groups: usize,
    /// Shape of the result in the integer graph.
    hwc: Vec<usize>,
    /// Shape of the result in the model.
    shape: Vec<usize>,
}

impl Pass<'_> {
    pub(super) fn conv(&mut self, at: &At) -> Result<Value, QuantError> {
        let chain = self.chain(at, 0)?;
        let weights = self.constant(at, 1)?.clone();
        let bias = self.optional(at, 2)?.cloned();
        let image = match (chain.shape.as_slice(), weights.shape.as_slice()) {
            (&[1, c, h, w], &[_, _, _, _]) => [h, w, c],
            (&[1, c, w], &[_, _, _]) => [1, w, c],
            _ => {
                let found = format!("Conv of {:?} with {:?}", chain.shape, weights.shape);
                return Err(at.error(found, "one or two spatial dimensions and batch 1"));
            }
        };
        if chain.elements() != image.iter().product::<usize>() || chain.channels() != image[2] {
            return Err(at.error(
                "an image that was flattened before",
                "an image as it was made",
            ));
        }
        let (window, padded) = window(at, &chain.shape, &weights.shape[2..])?;
        let groups = at.node.int("group").unwrap_or(1);
        let groups = usize::try_from(groups).unwrap_or(0);
        let (out_channels, depth) = (weights.shape[0], weights.shape[1]);
        let fits = depth.checked_mul(groups) == Some(image[2]);
        if groups == 0 || !fits || !out_channels.is_multiple_of(groups) {
            let found = format!("{groups} groups of weights {:?}", weights.shape);
            return Err(at.error(found, format!("groups that fit {} channels", image[2])));
        }
        // channels behind the kernel's positions
        let taps: usize = weights.shape[2..].iter().product();
        let count = weights.len();
        let order = (0..count).map(move |i| {
            let (oc, rest) = (i / (taps * depth), i % (taps * depth));
            oc * taps * depth + rest % depth * taps + rest / depth
        });
        let ordered = weights.gather(vec![out_channels, taps * depth], order);
        let shape = self.shape(at)?;
        let hwc = channels_last(&shape)
            .ok_or_else(|| at.error(format!("output {shape:?}"), "an image"))?;
        let chain = match chain.levels {
            None if matches!(chain.source, Source::Floats(_)) => {
                if groups != 1 {
                    return Err(at.error("a grouped convolution of floats", "a quantized input"));
                }
                let op = HostOp::Conv2d {
                    window,
                    weights: ordered.reals(),
                    out_channels,
                };
                self.host_product(at, chain, op, hwc, shape)?
            }
            _ => {
                let geometry = Geometry {
                    window: Some((window, padded)),
                    groups,
                    hwc,
                    shape,
                };
                self.products(at, chain, &ordered, geometry)?
            }
        };
        self.with_bias(at, chain, bias.as_ref(), 1.0)
    }

    pub(super) fn matmul(&mut self, at: &At) -> Result<Value, QuantError> {
        let chain = self.chain(at, 0)?;
        let weights = self.constant(at, 1)?.clone();
        let gemm = at.node.op_type == "Gemm";
        let (alpha, beta) = (
            at.node.float("alpha").unwrap_or(1.0),
            at.node.float("beta").unwrap_or(1.0),
        );
        let flag = |name| gemm && at.node.int(name).unwrap_or(0) != 0;
        let bias = match gemm {
            true => self.optional(at, 2)?.cloned(),
            false => None,
        };
        let (&[depth, _], &[rows, features]) = (weights.shape.as_slice(), chain.shape.as_slice())
        else {
            let found = format!("a product of {:?} and {:?}", chain.shape, weights.shape);
            return Err(at.error(found, "a vector and a constant matrix"));
        };
        let transposed = flag("transB");
        let depth = if transposed { weights.shape[1] } else { depth };
        if rows != 1 || features != depth || flag("transA") || alpha != 1.0 {
            let found = format!(
                "a product of {:?} and {:?}, alpha {alpha}",
                chain.shape, weights.shape
            );
            return Err(at.error(found, "one row of as many values as the matrix has rows"));
        }
        let rows_first = match transposed {
            true => Some(weights.clone()),
            false => weights.transposed(&[1, 0]),
        };
        let rows_first = rows_first.ok_or_else(|| at.error("weights", "a matrix"))?;
        let out_channels = rows_first.shape[0];
        let ordered = rows_first.gather(
            rows_first.shape.clone(),
            flattened(&chain.hwc, out_channels),
        );
        let (hwc, shape) = (vec![out_channels], self.shape(at)?);
        let chain = match chain.levels {
            None if matches!(chain.source, Source::Floats(_)) => {
                let op = HostOp::FullyConnected {
                    weights: ordered.reals(),
                    out_channels,
                };
                self.host_product(at, chain, op, hwc, shape)?
            }
            _ => {
                let geometry = Geometry {
                    window: None,
                    groups: 1,
                    hwc,
                    shape,
                };
                self.products(at, chain, &ordered, geometry)?
            }
        };
        self.with_bias(at, chain, bias.as_ref(), beta)
    }

    /// A product of floats, by the host.
    fn host_product(
        &mut self,
        at: &At,
        chain: Chain,
        op: HostOp,
        hwc: Vec<usize>,
        shape: Vec<usize>,
    ) -> Result<Chain, QuantError> {
        let chain = self.floats(at, chain)?;
        let Source::Floats(input) = chain.source else {
            unreachable!("floats() returns a float32 tensor");
        };
        let product = format!("{}:product", at.output());
        let id = self.add_tensor(&product, hwc.clone(), DType::F32, None, false);
        self.add_node(at.source(), QOp::Host(op), vec![input], id);
        Ok(Chain {
            source: Source::Floats(id),
            hwc,
            shape,
            steps: vec![vec![]],
            levels: None,
            label: String::new(),
            origin: at.source(),
        })
    }

    /// Sums of products of integers; `weights` is `[OC, ...]` in the order of the patch.
    fn products(
        &mut self,
        at: &At,
        chain: Chain,
        weights: &Constant,
        geometry: Geometry,
    ) -> Result<Chain, QuantError> {
        let Geometry {
            window,
            groups,
            hwc,
            shape,
        } = geometry;
        let out_channels = weights.shape[0];
        if weights.len() == 0 {
            return Err(at.error("weights without elements", "at least one"));
        }
        let Weights {
            levels: mut weights,
            scales,
        } = integer_weights(at, weights, out_channels)?;
        let joined = match groups {
            1 => self.side_by_side(at, &chain)?,
            _ => None,
        };
        let chain = match joined {
            Some((chain, factors)) => {
                weights = repeated(at, &weights, chain.channels() / 2, factors)?;
                chain
            }
            None => self.integers(at, chain)?,
        };
        let (Source::Integers(input, range), Some(levels)) = (&chain.source, chain.levels) else {
            unreachable!("integers() returns an int8 tensor");
        };
        let scales: Vec<f32> = scales.iter().map(|w| levels.scale * w).collect();
        let mut sums = Chain {
            source: Source::Product(Product {
                input: *input,
                range: *range,
                zero_point: levels.zero_point as i32,
                window,
                weights,
                bias: vec![0; out_channels],
                groups,
                in_channels: chain.channels(),
            }),
            hwc,
            shape,
            steps: vec![vec![Step::ToFloat]],
            levels: None,
            label: String::new(),
            origin: at.source(),
        };
        if scales.iter().any(|&s| s != scales[0]) {
            sums.push(|c| Step::Multiply(Number::Float(scales[c])), out_channels);
        } else if scales[0] != 1.0 {
            sums.push(|_| Step::Multiply(Number::Float(scales[0])), 1);
        }
        Ok(sums)
    }

    /// The operator's own bias: into the accumulators where that changes no rounding.
    fn with_bias(
        &self,
        at: &At,
        mut chain: Chain,
        bias: Option<&Constant>,
        beta: f32,
    ) -> Result<Value, QuantError> {
        let Some(bias) = bias else {
            return Ok(Value::Chain(chain));
        };
        let channels = chain.channels();
        let mut values = bias.reals();
        if values.len() == 1 {
            values = vec![values[0]; channels];
        }
        if values.len() != channels {
            let found = format!("{} biases for {channels} channels", values.len());
            return Err(at.error(found, "one per channel"));
        }
        for value in &mut values {
            *value *= beta;
        }
        let plain = chain.steps == [vec![Step::ToFloat]];
        let whole = values
            .iter()
            .all(|v| v.fract() == 0.0 && v.abs() < (1 << 24) as f32);
        if let Source::Product(product) = &mut chain.source
            && plain
            && whole
        {
            product.bias = values.iter().map(|&v| v as i32).collect();
            return Ok(Value::Chain(chain));
        }
        chain.push(|c| Step::Add(Number::Float(values[c])), channels);
        Ok(Value::Chain(chain))
    }
}

/// Order of a flattened image's weights: ONNX flattens channels first, the integer graph last.
fn flattened(hwc: &[usize], rows: usize) -> impl Iterator<Item = usize> + Clone {
    let count: usize = hwc.iter().product();
    let channels = hwc.last().copied().unwrap_or(1).max(1);
    let pixels = count / channels;
    (0..rows * count).map(move |i| {
        let (row, at) = (i / count, i % count);
        row * count + at % channels * pixels + at / channels
    })
}

/// Weights as integers of at most eight bits, one scale per output channel.
fn integer_weights(at: &At, weights: &Constant, channels: usize) -> Result<Weights, QuantError> {
    let name = at.node.input(1).unwrap_or_default();
    let Some((levels, scales)) = weights.levels() else {
        let found = format!("weights `{name}` that are no integers");
        return Err(at.error(found, "quantized weights, or whole numbers"));
    };
    let per_channel = (levels.len() / channels).max(1);
    let mut of_channel = Vec::with_capacity(channels);
    for row in scales.chunks(per_channel) {
        if row.iter().any(|&s| s != row[0]) {
            let found = format!("weights `{name}` with several scales in one output channel");
            return Err(at.error(found, "one scale per output channel"));
        }
        of_channel.push(row[0]);
    }
    if let Some(wide) = levels.iter().find(|w| !(-128..=127).contains(*w)) {
        return Err(at.error(
            format!("weights `{name}` with the value {wide}"),
            "integers of at most eight bits",
        ));
    }
    Ok(Weights {
        levels: levels.iter().map(|&w| w as i16).collect(),
        scales: of_channel,
    })
}

/// Every run of `channels` weights twice, times each of the factors.
fn repeated(
    at: &At,
    weights: &[i16],
    channels: usize,
    factors: [i64; 2],
) -> Result<Vec<i16>, QuantError> {
    let mut twice = Vec::with_capacity(2 * weights.len());
    for run in weights.chunks(channels.max(1)) {
        for factor in factors {
            twice.extend(run.iter().map(|&w| i64::from(w) * factor));
        }
    }
    let narrow = |w: i64| i16::try_from(w).ok().filter(|w| (-128..=127).contains(w));
    let narrow: Option<Vec<i16>> = twice.into_iter().map(narrow).collect();
    narrow.ok_or_else(|| {
        at.error(
            format!("weights times the factors {factors:?} of the sum in front of them"),
            "products of at most eight bits",
        )
    })
}

/// Kernel geometry and whether windows reach into the padding; bottom and right padding follow
/// from the output.
pub(super) fn window(
    at: &At,
    input: &[usize],
    kernel: &[usize],
) -> Result<(Window, bool), QuantError> {
    let sizes = window_sizes(at.node, &input[2..], kernel)
        .map_err(|found| at.error(found, "window attributes that fit"))?;
    let pair = |values: &[usize], missing: usize| match *values {
        [w] => [missing, w],
        [h, w] => [h, w],
        _ => [missing; 2],
    };
    let window = Window {
        kernel: pair(&sizes.kernel, 1),
        stride: pair(&sizes.stride, 1),
        dilation: pair(&sizes.dilation, 1),
        pad: pair(&sizes.pad_begin, 0),
    };
    let padded = sizes.pad_begin.iter().chain(&sizes.pad_end).any(|&p| p > 0);
    Ok((window, padded))
}
