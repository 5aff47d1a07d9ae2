//! Operators that move values, states and several streams: integer graphs through plan, Verilog and
//! simulation; every stored tensor equals the reference model's.

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

use graphs_support::{Graph, assert_exact, run, window};
use macforge_quant::QGraph;

const UNIT: macforge_quant::Window = macforge_quant::Window {
    kernel: [1, 1],
    stride: [1, 1],
    dilation: [1, 1],
    pad: [0, 0],
};

#[track_caller]
fn assert_refused(shape: &str, graph: &QGraph, reason: &str) {
    let why = run(graph, shape, 1, None).expect_err("must be refused");
    assert!(why.contains(reason), "{why}");
}

#[test]
fn rows_and_columns_are_joined_in_place() {
    let mut g = Graph::new(1);
    let x = g.input(&[5, 6, 7]);
    let a = g.conv(x, 9, window([3, 3], [1, 1], [1, 1]));
    let b = g.conv(x, 9, window([1, 1], [1, 1], [0, 0]));
    let tall = g.concat(&[a, b, a], 0);
    let y = g.conv(tall, 5, window([3, 3], [2, 1], [1, 1]));
    let c = g.conv(y, 5, UNIT);
    let wide = g.concat(&[c, y], 1);
    let z = g.max_pool(wide, window([2, 3], [1, 1], [0, 0]));
    assert_exact(
        "rows and columns",
        &["3x8x4", "4x8x2", "1x12x12"],
        &g.finish(&[z]),
    );
}

#[test]
fn channels_are_joined_at_words_and_within_them() {
    for (case, parts, shapes) in [
        ("aligned", [16, 32, 5], &["3x8x8", "2x16x16"][..]),
        ("unaligned", [3, 5, 6], &["3x8x4", "5x6x3"]),
    ] {
        let mut g = Graph::new(2);
        let x = g.input(&[4, 5, 6]);
        let parts: Vec<_> = parts.iter().map(|&c| g.conv(x, c, UNIT)).collect();
        let all = g.concat(&parts, 2);
        let more = g.conv(parts[1], 4, UNIT);
        let y = g.depthwise(all, window([3, 3], [1, 1], [1, 1]));
        let y = g.conv(y, 4, UNIT);
        let y = g.add(y, more);
        assert_exact(case, shapes, &g.finish(&[y]));
    }
}

#[test]
fn slices_are_views() {
    let mut g = Graph::new(3);
    let x = g.input(&[9, 8, 12]);
    let a = g.conv(x, 24, UNIT);
    let rows = g.slice(a, &[2, 0, 0], &[2, 1, 1], &[3, 8, 24]);
    let r = g.conv(rows, 6, window([3, 3], [1, 1], [1, 1]));
    let columns = g.slice(a, &[0, 1, 0], &[1, 3, 1], &[9, 3, 24]);
    let c = g.max_pool(columns, window([3, 1], [1, 1], [0, 0]));
    let split = g.slice(a, &[1, 1, 8], &[1, 1, 1], &[7, 5, 8]);
    let s = g.depthwise(split, window([3, 3], [1, 1], [1, 1]));
    let odd = g.slice(a, &[1, 1, 3], &[1, 1, 1], &[7, 5, 8]);
    let o = g.depthwise(odd, window([3, 3], [1, 1], [1, 1]));
    let dense = g.slice(a, &[0, 0, 5], &[1, 1, 1], &[9, 8, 7]);
    let d = g.conv(dense, 8, window([3, 4], [1, 1], [0, 0]));
    let every = g.slice(a, &[1, 1, 1], &[1, 1, 3], &[7, 5, 8]);
    let sum = g.add(s, o);
    let sum = g.add(sum, d);
    let sum = g.add(sum, every);
    let flat = g.fully_connected(sum, 5);
    let of_rows = g.fully_connected(r, 5);
    let of_columns = g.fully_connected(c, 5);
    let y = g.add(flat, of_rows);
    let y = g.add(y, of_columns);
    assert_exact("slices", &["5x8x4", "7x16x8"], &g.finish(&[y]));
}

