//! Shapes of operators that move, select or reduce values.

use super::{Known, Types, Unclear, axis, one, same, wrong};
use crate::onnx::graph::{OnnxNode, TensorType};
use crate::onnx::types::OnnxType;

pub(super) fn types(op: &str, node: &OnnxNode, known: &Known) -> Types {
    match op {
        "Reshape" => reshape(node, known),
        "Flatten" => flatten(node, known),
        "Transpose" => transpose(node, known),
        "Squeeze" => squeeze(node, known),
        "Unsqueeze" => unsqueeze(node, known),
        "Concat" => concat(node, known, 0, 1),
        "QLinearConcat" => concat(node, known, 2, 3),
        "Slice" => slice(node, known),
        "Split" => split(node, known),
        "Pad" => pad(node, known),
        "Gather" => gather(node, known),
        "Resize" | "Upsample" => resize(op, node, known),
        "Shape" => one(OnnxType::I64, vec![known.of(node, 0)?.shape.len()]),
        "Expand" => {
            let x = known.of(node, 0)?;
            let wanted = sizes(known.ints(node, "", 1)?)?;
            one(x.dtype, super::broadcast(&x.shape, &wanted)?)
        }
        "ConstantOfShape" => {
            let shape = sizes(known.ints(node, "", 0)?)?;
            let dtype = node
                .tensor("value")
                .map_or(OnnxType::F32, |t| t.data.dtype());
            one(dtype, shape)
        }
        "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin" | "ReduceProd" | "ReduceL1"
        | "ReduceL2" | "ReduceSumSquare" | "ArgMax" | "ArgMin" => reduce(op, node, known),
        "TopK" => top_k(node, known),
        "DepthToSpace" | "SpaceToDepth" => depth_to_space(op, node, known),
        _ => Err(Unclear::Unknown),
    }
}

fn sizes(values: Option<Vec<i64>>) -> Result<Vec<usize>, Unclear> {
    let values = values.ok_or(Unclear::Unknown)?;
    let size = |&v: &i64| usize::try_from(v).ok();
    match values.iter().map(size).collect() {
        Some(sizes) => Ok(sizes),
        None => wrong(format!("negative size in {values:?}")),
    }
}

fn product(sizes: &[usize]) -> Result<usize, Unclear> {
    let product = sizes.iter().try_fold(1usize, |p, &d| p.checked_mul(d));
    product.ok_or_else(|| Unclear::Wrong(format!("sizes {sizes:?}")))
}

fn reshape(node: &OnnxNode, known: &Known) -> Types {
    let x = known.of(node, 0)?;
    let wanted = known.ints(node, "shape", 1)?.ok_or(Unclear::Unknown)?;
    let keep_zero = node.int("allowzero").unwrap_or(0) != 0;
    let mut shape = Vec::with_capacity(wanted.len());
    let mut open = None;
    for (d, &size) in wanted.iter().enumerate() {
        shape.push(match size {
            0 if !keep_zero => match x.shape.get(d) {
                Some(&copied) => copied,
                None => return wrong(format!("shape {wanted:?} for {:?}", x.shape)),
            },
            -1 if open.is_none() => {
                open = Some(d);
                1
            }
            size => match usize::try_from(size) {
                Ok(size) => size,
                Err(_) => return wrong(format!("shape {wanted:?}")),
            },
        });
    }
    let (have, given) = (product(&x.shape)?, product(&shape)?);
    if let Some(d) = open
        && given != 0
    {
        shape[d] = have / given;
    }
    if product(&shape)? != have {
        return wrong(format!("{:?} does not reshape to {wanted:?}", x.shape));
    }
    one(x.dtype, shape)
}

fn flatten(node: &OnnxNode, known: &Known) -> Types {
    let x = known.of(node, 0)?;
    let rank = x.shape.len();
    // the axis may be the rank itself
    let at = match node.int("axis").unwrap_or(1) {
        a if a == rank as i64 => rank,
        a => axis(a, rank)?,
    };
    let (rows, columns) = x.shape.split_at(at);
    one(x.dtype, vec![product(rows)?, product(columns)?])
}

