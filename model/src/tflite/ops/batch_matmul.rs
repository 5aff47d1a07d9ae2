//! `BATCH_MATMUL`.

use super::{OpContext, Refusal, malformed, unsupported};
use crate::graph::OpKind;
use crate::tflite::schema::{batch_matmul_options as f, options_type};

pub(super) fn import(op: &OpContext<'_>) -> Result<OpKind, Refusal> {
    let a = op.activation8(0)?;
    let output = op.output_like(a)?;
    let b = match op.operand(1) {
        Some(b) if op.tensor(b).data.is_some() => op.weights(1, a)?,
        _ => {
            let b = op.activation8(1)?;
            op.expect_type(b, op.tensor(a).dtype)?;
            b
        }
    };
    let options = op.options(options_type::BATCH_MATMUL)?;
    let transpose_a = options.scalar(f::ADJ_X, 0u8)? != 0;
    let transpose_b = options.scalar(f::ADJ_Y, 0u8)? != 0;
    let [x, y, out] = [a, b, output].map(|t| op.tensor(t).shape.as_slice());
    let ([lead_a @ .., a0, a1], [lead_b @ .., b0, b1], [lead @ .., m, n]) = (x, y, out) else {
        return malformed("inputs", format!("shapes {x:?} and {y:?}"));
    };
    let (rows, depth) = if transpose_a { (a1, a0) } else { (a0, a1) };
    let (deep, columns) = if transpose_b { (b1, b0) } else { (b0, b1) };
    if depth != deep || [rows, columns] != [m, n] {
        return malformed("inputs", format!("{x:?} times {y:?} does not give {out:?}"));
    }
    let single = |lead: &[usize]| lead.iter().all(|&d| d == 1);
    if lead_a != lead || !(lead_b == lead || single(lead_b)) {
        return unsupported(
            Some(b),
            format!("broadcast of {x:?} and {y:?}"),
            "as many matrices on both sides, or a single second one",
        );
    }
    if op.tensor(b).data.is_some() && !single(lead_b) {
        return unsupported(
            Some(b),
            "several constant matrices",
            "a single constant one",
        );
    }
    Ok(OpKind::BatchMatMul {
        transpose_a,
        transpose_b,
    })
}