#[test]
fn padding_surrounds_in_all_directions() {
    let mut g = Graph::new(4);
    let x = g.input(&[4, 5, 6]);
    let a = g.conv(x, 8, UNIT);
    let around = g.pad(a, &[1, 2, 0], -77, &[7, 8, 8]);
    let y = g.conv(around, 8, window([3, 3], [1, 1], [0, 0]));
    let channels = g.pad(y, &[0, 0, 3], 5, &[5, 6, 16]);
    let both = g.pad(channels, &[2, 0, 1], 99, &[8, 6, 18]);
    let z = g.conv(both, 4, UNIT);
    assert_exact("pad", &["3x8x4", "4x8x2"], &g.finish(&[z, both]));

    // the shortcut of a CIFAR ResNet: every second pixel, channels in the middle
    let mut g = Graph::new(5);
    let x = g.input(&[8, 8, 16]);
    let a = g.conv(x, 16, UNIT);
    let half = g.slice(a, &[0, 0, 0], &[2, 2, 1], &[4, 4, 16]);
    let padded = g.pad(half, &[0, 0, 8], 0, &[4, 4, 32]);
    let scaled = g.table(padded);
    let main = g.conv(a, 32, window([3, 3], [2, 2], [1, 1]));
    let main = g.conv(main, 32, window([3, 3], [1, 1], [1, 1]));
    let y = g.add(main, scaled);
    assert_exact("shortcut", &["3x16x8", "5x8x4"], &g.finish(&[y]));
}

#[test]
fn resizes_repeat_and_skip_pixels() {
    let double: Vec<usize> = (0..8).map(|i| i / 2).collect();
    let three_halves: Vec<usize> = (0..9).map(|i| i * 2 / 3).collect();
    let mut g = Graph::new(6);
    let x = g.input(&[4, 6, 5]);
    let a = g.conv(x, 9, UNIT);
    let y = g.resize(a, &double, &three_halves);
    let y = g.conv(y, 4, window([3, 3], [1, 1], [1, 1]));
    assert_exact("resize", &["3x8x4", "5x6x3"], &g.finish(&[y]));
}

#[test]
fn rows_and_columns_change_places() {
    let mut g = Graph::new(7);
    let x = g.input(&[4, 7, 5]);
    let a = g.conv(x, 9, UNIT);
    let t = g.transpose(a, &[1, 0, 2]);
    let y = g.conv(t, 4, window([3, 3], [1, 1], [1, 1]));
    assert_exact("transpose", &["3x8x4", "2x4x8"], &g.finish(&[y, t]));
}

#[test]
fn dimensions_come_in_any_order() {
    let mut g = Graph::new(7);
    let x = g.input(&[4, 7, 5]);
    let a = g.conv(x, 9, UNIT);
    let orders = [[0, 2, 1], [2, 1, 0], [1, 2, 0], [2, 0, 1]];
    let mut turned: Vec<_> = orders.iter().map(|perm| g.transpose(a, perm)).collect();
    // a part that does not begin with a word, behind one that takes several
    let part = g.slice(a, &[1, 2, 3], &[2, 1, 1], &[2, 5, 6]);
    let t = g.transpose(part, &[2, 0, 1]);
    turned.push(g.conv(t, 4, window([3, 1], [1, 1], [1, 0])));
    let flat = g.reshape(x, &[28, 5]);
    turned.push(g.transpose(flat, &[1, 0]));
    assert_exact("orders", &["3x8x4", "2x4x8"], &g.finish(&turned));
}

