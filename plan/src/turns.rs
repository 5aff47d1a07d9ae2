//! In which order the drain writes the pixels that it handles at once. Two of them may meet in a bank
//! only where the image's rows do: inside of a row consecutive pixels lie in consecutive banks.

use crate::layers::HwLayer;
use crate::layout::{View, gcd};
use crate::shape::Shape;

/// Whose turn it is in a pass over the pixels that the drain handles at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turns {
    /// All of them.
    Together,
    /// Those of one output row after those of another.
    Rows(usize),
    /// One after the other: a layer reads one word of its residual per cycle.
    Single(usize),
}

impl Turns {
    /// The turns of a layer whose output lies in an area of the given pitch.
    pub fn new(shape: &Shape, layer: &HwLayer, view: &View, pitch: usize) -> Self {
        let (q, columns) = (shape.drained, view.enum_cols);
        let [row, column] = [layer.output.row, layer.output.column].map(|d| d.flat(pitch));
        // the most rows that a group touches
        let touched = layer.output.hwc[0].min((columns + q - 2) / columns + 1);
        let apart = gcd(column, shape.p) == 1;
        let congruent = row % shape.p == columns * column % shape.p;
        if q == 1 {
            Turns::Together
        } else if layer.residual.is_some() || !apart {
            Turns::Single(q)
        } else if touched == 1 || congruent {
            Turns::Together
        } else if touched < q {
            Turns::Rows(touched)
        } else {
            Turns::Single(q)
        }
    }

    /// Passes over the pixels.
    pub fn passes(self) -> usize {
        match self {
            Turns::Together => 1,
            Turns::Rows(passes) | Turns::Single(passes) => passes,
        }
    }
}
