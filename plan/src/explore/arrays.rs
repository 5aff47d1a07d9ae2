//! The arrays and their variants that are looked at.

use super::limits::check_shape;
use super::{Explorer, simplest};
use crate::layout::gcd;
use crate::loops::Loops;
use crate::resources;
use crate::shape::{Packing, Shape};
use crate::stream::WeightSource;

const PIXELS: std::ops::RangeInclusive<usize> = 1..=16;
const OUT_CHANNELS: [usize; 11] = [2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128];
const IN_CHANNELS: [usize; 14] = [1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 16, 18, 24, 32];
const LANES: [usize; 7] = [1, 2, 4, 8, 12, 16, 32];

/// All pairs of both.
fn channels() -> impl Iterator<Item = (usize, usize)> {
    (OUT_CHANNELS.into_iter()).flat_map(|oc| IN_CHANNELS.map(move |ic| (oc, ic)))
}

/// Activation words in multiples of what the array and the lanes need.
const WORD_MULTIPLES: [usize; 8] = [1, 2, 3, 4, 6, 8, 12, 16];

impl Explorer<'_> {
    /// The shape with as many chains in LUTs as the DSPs do not suffice for: large networks, whose weights
    /// come from memory, are worth them; for others it stays as it is.
    fn with_fabric(&self, shape: Shape, source: WeightSource) -> Shape {
        if !source.streamed() {
            return shape;
        }
        let dsps = resources::dsps(&shape, self.features.placed(&shape, source));
        shape.without_dsps(dsps.saturating_sub(self.options.budget.dsp as usize))
    }

    /// DSPs of a design on a shape.
    fn dsps(&self, shape: &Shape, source: WeightSource) -> u64 {
        resources::dsps(shape, self.features.placed(shape, source)) as u64
    }

    /// How many products a DSP may make.
    fn packings(&self) -> &'static [Packing] {
        match self.layers.fit_quads() {
            true => &[Packing::Two, Packing::Four],
            false => &[Packing::Two],
        }
    }

    /// Arrays with one lane that DSPs and LUTs suffice for, largest first.
    pub(super) fn arrays(&self, source: WeightSource) -> Vec<Shape> {
        let mut arrays = Vec::new();
        for &packing in self.packings() {
            // a pixel alone gives a DSP two products
            for p in PIXELS.filter(|&p| packing == Packing::Two || p > 1) {
                for (oc, ic) in channels() {
                    let single = simplest([p, oc, ic], packing);
                    let shape = self.with_fabric(single, source);
                    if self.dsps(&shape, source) <= self.options.budget.dsp
                        && resources::fabric(&shape)[0] as u64 <= self.options.budget.lut
                        && check_shape(&self.layers, &shape, source).is_ok()
                    {
                        arrays.push(single);
                    }
                }
            }
        }
        arrays.sort_by_key(|shape| std::cmp::Reverse(shape.macs_per_cycle()));
        arrays
    }

    /// Lanes and words for an array, with a bound that no layout undercuts, lowest first.
    pub(super) fn variants(&self, array: Shape, source: WeightSource) -> Vec<(u64, Shape)> {
        let Shape { p, ic, .. } = array;
        let mut variants = Vec::new();
        let drains = (1..=p).filter(|d| p % d == 0);
        for (drained, lanes) in drains.flat_map(|d| LANES.map(|lanes| (d, lanes))) {
            let least = ic / gcd(ic, lanes) * lanes;
            for multiple in WORD_MULTIPLES {
                let word = least * multiple;
                let plain = Shape {
                    drained,
                    lanes,
                    word,
                    ..array
                };
                let shape = self.with_fabric(plain, source);
                // channels beyond the widest layer's would be idle
                let useful = multiple == 1 || word < self.widest + least;
                if useful
                    && self.dsps(&shape, source) <= self.options.budget.dsp
                    && check_shape(&self.layers, &shape, source).is_ok()
                {
                    variants.push((self.bound(&shape), shape));
                }
            }
        }
        variants.sort_unstable();
        variants
    }

    /// Cycles without the columns that a layout adds and without the pipelines' lengths.
    fn bound(&self, shape: &Shape) -> u64 {
        let layers = self.layers.layers.iter().skip(self.layers.reset_layers);
        layers
            .filter(|layer| !layer.is_unit())
            .map(|layer| {
                let [rows, columns, channels] = layer.output.hwc;
                let tiles = channels.div_ceil(shape.tile(layer));
                let groups = (rows * columns).div_ceil(shape.p);
                let drain = shape.p / shape.drained * Loops::drain_groups(shape, layer, channels);
                // weights per output channel; the first layer's may share steps
                let weights = layer.weighted().map_or(0, |w| w.weights.len() / channels);
                let steps = layer.passes(shape.packing)
                    * if layer.is_dot() {
                        weights.div_ceil(shape.ic)
                    } else {
                        weights
                    };
                (tiles * groups * drain.max(steps)) as u64
            })
            .sum()
    }
}