#[test]
fn reshapes_change_rows_columns_and_channels() {
    let mut g = Graph::new(8);
    let x = g.input(&[60]);
    let image = g.reshape(x, &[5, 12, 1]);
    let a = g.conv(image, 8, window([3, 3], [1, 1], [1, 1]));
    let line = g.reshape(a, &[60, 8]);
    let b = g.conv(line, 6, window([1, 3], [1, 1], [0, 1]));
    let wide = g.reshape(b, &[4, 15, 6]);
    let c = g.max_pool(wide, window([2, 2], [1, 1], [0, 0]));
    let c = g.average(c, window([3, 14], [1, 1], [0, 0]));
    let vector = g.reshape(c, &[6]);
    let pixels = g.reshape(vector, &[2, 3]);
    let d = g.conv(pixels, 4, window([1, 2], [1, 1], [0, 0]));
    let flat = g.reshape(d, &[4]);
    let y = g.softmax(flat);
    assert_exact("reshape", &["3x8x4", "4x8x2"], &g.finish(&[y]));

    let mut g = Graph::new(9);
    let x = g.input(&[2, 3, 8]);
    let a = g.conv(x, 8, UNIT);
    let flat = g.reshape(a, &[48]);
    let y = g.softmax(flat);
    assert_exact("flattened", &["3x8x8", "4x8x2", "5x6x3"], &g.finish(&[y]));
}

#[test]
fn sums_repeat_an_operand_and_take_any_two() {
    let mut g = Graph::new(10);
    let x = g.input(&[4, 5, 6]);
    let a = g.conv(x, 8, UNIT);
    let twice = g.add(a, a);
    let row = g.conv(x, 8, window([4, 1], [1, 1], [0, 0]));
    let column = g.conv(x, 8, window([1, 5], [1, 1], [0, 0]));
    let pixel = g.average(a, window([4, 5], [1, 1], [0, 0]));
    let single = g.conv(x, 1, UNIT);
    let y = g.add(twice, row);
    let y = g.add(y, column);
    let y = g.add(y, pixel);
    let y = g.add(y, single);
    assert_exact("sums", &["3x8x4", "4x8x8"], &g.finish(&[y]));
}

#[test]
fn softmax_runs_at_every_position() {
    let mut g = Graph::new(11);
    let x = g.input(&[3, 2, 9]);
    let a = g.conv(x, 11, UNIT);
    let y = g.softmax(a);
    assert_exact("softmax", &["3x8x4", "2x4x8"], &g.finish(&[y]));
}

#[test]
fn several_tensors_stream_in_and_out() {
    let mut g = Graph::new(12);
    let x = g.input(&[3, 4, 5]);
    let v = g.input(&[7]);
    // the first one folds its columns
    let a = g.conv(x, 6, window([1, 3], [1, 1], [0, 1]));
    let b = g.fully_connected(v, 6);
    let sum = g.add(a, b);
    let last = g.fully_connected(sum, 1);
    g.unsigned(v);
    g.unsigned(last);
    g.unsigned(b);
    assert_exact("streams", &["3x8x4", "2x4x8"], &g.finish(&[last, sum, b]));
}

/// A stream layer: the state holds the rows before the new ones.
fn stream(
    g: &mut Graph,
    x: macforge_quant::TensorId,
    rows: usize,
    value: i8,
) -> macforge_quant::TensorId {
    let [_, w, c] = [0, 1, 2].map(|i| g.shape_of(x)[i]);
    let state = g.state(&[rows, w, c], vec![value; rows * w * c]);
    let all = g.concat(&[state, x], 0);
    let new = g.shape_of(x)[0];
    let kept = g.slice(all, &[new, 0, 0], &[1, 1, 1], &[rows, w, c]);
    g.update(state, kept);
    all
}

