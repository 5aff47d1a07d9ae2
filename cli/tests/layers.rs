//! Small generated models through the whole command: the hardware's integers are the reference
//! model's on every stored value, whatever the operator, its geometry and the array are.
//!
//! The samples are the simulator's own: all -128, all 127, then random ones.

mod layers_support;
mod support;

use layers_support::sweep;
use layers_support::{Conv, Net, Tensor, Weighted, Weights, k, pool};
use macforge_model::tflite::writer::Fused;
use std::fs;
use std::path::Path;
use support::{Run, command, run, simulate};

/// Compiles a model in `dir` for an array of the given shape.
fn compile(dir: &Path, shape: &str, model: &[u8]) -> Run {
    fs::write(dir.join("model.tflite"), model).expect("a new file");
    let mut command = command([
        "compile",
        "model.tflite",
        "--board",
        "pynq-z2",
        "--shape",
        shape,
    ]);
    command.current_dir(dir).args(["-o", "out"]);
    run(command)
}

/// Simulates a model on each shape, the last one with stalled streams, and compares every integer.
#[track_caller]
fn assert_exact(case: &str, shapes: &[&str], model: &[u8]) {
    for (number, shape) in shapes.iter().enumerate() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let compiled = compile(dir.path(), shape, model);
        assert_eq!(compiled.code, 0, "{case} on {shape}: {}", compiled.stderr);
        let mut options: Vec<&dyn AsRef<std::ffi::OsStr>> = vec![&"--samples", &"4", &"--layers"];
        if number + 1 == shapes.len() {
            options.extend([&"--stall" as &dyn AsRef<std::ffi::OsStr>, &"7"]);
        }
        let simulated = simulate(&dir.path().join("out"), &options);
        let exact = simulated.code == 0 && simulated.stdout.contains(" 0 mismatches");
        assert!(
            exact,
            "{case} on {shape}:\n{}{}",
            simulated.stdout, simulated.stderr
        );
    }
}

/// Checks that planning refuses a model with this reason.
#[track_caller]
fn assert_refused(shape: &str, model: &[u8], reason: &str) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    compile(dir.path(), shape, model).refused(&[reason]);
}

/// Convolutions one after the other, each with its output channels.
fn chain(seed: u64, hwc: [usize; 3], convs: &[(usize, Conv)]) -> Vec<u8> {
    let (mut net, mut x) = Net::new(seed, hwc);
    for &(channels, conv) in convs {
        x = net.conv(x, channels, conv);
    }
    net.finish(x)
}

#[test]
fn kernels_of_any_form_see_the_right_neighbours() {
    let same = chain(
        1,
        [5, 7, 3],
        &[
            (4, k(1, 1)),
            (5, k(3, 3)),
            (7, k(5, 5)),
            (8, k(1, 7)),
            (9, k(7, 1)),
            (16, k(2, 4)),
            (17, k(1, 1)),
        ],
    );
    assert_exact("SAME", &["3x8x4", "4x8x2", "7x6x3"], &same);
    let valid = chain(
        2,
        [11, 13, 2],
        &[
            (8, k(3, 3).valid()),
            (3, k(1, 5).valid()),
            (4, k(5, 1).valid()),
            (2, k(5, 7).valid()),
        ],
    );
    assert_exact("VALID", &["2x4x8", "1x12x12"], &valid);
}

#[test]
fn strides_and_dilations_skip_the_right_pixels() {
    let strides = chain(
        3,
        [23, 19, 4],
        &[
            (9, k(3, 3).stride(2, 2)),
            (7, k(2, 2).stride(1, 3)),
            (8, k(5, 3).stride(3, 1).valid()),
            (5, k(1, 1).stride(2, 2)),
        ],
    );
    assert_exact("strides", &["5x16x4", "7x6x3", "1x8x8"], &strides);
    let dilations = chain(
        4,
        [12, 11, 3],
        &[
            (8, k(3, 3).dilation(2, 2)),
            (6, k(3, 3).dilation(1, 3).valid()),
            (4, k(3, 2).dilation(2, 1).stride(2, 1)),
        ],
    );
    assert_exact("dilations", &["3x8x4", "4x8x2"], &dilations);
}

