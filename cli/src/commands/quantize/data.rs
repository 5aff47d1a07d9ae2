//! Samples and labels from `.npz` files, brought into the form that the float model takes.

use clap::Args as ClapArgs;
use macforge_model::onnx::{OnnxGraph, OnnxValue};
use macforge_ptq::{Dataset, Values};
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use ndarray::{ArrayD, Axis, IxDyn, OwnedRepr};
use ndarray_npy::{NpzReader, ReadableElement};
use std::fs::File;
use std::path::Path;

/// How stored samples become the model's input: `(x / divide - mean) / std`.
#[derive(Clone, Debug, ClapArgs)]
pub struct Preprocessing {
    /// Divides the samples, for example by 255
    #[arg(long, default_value_t = 1.0)]
    pub divide: f32,
    /// Mean to subtract: one number, or one per channel, after --divide
    #[arg(
        long,
        value_delimiter = ',',
        allow_negative_numbers = true,
        value_name = "M,.."
    )]
    pub mean: Vec<f32>,
    /// Deviation to divide by: one number, or one per channel
    #[arg(long, value_delimiter = ',', value_name = "S,..")]
    pub std: Vec<f32>,
}

impl Default for Preprocessing {
    /// The samples as they are.
    fn default() -> Self {
        Preprocessing {
            divide: 1.0,
            mean: Vec::new(),
            std: Vec::new(),
        }
    }
}

/// Names under which labels are found beside the samples.
const LABELS: [&str; 3] = ["labels", "label", "y"];

type Npz = NpzReader<File>;

/// The samples of a file for all inputs of a graph; labels from `labels`, or from the same file.
pub fn load(
    graph: &OnnxGraph,
    path: &Path,
    labels: Option<&Path>,
    preprocessing: &Preprocessing,
) -> Result<Dataset> {
    let within = || format!("in {}", path.display());
    let mut npz = open(path)?;
    let names = names(&mut npz).wrap_err_with(within)?;
    let samples = samples(graph, &mut npz, &names, preprocessing).wrap_err_with(within)?;
    let labels = match labels {
        Some(file) => Some(
            all_labels(&mut open(file)?, 0).wrap_err_with(|| format!("in {}", file.display()))?,
        ),
        None => match names.iter().position(|n| LABELS.contains(&n.as_str())) {
            Some(index) => Some(all_labels(&mut npz, index).wrap_err_with(within)?),
            None => None,
        },
    };
    if let Some(labels) = &labels
        && labels.len() != samples.len()
    {
        let (l, s) = (labels.len(), samples.len());
        return Err(miette!("{l} labels for {s} samples")).wrap_err_with(within);
    }
    Ok(Dataset { samples, labels })
}

fn open(path: &Path) -> Result<Npz> {
    let file = File::open(path)
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot read {}", path.display()))?;
    NpzReader::new(file)
        .into_diagnostic()
        .wrap_err_with(|| format!("{} is not an .npz file", path.display()))
}

fn names(npz: &mut Npz) -> Result<Vec<String>> {
    let names = npz.names().into_diagnostic()?;
    Ok(names
        .iter()
        .map(|n| n.trim_end_matches(".npy").to_string())
        .collect())
}

/// One array per graph input: of its name, or, with one input, the first that holds no labels.
fn samples(
    graph: &OnnxGraph,
    npz: &mut Npz,
    names: &[String],
    preprocessing: &Preprocessing,
) -> Result<Vec<Values>> {
    let mut samples: Vec<Values> = Vec::new();
    for (n, input) in graph.inputs.iter().enumerate() {
        let of_name = names.iter().position(|name| *name == input.name);
        let first = names
            .iter()
            .position(|name| !LABELS.contains(&name.as_str()));
        let index = of_name.or(first.filter(|_| graph.inputs.len() == 1));
        let index = index.ok_or_else(|| {
            let found = names.join(", ");
            miette!(
                "no array for the input `{}`; there are: {found}",
                input.name
            )
        })?;
        let array =
            read_floats(npz, index).wrap_err_with(|| format!("array `{}`", names[index]))?;
        let values = prepare(&array, input, preprocessing)?;
        if n == 0 {
            samples = vec![Values::new(); values.len()];
        } else if samples.len() != values.len() {
            let (a, b) = (samples.len(), values.len());
            return Err(miette!(
                "`{}` has {b} samples, the first input {a}",
                input.name
            ));
        }
        for (sample, value) in samples.iter_mut().zip(values) {
            sample.insert(input.name.clone(), value);
        }
    }
    Ok(samples)
}