fn transpose(node: &OnnxNode, known: &Known) -> Types {
    let x = known.of(node, 0)?;
    let rank = x.shape.len();
    let perm = match node.ints("perm") {
        None => (0..rank).rev().collect(),
        Some(perm) => sizes(Some(perm.to_vec()))?,
    };
    let mut sorted = perm.clone();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..rank) {
        return wrong(format!("order {perm:?} of {rank} dimensions"));
    }
    one(x.dtype, perm.iter().map(|&p| x.shape[p]).collect())
}

fn squeeze(node: &OnnxNode, known: &Known) -> Types {
    let x = known.of(node, 0)?;
    let rank = x.shape.len();
    let axes = match known.ints(node, "axes", 1)? {
        None => (0..rank).filter(|&d| x.shape[d] == 1).collect(),
        Some(axes) => axes
            .iter()
            .map(|&a| axis(a, rank))
            .collect::<Result<Vec<_>, _>>()?,
    };
    if let Some(&d) = axes.iter().find(|&&d| x.shape[d] != 1) {
        return wrong(format!("dimension {d} of {:?} is not 1", x.shape));
    }
    let kept = (0..rank).filter(|d| !axes.contains(d));
    one(x.dtype, kept.map(|d| x.shape[d]).collect())
}

fn unsqueeze(node: &OnnxNode, known: &Known) -> Types {
    let x = known.of(node, 0)?;
    let axes = known.ints(node, "axes", 1)?.ok_or(Unclear::Unknown)?;
    let rank = x.shape.len() + axes.len();
    let mut new = vec![false; rank];
    for &a in &axes {
        if std::mem::replace(&mut new[axis(a, rank)?], true) {
            return wrong(format!("axes {axes:?}"));
        }
    }
    let mut old = x.shape.iter().copied();
    let size = |&new: &bool| if new { 1 } else { old.next().unwrap_or(1) };
    one(x.dtype, new.iter().map(size).collect())
}

/// Operands `first`, `first + step`, ... one behind the other.
fn concat(node: &OnnxNode, known: &Known, first: usize, step: usize) -> Types {
    let x = known.of(node, first)?;
    let along = axis(node.int("axis").unwrap_or(1), x.shape.len())?;
    let mut shape = x.shape.clone();
    for index in (first..node.inputs.len()).step_by(step).skip(1) {
        let other = &known.of(node, index)?.shape;
        let alike = other.len() == shape.len()
            && (0..shape.len()).all(|d| d == along || other[d] == shape[d]);
        let sum = other.get(along).and_then(|o| o.checked_add(shape[along]));
        match sum {
            Some(sum) if alike => shape[along] = sum,
            _ => return wrong(format!("{:?} and {other:?} along {along}", x.shape)),
        }
    }
    one(x.dtype, shape)
}

fn slice(node: &OnnxNode, known: &Known) -> Types {
    let x = known.of(node, 0)?;
    let ranges = slice_ranges(node, known, &x.shape)?;
    one(x.dtype, ranges.iter().map(|r| r.count).collect())
}

/// What a Slice takes along one dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceRange {
    /// First element.
    pub start: i64,
    /// Distance, not 0.
    pub step: i64,
    /// Number of elements.
    pub count: usize,
}

/// The ranges of a Slice, one per dimension of `shape`.
pub(crate) fn slice_ranges(
    node: &OnnxNode,
    known: &Known,
    shape: &[usize],
) -> Result<Vec<SliceRange>, Unclear> {
    let starts = known.ints(node, "starts", 1)?.ok_or(Unclear::Unknown)?;
    let ends = known.ints(node, "ends", 2)?.ok_or(Unclear::Unknown)?;
    let axes = known.ints(node, "axes", 3)?;
    let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = known.ints(node, "steps", 4)?;
    let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return wrong(format!(
            "starts {starts:?}, ends {ends:?}, axes {axes:?}, steps {steps:?}"
        ));
    }
    let whole = |&size: &usize| SliceRange {
        start: 0,
        step: 1,
        count: size,
    };
    let mut ranges: Vec<SliceRange> = shape.iter().map(whole).collect();
    for (i, &of) in axes.iter().enumerate() {
        let d = axis(of, shape.len())?;
        ranges[d] = range(starts[i], ends[i], steps[i], shape[d] as i64)?;
    }
    Ok(ranges)
}