#[test]
fn depthwise_kernels_of_any_form_keep_the_channels_apart() {
    // channels that fill no word, exactly one, or several
    for (case, channels) in [("5 channels", 5), ("16 channels", 16), ("37 channels", 37)] {
        let (mut net, x) = Net::new(40, [11, 9, channels]);
        let x = net.depthwise(x, 1, k(3, 3));
        let x = net.depthwise(x, 1, k(1, 4).fused(Fused::Relu6));
        let x = net.depthwise(x, 1, k(3, 2).stride(2, 1));
        let y = net.depthwise(x, 1, k(5, 1).valid());
        assert_exact(case, &["3x8x4", "7x6x3", "1x8x8"], &net.finish(y));
    }
    let (mut net, x) = Net::new(41, [13, 14, 6]);
    let x = net.depthwise(x, 1, k(3, 3).dilation(2, 3));
    let x = net.depthwise(x, 1, k(2, 2).dilation(3, 1).valid());
    let y = net.depthwise(x, 1, k(3, 3).stride(2, 2).valid());
    assert_exact("dilations", &["5x16x4", "3x16x16"], &net.finish(y));
}

#[test]
fn depthwise_layers_stand_between_all_others() {
    let (mut net, x) = Net::new(42, [10, 7, 3]);
    let x = net.conv(x, 12, k(3, 3).stride(2, 2));
    let d = net.depthwise(x, 1, k(3, 3));
    let d = net.add(d, x, Fused::Relu);
    let x = net.conv(d, 20, k(1, 1));
    let x = net.depthwise(x, 1, k(3, 3));
    let x = net.max_pool(x, pool(2, 1), Fused::None);
    let x = net.element("RELU6", x);
    let x = net.depthwise(x, 1, k(2, 2).valid());
    let x = net.global_average(x);
    let x = net.flatten(x);
    let x = net.fully_connected(x, 9, Weighted::default());
    let y = net.softmax(x, 1.0);
    assert_exact("between", &["3x8x4", "5x16x4", "7x6x3"], &net.finish(y));
}

#[test]
fn a_depth_multiplier_makes_several_outputs_of_a_channel() {
    for (case, channels, multiplier) in [("1 to 8", 1, 8), ("3 to 6", 3, 2), ("7 to 21", 7, 3)] {
        let (mut net, x) = Net::new(43, [9, 8, channels]);
        let x = net.depthwise(x, multiplier, k(4, 3).stride(1, 1));
        let y = net.depthwise(x, 1, k(3, 3));
        assert_exact(case, &["3x8x4", "1x12x12"], &net.finish(y));
    }
    // layers of some groups each, the last one with fewer; then a sum and a table over all of them
    let (mut net, x) = Net::new(44, [12, 9, 37]);
    let x = net.depthwise(x, 2, k(3, 3).stride(2, 1));
    let z = net.conv(x, 74, k(1, 1));
    let x = net.depthwise(z, 1, k(1, 1));
    let x = net.add(x, z, Fused::Relu);
    let y = net.depthwise(x, 3, k(2, 2));
    assert_exact("37 to 74 to 222", &["3x8x4", "1x12x12"], &net.finish(y));
}

#[test]
fn depthwise_weights_reach_the_ends_of_int8() {
    let extremes = Weighted {
        weights: Weights::Extremes,
        ..Weighted::default()
    };
    let (mut net, x) = Net::with_zero_points(44, [8, 8, 9], &[-128, 127, 0]);
    let x = net.depthwise(x, 1, k(3, 3).with(extremes));
    let x = net.depthwise(x, 1, k(5, 5).with(extremes));
    let y = net.depthwise(
        x,
        1,
        k(3, 3).with(Weighted {
            multiplier: Some(1.3),
            ..extremes
        }),
    );
    assert_exact("extremes", &["3x8x4", "2x4x8"], &net.finish(y));
}

