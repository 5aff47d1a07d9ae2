//! The quantized network as integers: runs on the reference model, beside the float network.

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use macforge_quant::{DType, QGraph, QTensor, TensorId};
use macforge_reference::{Run, Value};
use ndarray::{ArrayBase, ArrayD, Data, IxDyn};

use crate::PtqError;
use crate::monitor::{Monitor, step};
use crate::session::Values;

/// The inputs of the integer graph for a sample.
///
/// # Errors
/// An input of the graph is none of the sample's, or has another shape.
pub fn inputs(graph: &QGraph, sample: &Values) -> Result<Vec<Value>, PtqError> {
    let one = |&id: &TensorId| {
        let tensor = graph.tensor(id);
        let value = sample.get(&tensor.name).or_else(|| sample.values().next());
        let value = value.filter(|_| graph.inputs.len() == sample.len());
        let laid_out = value.and_then(|v| to_graph(v, tensor));
        let laid_out = laid_out.ok_or_else(|| PtqError::Data {
            what: format!("input `{}`", tensor.name),
            found: format!("no sample value of shape {:?}", tensor.shape),
            remedy: "give one value per graph input, batch 1".into(),
        })?;
        Ok(match (tensor.dtype, tensor.quant) {
            (DType::I8, Some(params)) => Value::I8(laid_out.mapv(|v| params.quantize(v))),
            (DType::I16, Some(params)) => {
                Value::I16(laid_out.mapv(|v| params.quantize_wide(graph.semantics, v)))
            }
            _ => Value::F32(laid_out),
        })
    };
    graph.inputs.iter().map(one).collect()
}

/// A float value as a tensor of the integer graph has it: no batch, and channels last where the
/// model has them first. `None` where the sizes differ.
pub fn to_graph<S: Data<Elem = f32>>(
    value: &ArrayBase<S, IxDyn>,
    tensor: &QTensor,
) -> Option<ArrayD<f32>> {
    let own = match channels_last_shape(value.shape(), tensor) {
        Some([h, w, c]) => {
            let image = value.to_shape(IxDyn(&[c, h, w])).ok()?;
            image.permuted_axes(IxDyn(&[1, 2, 0]))
        }
        None => value.to_shape(IxDyn(&tensor.shape)).ok()?,
    };
    let flat: Vec<f32> = own.iter().copied().collect();
    ArrayD::from_shape_vec(IxDyn(&tensor.shape), flat).ok()
}

/// `[H, W, C]` of a float value whose channels are moved.
fn channels_last_shape(value: &[usize], tensor: &QTensor) -> Option<[usize; 3]> {
    if !tensor.channels_first {
        return None;
    }
    match *value {
        [_, c, h, w] => Some([h, w, c]),
        [_, c, w] => Some([1, w, c]),
        _ => None,
    }
}

/// The real values of a tensor of the integer graph after a run; `None` where it has none.
pub fn real(graph: &QGraph, run: &Run, id: TensorId) -> Option<ArrayD<f32>> {
    let params = graph.tensor(id).quant;
    match (run.tensors[id.0].as_ref()?, params) {
        (Value::F32(a), _) => Some(a.clone()),
        (Value::I8(a), Some(params)) => Some(a.mapv(|q| params.dequantize(q))),
        (Value::I16(a), Some(params)) => Some(a.mapv(|q| params.dequantize_wide(q))),
        _ => None,
    }
}

/// The tensor of the integer graph that holds the integer form of a value of the float graph.
pub fn tensor_of(graph: &QGraph, value: &str) -> Option<TensorId> {
    let names = ["", "_quantized", "_dequantized", "_float", "_clipped"];
    let find = |suffix: &str| {
        let wanted = format!("{value}{suffix}");
        let found = |t: &QTensor| t.name == wanted && t.dtype.limits().is_some();
        graph.tensors.iter().position(found)
    };
    names.into_iter().find_map(find).map(TensorId)
}

/// Real values of the graph outputs by name, laid out as the float graph's values of `like`.
pub fn outputs(graph: &QGraph, run: &Run, names: &[String], like: &Values) -> Option<Values> {
    let ids = graph.outputs.iter().zip(names);
    ids.map(|(&id, name)| {
        let value = real(graph, run, id)?;
        let shape = like.get(name)?.shape();
        Some((name.clone(), from_graph(value, graph.tensor(id), shape)?))
    })
    .collect()
}

/// The inverse of [`to_graph`].
fn from_graph(value: ArrayD<f32>, tensor: &QTensor, shape: &[usize]) -> Option<ArrayD<f32>> {
    let own = match channels_last_shape(shape, tensor) {
        Some(hwc) => {
            let image = value.to_shape(IxDyn(&hwc)).ok()?;
            image.permuted_axes(IxDyn(&[2, 0, 1])).into_owned()
        }
        None => value,
    };
    ArrayD::from_shape_vec(IxDyn(shape), own.iter().copied().collect()).ok()
}

/// Calls `take` with the run of every sample, in order; samples are run on all cores.
///
/// # Errors
/// The reference model refuses a sample; the monitor stops.
pub fn run_all(
    graph: &QGraph,
    samples: &[Values],
    stage: &str,
    monitor: &mut dyn Monitor,
    mut take: impl FnMut(usize, &Run) -> Result<(), PtqError>,
) -> Result<(), PtqError> {
    monitor.stage(stage, samples.len());
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    // a few samples at a time, so that memory stays small and progress is seen
    for (first, batch) in (0..).step_by(threads * 4).zip(samples.chunks(threads * 4)) {
        let runs = run_batch(graph, batch, threads)?;
        for (i, run) in runs.iter().enumerate() {
            take(first + i, run)?;
            step(monitor)?;
        }
    }
    Ok(())
}

fn run_batch(graph: &QGraph, batch: &[Values], threads: usize) -> Result<Vec<Run>, PtqError> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let work = || {
        let mut own = Vec::new();
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(sample) = batch.get(i).filter(|_| !failed.load(Ordering::Relaxed)) else {
                return Ok::<_, PtqError>(own);
            };
            let run = inputs(graph, sample)
                .and_then(|values| Ok(macforge_reference::run(graph, &values)?))
                .inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
            own.push((i, run));
        }
    };
    let mut runs = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut all = Vec::new();
        for handle in handles {
            all.extend(handle.join().expect("the reference model does not panic")?);
        }
        Ok::<_, PtqError>(all)
    })?;
    runs.sort_by_key(|(i, _)| *i);
    Ok(runs.into_iter().map(|(_, run)| run).collect())
}