/// The rule of Slice-13: negative positions count from the end, then everything is clamped.
fn range(start: i64, end: i64, step: i64, size: i64) -> Result<SliceRange, Unclear> {
    if step == 0 {
        return wrong("step 0");
    }
    let from_end = |p: i64| if p < 0 { p.saturating_add(size) } else { p };
    let (start, end) = (from_end(start), from_end(end));
    let (start, end) = match step > 0 {
        true => (start.clamp(0, size), end.clamp(0, size)),
        false => (start.clamp(0, (size - 1).max(0)), end.clamp(-1, size)),
    };
    let distance = if step > 0 { end - start } else { start - end };
    let count = distance.max(0).unsigned_abs().div_ceil(step.unsigned_abs());
    let count = if size == 0 { 0 } else { count as usize };
    Ok(SliceRange { start, step, count })
}

fn split(node: &OnnxNode, known: &Known) -> Types {
    let x = known.of(node, 0)?;
    let along = axis(node.int("axis").unwrap_or(0), x.shape.len())?;
    let parts = node.outputs.len();
    let lengths = match known.ints(node, "split", 1)? {
        Some(lengths) => sizes(Some(lengths))?,
        None => {
            let part = x.shape[along].div_ceil(parts.max(1));
            let start = |i: usize| (i * part).min(x.shape[along]);
            (0..parts).map(|i| start(i + 1) - start(i)).collect()
        }
    };
    let sum = lengths.iter().try_fold(0usize, |s, &l| s.checked_add(l));
    if lengths.len() != parts || sum != Some(x.shape[along]) {
        return wrong(format!("{:?} into {lengths:?} along {along}", x.shape));
    }
    let part = |&length: &usize| {
        let mut of = x.clone();
        of.shape[along] = length;
        of
    };
    Ok(lengths.iter().map(part).collect())
}

fn pad(node: &OnnxNode, known: &Known) -> Types {
    let x = known.of(node, 0)?;
    let rank = x.shape.len();
    let pads = match known.ints(node, "pads", 1)? {
        Some(pads) => pads,
        None => node.ints("paddings").ok_or(Unclear::Unknown)?.to_vec(),
    };
    let axes = match known.ints(node, "", 3)? {
        Some(axes) => axes
            .iter()
            .map(|&a| axis(a, rank))
            .collect::<Result<Vec<_>, _>>()?,
        None => (0..rank).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return wrong(format!("pads {pads:?} for {} dimensions", axes.len()));
    }
    let mut shape = x.shape.clone();
    for (i, &d) in axes.iter().enumerate() {
        let more = pads[i].checked_add(pads[axes.len() + i]);
        let size = more.and_then(|m| m.checked_add(shape[d] as i64));
        match size.map(usize::try_from) {
            Some(Ok(size)) => shape[d] = size,
            _ => return wrong(format!("pads {pads:?} on {:?}", x.shape)),
        }
    }
    one(x.dtype, shape)
}

fn gather(node: &OnnxNode, known: &Known) -> Types {
    let (x, indices) = (known.of(node, 0)?, known.of(node, 1)?);
    let along = axis(node.int("axis").unwrap_or(0), x.shape.len())?;
    let (before, after) = (&x.shape[..along], &x.shape[along + 1..]);
    one(x.dtype, [before, &indices.shape, after].concat())
}

