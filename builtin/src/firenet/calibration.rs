//! Samples to find ranges with.

use std::io::{Cursor, Read, Seek};

use macforge_ptq::{Dataset, Values};
use ndarray::{Array, ArrayD, Axis, Dimension, Ix1, Ix2, Ix3, Ix4, IxDyn, OwnedRepr};
use ndarray_npy::{NpzReader, ReadableElement};

use super::{CHANNELS, FULL, HOURLY, HOURS, NOW};
use crate::random::Random;

/// Samples of `firenet`.
const SAMPLES: usize = 10;

/// 64 labelled observations for `firenet-small`.
pub fn small() -> Dataset {
    let bytes: &[u8] = include_bytes!("../../../testdata/firenet-small/calibration.npz");
    observations(Cursor::new(bytes)).expect("the built-in observations")
}

/// The observations of a file that `testdata/firenet-small/train.py` wrote: `image` uint8, channels
/// last, `environment`, `history`, `label`. `None` where the file is another one.
pub fn observations(file: impl Read + Seek) -> Option<Dataset> {
    let mut npz = NpzReader::new(file).ok()?;
    let image: Array<u8, Ix4> = array(&mut npz, "image")?;
    let image = image.permuted_axes([0, 3, 1, 2]).mapv(f32::from);
    let environment: Array<f32, Ix2> = array(&mut npz, "environment")?;
    let history: Array<f32, Ix3> = array(&mut npz, "history")?;
    let labels: Array<i32, Ix1> = array(&mut npz, "label")?;
    let inputs = [
        ("image", image.into_dyn()),
        ("environment", environment.into_dyn()),
        ("history", history.into_dyn()),
    ];
    let sample = |n: usize| {
        let one = |(name, all): &(&str, ArrayD<f32>)| {
            let own = all.index_axis(Axis(0), n).insert_axis(Axis(0));
            // in row-major order
            let own = Array::from_iter(own.iter().copied()).into_shape_with_order(own.raw_dim());
            (name.to_string(), own.expect("as many elements"))
        };
        Values::from_iter(inputs.iter().map(one))
    };
    Some(Dataset {
        samples: (0..labels.len()).map(sample).collect(),
        labels: Some(labels.iter().map(|&l| l as usize).collect()),
    })
}

fn array<T: ReadableElement, D: Dimension>(
    npz: &mut NpzReader<impl Read + Seek>,
    name: &str,
) -> Option<Array<T, D>> {
    npz.by_name::<OwnedRepr<T>, D>(name).ok()
}

/// Generated samples of `firenet`, whose weights are random, too: coarse fields with fine noise for
/// images, series that wander for the weather.
pub fn full() -> Dataset {
    let samples = (0..SAMPLES).map(|n| {
        let mut random = Random::named(n as u64, "calibration");
        let history = series(&mut random);
        let now = (0..NOW).map(|i| match i {
            0..3 => history[(HOURS - 1) * HOURLY + i],
            _ => random.uniform() * 2.0 - 1.0,
        });
        let now: Vec<f32> = now.collect();
        let array = |shape: &[usize], values| {
            ArrayD::from_shape_vec(IxDyn(shape), values).expect("as many elements")
        };
        Values::from([
            (
                "image".into(),
                array(&[1, CHANNELS, FULL.side, FULL.side], scene(&mut random)),
            ),
            ("environment".into(), array(&[1, NOW], now)),
            ("history".into(), array(&[1, HOURS, HOURLY], history)),
        ])
    });
    Dataset {
        samples: samples.collect(),
        labels: None,
    }
}

/// Hourly values that start anywhere and wander, held in -1 to 1.
fn series(random: &mut Random) -> Vec<f32> {
    let mut values: Vec<f32> = (0..HOURLY).map(|_| random.uniform() * 2.0 - 1.0).collect();
    let mut all = Vec::with_capacity(HOURS * HOURLY);
    for _ in 0..HOURS {
        for value in &mut values {
            *value = (*value + 0.1 * random.normal()).clamp(-1.0, 1.0);
        }
        all.extend(&values);
    }
    all
}

/// Pixels between the corners of a coarse grid, with noise; whole numbers 0 to 255.
fn scene(random: &mut Random) -> Vec<f32> {
    const CELL: usize = 16;
    let side = FULL.side;
    let corners = side / CELL + 1;
    let mut all = Vec::with_capacity(CHANNELS * side * side);
    for _ in 0..CHANNELS {
        let grid: Vec<f32> = (0..corners * corners)
            .map(|_| random.uniform() * 255.0)
            .collect();
        for (y, x) in (0..side).flat_map(|y| (0..side).map(move |x| (y, x))) {
            let (row, column) = (y / CELL, x / CELL);
            let [v, u] = [y, x].map(|at| (at % CELL) as f32 / CELL as f32);
            let corner = |dy: usize, dx: usize| grid[(row + dy) * corners + column + dx];
            let upper = corner(0, 0) * (1.0 - u) + corner(0, 1) * u;
            let lower = corner(1, 0) * (1.0 - u) + corner(1, 1) * u;
            let value = upper * (1.0 - v) + lower * v + 8.0 * random.normal();
            all.push(value.round().clamp(0.0, 255.0));
        }
    }
    all
}