#[test]
fn states_keep_their_values_between_inferences() {
    let mut g = Graph::new(13);
    let x = g.input(&[3, 12]);
    let x = g.reshape(x, &[3, 1, 12]);
    let all = stream(&mut g, x, 2, 17);
    let a = g.conv(all, 16, window([5, 1], [1, 1], [0, 0]));
    let all = stream(&mut g, a, 4, -3);
    let half = g.slice(all, &[0, 0, 8], &[1, 1, 1], &[5, 1, 8]);
    let b = g.depthwise(half, window([5, 1], [1, 1], [0, 0]));
    let y = g.fully_connected(b, 3);
    assert_exact("stream", &["3x8x8", "2x4x4", "1x8x4"], &g.finish(&[y]));

    // two states that change places, one that counts, one that is an output, one without a use
    let mut g = Graph::new(14);
    let x = g.input(&[2, 2, 5]);
    let a = g.state(&[2, 2, 5], (0..20).collect());
    let b = g.state(&[2, 2, 5], vec![-9; 20]);
    let c = g.state(&[2, 2, 5], vec![1; 20]);
    let idle = g.state(&[4], vec![7; 4]);
    let sum = g.add(a, b);
    let count = g.add(c, x);
    let count = g.conv(count, 5, UNIT);
    g.update(a, b);
    g.update(b, a);
    g.update(c, count);
    g.update(idle, idle);
    assert_exact("exchange", &["3x8x4", "4x8x2"], &g.finish(&[sum, c]));
}

/// The layer that writes other values has weights, and an inference reads all weights, but runs it after a
/// reset only.
#[test]
fn a_state_needs_a_constant_initial_value_where_weights_come_from_memory() {
    let plan = |initial: Vec<i8>| {
        let mut g = Graph::new(15);
        let x = g.input(&[2, 2, 5]);
        let state = g.state(&[2, 2, 5], initial);
        let sum = g.add(state, x);
        let y = g.conv(sum, 5, UNIT);
        g.update(state, y);
        let board = macforge_constraints::board("pynq-z2").expect("a known board");
        let target = project::Target {
            shape: Some("3x8x4".parse().expect("an array shape")),
            weights: Some(macforge_plan::WeightSource::Memory),
            ..project::Target::new(board)
        };
        project::plan(&[&g.finish(&[sum])], &target)
    };
    let why = plan((0..20).collect()).expect_err("must be refused");
    let why = format!("{why:?}");
    assert!(why.contains("initial value is not constant"), "{why}");
    assert!(why.contains("--weights chip"), "{why}");
    assert!(plan(vec![4; 20]).expect("a plan").stream.is_some());
}

/// Queries, keys and values from one projection each; then a projection, a sum, a head.
#[test]
fn attention_of_tokens_from_anywhere_is_exact() {
    // three branches become the tokens
    let mut g = Graph::new(31);
    let x = g.input(&[1, 1, 20]);
    let branches = [(); 3].map(|()| {
        let y = g.fully_connected(x, 24);
        g.reshape(y, &[1, 1, 24])
    });
    let tokens = g.concat(&branches, 1);
    let projected = [(); 3].map(|()| {
        let y = g.conv(tokens, 24, UNIT);
        g.reshape(y, &[3, 24])
    });
    let context = g.attention(projected, 3, 0.05);
    let context = g.reshape(context, &[1, 3, 24]);
    let y = g.conv(context, 24, UNIT);
    let y = g.add(y, tokens);
    let y = g.fully_connected(y, 4);
    assert_exact("branches", &["3x8x8", "4x12x6"], &g.finish(&[y]));
}