fn resize(op: &str, node: &OnnxNode, known: &Known) -> Types {
    let x = known.of(node, 0)?;
    let old = op == "Upsample" || known.opset < 11;
    let (scales_at, sizes_at) = if old { (1, usize::MAX) } else { (2, 3) };
    if node.ints("axes").is_some()
        || node
            .text("keep_aspect_ratio_policy")
            .is_some_and(|p| p != "stretch")
    {
        return Err(Unclear::Unknown);
    }
    if let Some(tensor) = known.constant(node, sizes_at)? {
        let sizes = sizes(tensor.data.to_i64())?;
        if sizes.len() != x.shape.len() {
            return wrong(format!("sizes {sizes:?} for {:?}", x.shape));
        }
        return one(x.dtype, sizes);
    }
    let from_attribute = match node.attributes.get("scales") {
        Some(crate::onnx::OnnxAttribute::Floats(f)) => Some(f.as_slice()),
        _ => None,
    };
    let tensor = known.constant(node, scales_at)?;
    let scales = from_attribute.or(tensor.and_then(|t| t.data.as_f32()));
    let scales = scales.ok_or(Unclear::Unknown)?;
    if scales.len() != x.shape.len() || scales.iter().any(|s| !(*s > 0.0 && *s < 65536.0)) {
        return wrong(format!("scales {scales:?} for {:?}", x.shape));
    }
    let scaled = x.shape.iter().zip(scales);
    let size = |(&d, &s): (&usize, &f32)| (d as f64 * f64::from(s)).floor() as usize;
    one(x.dtype, scaled.map(size).collect())
}

fn reduce(op: &str, node: &OnnxNode, known: &Known) -> Types {
    let x = known.of(node, 0)?;
    let rank = x.shape.len();
    let arg = op.starts_with("Arg");
    let axes = if arg {
        Some(vec![node.int("axis").unwrap_or(0)])
    } else {
        known.ints(node, "axes", 1)?.filter(|axes| !axes.is_empty())
    };
    let mut reduced = vec![axes.is_none(); rank];
    if axes.is_none() && node.int("noop_with_empty_axes").unwrap_or(0) != 0 {
        return same(x);
    }
    for a in axes.into_iter().flatten() {
        reduced[axis(a, rank)?] = true;
    }
    let keep = node.int("keepdims").unwrap_or(1) != 0;
    let sizes = (0..rank).filter_map(|d| match (reduced[d], keep) {
        (false, _) => Some(x.shape[d]),
        (true, true) => Some(1),
        (true, false) => None,
    });
    let dtype = if arg { OnnxType::I64 } else { x.dtype };
    one(dtype, sizes.collect())
}

fn top_k(node: &OnnxNode, known: &Known) -> Types {
    let x = known.of(node, 0)?;
    let along = axis(node.int("axis").unwrap_or(-1), x.shape.len())?;
    let k = match node.int("k") {
        Some(k) => vec![k],
        None => known.ints(node, "", 1)?.ok_or(Unclear::Unknown)?,
    };
    let mut values = x.clone();
    match sizes(Some(k))?.as_slice() {
        &[k] if k <= x.shape[along] => values.shape[along] = k,
        other => return wrong(format!("the largest {other:?} of {:?}", x.shape)),
    }
    let indices = TensorType {
        dtype: OnnxType::I64,
        shape: values.shape.clone(),
    };
    Ok(vec![values, indices])
}

fn depth_to_space(op: &str, node: &OnnxNode, known: &Known) -> Types {
    let x = known.of(node, 0)?;
    let block = node.int("blocksize").and_then(|b| usize::try_from(b).ok());
    let (Some(block @ 1..=4096), &[n, c, h, w]) = (block, x.shape.as_slice()) else {
        return wrong(format!("blocks of {block:?} on {:?}", x.shape));
    };
    let square = block * block;
    let shape = match op {
        "DepthToSpace" if c % square == 0 => {
            [c / square, h.saturating_mul(block), w.saturating_mul(block)]
        }
        "SpaceToDepth" if h % block == 0 && w % block == 0 => {
            [c.saturating_mul(square), h / block, w / block]
        }
        _ => return wrong(format!("blocks of {block} on {:?}", x.shape)),
    };
    one(x.dtype, [&[n], &shape[..]].concat())
}
