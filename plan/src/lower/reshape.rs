//! RESHAPE: another region where pixels keep their channels, pieces where channels become pixels.

use super::{MAX_PIECES, Pass, select, unsupported};
use crate::error::PlanError;
use crate::layers::LayerKind;
use crate::region::{Distance, Region};
use macforge_quant::Window;

/// Most weights of a re-layout by the dot array.
const MAX_WEIGHTS: usize = 1 << 18;

impl Pass<'_> {
    pub(super) fn reshape(&mut self, index: usize) {
        let node = &self.graph.nodes[index];
        let home = self.home(node.inputs[0]);
        let [h, w, c] = self.graph.tensor(node.output).hwc();
        let pixels = home.hwc[2] == c && home.hwc[0] * home.hwc[1] == h * w;
        let seen = if pixels {
            self.pixels(&home, h, w)
        } else {
            None
        };
        // otherwise the elements keep their order, and who needs another form makes it
        self.alias(index, seen.unwrap_or(home));
    }

    /// The pixels of a region in `h` rows of `w`.
    fn pixels(&mut self, region: &Region, h: usize, w: usize) -> Option<Region> {
        if let Some(seen) = region.reshaped(h, w) {
            return Some(seen);
        }
        let area = &mut self.areas[region.storage.0];
        let rows = region.row == Distance::ROW
            && region.column == Distance::PIXEL
            && region.start.pixels == 0
            && region.hwc[1] == area.hwc[1];
        if !rows {
            return None;
        }
        area.dense = true;
        Some(Region {
            hwc: [h, w, region.hwc[2]],
            row: Distance::PIXEL.times(w),
            ..region.clone()
        })
    }

    /// The elements of `region` in their order, as `[h, w, c]`.
    pub(super) fn relayout(
        &mut self,
        index: usize,
        region: Region,
        [h, w, c]: [usize; 3],
        zero_point: i32,
    ) -> Result<Region, PlanError> {
        let [rows, columns, channels] = region.hwc;
        let name = format!("{}_form", self.graph.nodes[index].name);
        let output = self.area(&name, [h, w, c]);
        if channels == c {
            // pixels that no single distance joins: copy them row by row into a plain area
            let plain = self.area(&name, region.hwc);
            let from = self.aligned(index, region, zero_point);
            self.copy_to(index, from, plain.clone());
            return Ok(self.pixels(&plain, h, w).expect("a whole area"));
        }
        if rows * columns == 1 && h * w <= MAX_PIECES {
            for pixel in 0..h * w {
                let from = region.part([0, 0, pixel * c], [1, 1], [1, 1, c]);
                let to = output.part([pixel / w, pixel % w, 0], [1, 1], [1, 1, c]);
                self.piece(index, from, to, zero_point);
            }
            return Ok(output);
        }
        let whole_words = channels.is_multiple_of(self.grain);
        if h * w == 1 && rows * columns <= MAX_PIECES && whole_words {
            for pixel in 0..rows * columns {
                let at = [pixel / columns, pixel % columns, 0];
                let from = region.part(at, [1, 1], [1, 1, channels]);
                let to = output.part([0, 0, pixel * channels], [1, 1], [1, 1, channels]);
                self.piece(index, from, to, zero_point);
            }
            return Ok(output);
        }
        if h * w == 1 && c * c <= MAX_WEIGHTS {
            let mut kind = select::channels(c, c, zero_point, Some);
            if let LayerKind::Dot { window, .. } = &mut kind {
                *window = Window {
                    kernel: [rows, columns],
                    ..*window
                };
            }
            self.select_layer(index, region, kind, zero_point, output.clone());
            return Ok(output);
        }
        Err(unsupported(
            &self.graph.nodes[index].source,
            format!("{rows}x{columns}x{channels} values are read as {h}x{w}x{c}"),
            "reshape without changing the channels, or to a short vector",
        ))
    }

    /// A copy of a few channels, from anywhere in a word.
    fn piece(&mut self, index: usize, from: Region, to: Region, zero_point: i32) {
        if from.channel.is_multiple_of(self.grain) {
            return self.copy_to(index, from, to);
        }
        let kind = select::channels(from.hwc[2], from.hwc[2], zero_point, Some);
        self.select_layer(index, from, kind, zero_point, to);
    }
}
