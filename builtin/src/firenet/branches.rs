//! The parts of the network. Each gives the name of its result.

use macforge_model::onnx::OnnxAttribute;

use super::writer::{ConvSize, Writer};
use super::{CLASSES, HOURLY, NOW, Sizes};

/// Gains of the seeded weights: in front of a ReLU, elsewhere, and of the second half of a residual
/// block, whose sum with the first is to keep its size.
const RELU: f32 = 2.0;
const PLAIN: f32 = 1.0;
const RESIDUAL: f32 = 0.5;

/// The residual network: `[1, width]`.
pub(super) fn image(w: &mut Writer, sizes: &Sizes) -> String {
    let stem = ConvSize {
        out: sizes.stages[0].0,
        into: super::CHANNELS,
        kernel: sizes.stem.kernel,
        stride: sizes.stem.stride,
    };
    // weights are those for values 0 to 1
    let x = w.conv("image.stem", "image", stem, RELU, 1.0 / 255.0);
    let mut x = w.relu(&x);
    if sizes.stem.pooled {
        let ints = |v: i64, count| OnnxAttribute::Ints(vec![v; count]);
        let window = [
            ("kernel_shape", ints(3, 2)),
            ("pads", ints(1, 4)),
            ("strides", ints(2, 2)),
        ];
        x = w.node("MaxPool", "image.pool", &[&x], &window);
    }
    let mut into = sizes.stages[0].0;
    for (stage, &(channels, blocks)) in sizes.stages.iter().enumerate() {
        for block in 0..blocks {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let name = format!("image.stage{stage}.block{block}");
            x = residual_block(w, &name, &x, [channels, into], stride);
            into = channels;
        }
    }
    let x = w.node("GlobalAveragePool", "image.mean", &[&x], &[]);
    let x = w.reshape("image.features", &x, &[1, into]);
    w.dense("image.token", &x, [sizes.width, into], PLAIN)
}

fn residual_block(
    w: &mut Writer,
    name: &str,
    x: &str,
    [out, into]: [usize; 2],
    stride: usize,
) -> String {
    let size = |into, kernel, stride| ConvSize {
        out,
        into,
        kernel,
        stride,
    };
    let y = w.conv(
        &format!("{name}.conv0"),
        x,
        size(into, 3, stride),
        RELU,
        1.0,
    );
    let y = w.relu(&y);
    let y = w.conv(&format!("{name}.conv1"), &y, size(out, 3, 1), RESIDUAL, 1.0);
    let shortcut = if out == into {
        x.to_string()
    } else {
        let size = size(into, 1, stride);
        w.conv(&format!("{name}.shortcut"), x, size, PLAIN, 1.0)
    };
    let sum = w.node("Add", &format!("{name}.sum"), &[&y, &shortcut], &[]);
    w.relu(&sum)
}

/// Fully connected layers on the weather: `[1, width]`.
pub(super) fn environment(w: &mut Writer, sizes: &Sizes) -> String {
    let mut x = "environment".to_string();
    let mut into = NOW;
    for (layer, &units) in sizes.weather.iter().enumerate() {
        x = w.dense(&format!("environment.fc{layer}"), &x, [units, into], RELU);
        x = w.relu(&x);
        into = units;
    }
    w.dense("environment.token", &x, [sizes.width, into], PLAIN)
}

/// The LSTM over the hours: `[1, width]`.
pub(super) fn history(w: &mut Writer, sizes: &Sizes) -> String {
    let x = w.transpose("history.hours", "history", &[1, 0, 2]);
    let x = w.lstm("history.lstm", &x, sizes.hidden, HOURLY);
    let x = w.reshape("history.last", &x, &[1, sizes.hidden]);
    w.dense("history.token", &x, [sizes.width, sizes.hidden], PLAIN)
}

/// The tokens as the rows of one matrix.
pub(super) fn stacked(w: &mut Writer, tokens: &[String; 3]) -> String {
    let tokens = tokens.each_ref().map(String::as_str);
    w.node(
        "Concat",
        "tokens",
        &tokens,
        &[("axis", OnnxAttribute::Int(0))],
    )
}

/// Multi-head attention among the tokens `[T, width]`, with a residual sum: `[T, width]`.
pub(super) fn fusion(w: &mut Writer, sizes: &Sizes, tokens: &str) -> String {
    let (width, heads) = (sizes.width, sizes.heads);
    let depth = width / heads;
    // [T, width] to [heads, T, depth]; keys to [heads, depth, T]
    let mut projected = |part: &str, order: &[i64]| {
        let name = format!("fusion.{part}");
        let x = w.dense(&name, tokens, [width, width], PLAIN);
        let x = w.reshape(&format!("{name}.heads"), &x, &[3, heads, depth]);
        w.transpose(&format!("{name}.by_head"), &x, order)
    };
    let query = projected("query", &[1, 0, 2]);
    let key = projected("key", &[1, 2, 0]);
    let value = projected("value", &[1, 0, 2]);
    let products = w.node("MatMul", "fusion.products", &[&query, &key], &[]);
    let factor = w.scalar("fusion.factor", 1.0 / (depth as f32).sqrt());
    let scores = w.node("Mul", "fusion.scores", &[&products, &factor], &[]);
    let last = [("axis", OnnxAttribute::Int(-1))];
    let shares = w.node("Softmax", "fusion.shares", &[&scores], &last);
    let mixed = w.node("MatMul", "fusion.attention", &[&shares, &value], &[]);
    let mixed = w.transpose("fusion.by_token", &mixed, &[1, 0, 2]);
    let mixed = w.reshape("fusion.joined", &mixed, &[3, width]);
    let mixed = w.dense("fusion.output", &mixed, [width, width], PLAIN);
    w.node("Add", "fusion.sum", &[&mixed, tokens], &[])
}

/// Two fully connected layers on all tokens: the scores of the classes, which leave the graph.
pub(super) fn head(w: &mut Writer, sizes: &Sizes, fused: &str) {
    let x = w.reshape("head.tokens", fused, &[1, 3 * sizes.width]);
    let x = w.dense("head.fc0", &x, [sizes.head, 3 * sizes.width], RELU);
    let x = w.relu(&x);
    w.dense("head.fc1", &x, [CLASSES, sizes.head], PLAIN);
}
