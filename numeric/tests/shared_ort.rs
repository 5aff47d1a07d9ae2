//! onnxruntime's own QLinearConv vectors, which pin down the ort-x86 rule.

use std::path::Path;

use macforge_numeric::{Clamp, RequantRule, Requantizer};
use serde_json::Value;

fn ints(case: &Value, key: &str) -> Vec<i64> {
    let list = case[key].as_array().unwrap();
    list.iter().map(|v| v.as_i64().unwrap()).collect()
}

fn int(case: &Value, key: &str) -> i64 {
    case[key].as_i64().unwrap()
}

/// `(i, j, k)` of a row-major index into three dimensions.
fn unravel(index: usize, [_, b, c]: [usize; 3]) -> [usize; 3] {
    [index / (b * c), index / c % b, index % c]
}

/// The convolution of a `[1, C, H, W]` uint8 input, as accumulators in output order.
fn accumulators(case: &Value) -> Vec<i64> {
    let dims = |case: &Value, key: &str| ints(case, key).into_iter().map(|d| d as usize);
    let shape =
        |key: &str| -> [usize; 4] { dims(case, key).collect::<Vec<_>>().try_into().unwrap() };
    let ([_, _, xh, xw], [_, wc, wh, ww]) = (shape("x_shape"), shape("w_shape"));
    let [_, oc, oh, ow] = shape("y_shape");
    let attrs = &case["attrs"];
    let pads: Vec<usize> = dims(attrs, "pads").collect();
    let stride = attrs["strides"][0].as_u64().unwrap_or(1) as usize;
    let group = attrs["group"].as_u64().unwrap_or(1) as usize;
    let (x, w, bias) = (ints(case, "x"), ints(case, "w"), ints(case, "b"));
    let (x_zp, w_zp) = (int(case, "x_zp"), int(case, "w_zp"));
    (0..oc * oh * ow)
        .map(|i| {
            let [o, row, column] = unravel(i, [oc, oh, ow]);
            let first = o / (oc / group) * wc;
            let products = (0..wc * wh * ww).filter_map(|tap| {
                let [c, ky, kx] = unravel(tap, [wc, wh, ww]);
                let y = (row * stride + ky).checked_sub(pads[0])?;
                let x_at = (column * stride + kx).checked_sub(pads[1])?;
                let inside = y < xh && x_at < xw;
                inside.then(|| {
                    let value = x[((first + c) * xh + y) * xw + x_at];
                    (value, w[o * wc * wh * ww + tap])
                })
            });
            let sum: i64 = products.map(|(x, w)| (x - x_zp) * (w - w_zp)).sum();
            sum + bias[o]
        })
        .collect()
}

#[test]
#[ignore = "needs ../shared/models"]
fn the_rule_reproduces_onnxruntimes_vectors() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/models/conformance/ort_qlinearconv_vectors.json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 2);
    for case in cases {
        let scale = |key: &str| case[key].as_f64().unwrap() as f32;
        let requantizer = Requantizer {
            rule: RequantRule::OrtX86 {
                scale: scale("x_scale") * scale("w_scale") / scale("y_scale"),
            },
            zero_point: int(case, "y_zp") as i32,
            clamp: Clamp { lo: 0, hi: 255 },
        };
        let found: Vec<i64> = accumulators(case)
            .into_iter()
            .map(|acc| requantizer.apply(acc).into())
            .collect();
        assert_eq!(found, ints(case, "y"), "{}", case["name"]);
    }
}
