//! Sensitivity: one layer is quantized, everything else stays float.

use serde::Serialize;

use crate::PtqError;
use crate::data::Dataset;
use crate::layers::Layer;
use crate::monitor::{Monitor, step};
use crate::network::{Decided, Network};
use crate::outputs::{Answers, Compared};
use crate::prepare::edit;
use crate::session::{Session, Values};

/// What the outputs lose when one layer alone is quantized.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Sensitivity {
    /// SQNR of the graph outputs in dB; `None` where nothing changes.
    pub output_sqnr_db: Option<f64>,
    /// Share of the samples whose largest output is another one.
    pub top1_changed: f64,
    /// Accuracy, with labels.
    pub accuracy: Option<f64>,
}

impl From<&Compared> for Sensitivity {
    fn from(compared: &Compared) -> Self {
        Sensitivity {
            output_sqnr_db: compared.sums.fidelity().sqnr_db,
            top1_changed: compared.top1_changed,
            accuracy: compared.accuracy,
        }
    }
}

/// Sensitivity of every layer that is quantized and does more than move values; `None` for others.
///
/// # Errors
/// Inference fails; the monitor stops.
pub fn sensitivity(
    network: &Network,
    decided: &Decided,
    answers: &Answers,
    data: &Dataset,
    monitor: &mut dyn Monitor,
) -> Result<Vec<Option<Sensitivity>>, PtqError> {
    monitor.stage("sensitivity", network.layers.len());
    let mut all = Vec::new();
    for layer in &network.layers {
        let skip = layer.moves || network.outside.contains(&layer.name);
        all.push(if skip {
            None
        } else {
            let compared = alone(network, decided, answers, data, layer)?;
            Some(Sensitivity::from(&compared))
        });
        step(monitor)?;
    }
    Ok(all)
}

/// The outputs with `layer` alone quantized: its weights and what it gives out.
fn alone(
    network: &Network,
    decided: &Decided,
    answers: &Answers,
    data: &Dataset,
    layer: &Layer,
) -> Result<Compared, PtqError> {
    let changed = match (&layer.weights, decided.weights.get(&layer.name)) {
        (Some(weights), Some(q)) => {
            let mut graph = network.graph.clone();
            let values = q.dequantized(weights);
            edit(&mut graph, &weights.name, |i, _| values[i]);
            Some(Session::new(&graph)?)
        }
        _ if layer.recurrent.is_some() => {
            let mut graph = network.graph.clone();
            decided.plan.quantize_recurrent(layer, &mut graph);
            Some(Session::new(&graph)?)
        }
        _ => None,
    };
    let changed = changed.as_ref().unwrap_or(&network.session);
    let own: Vec<&str> = layer.outputs.iter().map(String::as_str).collect();
    let wanted = answers.names();
    let mut others = Vec::new();
    for sample in &data.samples {
        let mut values = changed.run(sample.iter().map(|(n, v)| (n.as_str(), v)), &own)?;
        for (name, value) in &mut values {
            if let Some(a) = decided.activations.get(name) {
                value.mapv_inplace(|v| a.grid.fake(v));
            }
        }
        others.push(finish(&network.session, sample, values, &wanted)?);
    }
    Ok(answers.compare(&others, data.labels.as_deref()))
}

/// The outputs `wanted`, with `values` in the place of what the network computes itself.
pub fn finish(
    session: &Session,
    sample: &Values,
    values: Values,
    wanted: &[&str],
) -> Result<Values, PtqError> {
    let missing: Vec<&str> = wanted
        .iter()
        .copied()
        .filter(|w| !values.contains_key(*w))
        .collect();
    let mut results = Values::new();
    if !missing.is_empty() {
        let inputs = sample.iter().filter(|(n, _)| !values.contains_key(*n));
        let given = inputs.chain(&values).map(|(n, v)| (n.as_str(), v));
        results = session.run(given, &missing)?;
    }
    results.extend(
        values
            .into_iter()
            .filter(|(n, _)| wanted.contains(&n.as_str())),
    );
    Ok(results)
}

/// The outputs of another float graph on the same data.
///
/// # Errors
/// Inference fails.
pub fn answers_of(
    session: &Session,
    answers: &Answers,
    data: &Dataset,
) -> Result<Vec<Values>, PtqError> {
    let wanted = answers.names();
    let run = |sample: &Values| session.run(sample.iter().map(|(n, v)| (n.as_str(), v)), &wanted);
    data.samples.iter().map(run).collect()
}