#[test]
fn a_stride_that_shares_a_factor_with_the_pixel_lanes_is_refused() {
    let two = chain(5, [8, 8, 4], &[(4, k(3, 3).stride(2, 2))]);
    assert_refused("4x8x2", &two, "stride");
    let three = chain(5, [8, 8, 8], &[(4, k(3, 3).stride(3, 3))]);
    assert_refused("3x8x4", &three, "stride");
}

#[test]
fn lines_and_columns_are_images_too() {
    let row = chain(
        6,
        [1, 17, 4],
        &[(8, k(1, 3)), (5, k(3, 3)), (3, k(1, 5).valid())],
    );
    assert_exact("1x17", &["3x8x4", "4x8x2"], &row);
    let column = chain(
        7,
        [13, 1, 5],
        &[
            (7, k(3, 1)),
            (4, k(3, 3).stride(2, 1)),
            (6, k(5, 1).valid()),
        ],
    );
    assert_exact("13x1", &["5x16x4", "2x4x8"], &column);
    let narrow = chain(
        8,
        [11, 3, 1],
        &[(2, k(3, 3)), (1, k(3, 3)), (3, k(3, 2).stride(1, 1))],
    );
    assert_exact("11x3", &["7x6x3"], &narrow);
}

#[test]
fn channel_counts_need_not_fit_the_array() {
    let counts = [1, 33, 2, 17, 3, 16, 5, 9, 4, 8, 7];
    let convs: Vec<(usize, Conv)> = counts.iter().map(|&c| (c, k(1, 3))).collect();
    let model = chain(9, [3, 4, 33], &convs);
    assert_exact("channels", &["3x8x4", "2x4x8", "1x12x12"], &model);
}

#[test]
fn a_tensor_is_read_with_two_strides() {
    let (mut net, x) = Net::new(10, [9, 10, 3]);
    let stem = net.conv(x, 8, k(3, 3));
    let coarse = net.conv(stem, 12, k(1, 1).stride(2, 2));
    let fine = net.conv(stem, 12, k(3, 3));
    let fine = net.conv(fine, 12, k(3, 3).stride(2, 2));
    let y = net.add(coarse, fine, Fused::Relu);
    assert_exact("two strides", &["3x8x4", "5x16x4"], &net.finish(y));
}

#[test]
fn the_output_may_be_an_image_and_the_input_folded_or_not() {
    for (case, channels) in [("folded", 2), ("direct", 8)] {
        let model = chain(11, [6, 7, channels], &[(6, k(3, 3))]);
        assert_exact(case, &["3x8x4", "1x8x8"], &model);
    }
    // folded with a stride, without padding, with rows and columns that no window reaches
    let model = chain(12, [9, 12, 3], &[(5, k(2, 5).stride(3, 3).valid())]);
    assert_exact("folded with rest", &["5x16x4"], &model);
}

#[test]
fn weights_of_minus_128_are_multiplied_in_two_passes() {
    let (mut net, mut x) = Net::new(12, [5, 6, 9]);
    for (channels, kernel) in [(17, k(3, 2)), (5, k(1, 1)), (20, k(2, 3))] {
        let weights = Weights::Full;
        x = net.conv(
            x,
            channels,
            kernel.with(Weighted {
                weights,
                ..Weighted::default()
            }),
        );
    }
    assert_exact("weights of -128", &["3x8x4", "5x6x5"], &net.finish(x));
}

