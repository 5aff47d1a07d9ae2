//! MAX_POOL_2D: maximum over the valid part of a window, then clamp.

use macforge_numeric::Clamp;
use macforge_quant::Window;

use super::{Context, Output, window};
use crate::error::ReferenceError;

pub(super) fn eval(cx: &Context, w: &Window, clamp: Clamp) -> Result<Output, ReferenceError> {
    let input = cx.input_image()?;
    let (in_h, in_w, in_c) = input.dim();
    let [height, width, channels] = cx.output_hwc();
    cx.expect("input channels", in_c, channels)?;
    let mut elements = Vec::with_capacity(height * width * channels);
    for row in 0..height {
        for column in 0..width {
            for channel in 0..channels {
                let max = window::valid_taps(w, [row, column], [in_h, in_w])
                    .map(|(y, x)| input[[y, x, channel]])
                    .max()
                    .ok_or_else(|| ReferenceError::EmptyWindow {
                        node: cx.node.name.clone(),
                        row,
                        column,
                    })?;
                elements.push(clamp.apply(i64::from(max)) as i8);
            }
        }
    }
    cx.output(elements, 0)
}
