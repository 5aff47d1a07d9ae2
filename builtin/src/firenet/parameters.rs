//! Where weights come from: a file of trained ones, or a seed.

use std::io::Cursor;

use ndarray::{IxDyn, OwnedRepr};
use ndarray_npy::NpzReader;

use crate::random::Random;

/// The weights of a network by their names.
pub(super) trait Parameters {
    /// The parameter `name`, row-major. Seeded weights have a variance of `gain / fan_in`; 0 for zeros.
    fn get(&mut self, name: &str, shape: &[usize], fan_in: usize, gain: f32) -> Vec<f32>;
}

/// Weights of He's deviation (gain 2) or Glorot's (gain 1, for as many outputs as inputs). As in trained
/// networks there are more small and more large ones than in a normal distribution, so that sums of
/// their 8-bit forms stay as far from their bounds.
pub(super) struct Seeded {
    /// All weights follow from it and from their names.
    pub seed: u64,
}

impl Parameters for Seeded {
    fn get(&mut self, name: &str, shape: &[usize], fan_in: usize, gain: f32) -> Vec<f32> {
        let mut random = Random::named(self.seed, name);
        let deviation = (gain / fan_in as f32).sqrt();
        let count = shape.iter().product();
        let mut heavy_tailed = || random.normal() * random.uniform() * 3f32.sqrt();
        (0..count).map(|_| heavy_tailed() * deviation).collect()
    }
}

/// Weights that `testdata/firenet-small/train.py` wrote.
pub(super) struct Trained {
    npz: NpzReader<Cursor<&'static [u8]>>,
}

impl Trained {
    /// The weights of `firenet-small`.
    pub fn small() -> Self {
        let bytes: &[u8] = include_bytes!("../../../testdata/firenet-small/weights.npz");
        let npz = NpzReader::new(Cursor::new(bytes)).expect("the built-in weights");
        Trained { npz }
    }
}

impl Parameters for Trained {
    fn get(&mut self, name: &str, shape: &[usize], _: usize, _: f32) -> Vec<f32> {
        let array = self.npz.by_name::<OwnedRepr<f32>, IxDyn>(name);
        let array = array.unwrap_or_else(|e| panic!("built-in weights: {name}: {e}"));
        assert_eq!(array.shape(), shape, "built-in weights: {name}");
        array.iter().copied().collect()
    }
}
