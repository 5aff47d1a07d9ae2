//! Element-wise operators, and those that move values.

use macforge_model::tflite::writer::{Fused, Options, element};

use super::{Maker, int32};

/// 256 elements.
const SHAPE: &[i32] = &[1, 8, 8, 4];

pub(super) fn add_all(m: &mut Maker) {
    binary(m);
    unary(m);
    quantize(m);
    movement(m);
    concatenation(m);
    resize(m);
}

fn binary(m: &mut Maker) {
    for (name, options) in [
        ("ADD", Options::Add(Fused::Relu)),
        ("SUB", Options::Sub(Fused::None)),
        ("MUL", Options::Mul(Fused::Relu6)),
    ] {
        for second in [SHAPE, &[1, 1, 1, 4]] {
            let (a, b) = (m.params(0.01, 0.3), m.params(0.01, 0.3));
            let y = m.params(0.02, 0.5);
            m.operator(
                name,
                &[(SHAPE, a), (second, b)],
                vec![],
                (SHAPE, y),
                options,
            );
        }
        let (a, b, y) = (
            m.params(0.01, 0.3),
            m.params(0.01, 0.3),
            m.params(0.02, 0.5),
        );
        let data = m.bytes(1);
        let constant = m.spec("c", &[1], b, data);
        m.operator(name, &[(SHAPE, a)], vec![constant], (SHAPE, y), options);
    }
    for name in ["MINIMUM", "MAXIMUM"] {
        let p = m.params(0.01, 0.3);
        let inputs = [(SHAPE, p), (&[1, 1, 1, 4][..], p)];
        m.operator(name, &inputs, vec![], (SHAPE, p), Options::None);
    }
}

fn unary(m: &mut Maker) {
    let (x, slope) = (m.params(0.005, 0.3), m.real(0.01, 0.5));
    let y = m.params(0.01, 0.3);
    for (name, output, options) in [
        ("LOGISTIC", (1.0 / 256.0, -128), Options::None),
        ("TANH", (1.0 / 128.0, 0), Options::None),
        ("HARD_SWISH", y, Options::None),
        ("LEAKY_RELU", y, Options::LeakyRelu(slope)),
        ("LEAKY_RELU", y, Options::LeakyRelu(-slope)),
        ("RELU", y, Options::None),
        ("RELU6", y, Options::None),
        ("RELU_N1_TO_1", y, Options::None),
    ] {
        m.operator(name, &[(SHAPE, x)], vec![], (SHAPE, output), options);
    }
    let (slopes, alpha) = (m.params(0.001, 0.01), m.bytes(4));
    let alpha = m.spec("alpha", &[1, 1, 4], slopes, alpha);
    m.operator(
        "PRELU",
        &[(SHAPE, x)],
        vec![alpha],
        (SHAPE, y),
        Options::None,
    );
}

/// Within the type, and to the other one.
fn quantize(m: &mut Maker) {
    let (x, y) = (m.params(0.01, 0.3), m.params(0.01, 0.3));
    m.operator("QUANTIZE", &[(SHAPE, x)], vec![], (SHAPE, y), Options::None);
    let mut other = m.spec("y", SHAPE, y, Vec::new());
    let (element_type, offset) = match m.unsigned {
        true => (element::I8, -128),
        false => (element::U8, 128),
    };
    other.element_type = element_type;
    other.zero_point[0] += offset;
    m.operator_to("QUANTIZE", &[(SHAPE, x)], vec![], other, Options::None);
}

fn movement(m: &mut Maker) {
    let p = m.params(0.01, 0.1);
    let x: (&[i32], _) = (&[1, 6, 5, 4], p);
    let vector = |data: &[i32]| int32(&[data.len() as i32], data);
    let widths = int32(&[4, 2], &[0, 0, 1, 2, 0, 1, 3, 0]);
    m.operator(
        "PAD",
        &[x],
        vec![widths.clone()],
        (&[1, 9, 6, 7], p),
        Options::None,
    );
    let data = m.bytes(1);
    let value = m.spec("value", &[1], p, data);
    m.operator(
        "PADV2",
        &[x],
        vec![widths, value],
        (&[1, 9, 6, 7], p),
        Options::None,
    );
    let order = vector(&[0, 3, 1, 2]);
    m.operator(
        "TRANSPOSE",
        &[x],
        vec![order],
        (&[1, 4, 6, 5], p),
        Options::None,
    );
    let bounds = vec![vector(&[0, 2, 1, 0]), vector(&[1, 3, -1, 2])];
    m.operator("SLICE", &[x], bounds, (&[1, 3, 4, 2], p), Options::None);
    // a negative begin, an ignored end, strides
    let bounds = [[0, -5, 1, 0], [0, 6, -1, 3], [1, 2, 1, 2]].map(|v| vector(&v));
    let options = Options::StridedSlice([0, 1, 0]);
    m.operator(
        "STRIDED_SLICE",
        &[x],
        bounds.into(),
        (&[1, 3, 3, 2], p),
        options,
    );
    // one row, whose dimension goes
    let bounds = [[0, -2, 0, 0], [1, 0, 5, 4], [1, 1, 1, 1]].map(|v| vector(&v));
    let options = Options::StridedSlice([0, 0, 2]);
    m.operator(
        "STRIDED_SLICE",
        &[x],
        bounds.into(),
        (&[1, 5, 4], p),
        options,
    );
}

/// uint8 operands may have parameters of their own.
fn concatenation(m: &mut Maker) {
    let y = m.params(0.01, 0.3);
    let x = if m.unsigned { m.params(0.01, 0.3) } else { y };
    let inputs = [(&[1, 4, 4, 4][..], y), (&[1, 4, 4, 3][..], x)];
    let options = Options::Concatenation(-1);
    m.operator(
        "CONCATENATION",
        &inputs,
        vec![],
        (&[1, 4, 4, 7], y),
        options,
    );
}

fn resize(m: &mut Maker) {
    for (align_corners, half_pixel_centers) in [(false, false), (true, false), (false, true)] {
        let p = m.params(0.01, 0.1);
        let (from, to) = (2 + m.below(9), 1 + m.below(20));
        let size = int32(&[2], &[to, to + 2]);
        let options = Options::ResizeNearest {
            align_corners,
            half_pixel_centers,
        };
        m.operator(
            "RESIZE_NEAREST_NEIGHBOR",
            &[(&[1, from, from + 1, 2], p)],
            vec![size],
            (&[1, to, to + 2, 2], p),
            options,
        );
    }
}
