//! Tensors of a subgraph: shape, type, quantization and constant data.

use std::sync::Arc;

use super::reader::{Table, TableVector};
use super::schema;
use crate::graph::{ConstData, ElementType, Quantization, Tensor};
use crate::{MAX_BYTES, ModelError};

/// Constant buffers of the file, copied at most once each.
pub(super) struct Buffers<'a> {
    tables: TableVector<'a>,
    copied: Vec<Option<Arc<[u8]>>>,
}

impl<'a> Buffers<'a> {
    pub fn new(tables: TableVector<'a>) -> Self {
        Buffers {
            tables,
            copied: vec![None; tables.len()],
        }
    }

    /// Content of buffer `index`; empty for variables.
    fn content(&mut self, index: u32) -> Result<Arc<[u8]>, ModelError> {
        let index = index as usize;
        if let Some(Some(known)) = self.copied.get(index) {
            return Ok(Arc::clone(known));
        }
        let table = self.tables.get(index)?;
        // Files over 2 GB keep data behind the flatbuffer; 0 and 1 both mean "not used".
        if table.scalar(schema::buffer::OFFSET, 0u64)? > 1 {
            return Err(ModelError::malformed(
                format!("buffers[{index}]"),
                "data outside the flatbuffer (models over 2 GB) is not accepted",
            ));
        }
        let data: Arc<[u8]> = table
            .bytes(schema::buffer::DATA)?
            .unwrap_or_default()
            .into();
        self.copied[index] = Some(Arc::clone(&data));
        Ok(data)
    }
}

/// Reads one tensor, all sizes checked.
pub(super) fn read(table: Table<'_>, buffers: &mut Buffers<'_>) -> Result<Tensor, ModelError> {
    let name = table.string(schema::tensor::NAME)?;
    let dtype = element_type(table.scalar(schema::tensor::TYPE, 0i8)?)?;
    let shape = shape(&table)?;
    let bytes = byte_size(&shape, dtype)?;
    let content = match table.scalar(schema::tensor::BUFFER, 0u32)? {
        // Buffer 0 is by convention the empty one.
        0 => Arc::from([]),
        index => buffers.content(index)?,
    };
    if table.table(schema::tensor::SPARSITY)?.is_some() {
        return Err(ModelError::malformed(
            schema::tensor::SPARSITY.name,
            format!("tensor `{name}` is stored sparse, which is not accepted"),
        ));
    }
    let data = (!content.is_empty()).then_some(ConstData(content));
    if let (Some(data), Some(bytes)) = (&data, bytes)
        && data.0.len() as u64 != bytes
    {
        return Err(ModelError::malformed(
            schema::tensor::BUFFER.name,
            format!(
                "tensor `{name}` {dtype}{shape:?} needs {bytes} bytes of data, its buffer has {}",
                data.0.len()
            ),
        ));
    }
    Ok(Tensor {
        quantization: quantization(&table, &name, &shape)?,
        name,
        shape,
        dtype,
        data,
    })
}

fn shape(table: &Table<'_>) -> Result<Vec<usize>, ModelError> {
    let dims = table.scalars::<i32>(schema::tensor::SHAPE)?;
    dims.iter()
        .map(|&d| {
            usize::try_from(d).map_err(|_| {
                ModelError::malformed(
                    schema::tensor::SHAPE.name,
                    format!("negative size in {dims:?}"),
                )
            })
        })
        .collect()
}

/// Bytes of the whole tensor; `None` where the type has no fixed size.
fn byte_size(shape: &[usize], dtype: ElementType) -> Result<Option<u64>, ModelError> {
    let elements = shape.iter().try_fold(1u64, |p, &d| p.checked_mul(d as u64));
    let bits = elements.and_then(|e| e.checked_mul(u64::from(dtype.bits().unwrap_or(8))));
    let bytes = bits.map_or(u64::MAX, |b| b.div_ceil(8));
    if bytes > MAX_BYTES {
        return Err(ModelError::TooLarge {
            at: schema::tensor::SHAPE.name.to_string(),
            bytes,
            limit: MAX_BYTES,
        });
    }
    Ok(dtype.bits().map(|_| bytes))
}

fn quantization(
    table: &Table<'_>,
    name: &str,
    shape: &[usize],
) -> Result<Option<Quantization>, ModelError> {
    let Some(q) = table.table(schema::tensor::QUANTIZATION)? else {
        return Ok(None);
    };
    let bad = |what: String| {
        Err(ModelError::malformed(
            schema::tensor::QUANTIZATION.name,
            format!("tensor `{name}`: {what}"),
        ))
    };
    let place = |e: ModelError| e.within(schema::tensor::QUANTIZATION.name);
    if q.scalar(schema::quantization::DETAILS_TYPE, 0u8)
        .map_err(place)?
        != 0
    {
        return bad("custom quantization is not accepted".into());
    }
    let scale = q
        .scalars::<f32>(schema::quantization::SCALE)
        .map_err(place)?;
    let zero_point = q
        .scalars::<i64>(schema::quantization::ZERO_POINT)
        .map_err(place)?;
    let dimension: i32 = q
        .scalar(schema::quantization::DIMENSION, 0)
        .map_err(place)?;
    if scale.is_empty() {
        return Ok(None); // only a recorded range (min, max): not quantized
    }
    if !zero_point.is_empty() && zero_point.len() != scale.len() {
        return bad(format!(
            "{} scales, but {} zero points",
            scale.len(),
            zero_point.len()
        ));
    }
    let Ok(mut dimension) = usize::try_from(dimension) else {
        return bad(format!("quantized dimension {dimension}"));
    };
    if let &[length] = shape
        && length == scale.len()
    {
        dimension = 0; // some converters give a bias the dimension of its weights
    }
    if scale.len() > 1 && shape.get(dimension) != Some(&scale.len()) {
        return bad(format!(
            "{} scales along dimension {dimension} of shape {shape:?}",
            scale.len()
        ));
    }
    Ok(Some(Quantization {
        scale,
        zero_point,
        dimension,
    }))
}

/// `enum TensorType`.
fn element_type(code: i8) -> Result<ElementType, ModelError> {
    let other = |name, bits| ElementType::Other { name, bits };
    Ok(match code {
        0 => ElementType::F32,
        1 => other("float16", Some(16)),
        2 => ElementType::I32,
        3 => ElementType::U8,
        4 => ElementType::I64,
        5 => other("string", None),
        6 => other("bool", Some(8)),
        7 => ElementType::I16,
        8 => other("complex64", Some(64)),
        9 => ElementType::I8,
        10 => other("float64", Some(64)),
        11 => other("complex128", Some(128)),
        12 => other("uint64", Some(64)),
        13 => other("resource", None),
        14 => other("variant", None),
        15 => other("uint32", Some(32)),
        16 => other("uint16", Some(16)),
        17 => ElementType::I4,
        18 => other("bfloat16", Some(16)),
        _ => {
            return Err(ModelError::malformed(
                schema::tensor::TYPE.name,
                format!("unknown element type {code}"),
            ));
        }
    })
}