#[test]
fn fully_connected_layers_take_vectors_and_images() {
    let (mut net, x) = Net::flat(13, 37);
    let x = net.fully_connected(
        x,
        17,
        Weighted {
            fused: Fused::Relu,
            ..Weighted::default()
        },
    );
    let y = net.fully_connected(
        x,
        3,
        Weighted {
            per_channel: false,
            ..Weighted::default()
        },
    );
    assert_exact("vector", &["3x8x4", "2x4x8"], &net.finish(y));

    let (mut net, x) = Net::new(14, [5, 3, 9]);
    let x = net.conv(x, 5, k(3, 3));
    let y = net.fully_connected(
        x,
        10,
        Weighted {
            bias: false,
            ..Weighted::default()
        },
    );
    assert_exact("image", &["7x6x3"], &net.finish(y));

    let (mut net, x) = Net::new(15, [4, 5, 6]);
    let x = net.conv(x, 9, k(3, 3));
    let x = net.flatten(x);
    let y = net.fully_connected(
        x,
        10,
        Weighted {
            per_channel: false,
            ..Weighted::default()
        },
    );
    assert_exact("flattened image", &["1x12x12", "5x16x4"], &net.finish(y));
}

#[test]
fn pools_take_any_window() {
    let (mut net, x) = Net::new(16, [9, 11, 5]);
    let x = net.max_pool(x, pool(3, 1).same(), Fused::None);
    let x = net.conv(x, 9, k(1, 1));
    let x = net.max_pool(x, pool(3, 2).same(), Fused::Relu);
    let x = net.average_pool(x, pool(3, 1), Fused::None);
    let y = net.max_pool(x, pool(2, 2), Fused::None);
    assert_exact("max", &["3x8x4", "5x16x4"], &net.finish(y));

    let (mut net, x) = Net::new(17, [9, 10, 3]);
    let x = net.conv(x, 17, k(3, 3));
    let x = net.average_pool(x, pool(2, 2), Fused::Relu6);
    let x = net.average_pool(x, pool(3, 1), Fused::None);
    let y = net.global_average(x);
    assert_exact("average", &["7x6x3", "1x8x8", "3x8x4"], &net.finish(y));

    let (mut net, x) = Net::new(19, [8, 8, 4]);
    let y = net.max_pool(x, pool(2, 1), Fused::None);
    assert_exact(
        "more input than output channels",
        &["2x4x8"],
        &net.finish(y),
    );

    let (mut net, x) = Net::new(18, [7, 6, 9]);
    let y = net.global_average(x);
    assert_exact("global average of the input", &["4x8x2"], &net.finish(y));
}

#[test]
fn averages_at_the_border_have_fewer_values() {
    let (mut net, x) = Net::new(20, [8, 8, 4]);
    let x = net.average_pool(x, pool(3, 1).same(), Fused::Relu);
    let y = net.average_pool(x, pool(4, 2).same(), Fused::None);
    assert_exact("SAME", &["3x8x4"], &net.finish(y));
}

#[test]
fn a_tensor_plus_itself_is_read_from_a_copy() {
    // a bank has one read port, and a sum reads two tensors
    let (mut net, x) = Net::new(37, [4, 4, 3]);
    let x = net.conv(x, 4, k(1, 1));
    let y = net.add(x, x, Fused::None);
    assert_exact("twice", &["3x8x4"], &net.finish(y));
}

/// Two convolutions of one tensor and their sum, in either order.
fn fork(net: &mut Net, x: Tensor, swap: bool, fused: Fused) -> Tensor {
    let channels = x.hwc[2];
    let a = net.conv(x, channels, k(1, 1));
    let b = net.conv(x, channels, k(3, 3).fused(Fused::Relu));
    if swap {
        net.add(b, a, fused)
    } else {
        net.add(a, b, fused)
    }
}