/// Other operands than a projection of their own: one tensor for all three, slices, a graph input; more
/// keys than queries.
#[test]
fn attention_copies_what_has_another_home() {
    let mut g = Graph::new(32);
    let x = g.input(&[7, 10]);
    let own = g.attention([x, x, x], 5, 0.3);
    let q = g.slice(own, &[2, 0], &[2, 1], &[2, 10]);
    assert_exact("one tensor", &["3x8x4"], &g.finish(&[own, q]));
    let mut g = Graph::new(33);
    let x = g.input(&[1, 6, 16]);
    let q = g.slice(x, &[0, 1, 8], &[1, 3, 1], &[1, 2, 8]);
    let q = g.reshape(q, &[2, 8]);
    let kv = g.conv(x, 16, UNIT);
    let part = |g: &mut Graph, first: usize| {
        let part = g.slice(kv, &[0, 0, first], &[1, 1, 1], &[1, 6, 8]);
        g.reshape(part, &[6, 8])
    };
    let (k, v) = (part(&mut g, 0), part(&mut g, 8));
    let y = g.attention([q, k, v], 1, 0.1);
    assert_exact("slices", &["2x4x4"], &g.finish(&[y]));
}

#[test]
fn a_second_attention_is_refused() {
    let mut g = Graph::new(34);
    let x = g.input(&[2, 8]);
    let y = g.attention([x, x, x], 1, 0.3);
    let z = g.attention([y, x, x], 1, 0.3);
    assert_refused("2x4x4", &g.finish(&[z]), "a second attention");
}

/// An input of eight bits, strides, padding, a sum, pooling, phases, bytes of accumulators, a classifier; the array's pixels are
/// even and odd, its channels less than a chain, a chain and more.
fn four_bits(lowest: i32) -> QGraph {
    let mut g = Graph::new(81);
    let x = g.input(&[9, 10, 5]);
    g.four_bits(lowest);
    // in two passes: the input has eight bits
    let a = g.conv(x, 12, window([3, 3], [1, 1], [1, 1]));
    let b = g.conv(a, 12, window([3, 3], [1, 1], [1, 1]));
    let sum = g.add(b, a);
    let pooled = g.max_pool(sum, window([2, 2], [1, 1], [0, 0]));
    let down = g.conv(pooled, 19, window([3, 2], [2, 2], [1, 0]));
    let up = g.transpose_conv(down, 7, window([3, 3], [2, 2], [1, 1]), [7, 8], false);
    let y = g.fully_connected(up, 10);
    let z = g.conv(down, 6, UNIT);
    let sums = g.accumulators(z);
    g.finish(&[y, sums])
}

#[test]
fn layers_of_four_bits_run_with_four_products_per_dsp() {
    // signed; unsigned; uint4 in a uint8 container, whose codes are less 128
    for lowest in [-8, 0, -128] {
        let shapes: &[&str] = match lowest {
            -8 => &["3x8x4", "5x6x16", "3x4x8"],
            _ => &["3x8x4"],
        };
        assert_exact("four bits", shapes, &four_bits(lowest));
    }
}

#[test]
fn two_pixels_share_a_dsp_where_all_operands_have_four_bits() {
    let packing = |graph: &QGraph, shape: &str| {
        let plan = graphs_support::plan(graph, Some(shape)).expect("a plan");
        (plan.shape.packing.products(), plan.shape.array_dsps())
    };
    let narrow = four_bits(-8);
    let passes = graphs_support::plan(&narrow, Some("3x8x4")).expect("a plan");
    let passes = passes.program.iter().map(|l| l.loops.passes);
    assert_eq!(passes.collect::<Vec<_>>()[..2], [2, 1]);
    assert_eq!(packing(&narrow, "3x8x4"), (4, 32));
    assert_eq!(packing(&narrow, "1x8x4"), (2, 16));
    // sixteen values that begin at no multiple of eight: all layers in two passes gain nothing
    assert_eq!(packing(&four_bits(-3), "3x8x4"), (2, 48));
    let mut wide = narrow.clone();
    let macforge_quant::QOp::Conv2d(conv) = &mut wide.nodes[1].op else {
        unreachable!("the second convolution")
    };
    conv.weights[0] = 8;
    assert_eq!(packing(&wide, "3x8x4"), (2, 48));
    let chosen = graphs_support::plan(&narrow, None).expect("a plan").shape;
    assert_eq!(chosen.packing.products(), 4, "{chosen}");
}
