//! The float network's answers, to which others are compared.

use macforge_model::onnx::OnnxGraph;
use ndarray::ArrayD;

use crate::PtqError;
use crate::data::{Dataset, top1};
use crate::error_sums::ErrorSums;
use crate::monitor::{Monitor, step};
use crate::session::{Session, Values};

/// Per sample: all graph outputs.
#[derive(Clone, Debug)]
pub struct Answers {
    names: Vec<String>,
    values: Vec<Values>,
}

/// How a changed network answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// All outputs, against the float network's.
    pub sums: ErrorSums,
    /// Share of the samples whose largest output is another one.
    pub top1_changed: f64,
    /// Share of the samples whose largest output is the label.
    pub accuracy: Option<f64>,
}

impl Answers {
    /// Runs the data.
    ///
    /// # Errors
    /// Inference fails; the monitor stops.
    pub fn new(
        graph: &OnnxGraph,
        session: &Session,
        data: &Dataset,
        monitor: &mut dyn Monitor,
    ) -> Result<Self, PtqError> {
        let names: Vec<String> = graph.outputs.iter().map(|o| o.name.clone()).collect();
        let wanted: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut values = Vec::new();
        monitor.stage("float inference", data.samples.len());
        for sample in &data.samples {
            values.push(session.run(sample.iter().map(|(n, v)| (n.as_str(), v)), &wanted)?);
            step(monitor)?;
        }
        Ok(Answers { names, values })
    }

    /// Output names, in the model's order.
    pub fn names(&self) -> Vec<&str> {
        self.names.iter().map(String::as_str).collect()
    }

    /// The first output of a sample.
    pub fn first(&self, sample: usize) -> &ArrayD<f32> {
        &self.values[sample][&self.names[0]]
    }

    /// Whether the first output tells classes apart.
    pub fn classifies(&self) -> bool {
        self.values
            .first()
            .is_some_and(|v| v[&self.names[0]].len() > 1)
    }

    /// Share of the samples whose largest output is the label.
    pub fn accuracy(&self, labels: &[usize]) -> f64 {
        let right = (0..labels.len()).filter(|&i| top1(self.first(i).iter().copied()) == labels[i]);
        right.count() as f64 / labels.len().max(1) as f64
    }

    /// Compares with others' answers to the same samples.
    pub fn compare(&self, others: &[Values], labels: Option<&[usize]>) -> Compared {
        let mut sums = ErrorSums::default();
        let (mut changed, mut right) = (0usize, 0usize);
        for (i, (own, other)) in self.values.iter().zip(others).enumerate() {
            for name in &self.names {
                let pairs = own[name].iter().copied().zip(other[name].iter().copied());
                sums.add(pairs);
            }
            let top = top1(other[&self.names[0]].iter().copied());
            changed += usize::from(top != top1(self.first(i).iter().copied()));
            right += usize::from(labels.is_some_and(|l| l[i] == top));
        }
        let share = |n: usize| n as f64 / others.len().max(1) as f64;
        Compared {
            sums,
            top1_changed: share(changed),
            accuracy: labels.map(|_| share(right)),
        }
    }
}
