//! Shapes of matrix products.

use super::{Known, Types, broadcast, one, wrong};
use crate::onnx::graph::OnnxNode;
use crate::onnx::types::OnnxType;

pub(super) fn types(op: &str, node: &OnnxNode, known: &Known) -> Types {
    match op {
        "Gemm" => {
            let dtype = known.of(node, 0)?.dtype;
            one(dtype, gemm(node, known, 1)?)
        }
        "QGemm" => {
            // without an output scale the result is float32
            let dtype = match node.input(7) {
                Some(_) => known.of(node, 0)?.dtype,
                None => OnnxType::F32,
            };
            one(dtype, gemm(node, known, 3)?)
        }
        "MatMulInteger" => one(OnnxType::I32, matmul(node, known, 1)?),
        "QLinearMatMul" => one(known.of(node, 7)?.dtype, matmul(node, known, 3)?),
        _ => one(known.of(node, 0)?.dtype, matmul(node, known, 1)?),
    }
}

/// `[M, N]` of `A` (operand 0) and `B` (operand `b`), each possibly transposed.
fn gemm(node: &OnnxNode, known: &Known, b: usize) -> Result<Vec<usize>, super::Unclear> {
    let matrix = |index: usize, flag: &str| match known.of(node, index)?.shape.as_slice() {
        &[rows, columns] if node.int(flag).unwrap_or(0) != 0 => Ok([columns, rows]),
        &[rows, columns] => Ok([rows, columns]),
        other => wrong(format!("operand {index} of shape {other:?} is no matrix")),
    };
    let ([m, k], [k2, n]) = (matrix(0, "transA")?, matrix(b, "transB")?);
    if k != k2 {
        return wrong(format!("inner sizes {k} and {k2} differ"));
    }
    Ok(vec![m, n])
}

/// NumPy's `matmul` of operand 0 and operand `b`.
fn matmul(node: &OnnxNode, known: &Known, b: usize) -> Result<Vec<usize>, super::Unclear> {
    let (a, b) = (&known.of(node, 0)?.shape, &known.of(node, b)?.shape);
    if a.is_empty() || b.is_empty() {
        return wrong("a product of scalars");
    }
    let (k, rows) = (a[a.len() - 1], &a[..a.len() - 1]);
    let (k2, columns) = match b.as_slice() {
        [k2] => (*k2, None),
        [.., k2, n] => (*k2, Some(*n)),
        [] => return wrong("a product of scalars"),
    };
    if k != k2 {
        return wrong(format!("inner sizes {k} and {k2} differ"));
    }
    let (m, a_batch) = match rows.split_last() {
        Some((m, batch)) => (Some(*m), batch),
        None => (None, rows),
    };
    let b_batch = &b[..b.len().saturating_sub(2)];
    let mut shape = broadcast(a_batch, b_batch)?;
    shape.extend(m);
    shape.extend(columns);
    Ok(shape)
}