#[test]
fn sums_take_their_operands_from_anywhere() {
    let (mut net, x) = Net::with_zero_points(21, [5, 7, 9], &[-128, 0, -7, 33]);
    let x = fork(&mut net, x, false, Fused::None);
    let x = fork(&mut net, x, true, Fused::Relu);
    let inner = net.conv(x, 9, k(3, 3));
    let y = net.add(inner, x, Fused::Relu6);
    let inner = net.conv(y, 9, k(3, 3));
    let y = net.add(y, inner, Fused::None);
    assert_exact("both orders", &["3x8x4", "4x8x2", "7x6x3"], &net.finish(y));

    let (mut net, x) = Net::new(22, [4, 5, 6]);
    let inner = net.conv(x, 6, k(3, 3));
    let y = net.add(x, inner, Fused::None);
    assert_exact("with the input", &["5x16x4"], &net.finish(y));

    // both operands have another reader, so that no layer can take the sum into its drain
    let (mut net, x) = Net::new(23, [4, 5, 6]);
    let a = net.conv(x, 12, k(3, 3));
    let b = net.conv(x, 12, k(1, 1));
    let sum = net.add(a, b, Fused::ReluN1To1);
    let (a, b) = (net.conv(a, 5, k(1, 1)), net.conv(b, 5, k(1, 1)));
    let (x, sum) = (net.add(a, b, Fused::None), net.conv(sum, 5, k(1, 3)));
    let y = net.add(x, sum, Fused::Relu);
    assert_exact(
        "operands with other readers",
        &["3x8x4", "1x8x8"],
        &net.finish(y),
    );

    let (mut net, x) = Net::flat(24, 19);
    let a = net.fully_connected(x, 19, Weighted::default());
    let y = net.add(a, x, Fused::None);
    assert_exact("vectors", &["3x8x4"], &net.finish(y));
}

/// Residual blocks of one layer each, with these activations of their sums.
fn blocks(net: &mut Net, mut x: Tensor, fused: &[Fused]) -> Tensor {
    for &fused in fused {
        let inner = net.conv(x, x.hwc[2], k(3, 3));
        x = net.add(x, inner, fused);
    }
    x
}

#[test]
fn saturations_of_channels_that_the_tensor_does_not_have_are_not_counted() {
    let none = [Fused::None; 2];
    for (channels, shapes) in [(1, &["1x12x12"][..]), (5, &["3x8x4"]), (9, &["5x2x1"])] {
        let (mut net, x) = Net::with_zero_points(38, [5, 4, channels], &[90, -100, -128]);
        let y = blocks(&mut net, x, &none);
        assert_exact(&format!("{channels} channels"), shapes, &net.finish(y));
    }
}

#[test]
fn activation_tables_apply_after_and_before_everything() {
    let (mut net, x) = Net::new(25, [5, 6, 7]);
    let x = net.element("RELU", x);
    let x = net.conv(x, 9, k(3, 3));
    let x = net.element("QUANTIZE", x);
    let inner = net.conv(x, 9, k(1, 1));
    let inner = net.element("RELU6", inner);
    let x = net.add(x, inner, Fused::None);
    let x = net.element("RELU_N1_TO_1", x);
    let x = net.max_pool(x, pool(2, 1), Fused::None);
    let y = net.element("RELU", x);
    assert_exact("tables", &["3x8x4", "4x8x2"], &net.finish(y));

    let (mut net, x) = Net::new(26, [3, 5, 5]);
    let x = net.element("QUANTIZE", x);
    let y = net.element("RELU6", x);
    assert_exact("tables alone", &["1x12x12"], &net.finish(y));
}

#[test]
fn softmax_takes_few_and_many_classes() {
    for (classes, beta, shapes) in [
        (2, 1.0, &["3x8x4"][..]),
        (10, 0.7, &["5x16x4", "4x8x2"]),
        (100, 1.0, &["2x4x8"]),
        (1000, 2.5, &["1x12x12"]),
    ] {
        let (mut net, x) = Net::flat(27, 12);
        let x = net.fully_connected(x, classes, Weighted::default());
        let y = net.softmax(x, beta);
        assert_exact(&format!("{classes} classes"), shapes, &net.finish(y));
    }
    let (mut net, x) = Net::flat(28, 21);
    let y = net.softmax(x, 1.0);
    assert_exact("softmax of the input", &["3x8x4"], &net.finish(y));
}

