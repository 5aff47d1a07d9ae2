//! Where values lie: ONNX keeps channels in front of the pixels, the integer graph behind them.

use super::value::{Int, Place};
use super::{Node, Output, Pass};
use crate::QuantError;
use crate::graph::{QOp, TensorId};

/// How a tensor of an ONNX shape is laid out by convolutions: pixels first, then channels; lower
/// ranks as they are. The batch dimension, 1, is dropped.
pub(super) fn image(shape: &[usize]) -> Place {
    match shape.len() {
        4 if shape[0] == 1 => Place::Axes(vec![2, 3, 1]),
        3 if shape[0] == 1 => Place::Axes(vec![2, 1]),
        _ => plain(shape),
    }
}

/// The layout in ONNX's own order, without a batch of 1; beyond three dimensions without any of 1.
pub(super) fn plain(shape: &[usize]) -> Place {
    let first = usize::from(shape.len() > 1 && shape[0] == 1);
    let axes = first..shape.len();
    if axes.len() <= 3 {
        return Place::Axes(axes.collect());
    }
    Place::Axes(axes.filter(|&a| shape[a] != 1).collect())
}

/// Shape of the graph's tensor for an ONNX shape in a place; a scalar is `[1]`.
pub(super) fn tensor_shape(shape: &[usize], place: &Place) -> Vec<usize> {
    match place {
        Place::Axes(axes) if axes.is_empty() => vec![1],
        Place::Axes(axes) => axes.iter().map(|&a| shape[a]).collect(),
        Place::FlatImage(hwc) => hwc.to_vec(),
    }
}

/// Dimensions that hold more than one element, in order of the tensor.
fn real_axes(shape: &[usize], place: &Place) -> Option<Vec<usize>> {
    match place {
        Place::Axes(axes) => Some(axes.iter().copied().filter(|&a| shape[a] != 1).collect()),
        Place::FlatImage(_) => None,
    }
}

impl Int {
    /// Whether the elements lie in ONNX's row-major order.
    pub fn is_row_major(&self) -> bool {
        match real_axes(&self.shape, &self.place) {
            Some(axes) => axes.is_sorted(),
            None => false,
        }
    }

    /// Elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    fn output(&self, name: String) -> Output {
        Output {
            name,
            params: self.params,
            unsigned: self.unsigned,
            wide: self.wide,
        }
    }
}

impl Pass<'_> {
    /// The same values in another place of the same shape; moves them where that is needed.
    pub(super) fn placed(
        &mut self,
        node: &Node,
        value: &Int,
        place: Place,
    ) -> Result<Int, QuantError> {
        if value.place == place {
            return Ok(value.clone());
        }
        let value = self.unflattened(node, value)?;
        let (Place::Axes(have), Place::Axes(wanted)) = (&value.place, &place) else {
            return Err(node.parameter("a flattened image", "a tensor of its own shape"));
        };
        let real = |axes: &[usize]| -> Vec<usize> {
            let real = axes.iter().copied().filter(|&a| value.shape[a] != 1);
            real.collect()
        };
        let shape = tensor_shape(&value.shape, &place);
        node.rank(&shape)?;
        if real(have) == real(wanted) {
            return Ok(self.reshaped(node, &value, value.shape.clone(), place));
        }
        // equal dimensions on both sides: those missing on one side are added by a reshape
        let from: Vec<usize> = (0..wanted.len())
            .filter_map(|w| have.iter().position(|&h| h == wanted[w]))
            .collect();
        if from.len() != have.len() || have.len() != wanted.len() {
            let squeezed = Place::Axes(real(have));
            let value = self.reshaped(node, &value, value.shape.clone(), squeezed);
            let moved = self.placed(node, &value, Place::Axes(real(wanted)))?;
            return Ok(self.reshaped(node, &moved, moved.shape.clone(), place));
        }
        let output = value.output(self.fresh_tensor(&value, "moved"));
        let inputs = vec![value.tensor];
        let shape = value.shape.clone();
        Ok(self.emit_inner(node, QOp::Transpose(from), inputs, shape, place, output))
    }

    /// A flattened image as a vector in ONNX's order; other values as they are.
    pub(super) fn unflattened(&mut self, node: &Node, value: &Int) -> Result<Int, QuantError> {
        let Place::FlatImage([h, w, c]) = value.place else {
            return Ok(value.clone());
        };
        let image = Int {
            shape: vec![1, c, h, w],
            place: Place::Axes(vec![2, 3, 1]),
            ..value.clone()
        };
        let rows = self.placed(node, &image, Place::Axes(vec![1, 2, 3]))?;
        let place = plain(&value.shape);
        Ok(self.reshaped(node, &rows, value.shape.clone(), place))
    }

    /// The same elements in the same order under another shape.
    pub(super) fn reshaped(
        &mut self,
        node: &Node,
        value: &Int,
        shape: Vec<usize>,
        place: Place,
    ) -> Int {
        let same = tensor_shape(&value.shape, &value.place) == tensor_shape(&shape, &place);
        if same {
            return Int {
                shape,
                place,
                ..value.clone()
            };
        }
        let inputs = vec![self.before_reshape(value)];
        let from = self.graph.tensor(inputs[0]);
        if from.shape == tensor_shape(&shape, &place) && from.quant == Some(value.params) {
            return Int {
                tensor: inputs[0],
                shape,
                place,
                ..value.clone()
            };
        }
        let output = value.output(self.fresh_tensor(value, "reshaped"));
        self.emit_inner(node, QOp::Reshape, inputs, shape, place, output)
    }

    /// The same elements before they were reshaped.
    fn before_reshape(&self, value: &Int) -> TensorId {
        let producer = self.graph.producer(value.tensor);
        match producer.map(|n| &self.graph.nodes[n]) {
            Some(node) if node.op == QOp::Reshape => node.inputs[0],
            _ => value.tensor,
        }
    }
}
