//! int16 inputs, results and weights through plan, Verilog and simulation: every stored tensor, output and
//! saturation count equals the reference model's.

#[allow(dead_code)]
#[path = "../src/cosim/mod.rs"]
mod cosim;
#[allow(dead_code)]
mod graphs_support;
#[allow(dead_code)]
mod layers_support;
#[allow(dead_code)]
#[path = "../src/project.rs"]
mod project;
mod support;
mod wide_support;

use graphs_support::{Graph, assert_exact, run, window};
use macforge_quant::{QGraph, Window};

#[track_caller]
fn assert_refused(shape: &str, graph: &QGraph, reasons: &[&str]) {
    let why = run(graph, shape, 1, None).expect_err("must be refused");
    for reason in reasons {
        assert!(why.contains(reason), "{why}");
    }
}

#[test]
fn a_first_convolution_takes_int16_pixels_and_gives_int8() {
    for (case, channels, w) in [
        ("folded", 4, window([3, 3], [1, 1], [1, 1])),
        ("strided", 3, window([5, 5], [2, 2], [2, 2])),
        ("whole words", 8, window([3, 2], [1, 1], [1, 0])),
    ] {
        let mut g = Graph::new(11);
        let x = g.wide_input(&[6, 7, channels]);
        let y = g.wide_conv(x, 9, w, [8, 8]);
        let z = g.max_pool(y, window([2, 2], [1, 1], [0, 0]));
        let z = g.conv(z, 6, window([3, 3], [1, 1], [1, 1]));
        let sum = g.conv(z, 6, window([1, 1], [1, 1], [0, 0]));
        let z = g.add(z, sum);
        assert_exact(case, &["3x8x8", "1x4x16", "4x6x4"], &g.finish(&[z, y]));
    }
}

#[test]
fn results_of_16_bits_are_two_bytes_of_one_value() {
    let mut g = Graph::new(12);
    let x = g.input(&[5, 6, 7]);
    let a = g.wide_conv(x, 10, window([3, 3], [1, 1], [1, 1]), [8, 16]);
    let b = g.wide_conv(a, 12, window([3, 3], [2, 1], [1, 1]), [8, 16]);
    g.bounded();
    let c = g.wide_conv(b, 9, window([1, 1], [1, 1], [0, 0]), [8, 8]);
    g.bounded();
    let y = g.fully_connected(c, 5);
    assert_exact("two bytes", &["3x8x4", "5x6x6"], &g.finish(&[y, b]));
}

#[test]
fn weights_of_16_bits_are_two_passes() {
    let mut g = Graph::new(13);
    let x = g.input(&[5, 6, 7]);
    let a = g.wide_conv(x, 6, window([3, 3], [1, 1], [1, 1]), [16, 8]);
    let b = g.wide_conv(a, 8, window([2, 3], [1, 2], [0, 1]), [16, 16]);
    let y = g.wide_fully_connected(b, 7, [16, 8]);
    assert_exact("two passes", &["3x8x4", "3x4x16"], &g.finish(&[y]));
}

#[test]
fn vectors_of_16_bits_go_through_fully_connected_layers() {
    let mut g = Graph::new(14);
    let x = g.wide_input(&[20]);
    let a = g.wide_fully_connected(x, 18, [8, 16]);
    let b = g.wide_fully_connected(a, 16, [16, 16]);
    let y = g.wide_fully_connected(b, 9, [16, 16]);
    assert_exact("vectors", &["1x8x8", "3x4x4"], &g.finish(&[y]));
}

#[test]
fn images_of_16_bits_are_flattened_and_kernels_dilated() {
    let mut g = Graph::new(15);
    let x = g.wide_input(&[6, 5, 5]);
    let dilated = Window {
        dilation: [2, 2],
        ..window([2, 2], [1, 1], [1, 1])
    };
    let a = g.wide_conv(x, 7, dilated, [8, 16]);
    let elements = g.shape_of(a).iter().product();
    let flat = g.wide_reshape(a, &[elements]);
    let y = g.wide_fully_connected(flat, 6, [8, 8]);
    assert_exact("flattened", &["3x8x8", "5x2x4"], &g.finish(&[y]));
}

#[test]
fn what_int16_values_cannot_do_is_refused_by_name() {
    let mut g = Graph::new(16);
    let x = g.wide_input(&[4, 4, 8]);
    let other = g.wide_reshape(x, &[2, 8, 8]);
    let y = g.wide_conv(other, 4, window([1, 1], [1, 1], [0, 0]), [8, 8]);
    let why = ["CONV_2D #1", "int16 values `t1`", "bits = 8"];
    assert_refused("3x8x4", &g.finish(&[y]), &why);

    let mut g = Graph::new(17);
    let x = g.wide_input(&[1, 1, 1024]);
    let y = g.wide_conv(x, 4, window([1, 1], [1, 1], [0, 0]), [16, 8]);
    let why = ["CONV_2D #0, channel 0", "more than 40"];
    let mut graph = g.finish(&[y]);
    let macforge_quant::QOp::Conv2d(conv) = &mut graph.nodes[0].op else {
        unreachable!()
    };
    conv.weights.fill(32_639);
    assert_refused("3x8x4", &graph, &why);
    let macforge_quant::QOp::Conv2d(conv) = &mut graph.nodes[0].op else {
        unreachable!()
    };
    conv.weights.fill(0);
    conv.weights[3] = 384;
    assert_refused("3x8x4", &graph, &["CONV_2D #0", "a 16-bit weight of 384"]);
}

#[test]
fn a_model_file_with_int16_tensors_runs_with_weights_on_chip_and_from_memory() {
    for more in [
        &["--shape", "3x8x4"][..],
        &["--shape", "3x8x4", "--weights", "ddr"],
    ] {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let dir = dir.path();
        let model = dir.join("wide.onnx");
        std::fs::write(&model, wide_support::model()).expect("a new file");
        support::compile(&model, "pynq-z2", more, &dir.join("out"));
        let [result, manifest] = support::simulate_stalled(dir, "int16");
        let precisions: Vec<&str> = (manifest["layers"].as_array().expect("a list").iter())
            .map(|layer| layer["precision"].as_str().expect("a text"))
            .collect();
        assert_eq!(
            precisions,
            [
                "w8a16 out16",
                "w8a16 out16",
                "w16a16 out16",
                "w16a16 out16",
                "w8a16"
            ]
        );
        assert_eq!(result["samples"], 4);
    }
}