#[test]
fn floats_are_converted_at_the_boundary() {
    let (mut net, x) = Net::float(29, [5, 7, 3]);
    let x = net.conv(x, 5, k(3, 3));
    assert_exact("image", &["3x8x4", "2x4x8"], &net.finish_float(x));
    let (mut net, x) = Net::float(30, [4, 4, 8]);
    let x = net.conv(x, 10, k(4, 4).valid());
    let x = net.flatten(x);
    let y = net.softmax(x, 1.0);
    assert_exact("classes", &["4x8x2"], &net.finish_float(y));
}

#[test]
fn clamps_weights_zero_points_and_multipliers_take_their_extremes() {
    let fused = [Fused::Relu6, Fused::ReluN1To1, Fused::Relu, Fused::None];
    for (number, zero_points) in [[-128, 127, 0], [127, -128, 127], [0, 127, -128]]
        .iter()
        .enumerate()
    {
        let (mut net, mut x) = Net::with_zero_points(31, [5, 6, 3], zero_points);
        for (at, &fused) in fused.iter().enumerate() {
            let weights = if at % 2 == 0 {
                Weights::Extremes
            } else {
                Weights::Any
            };
            let per_channel = at % 3 != 0;
            x = net.conv(
                x,
                8,
                k(3, 3).with(Weighted {
                    fused,
                    weights,
                    per_channel,
                    ..Weighted::default()
                }),
            );
        }
        let y = net.max_pool(x, pool(2, 1), Fused::Relu6);
        let shapes: &[&str] = [&["3x8x4", "7x6x3"][..], &["4x8x2"], &["1x8x8"]][number];
        assert_exact(
            &format!("zero points {zero_points:?}"),
            shapes,
            &net.finish(y),
        );
    }
    let (mut net, mut x) = Net::new(32, [4, 5, 3]);
    for multiplier in [1.0, 1.7, 3.9, 0.6] {
        let weights = Weights::Units;
        let weighted = Weighted {
            weights,
            multiplier: Some(multiplier),
            ..Weighted::default()
        };
        x = net.conv(x, 5, k(1, 1).with(weighted));
    }
    assert_exact("multipliers above 1", &["3x8x4", "5x16x4"], &net.finish(x));
}

#[test]
fn reshapes_keep_the_order_of_elements() {
    let (mut net, x) = Net::new(33, [4, 6, 3]);
    let x = net.conv(x, 5, k(3, 3));
    let y = net.flatten(x);
    assert_exact("at the output", &["3x8x4"], &net.finish(y));

    let (mut net, x) = Net::new(34, [4, 3, 5]);
    let x = net.flatten(x);
    let x = net.fully_connected(x, 6, Weighted::default());
    let x = net.reshape(x, [1, 1, 6], false);
    let x = net.conv(x, 4, k(1, 1));
    let x = net.reshape(x, [1, 1, 4], true);
    let y = net.element("RELU", x);
    assert_exact(
        "between forms that are stored alike",
        &["3x8x4"],
        &net.finish(y),
    );
}

#[test]
fn a_reshape_that_mixes_pixels_and_channels_is_refused() {
    let (mut net, x) = Net::new(35, [4, 4, 2]);
    let image = net.conv(x, 2, k(3, 3));
    let formed = net.reshape(image, [2, 4, 4], false);
    let y = net.conv(formed, 4, k(3, 3));
    assert_refused("3x8x4", &net.finish(y), "4x4x2 values are read as 2x4x4");
}

#[test]
#[ignore = "wide sweep"]
fn random_graphs_are_exact() {
    sweep::run(150, &|case, shape, model| {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let compiled = compile(dir.path(), shape, model);
        if compiled.code != 0 {
            return sweep::Verdict::Refused(compiled.stderr);
        }
        let stall = (case % 5).to_string();
        let options: &[&dyn AsRef<std::ffi::OsStr>] =
            &[&"--samples", &"4", &"--layers", &"--stall", &stall];
        let simulated = simulate(&dir.path().join("out"), options);
        if simulated.code == 0 && simulated.stdout.contains(" 0 mismatches") {
            sweep::Verdict::Exact
        } else {
            sweep::Verdict::Wrong(simulated.stdout + &simulated.stderr)
        }
    });
}
