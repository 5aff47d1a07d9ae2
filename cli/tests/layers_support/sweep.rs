//! Random small graphs.

use super::{Conv, Net, Pool, Rng, Tensor, Weighted, Weights, k, output_size};
use macforge_model::tflite::writer::Fused;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// How a case ended.
pub enum Verdict {
    /// Equal in every integer.
    Exact,
    /// Planning refused it, with this message.
    Refused(String),
    /// Anything else.
    Wrong(String),
}

const SHAPES: [&str; 9] = [
    "3x8x4", "1x8x8", "5x16x4", "4x8x2", "2x4x8", "7x6x3", "1x12x12", "5x2x1", "3x16x16",
];

/// Reasons for which planning may refuse a random graph.
const REASONS: [&str; 3] = [
    "shares a factor with P",
    "hardware constants cannot be made exact",
    "needs more than 25 bits",
];

/// Judges cases by number, array shape and model.
pub type Judge<'a> = &'a (dyn Fn(u64, &str, &[u8]) -> Verdict + Sync);

/// Runs `count` graphs, two at a time, and fails with the seeds that went wrong.
pub fn run(count: u64, judge: Judge) {
    let next = AtomicU64::new(0);
    let tally = Mutex::new((0, 0, Vec::new()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= count {
                break;
            }
            let (shape, text, model) = graph(seed);
            let verdict = judge(seed, shape, &model);
            let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            match verdict {
                Verdict::Exact => {
                    println!("seed {seed} on {shape}: exact");
                    tally.0 += 1;
                }
                Verdict::Refused(why) if REASONS.iter().any(|r| why.contains(r)) => {
                    println!("seed {seed} on {shape}: refused, {why}");
                    tally.1 += 1;
                }
                Verdict::Refused(why) | Verdict::Wrong(why) => {
                    println!("seed {seed} on {shape}: WRONG\n{text}\n{why}");
                    tally.2.push(seed);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    let (exact, refused, wrong) = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{exact} graphs exact, {refused} refused");
    assert!(wrong.is_empty(), "seeds {wrong:?}");
    assert!(exact > 2 * refused, "{refused} of {count} refused");
}

/// A graph: array shape, what it is made of, model file.
fn graph(seed: u64) -> (&'static str, String, Vec<u8>) {
    let mut rng = Rng::new(seed ^ 0x5eed_0000);
    let shape = rng.pick(&SHAPES);
    let hwc = [rng.within(1, 12), rng.within(1, 13), rng.within(1, 11)].map(|n| n as usize);
    let (net, x) = if rng.chance(15) {
        Net::float(seed, hwc)
    } else {
        Net::new(seed, hwc)
    };
    let mut walk = Walk {
        net,
        rng,
        text: format!("{hwc:?}"),
        even_strides: !shape.starts_with(['2', '4']),
    };
    let mut x = x;
    for _ in 0..walk.rng.within(1, 6) {
        x = walk.step(x);
    }
    if walk.rng.chance(40) {
        x = walk.head(x);
    }
    let model = if walk.rng.chance(15) {
        walk.net.finish_float(x)
    } else {
        walk.net.finish(x)
    };
    (shape, walk.text, model)
}

struct Walk {
    net: Net,
    rng: Rng,
    text: String,
    even_strides: bool,
}

const FUSED: [Fused; 5] = [
    Fused::None,
    Fused::None,
    Fused::Relu,
    Fused::Relu6,
    Fused::ReluN1To1,
];
const ELEMENTS: [&str; 4] = ["RELU", "RELU6", "RELU_N1_TO_1", "QUANTIZE"];

impl Walk {
    fn channels(&mut self) -> usize {
        let any = self.rng.within(1, 20) as usize;
        self.rng.pick(&[1, 2, 3, 4, 5, 8, 9, 16, 17, 33, any])
    }

    /// One of a few kinds of block behind `x`.
    fn step(&mut self, x: Tensor) -> Tensor {
        match self.rng.within(0, 11) {
            0..=3 => {
                let channels = self.channels();
                let conv = self.conv(x.hwc, true);
                self.note(&format!("conv {channels} {conv:?}"));
                self.net.conv(x, channels, conv)
            }
            4 | 5 => self.residual(x),
            6 => {
                let name = self.rng.pick(&ELEMENTS);
                self.note(name);
                self.net.element(name, x)
            }
            7 | 8 => self.pool(x),
            9 | 10 => {
                let multiplier = self.rng.pick(&[1, 1, 1, 2, 3]);
                let conv = self.conv(x.hwc, true);
                self.note(&format!("depthwise {multiplier} {conv:?}"));
                self.net.depthwise(x, multiplier, conv)
            }
            _ => self.fork(x),
        }
    }

    fn note(&mut self, what: &str) {
        self.text += "\n  ";
        self.text += what;
    }

    fn weighted(&mut self) -> Weighted {
        Weighted {
            fused: self.rng.pick(&FUSED),
            per_channel: self.rng.chance(70),
            weights: if self.rng.chance(15) {
                Weights::Extremes
            } else {
                Weights::Any
            },
            multiplier: self.rng.chance(5).then_some(1.3),
            bias: self.rng.chance(85),
        }
    }

    fn stride(&mut self) -> usize {
        match self.even_strides {
            true => self.rng.pick(&[1, 1, 1, 2, 2]),
            false => self.rng.pick(&[1, 1, 1, 1, 3]),
        }
    }

    fn conv(&mut self, hwc: [usize; 3], may_shrink: bool) -> Conv {
        let kernel = self.rng.pick(&[
            [1, 1],
            [3, 3],
            [3, 3],
            [5, 5],
            [1, 7],
            [7, 1],
            [2, 3],
            [4, 2],
        ]);
        let mut conv = k(kernel[0], kernel[1]).with(self.weighted());
        if self.rng.chance(15) {
            conv = conv.dilation(2, 2);
        }
        if !may_shrink {
            return conv;
        }
        let fits =
            (0..2).all(|i| output_size(hwc[i], kernel[i], 1, conv.dilation[i], false).is_some());
        if fits && self.rng.chance(30) {
            conv = conv.valid();
        }
        let vertical = self.stride();
        let horizontal = if self.rng.chance(80) {
            vertical
        } else {
            self.stride()
        };
        conv.stride(vertical, horizontal)
    }

    /// `x` plus something made from `x`, in either order.
    fn residual(&mut self, x: Tensor) -> Tensor {
        let conv = self.conv(x.hwc, false);
        let mut inner = self.net.conv(x, x.hwc[2], conv);
        let deep = self.rng.chance(50);
        if deep {
            let conv = self.conv(x.hwc, false);
            inner = self.net.conv(inner, x.hwc[2], conv);
        }
        let table = self.rng.chance(20);
        if table {
            inner = self.net.element("RELU", inner);
        }
        self.note(&format!("residual {conv:?} deep {deep} table {table}"));
        let fused = self.rng.pick(&FUSED);
        let (a, b) = if self.rng.chance(50) {
            (x, inner)
        } else {
            (inner, x)
        };
        self.net.add(a, b, fused)
    }

    /// Two convolutions of `x` and their sum.
    fn fork(&mut self, x: Tensor) -> Tensor {
        let channels = self.channels();
        let conv = self.conv(x.hwc, true);
        self.note(&format!("fork {channels} {conv:?}"));
        let a = self.net.conv(x, channels, conv);
        let b = self.net.conv(x, channels, conv);
        let fused = self.rng.pick(&FUSED);
        self.net.add(a, b, fused)
    }

    fn pool(&mut self, x: Tensor) -> Tensor {
        let [h, w, _] = x.hwc;
        let kernel = [
            self.rng.within(1, 3.min(h as i64)),
            self.rng.within(1, 3.min(w as i64)),
        ];
        let stride = self.stride();
        let average = self.rng.chance(50);
        let same = !average && self.rng.chance(50);
        let pool = Pool {
            kernel: kernel.map(|n| n as usize),
            stride: [stride, stride],
            same,
        };
        let fused = self.rng.pick(&FUSED);
        self.note(&format!("pool, average {average}, {pool:?}"));
        if average {
            self.net.average_pool(x, pool, fused)
        } else {
            self.net.max_pool(x, pool, fused)
        }
    }

    /// A classifier's end.
    fn head(&mut self, x: Tensor) -> Tensor {
        let x = if self.rng.chance(50) {
            self.net.global_average(x)
        } else {
            x
        };
        let x = if self.rng.chance(50) {
            self.net.flatten(x)
        } else {
            x
        };
        let classes = self.rng.within(2, 40) as usize;
        let weighted = self.weighted();
        let y = self.net.fully_connected(x, classes, weighted);
        self.note(&format!("head {classes} of {:?}", x.hwc));
        if self.rng.chance(50) {
            self.net.softmax(y, 1.0)
        } else {
            y
        }
    }
}
