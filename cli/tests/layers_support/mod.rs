//! Small random models: their tensors, weights and scales are drawn from a seed, so that a test
//! names only the geometry it is about.

pub mod sweep;

use macforge_model::tflite::writer::{Fused, ModelWriter, Options, TensorSpec, element};

/// A seeded generator (splitmix64).
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Rng(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// An integer in `lo..=hi`.
    pub fn within(&mut self, lo: i64, hi: i64) -> i64 {
        lo + (self.next() % (hi - lo + 1) as u64) as i64
    }

    /// One of several values.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.within(0, of.len() as i64 - 1) as usize]
    }

    /// True in `percent` of all cases.
    pub fn chance(&mut self, percent: i64) -> bool {
        self.within(1, 100) <= percent
    }

    /// A real number between two others.
    fn real(&mut self, lo: f64, hi: f64) -> f64 {
        lo + (hi - lo) * (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A tensor of the model that is being written.
#[derive(Clone, Copy, Debug)]
pub struct Tensor {
    index: i32,
    /// Height, width, channels.
    pub hwc: [usize; 3],
    /// The file has it as `[1, channels]`.
    pub flat: bool,
    scale: f32,
    zero_point: i64,
}

/// How weights are drawn.
#[allow(dead_code, reason = "every test file has its own of these")]
#[derive(Clone, Copy, Debug)]
pub enum Weights {
    /// -127..=127
    Any,
    /// Only -127 and 127; the first channels have one sign throughout.
    Extremes,
    /// -1, 0, 1
    Units,
    /// -8..=7
    FourBits,
    /// Small ones often, as training leaves them.
    Bell,
    /// -128..=127, -128 often
    Full,
}

/// What convolutions and fully connected layers share.
#[derive(Clone, Copy, Debug)]
pub struct Weighted {
    pub fused: Fused,
    pub per_channel: bool,
    pub weights: Weights,
    /// Requantizer multiplier; by default one that spreads the outputs over int8.
    pub multiplier: Option<f64>,
    pub bias: bool,
}

impl Default for Weighted {
    fn default() -> Self {
        Weighted {
            fused: Fused::None,
            per_channel: true,
            weights: Weights::Any,
            multiplier: None,
            bias: true,
        }
    }
}

/// A convolution apart from its channels.
#[derive(Clone, Copy, Debug)]
pub struct Conv {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    pub same: bool,
    pub weighted: Weighted,
}

/// A dense SAME convolution with stride 1.
pub fn k(height: usize, width: usize) -> Conv {
    Conv {
        kernel: [height, width],
        stride: [1, 1],
        dilation: [1, 1],
        same: true,
        weighted: Weighted::default(),
    }
}

impl Conv {
    pub fn stride(self, vertical: usize, horizontal: usize) -> Self {
        let stride = [vertical, horizontal];
        Conv { stride, ..self }
    }

    pub fn dilation(self, vertical: usize, horizontal: usize) -> Self {
        let dilation = [vertical, horizontal];
        Conv { dilation, ..self }
    }

    pub fn valid(self) -> Self {
        Conv {
            same: false,
            ..self
        }
    }

    pub fn with(self, weighted: Weighted) -> Self {
        Conv { weighted, ..self }
    }

    pub fn fused(mut self, fused: Fused) -> Self {
        self.weighted.fused = fused;
        self
    }
}

/// A pooling window.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub same: bool,
}

/// A VALID square pooling window.
pub fn pool(size: usize, stride: usize) -> Pool {
    Pool {
        kernel: [size, size],
        stride: [stride, stride],
        same: false,
    }
}

impl Pool {
    pub fn same(self) -> Self {
        Pool { same: true, ..self }
    }
}

/// Output size of a window; `None` if the window does not fit.
pub fn output_size(
    size: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    same: bool,
) -> Option<usize> {
    let reach = (kernel - 1) * dilation + 1;
    if same {
        Some(size.div_ceil(stride))
    } else {
        Some(size.checked_sub(reach)? / stride + 1)
    }
}

/// A model under construction.
pub struct Net {
    writer: ModelWriter,
    rng: Rng,
    /// Zero points that are used in turn; random ones if empty.
    zero_points: Vec<i64>,
    tensors: usize,
    float_input: Option<i32>,
    input: i32,
}

impl Net {
    /// A model with one int8 input.
    pub fn new(seed: u64, hwc: [usize; 3]) -> (Self, Tensor) {
        Net::with_zero_points(seed, hwc, &[])
    }

    /// A model whose tensors have these zero points in turn.
    pub fn with_zero_points(seed: u64, hwc: [usize; 3], zero_points: &[i64]) -> (Self, Tensor) {
        Net::start(seed, hwc, false, zero_points)
    }

    /// A model with one flat int8 input.
    pub fn flat(seed: u64, channels: usize) -> (Self, Tensor) {
        Net::start(seed, [1, 1, channels], true, &[])
    }

    fn start(seed: u64, hwc: [usize; 3], flat: bool, zero_points: &[i64]) -> (Self, Tensor) {
        let mut net = Net {
            writer: ModelWriter::new(),
            rng: Rng::new(seed),
            zero_points: zero_points.to_vec(),
            tensors: 0,
            float_input: None,
            input: 0,
        };
        let x = net.activation(hwc, flat);
        net.input = x.index;
        (net, x)
    }

    /// A model whose float32 input is quantized by an operator.
    pub fn float(seed: u64, hwc: [usize; 3]) -> (Self, Tensor) {
        let (mut net, x) = Net::new(seed, hwc);
        let float = net.writer.float("input_float", &dimensions(hwc, false));
        net.writer
            .operator("QUANTIZE", &[float], &[x.index], Options::None);
        net.float_input = Some(float);
        (net, x)
    }

    /// A computed tensor with parameters of its own.
    fn activation(&mut self, hwc: [usize; 3], flat: bool) -> Tensor {
        let zero_point = match self.zero_points.as_slice() {
            [] => {
                let any = self.rng.within(-128, 127);
                self.rng.pick(&[-128, -128, 0, 127, any])
            }
            given => given[self.tensors % given.len()],
        };
        let scale = self.rng.real(0.011, 0.09) as f32;
        self.declare(hwc, flat, scale, zero_point)
    }

    fn declare(&mut self, hwc: [usize; 3], flat: bool, scale: f32, zero_point: i64) -> Tensor {
        let name = format!("t{}", self.tensors);
        self.tensors += 1;
        let index = self
            .writer
            .int8(&name, &dimensions(hwc, flat), scale, zero_point);
        Tensor {
            index,
            hwc,
            flat,
            scale,
            zero_point,
        }
    }

    /// A computed tensor with the parameters of another one.
    fn like(&mut self, x: Tensor, hwc: [usize; 3], flat: bool) -> Tensor {
        self.declare(hwc, flat, x.scale, x.zero_point)
    }

    pub fn conv(&mut self, x: Tensor, channels: usize, c: Conv) -> Tensor {
        let size = |i: usize| {
            output_size(x.hwc[i], c.kernel[i], c.stride[i], c.dilation[i], c.same)
                .expect("the kernel fits")
        };
        let y = self.activation([size(0), size(1), channels], false);
        let shape = [channels, c.kernel[0], c.kernel[1], x.hwc[2]];
        let [weights, bias] = self.parameters(x, y, &shape, c.weighted);
        let options = Options::Conv2d {
            stride: c.stride.map(|v| v as i32),
            dilation: c.dilation.map(|v| v as i32),
            same: c.same,
            fused: c.weighted.fused,
        };
        self.writer
            .operator("CONV_2D", &[x.index, weights, bias], &[y.index], options);
        y
    }

    /// A convolution that keeps the channels apart, with `multiplier` outputs for each.
    pub fn depthwise(&mut self, x: Tensor, multiplier: usize, c: Conv) -> Tensor {
        let channels = x.hwc[2] * multiplier;
        let size = |i: usize| {
            output_size(x.hwc[i], c.kernel[i], c.stride[i], c.dilation[i], c.same)
                .expect("the kernel fits")
        };
        let y = self.activation([size(0), size(1), channels], false);
        let shape = [channels, c.kernel[0], c.kernel[1]];
        let [weights, bias] = self.parameters(x, y, &shape, c.weighted);
        let options = Options::DepthwiseConv2d {
            stride: c.stride.map(|v| v as i32),
            dilation: c.dilation.map(|v| v as i32),
            same: c.same,
            fused: c.weighted.fused,
        };
        let inputs = [x.index, weights, bias];
        self.writer
            .operator("DEPTHWISE_CONV_2D", &inputs, &[y.index], options);
        y
    }

    /// Takes images as well: the file format flattens them.
    pub fn fully_connected(&mut self, x: Tensor, channels: usize, weighted: Weighted) -> Tensor {
        let y = self.activation([1, 1, channels], true);
        let shape = [channels, x.hwc.iter().product()];
        let [weights, bias] = self.parameters(x, y, &shape, weighted);
        let options = Options::FullyConnected(weighted.fused);
        self.writer.operator(
            "FULLY_CONNECTED",
            &[x.index, weights, bias],
            &[y.index],
            options,
        );
        y
    }

    /// Indices of weights and bias; the scales make the wanted multiplier. Three dimensions are those
    /// of a depthwise kernel, which the file has with its channels last.
    fn parameters(&mut self, x: Tensor, y: Tensor, shape: &[usize], w: Weighted) -> [i32; 2] {
        let fan_in: usize = shape[1..].iter().product();
        let data: Vec<i8> = (0..shape[0] * fan_in)
            .map(|i| self.weight(w.weights, i / fan_in, shape[0]))
            .collect();
        // standard deviation of a sum of products of uniform weights and activations
        let spread = match w.weights {
            Weights::Any | Weights::Full => 5400.0,
            Weights::Extremes => 9400.0,
            Weights::Units => 60.0,
            Weights::FourBits => 340.0,
            Weights::Bell => 2250.0,
        } * (fan_in as f64).sqrt();
        let multiplier = w.multiplier.unwrap_or(60.0 / spread);
        let scale = multiplier * f64::from(y.scale) / f64::from(x.scale);
        let count = if w.per_channel { shape[0] } else { 1 };
        let scales: Vec<f32> = (0..count)
            .map(|_| (scale * self.rng.real(0.4, 1.0)) as f32)
            .collect();
        let name = format!("w{}", y.index);
        let as_i32 = |shape: &[usize]| -> Vec<i32> { shape.iter().map(|&n| n as i32).collect() };
        let weights = if let &[channels, height, width] = shape {
            let places = height * width;
            let last: Vec<i8> = (0..data.len())
                .map(|i| data[i % channels * places + i / channels])
                .collect();
            let shape = as_i32(&[1, height, width, channels]);
            self.writer.weights_along(3, &name, &shape, &scales, &last)
        } else {
            self.writer.weights(&name, &as_i32(shape), &scales, &data)
        };
        if !w.bias {
            return [weights, -1];
        }
        let limit = spread as i64;
        let values: Vec<i32> = (0..shape[0])
            .map(|_| self.rng.within(-limit, limit) as i32)
            .collect();
        let scales: Vec<f32> = scales.iter().map(|s| s * x.scale).collect();
        [
            weights,
            self.writer
                .int32(&format!("b{}", y.index), &scales, &values),
        ]
    }

    fn weight(&mut self, of: Weights, channel: usize, channels: usize) -> i8 {
        let value = match of {
            Weights::Any => self.rng.within(-127, 127),
            Weights::Extremes if channels > 2 && channel == 0 => 127,
            Weights::Extremes if channels > 2 && channel == 1 => -127,
            Weights::Extremes => self.rng.pick(&[-127, 127]),
            Weights::Units => self.rng.within(-1, 1),
            Weights::FourBits => self.rng.within(-8, 7),
            Weights::Bell => (0..3).map(|_| self.rng.within(-30, 30)).sum(),
            Weights::Full if self.rng.chance(30) => -128,
            Weights::Full => self.rng.within(-127, 127),
        };
        value as i8
    }

    pub fn max_pool(&mut self, x: Tensor, pool: Pool, fused: Fused) -> Tensor {
        self.pool("MAX_POOL_2D", x, pool, fused)
    }

    pub fn average_pool(&mut self, x: Tensor, pool: Pool, fused: Fused) -> Tensor {
        self.pool("AVERAGE_POOL_2D", x, pool, fused)
    }

    fn pool(&mut self, name: &str, x: Tensor, p: Pool, fused: Fused) -> Tensor {
        let size = |i: usize| {
            output_size(x.hwc[i], p.kernel[i], p.stride[i], 1, p.same).expect("the window fits")
        };
        let y = self.like(x, [size(0), size(1), x.hwc[2]], false);
        let options = Options::Pool {
            kernel: p.kernel.map(|v| v as i32),
            stride: p.stride.map(|v| v as i32),
            same: p.same,
            fused,
        };
        self.writer.operator(name, &[x.index], &[y.index], options);
        y
    }

    /// The average of every channel over the whole image.
    pub fn global_average(&mut self, x: Tensor) -> Tensor {
        let window = Pool {
            kernel: [x.hwc[0], x.hwc[1]],
            stride: [1, 1],
            same: false,
        };
        self.average_pool(x, window, Fused::None)
    }

    pub fn add(&mut self, a: Tensor, b: Tensor, fused: Fused) -> Tensor {
        let y = self.activation(a.hwc, a.flat);
        self.writer
            .operator("ADD", &[a.index, b.index], &[y.index], Options::Add(fused));
        y
    }

    /// An operator without weights on every element: `RELU`, `RELU6`, `QUANTIZE`, ...
    pub fn element(&mut self, name: &str, x: Tensor) -> Tensor {
        let y = self.activation(x.hwc, x.flat);
        self.writer
            .operator(name, &[x.index], &[y.index], Options::None);
        y
    }

    pub fn reshape(&mut self, x: Tensor, hwc: [usize; 3], flat: bool) -> Tensor {
        let y = self.like(x, hwc, flat);
        let shape = self
            .writer
            .int32(&format!("s{}", y.index), &[], &dimensions(hwc, flat));
        self.writer
            .operator("RESHAPE", &[x.index, shape], &[y.index], Options::None);
        y
    }

    pub fn flatten(&mut self, x: Tensor) -> Tensor {
        self.reshape(x, [1, 1, x.hwc.iter().product()], true)
    }

    pub fn softmax(&mut self, x: Tensor, beta: f32) -> Tensor {
        let y = self.declare(x.hwc, x.flat, 1.0 / 256.0, -128);
        self.writer
            .operator("SOFTMAX", &[x.index], &[y.index], Options::Softmax(beta));
        y
    }

    /// The file.
    pub fn finish(self, output: Tensor) -> Vec<u8> {
        let input = self.float_input.unwrap_or(self.input);
        self.writer.finish(&[input], &[output.index])
    }

    /// The file, with a dequantized output.
    pub fn finish_float(mut self, output: Tensor) -> Vec<u8> {
        let input = self.float_input.unwrap_or(self.input);
        let y = self.writer.tensor(TensorSpec {
            name: "output_float".into(),
            shape: dimensions(output.hwc, output.flat),
            element_type: element::F32,
            ..TensorSpec::default()
        });
        self.writer
            .operator("DEQUANTIZE", &[output.index], &[y], Options::None);
        self.writer.finish(&[input], &[y])
    }
}

/// Shape in the file, with its batch of one.
fn dimensions(hwc: [usize; 3], flat: bool) -> Vec<i32> {
    let [h, w, c] = hwc.map(|n| n as i32);
    if flat { vec![1, c] } else { vec![1, h, w, c] }
}
