//! Where a tensor lies in a storage: any affine view. A slice, a part of a concatenation or rows
//! read as columns are the same bytes seen through another region, so they cost nothing.

/// Index of an area in [`Layers::areas`](crate::Layers).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorageId(pub usize);

/// A distance between two pixels of a storage, before its pitch is known:
/// `rows * pitch + pixels`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Distance {
    /// Rows.
    pub rows: usize,
    /// Pixels within a row.
    pub pixels: usize,
}

impl Distance {
    /// From one row to the next.
    pub const ROW: Distance = Distance { rows: 1, pixels: 0 };
    /// From one pixel to the next.
    pub const PIXEL: Distance = Distance { rows: 0, pixels: 1 };

    /// In pixels.
    pub fn flat(&self, pitch: usize) -> usize {
        self.rows * pitch + self.pixels
    }

    /// `count` times as far.
    pub fn times(&self, count: usize) -> Distance {
        Distance {
            rows: self.rows * count,
            pixels: self.pixels * count,
        }
    }

    /// One after the other.
    pub fn plus(&self, other: Distance) -> Distance {
        Distance {
            rows: self.rows + other.rows,
            pixels: self.pixels + other.pixels,
        }
    }
}

/// A view of a storage: element `(y, x, c)` is channel `channel + c` of the pixel at
/// `start + y * row + x * column`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// The storage.
    pub storage: StorageId,
    /// Shape `[H, W, C]` as it is seen.
    pub hwc: [usize; 3],
    /// First channel.
    pub channel: usize,
    /// First pixel.
    pub start: Distance,
    /// From one row to the next.
    pub row: Distance,
    /// From one column to the next.
    pub column: Distance,
}

impl Region {
    /// A whole storage of this shape.
    pub fn whole(storage: StorageId, hwc: [usize; 3]) -> Self {
        Region {
            storage,
            hwc,
            channel: 0,
            start: Distance::default(),
            row: Distance::ROW,
            column: Distance::PIXEL,
        }
    }

    /// Every `step`-th row and column from `start` on; channels are consecutive.
    pub fn part(&self, start: [usize; 3], step: [usize; 2], hwc: [usize; 3]) -> Self {
        let [y, x, c] = start;
        Region {
            hwc,
            channel: self.channel + c,
            start: (self.start)
                .plus(self.row.times(y))
                .plus(self.column.times(x)),
            row: self.row.times(step[0]),
            column: self.column.times(step[1]),
            ..self.clone()
        }
    }

    /// The same pixels and channels of another storage.
    pub fn is_place_of(&self, other: &Region) -> bool {
        let storage = other.storage;
        *other
            == Region {
                storage,
                ..self.clone()
            }
    }

    /// Single rows and columns, seen again and again, as `hwc`; other shapes stay.
    pub fn repeated(&self, hwc: [usize; 3]) -> Self {
        let mut region = self.clone();
        if region.hwc[2] != hwc[2] {
            return region;
        }
        if region.hwc[0] == 1 && hwc[0] > 1 {
            (region.hwc[0], region.row) = (hwc[0], Distance::default());
        }
        if region.hwc[1] == 1 && hwc[1] > 1 {
            (region.hwc[1], region.column) = (hwc[1], Distance::default());
        }
        region
    }

    /// Rows and columns exchanged.
    pub fn transposed(&self) -> Self {
        let [h, w, c] = self.hwc;
        Region {
            hwc: [w, h, c],
            row: self.column,
            column: self.row,
            ..self.clone()
        }
    }

    /// The same pixels in the same order, in `h` rows of `w`. `None` where the distance between
    /// the pixels is not the same throughout; see [`Region::is_dense`].
    pub fn reshaped(&self, h: usize, w: usize) -> Option<Self> {
        let [rows, columns, c] = self.hwc;
        if (h, w) == (rows, columns) {
            return Some(self.clone());
        }
        let column = match (rows, columns) {
            (1, _) => self.column,
            (_, 1) => self.row,
            _ if self.is_dense() => self.column,
            _ => return None,
        };
        Some(Region {
            hwc: [h, w, c],
            row: column.times(w),
            column,
            ..self.clone()
        })
    }

    /// Row after row without a gap, whatever the pitch is.
    pub fn is_dense(&self) -> bool {
        self.row == self.column.times(self.hwc[1])
    }

    /// Every pixel and channel of a storage of shape `hwc`, once each, in the same order; a line
    /// of pixels may run down or across.
    pub fn covers(&self, hwc: [usize; 3]) -> bool {
        let plain = self.row == Distance::ROW && self.column == Distance::PIXEL;
        let line = (hwc[0] == 1 || hwc[1] == 1) && self.is_line();
        self.channel == 0
            && self.start == Distance::default()
            && self.hwc[2] == hwc[2]
            && self.hwc[0] * self.hwc[1] == hwc[0] * hwc[1]
            && ((plain && self.hwc == hwc) || line)
    }

    /// One row or one column of neighbours.
    fn is_line(&self) -> bool {
        let unit = |d: Distance| d == Distance::ROW || d == Distance::PIXEL;
        match (self.hwc[0], self.hwc[1]) {
            (1, _) => unit(self.column),
            (_, 1) => unit(self.row),
            _ => false,
        }
    }

    /// Pixel index of element `(y, x)` in a storage with this pitch.
    pub fn flat(&self, pitch: usize, y: usize, x: usize) -> usize {
        self.start.flat(pitch) + y * self.row.flat(pitch) + x * self.column.flat(pitch)
    }
}

/// Where the pixels of a storage go when it becomes a part of a larger one.
#[derive(Clone, Copy, Debug)]
pub struct Move {
    /// The old storage.
    pub from: StorageId,
    /// The new one.
    pub to: StorageId,
    /// Channel of the old channel 0.
    pub channel: usize,
    /// Place of the old pixel 0.
    pub start: Distance,
    /// What one old row becomes.
    pub row: Distance,
    /// What one old pixel becomes.
    pub pixel: Distance,
}

impl Move {
    /// The move that lays `part`, which covers its whole storage, onto `target`.
    pub fn new(part: &Region, target: &Region) -> Self {
        // a line of pixels may run down the rows of the target
        let (row, pixel) = match (part.row, part.column) {
            (row, _) if part.hwc[1] == 1 && row == Distance::PIXEL => {
                (Distance::default(), target.row)
            }
            (_, column) if part.hwc[0] == 1 && column == Distance::ROW => {
                (target.column, Distance::default())
            }
            _ => (target.row, target.column),
        };
        Move {
            from: part.storage,
            to: target.storage,
            channel: target.channel,
            start: target.start,
            row,
            pixel,
        }
    }

    /// Moves a region of the old storage; others stay.
    pub fn apply(&self, region: &mut Region) {
        if region.storage != self.from {
            return;
        }
        let moved = |d: Distance| self.row.times(d.rows).plus(self.pixel.times(d.pixels));
        region.storage = self.to;
        region.channel += self.channel;
        region.start = self.start.plus(moved(region.start));
        region.row = moved(region.row);
        region.column = moved(region.column);
    }
}
