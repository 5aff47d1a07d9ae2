//! AVERAGE_POOL_2D: mean over the valid part of a window.

use macforge_numeric::AveragePoolRule;
use macforge_quant::Window;

use super::{Context, Output, window};
use crate::error::ReferenceError;

pub(super) fn eval(
    cx: &Context,
    w: &Window,
    rule: &AveragePoolRule,
) -> Result<Output, ReferenceError> {
    let input = cx.input_image()?;
    let (in_h, in_w, in_c) = input.dim();
    let [height, width, channels] = cx.output_hwc();
    cx.expect("input channels", in_c, channels)?;
    let mut saturations = 0;
    let mut elements = Vec::with_capacity(height * width * channels);
    for row in 0..height {
        for column in 0..width {
            let taps: Vec<_> = window::valid_taps(w, [row, column], [in_h, in_w]).collect();
            if taps.is_empty() {
                return Err(ReferenceError::EmptyWindow {
                    node: cx.node.name.clone(),
                    row,
                    column,
                });
            }
            for channel in 0..channels {
                let sum = taps
                    .iter()
                    .map(|&(y, x)| i64::from(input[[y, x, channel]]))
                    .sum();
                elements.push(rule.apply(sum, taps.len() as u32));
                saturations += u64::from(rule.saturates(sum, taps.len() as u32));
            }
        }
    }
    cx.output(elements, saturations)
}
