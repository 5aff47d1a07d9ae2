//! Constants, with the integers behind quantized ones.

use macforge_model::onnx::{OnnxTensor, TensorData};
use macforge_numeric::{Number, Step};

/// A constant of the model. Where `scales` is there, `data` holds integers and
/// `data[i] * scales[i]` are the real values.
#[derive(Clone, Debug)]
pub(super) struct Constant {
    pub shape: Vec<usize>,
    pub data: Data,
    pub scales: Option<Vec<f32>>,
}

#[derive(Clone, Debug)]
pub(super) enum Data {
    Float(Vec<f32>),
    Integer(Vec<i64>),
}

impl Constant {
    /// `None` for element types that such models do not compute with.
    pub fn new(tensor: &OnnxTensor) -> Option<Self> {
        let data = match &tensor.data {
            TensorData::F32(values) => Data::Float(values.clone()),
            other => Data::Integer(other.to_i64()?),
        };
        Some(Self {
            shape: tensor.shape.clone(),
            data,
            scales: None,
        })
    }

    pub fn len(&self) -> usize {
        match &self.data {
            Data::Float(v) => v.len(),
            Data::Integer(v) => v.len(),
        }
    }

    /// The real value of element `index`.
    pub fn number(&self, index: usize) -> Number {
        match (&self.data, &self.scales) {
            (Data::Float(v), None) => Number::Float(v[index]),
            (Data::Float(v), Some(s)) => Number::Float(v[index] * s[index]),
            (Data::Integer(v), _) => Number::Integer(v[index]),
        }
    }

    /// Real values as float32.
    pub fn reals(&self) -> Vec<f32> {
        (0..self.len()).map(|i| self.number(i).to_f32()).collect()
    }

    /// The one real value of a scalar.
    pub fn scalar(&self) -> Option<f32> {
        (self.len() == 1).then(|| self.number(0).to_f32())
    }

    /// Integers and their scales: quantized values, or plain integers with scale 1.
    pub fn levels(&self) -> Option<(Vec<i64>, Vec<f32>)> {
        let whole = |v: &f32| (v.fract() == 0.0 && v.abs() < 1e6).then_some(*v as i64);
        let levels = match &self.data {
            Data::Float(v) => v.iter().map(whole).collect::<Option<Vec<_>>>()?,
            Data::Integer(v) => v.clone(),
        };
        let scales = match &self.scales {
            Some(scales) => scales.clone(),
            None => vec![1.0; levels.len()],
        };
        Some((levels, scales))
    }

    /// Elements at `indices` as a constant of another shape.
    pub fn gather(&self, shape: Vec<usize>, indices: impl Iterator<Item = usize> + Clone) -> Self {
        let data = match &self.data {
            Data::Float(v) => Data::Float(indices.clone().map(|i| v[i]).collect()),
            Data::Integer(v) => Data::Integer(indices.clone().map(|i| v[i]).collect()),
        };
        let scales = self.scales.as_ref();
        Self {
            shape,
            data,
            scales: scales.map(|s| indices.map(|i| s[i]).collect()),
        }
    }

    /// Dimensions in another order.
    pub fn transposed(&self, perm: &[usize]) -> Option<Self> {
        let rank = self.shape.len();
        let mut seen = vec![false; rank];
        for &p in perm {
            *seen.get_mut(p)? = true;
        }
        if perm.len() != rank || !seen.iter().all(|&s| s) {
            return None;
        }
        let shape: Vec<usize> = perm.iter().map(|&p| self.shape[p]).collect();
        let mut strides = vec![1; rank];
        for d in (1..rank).rev() {
            strides[d - 1] = strides[d] * self.shape[d];
        }
        let along: Vec<usize> = perm.iter().map(|&p| strides[p]).collect();
        let sizes = shape.clone();
        let at = move |flat: usize| {
            let mut rest = flat;
            let mut index = 0;
            for d in (0..sizes.len()).rev() {
                index += rest % sizes[d] * along[d];
                rest /= sizes[d];
            }
            index
        };
        let count = self.len();
        Some(self.gather(shape, (0..count).map(at)))
    }

    /// A step on every real value.
    pub fn stepped(&self, steps: &[Step]) -> Self {
        let values = (0..self.len())
            .map(|i| macforge_numeric::step::apply_steps(steps, self.number(i)).to_f32());
        Self {
            shape: self.shape.clone(),
            data: Data::Float(values.collect()),
            scales: None,
        }
    }

    /// Index of the element that broadcasts to element `flat` of `shape`; `None` where the shapes
    /// do not fit.
    pub fn broadcast_index(&self, shape: &[usize], flat: usize) -> Option<usize> {
        let missing = shape.len().checked_sub(self.shape.len())?;
        let (mut rest, mut index, mut stride) = (flat, 0, 1);
        for (d, &size) in shape.iter().enumerate().rev() {
            let at = rest % size;
            rest /= size;
            if d < missing {
                continue;
            }
            let own = self.shape[d - missing];
            if own != 1 && own != size {
                return None;
            }
            index += if own == 1 { 0 } else { at * stride };
            stride *= own;
        }
        Some(index)
    }
}
