//! `RESIZE_NEAREST_NEIGHBOR`.

use super::{OpContext, Refusal, malformed};
use crate::graph::OpKind;
use crate::tflite::schema::{options_type, resize_nearest_options as f};

pub(super) fn import(op: &OpContext<'_>) -> Result<OpKind, Refusal> {
    let input = op.activation8(0)?;
    let output = op.output_like(input)?;
    let ([_, _, c], [h, w, out_c]) = (op.image(input)?, op.image(output)?);
    let size = op.integers(1)?;
    if size != [h as i64, w as i64] || c != out_c {
        return malformed(
            "outputs[0]",
            format!("size {size:?} does not give {h} x {w} of {c} channels"),
        );
    }
    let options = op.options(options_type::RESIZE_NEAREST)?;
    Ok(OpKind::ResizeNearest {
        align_corners: options.scalar(f::ALIGN_CORNERS, 0u8)? != 0,
        half_pixel_centers: options.scalar(f::HALF_PIXEL_CENTERS, 0u8)? != 0,
    })
}
