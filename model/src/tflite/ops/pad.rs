//! `PAD` and `PADV2`: the input surrounded by its zero point, or by a constant.

use super::{OpContext, Refusal, malformed};
use crate::graph::OpKind;

pub(super) fn import(op: &OpContext<'_>) -> Result<OpKind, Refusal> {
    let input = op.activation8(0)?;
    let output = op.output_like(input)?;
    let (x, y) = (&op.tensor(input).shape, &op.tensor(output).shape);
    let widths = op.integers(1)?;
    let (pairs, []) = widths.as_chunks::<2>() else {
        return malformed("inputs[1]", format!("{} widths", widths.len()));
    };
    let sizes = |&[before, after]: &[i64; 2]| {
        Some((usize::try_from(before).ok()?, usize::try_from(after).ok()?))
    };
    let sides: Option<Vec<(usize, usize)>> = pairs.iter().map(sizes).collect();
    let fits = |sides: &Vec<(usize, usize)>| {
        let padded = x.iter().zip(sides).map(|(&size, &(before, after))| {
            size.checked_add(before).and_then(|s| s.checked_add(after))
        });
        sides.len() == x.len() && padded.eq(y.iter().map(|&size| Some(size)))
    };
    let Some(sides) = sides.filter(fits) else {
        return malformed(
            "inputs[1]",
            format!("{pairs:?} around {x:?} do not give {y:?}"),
        );
    };
    if op.operand(2).is_some() {
        let value = op.constant(2, op.tensor(input).dtype)?;
        if op.tensor(value).elements() != 1 {
            return malformed("inputs[2]", "more than one padding value");
        }
    }
    Ok(OpKind::Pad {
        before: sides.iter().map(|side| side.0).collect(),
    })
}
