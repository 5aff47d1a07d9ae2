//! The shape of the engine.

use crate::error::PlanError;
use crate::layers::HwLayer;
use crate::resources::Features;
use macforge_numeric::{packing, quad_packing};
use std::fmt;
use std::str::FromStr;

/// How many products a DSP of the dot array makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Packing {
    /// Two weights of 8 bits with one activation (`numeric::packing`).
    #[default]
    Two,
    /// Two weights with the activations of two pixels, 4 bits each (`numeric::quad_packing`).
    Four,
}

impl Packing {
    /// Products per DSP.
    pub fn products(self) -> usize {
        match self {
            Packing::Two => 2,
            Packing::Four => 4,
        }
    }

    /// The packing with so many products per DSP.
    pub fn of_products(products: usize) -> Option<Self> {
        [Packing::Two, Packing::Four]
            .into_iter()
            .find(|p| p.products() == products)
    }

    /// Longest chain of DSPs whose sums cannot overflow.
    pub fn chain(self) -> usize {
        match self {
            Packing::Two => packing::MAX_CHAIN,
            Packing::Four => quad_packing::MAX_CHAIN,
        }
    }
}

/// Shape of the dot array and of the drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shape {
    /// Pixel lanes.
    pub p: usize,
    /// Output channels per tile; even, because two weights share one DSP.
    pub oc: usize,
    /// Input channels per step.
    pub ic: usize,
    /// Pixels that the drain handles at once; divides P.
    pub drained: usize,
    /// Requantizer lanes per drained pixel: output channels written per cycle.
    pub lanes: usize,
    /// Channels of an activation word, which the channel array takes per pixel and cycle.
    pub word: usize,
    /// Chains of the dot array that are built of LUTs, because there are not enough DSPs.
    pub fabric: usize,
    /// Products per DSP.
    pub packing: Packing,
}

impl Shape {
    /// Separately written segments of an activation word.
    pub fn segments(&self) -> usize {
        self.word / self.lanes
    }

    /// Requantizer lanes of all drained pixels.
    pub fn all_lanes(&self) -> usize {
        self.drained * self.lanes
    }

    /// Accumulators that the drain takes per pixel.
    pub fn accumulators(&self, features: Features) -> usize {
        if features.channel {
            self.oc.max(self.word)
        } else {
            self.oc
        }
    }

    /// Output channels of a tile of `layer`.
    pub fn tile(&self, layer: &HwLayer) -> usize {
        if layer.is_dot() { self.oc } else { self.word }
    }

    /// DSP chain length: a shorter array has shorter chains.
    pub fn chain(&self) -> usize {
        self.ic.min(self.packing.chain())
    }

    /// Registered levels of the adder tree behind the chains.
    pub fn tree_levels(&self) -> usize {
        let chains = self.ic.div_ceil(self.chain());
        chains.next_power_of_two().trailing_zeros() as usize
    }

    /// Multiply-accumulates per cycle at full use.
    pub fn macs_per_cycle(&self) -> u64 {
        (self.p * self.oc * self.ic) as u64
    }

    /// DSPs of the dot array: two output channels each, and two pixels where it makes four products; of an
    /// odd number of pixels the last one is alone.
    pub fn array_dsps(&self) -> usize {
        let pixels = self.p.div_ceil(self.packing.products() / 2);
        pixels * self.oc * self.ic / 2 - self.fabric * self.chain()
    }

    /// The shape with as many chains in LUTs as take the place of `dsps` DSPs; only whole chains do.
    pub fn without_dsps(&self, dsps: usize) -> Shape {
        let chains = if self.ic.is_multiple_of(self.chain()) && self.packing == Packing::Two {
            dsps.div_ceil(self.chain())
        } else {
            0
        };
        let all = self.p * self.oc / 2 * self.ic.div_ceil(self.chain());
        Shape {
            fabric: chains.min(all),
            ..*self
        }
    }

    /// Why these numbers cannot form an engine, if so.
    pub fn check(&self) -> Result<(), PlanError> {
        let Shape {
            p,
            oc,
            ic,
            drained,
            lanes,
            word,
            fabric: _,
            packing: _,
        } = *self;
        let reason = if p == 0 || oc == 0 || ic == 0 || lanes == 0 || word == 0 || drained == 0 {
            "every number must be at least 1".to_string()
        } else if p > 64 || oc > 512 || ic > 128 || word > 512 {
            "larger than 64x512x128".to_string()
        } else if oc % 2 != 0 {
            format!("OC = {oc} is odd, but two weights share one DSP")
        } else if p % drained != 0 || drained > 16 {
            format!("{drained} drained pixels do not divide P = {p}, or are more than 16")
        } else if oc % lanes != 0 {
            format!("{lanes} requantizer lanes do not divide OC = {oc}")
        } else if word % ic != 0 || word % lanes != 0 {
            format!("IC = {ic} and {lanes} requantizer lanes do not divide a word of {word} bytes")
        } else {
            return Ok(());
        };
        Err(PlanError::Shape {
            shape: self.to_string(),
            reason,
        })
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.p, self.oc, self.ic)
    }
}

/// `PxOCxIC` as the user writes it; lanes and word are chosen by the planner.
impl FromStr for Shape {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let bad = || PlanError::ShapeSyntax(text.to_string());
        let numbers: Vec<usize> = text
            .split(['x', 'X'])
            .map(|part| part.trim().parse().map_err(|_| bad()))
            .collect::<Result<_, _>>()?;
        let [p, oc, ic] = numbers.as_slice() else {
            return Err(bad());
        };
        Ok(Shape {
            p: *p,
            oc: *oc,
            ic: *ic,
            drained: 1,
            lanes: 1,
            word: *ic,
            fabric: 0,
            packing: Packing::Two,
        })
    }
}