/// The samples of an array in the shape of an input, preprocessed.
fn prepare(
    array: &ArrayD<f32>,
    input: &OnnxValue,
    preprocessing: &Preprocessing,
) -> Result<Vec<ArrayD<f32>>> {
    let wanted = input.sizes().filter(|s| !s.is_empty()).ok_or_else(|| {
        miette!(
            "the input `{}` has no fixed shape; export it with one",
            input.name
        )
    })?;
    let found = array.shape().to_vec();
    let own = found.get(1..).unwrap_or_default();
    let squeeze = |dims: &[usize]| dims.iter().copied().filter(|&d| d != 1).collect::<Vec<_>>();
    // images are often stored with their channels last
    let channels_last = match (own, &wanted[1..]) {
        (&[h, w, c], inner @ &[ic, ih, iw]) => own != inner && [c, h, w] == [ic, ih, iw],
        _ => false,
    };
    if !channels_last && (found.is_empty() || squeeze(own) != squeeze(&wanted[1..])) {
        return Err(miette!(
            "samples of shape {own:?}; wanted {:?} for the input `{}`, channels first or last",
            &wanted[1..],
            input.name
        ));
    }
    let mut shape = wanted.clone();
    shape[0] = 1;
    let channels = if shape.len() > 2 { shape[1] } else { 1 };
    let per_channel = |values: &[f32], none: f32| match values {
        [] => Ok(vec![none; channels]),
        &[one] => Ok(vec![one; channels]),
        all if all.len() == channels => Ok(all.to_vec()),
        all => Err(miette!(
            "{} values for --mean or --std; wanted 1 or {channels}",
            all.len()
        )),
    };
    let (mean, std) = (
        per_channel(&preprocessing.mean, 0.0)?,
        per_channel(&preprocessing.std, 1.0)?,
    );
    let inner: usize = shape.iter().skip(2).product();
    let one = |sample: ndarray::ArrayViewD<f32>| {
        let moved = if channels_last {
            sample.permuted_axes(IxDyn(&[2, 0, 1]))
        } else {
            sample
        };
        let values = moved.iter().enumerate().map(|(i, &v)| {
            let c = if channels > 1 {
                i / inner % channels
            } else {
                0
            };
            (v / preprocessing.divide - mean[c]) / std[c]
        });
        ArrayD::from_shape_vec(IxDyn(&shape), values.collect()).into_diagnostic()
    };
    array.axis_iter(Axis(0)).map(one).collect()
}

fn read<T: ReadableElement>(npz: &mut Npz, index: usize) -> Option<ArrayD<T>> {
    npz.by_index::<OwnedRepr<T>, IxDyn>(index).ok()
}

fn read_floats(npz: &mut Npz, index: usize) -> Result<ArrayD<f32>> {
    if let Some(a) = read::<f32>(npz, index) {
        return Ok(a);
    }
    if let Some(a) = read::<f64>(npz, index) {
        return Ok(a.mapv(|v| v as f32));
    }
    Ok(read_integers(npz, index)?.mapv(|v| v as f32))
}

fn read_integers(npz: &mut Npz, index: usize) -> Result<ArrayD<i64>> {
    macro_rules! first_of {
        ($($t:ty),*) => {$(
            if let Some(a) = read::<$t>(npz, index) {
                return Ok(a.mapv(i64::from));
            }
        )*};
    }
    first_of!(u8, i8, u16, i16, i32, u32, i64);
    Err(miette!("neither integers nor floats, or damaged"))
}

/// Class indices; an array with one entry per class and sample is taken as scores.
fn all_labels(npz: &mut Npz, index: usize) -> Result<Vec<usize>> {
    let array = read_integers(npz, index).wrap_err("labels")?;
    let one = |&v: &i64| usize::try_from(v).map_err(|_| miette!("the label {v} is negative"));
    match array.ndim() {
        1 => array.iter().map(one).collect(),
        2 if array.shape()[1] == 1 => array.iter().map(one).collect(),
        _ => Err(miette!(
            "labels of shape {:?}; wanted one number per sample",
            array.shape()
        )),
    }
}
