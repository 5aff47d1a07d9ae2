//! The whole job: float graph, policy and data to a quantized graph and its report.

use std::collections::{BTreeMap, BTreeSet};

use macforge_model::onnx::OnnxGraph;
use macforge_numeric::Semantics;
use macforge_quant::QGraph;
use ndarray::{ArrayD, CowArray, IxDyn};

use crate::PtqError;
use crate::data::Dataset;
use crate::emit::{emit, outputs as emitted_outputs};
use crate::error_sums::ErrorSums;
use crate::integer;
use crate::monitor::{Monitor, step};
use crate::network::{Decided, Network};
use crate::outputs::Answers;
use crate::policy::PolicyFile;
use crate::report::{self, Evaluation, Report};
use crate::sensitivity::{answers_of, finish, sensitivity};
use crate::session::{Session, Values};
use crate::suggest::{Suggestion, suggest};

/// Samples over which integer and float network are compared value by value.
const COMPARED: usize = 32;
/// Samples of the sensitivity analysis.
const SENSITIVITY: usize = 64;

/// What is asked for besides the quantized graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Rounding rules of the integer graph.
    pub semantics: Semantics,
    /// Quantize each layer alone, too.
    pub sensitivity: bool,
}

/// A quantization under way: decisions are taken, the report can be completed.
pub struct Quantization {
    network: Network,
    decided: Decided,
    policy: PolicyFile,
    options: Options,
    /// The quantized model in ONNX's QDQ form.
    pub onnx: OnnxGraph,
    /// The integer graph; `None` with float activations.
    pub graph: Option<QGraph>,
    /// The report so far.
    pub report: Report,
}

impl Quantization {
    /// Quantizes `graph` on calibration data.
    ///
    /// # Errors
    /// See [`PtqError`]: the policy, the graph and the data must fit each other, and the integer
    /// path must have a rule for every operator inside.
    pub fn new(
        graph: OnnxGraph,
        policy: &PolicyFile,
        data: &Dataset,
        options: Options,
        monitor: &mut dyn Monitor,
    ) -> Result<Self, PtqError> {
        let network = Network::new(graph, policy, data, monitor)?;
        let activations = network.activations()?;
        let decided = network.decide(&network.policy, activations, data, monitor)?;
        let onnx = emit(&network.graph, &network.layers, &decided.plan);
        let lower = || macforge_quant::lower(&onnx, Some(options.semantics));
        let graph = (!network.policy.weights_only).then(lower).transpose()?;
        let sums = quantization_errors(&network, &decided, data, monitor)?;
        let report = Report {
            model: network.graph.name.clone(),
            semantics: options.semantics.to_string(),
            calibration_samples: data.samples.len(),
            compared_samples: 0,
            layers: report::layers(&network, &decided, &sums),
            outside: network.outside.iter().cloned().collect(),
            evaluation: None,
        };
        let mut this = Quantization {
            network,
            decided,
            policy: policy.clone(),
            options,
            onnx,
            graph,
            report,
        };
        this.accumulate(&data.spread(COMPARED), monitor)?;
        if this.options.sensitivity {
            this.sensitivity(&data.spread(SENSITIVITY), monitor)?;
        }
        Ok(this)
    }

    /// A mixed 4/8-bit policy, from sensitivity on calibration data.
    ///
    /// # Errors
    /// Inference fails; the monitor stops.
    pub fn suggest(
        &self,
        data: &Dataset,
        monitor: &mut dyn Monitor,
    ) -> Result<Suggestion, PtqError> {
        let network = &self.network;
        let answers = Answers::new(&network.graph, &network.session, data, monitor)?;
        let activations = &self.decided.activations;
        suggest(network, activations, &self.policy, &answers, data, monitor)
    }

    /// Completes the report by the accuracy over other data: the integer graph on the reference
    /// model, layers outside in float behind it.
    ///
    /// # Errors
    /// The data do not fit; the monitor stops.
    pub fn evaluate(&mut self, data: &Dataset, monitor: &mut dyn Monitor) -> Result<(), PtqError> {
        data.check("evaluation data")?;
        let network = &self.network;
        let answers = Answers::new(&network.graph, &network.session, data, monitor)?;
        let others = match &self.graph {
            Some(graph) => self.integer_answers(graph, &answers, data, monitor)?,
            None => answers_of(&Session::new(&self.decided.simulated)?, &answers, data)?,
        };
        let labels = data.labels.as_deref();
        let compared = answers.compare(&others, labels);
        self.report.evaluation = Some(Evaluation {
            samples: data.samples.len(),
            float_accuracy: labels.map(|l| answers.accuracy(l)),
            quantized_accuracy: compared.accuracy,
            top1_changed: compared.top1_changed,
            outputs: compared.sums.fidelity(),
        });
        Ok(())
    }

