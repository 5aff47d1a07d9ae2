//! gemmlowp's own test matrices: a quantized product with a 12-bit multiplier.

use std::fs::File;
use std::path::Path;

use macforge_numeric::{Clamp, LaneConstants};
use ndarray::Array2;
use ndarray_npy::NpzReader;

#[test]
#[ignore = "needs ../shared/models"]
fn the_lane_reproduces_gemmlowps_matrix_product() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/models/conformance/gemmlowp/test_data.npz");
    let mut npz = NpzReader::new(File::open(path).unwrap()).unwrap();
    let mut array = |name: &str| -> Array2<u8> { npz.by_name(name).unwrap() };
    let (a, b, expected) = (array("a"), array("b"), array("expected_mxn"));
    // The parameters of the file's `config` entry.
    let (a_offset, result_offset) = (-84i64, 74_980i64);
    let lane = LaneConstants {
        multiplier: 3401,
        shift: 21,
        constant: 0,
        double_round: false,
        tie_window: None,
        zero_point: 0,
        clamp: Clamp { lo: 0, hi: 255 },
    };
    for ((m, n), &wanted) in expected.indexed_iter() {
        let acc: i64 = a
            .row(m)
            .iter()
            .zip(b.row(n))
            .map(|(&x, &y)| (i64::from(x) + a_offset) * i64::from(y))
            .sum();
        assert_eq!(
            lane.apply(acc + result_offset),
            i32::from(wanted),
            "{m} {n}"
        );
    }
}
