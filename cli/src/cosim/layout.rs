//! Between the model's own layout, channels in front of the pixels, and the graph's.

use macforge_quant::QTensor;
use ndarray::{ArrayD, Axis};

/// A batch as the file has it, as the graph takes it.
pub fn stored<T: Clone>(tensor: &QTensor, batch: ArrayD<T>) -> ArrayD<T> {
    moved(tensor, batch, |rank| (1, rank - 1))
}

/// Shape of one sample as the model has it.
pub fn model_shape(tensor: &QTensor) -> Vec<usize> {
    let mut shape = tensor.shape.clone();
    if tensor.channels_first {
        shape.rotate_right(1);
    }
    shape
}

/// A batch as the graph gives it, as the model has it.
pub fn of_model<T: Clone>(tensor: &QTensor, batch: ArrayD<T>) -> ArrayD<T> {
    moved(tensor, batch, |rank| (rank - 1, 1))
}

/// Takes a dimension out at one place and puts it in at another.
fn moved<T: Clone>(
    tensor: &QTensor,
    batch: ArrayD<T>,
    places: impl Fn(usize) -> (usize, usize),
) -> ArrayD<T> {
    if !tensor.channels_first || batch.ndim() != tensor.shape.len() + 1 {
        return batch;
    }
    let (from, to) = places(batch.ndim());
    let mut order: Vec<usize> = (0..batch.ndim()).collect();
    let axis = order.remove(from);
    order.insert(to, axis);
    let view = batch.permuted_axes(order);
    // row-major again: elements are read in order from here on
    ndarray::concatenate(Axis(0), &[view.view()]).unwrap_or(view)
}

#[cfg(test)]
mod tests {
    use super::*;
    use macforge_quant::DType;

    #[test]
    fn channels_go_behind_the_pixels_and_back() {
        let tensor = QTensor {
            name: "x".into(),
            shape: vec![2, 3, 4],
            dtype: DType::F32,
            quant: None,
            unsigned: false,
            channels_first: true,
        };
        let count = |d: usize| (0..d).map(|v| v as i32);
        let file = ArrayD::from_shape_vec(vec![2, 4, 2, 3], count(48).collect()).unwrap();
        let inner = stored(&tensor, file.clone());
        assert_eq!(inner.shape(), [2, 2, 3, 4]);
        assert_eq!(model_shape(&tensor), [4, 2, 3]);
        assert_eq!(inner[[1, 0, 2, 3]], file[[1, 3, 0, 2]]);
        let flat: Vec<i32> = inner.iter().copied().take(5).collect();
        assert_eq!(flat, [0, 6, 12, 18, 1]);
        assert_eq!(of_model(&tensor, inner), file);
    }
}