    fn integer_answers(
        &self,
        graph: &QGraph,
        answers: &Answers,
        data: &Dataset,
        monitor: &mut dyn Monitor,
    ) -> Result<Vec<Values>, PtqError> {
        let network = &self.network;
        let cut = emitted_outputs(&network.graph, &network.layers, &self.decided.plan);
        let cut_names: Vec<&str> = cut.iter().map(String::as_str).collect();
        // one float run tells how the values that leave the integer graph are laid out
        let like = finish(
            &network.session,
            &data.samples[0],
            Values::new(),
            &cut_names,
        )?;
        let wanted = answers.names();
        let mut all = Vec::with_capacity(data.samples.len());
        integer::run_all(
            graph,
            &data.samples,
            "integer inference",
            monitor,
            |i, run| {
                let values = integer::outputs(graph, run, &cut, &like).ok_or_else(|| {
                    PtqError::model(
                        "graph outputs",
                        "they have other shapes than in float",
                        DEFECT,
                    )
                })?;
                all.push(finish(&network.session, &data.samples[i], values, &wanted)?);
                Ok(())
            },
        )?;
        Ok(all)
    }

    /// Integer against float values, layer by layer.
    fn accumulate(&mut self, data: &Dataset, monitor: &mut dyn Monitor) -> Result<(), PtqError> {
        let Some(graph) = &self.graph else {
            return Ok(());
        };
        let values = self.decided.activations.keys();
        let tensors: Vec<(&str, _)> = values
            .filter_map(|v| Some((v.as_str(), integer::tensor_of(graph, v)?)))
            .collect();
        let wanted: Vec<&str> = tensors.iter().map(|(v, _)| *v).collect();
        let mut sums = vec![ErrorSums::default(); tensors.len()];
        let attention = self.network.inside().filter(|l| !l.before.is_empty());
        let heads: BTreeSet<&str> = attention.map(|l| l.outputs[0].as_str()).collect();
        let session = &self.network.session;
        integer::run_all(
            graph,
            &data.samples,
            "integer inference",
            monitor,
            |i, run| {
                let sample = &data.samples[i];
                let mut float = finish(session, sample, Values::new(), &computed(&wanted, sample))?;
                float.extend(sample.clone());
                for ((name, id), sums) in tensors.iter().zip(&mut sums) {
                    let value = by_token(&float[*name], heads.contains(name));
                    let (Some(real), Some(other)) = (
                        integer::to_graph(&value, graph.tensor(*id)),
                        integer::real(graph, run, *id),
                    ) else {
                        continue;
                    };
                    sums.add(real.iter().copied().zip(other.iter().copied()));
                }
                Ok(())
            },
        )?;
        let by_value: BTreeMap<&str, &ErrorSums> = wanted.iter().copied().zip(&sums).collect();
        let inputs = self.network.graph.inputs.iter().map(|i| i.name.as_str());
        let inside = self.network.inside().map(|l| l.outputs[0].as_str());
        for (layer, value) in self.report.layers.iter_mut().zip(inputs.chain(inside)) {
            layer.accumulated = by_value.get(value).map(|s| s.fidelity());
        }
        self.report.compared_samples = data.samples.len();
        Ok(())
    }

    fn sensitivity(&mut self, data: &Dataset, monitor: &mut dyn Monitor) -> Result<(), PtqError> {
        let network = &self.network;
        let answers = Answers::new(&network.graph, &network.session, data, monitor)?;
        let all = sensitivity(network, &self.decided, &answers, data, monitor)?;
        for (layer, found) in network.layers.iter().zip(all) {
            let mut reports = self.report.layers.iter_mut();
            if let Some(report) = reports.find(|r| r.name == layer.name && r.op != "INPUT") {
                report.sensitivity = found;
            }
        }
        Ok(())
    }
}

/// Remedy for what cannot happen with a right importer.
const DEFECT: &str = "this is a defect of macforge; please report it with the model";

fn computed<'v>(names: &[&'v str], sample: &Values) -> Vec<&'v str> {
    let missing = names.iter().copied().filter(|n| !sample.contains_key(*n));
    missing.collect()
}

/// The result of attention, `[.., H, T, D]`, as the integer graph has it: tokens in front of the heads.
fn by_token(value: &ArrayD<f32>, of_heads: bool) -> CowArray<'_, f32, IxDyn> {
    let mut view = value.view();
    if let (true, rank @ 3..) = (of_heads, view.ndim()) {
        view.swap_axes(rank - 3, rank - 2);
    }
    CowArray::from(view)
}

/// Every activation's own quantization error over the calibration data.
fn quantization_errors(
    network: &Network,
    decided: &Decided,
    data: &Dataset,
    monitor: &mut dyn Monitor,
) -> Result<BTreeMap<String, ErrorSums>, PtqError> {
    let names: Vec<&str> = decided.activations.keys().map(String::as_str).collect();
    let mut sums = vec![ErrorSums::default(); names.len()];
    monitor.stage("errors", data.samples.len());
    for sample in &data.samples {
        let values = finish(
            &network.session,
            sample,
            Values::new(),
            &computed(&names, sample),
        )?;
        for (name, sums) in names.iter().zip(&mut sums) {
            let value = sample.get(*name).or_else(|| values.get(*name));
            let value = value.expect("given or asked for");
            sums.add_quantized(value.iter().copied(), &decided.activations[*name].grid);
        }
        step(monitor)?;
    }
    Ok(names.iter().map(ToString::to_string).zip(sums).collect())
}
