//! Where a window's taps lie in the input.

use macforge_quant::Window;

/// The input coordinate of tap `tap` of output `out` along `axis` (0 rows, 1 columns), or `None`
/// in the padding.
pub(super) fn tap(
    window: &Window,
    axis: usize,
    out: usize,
    tap: usize,
    size: usize,
) -> Option<usize> {
    (out * window.stride[axis] + tap * window.dilation[axis])
        .checked_sub(window.pad[axis])
        .filter(|&at| at < size)
}

/// The input positions `(row, column)` of one output position that lie inside the input.
pub(super) fn valid_taps(
    window: &Window,
    out: [usize; 2],
    size: [usize; 2],
) -> impl Iterator<Item = (usize, usize)> {
    (0..window.kernel[0])
        .filter_map(move |ky| tap(window, 0, out[0], ky, size[0]))
        .flat_map(move |y| {
            (0..window.kernel[1])
                .filter_map(move |kx| tap(window, 1, out[1], kx, size[1]))
                .map(move |x| (y, x))
        })
}
