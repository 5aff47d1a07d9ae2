//! Samples for calibration and evaluation.

use ndarray::ArrayD;

use crate::PtqError;
use crate::session::Values;

/// Samples for the graph's inputs, batch 1 each, with class labels where they are known.
#[derive(Clone, Debug, Default)]
pub struct Dataset {
    /// Per sample: the value of every graph input, by name.
    pub samples: Vec<Values>,
    /// Per sample: index of the right class.
    pub labels: Option<Vec<usize>>,
}

impl Dataset {
    /// Samples for a graph of one input.
    pub fn single(input: &str, samples: Vec<ArrayD<f32>>, labels: Option<Vec<usize>>) -> Self {
        let named = |array| Values::from([(input.to_string(), array)]);
        Dataset {
            samples: samples.into_iter().map(named).collect(),
            labels,
        }
    }

    /// At most `count` samples, spread evenly over the set.
    pub fn spread(&self, count: usize) -> Dataset {
        let total = self.samples.len();
        let count = count.min(total);
        let picks = (0..count).map(|i| i * total / count.max(1));
        let pick = |of: &Vec<usize>| picks.clone().map(|i| of[i]).collect();
        Dataset {
            samples: picks.clone().map(|i| self.samples[i].clone()).collect(),
            labels: self.labels.as_ref().map(pick),
        }
    }

    /// There is a sample, and as many labels as samples.
    pub(crate) fn check(&self, what: &str) -> Result<(), PtqError> {
        let refuse = |found: String, remedy: &str| {
            Err(PtqError::Data {
                what: what.to_string(),
                found,
                remedy: remedy.to_string(),
            })
        };
        if self.samples.is_empty() {
            return refuse("no samples".into(), "give at least one");
        }
        match &self.labels {
            Some(labels) if labels.len() != self.samples.len() => refuse(
                format!("{} labels for {} samples", labels.len(), self.samples.len()),
                "give one label per sample",
            ),
            _ => Ok(()),
        }
    }
}

/// Index of the largest element; the first of equals.
pub fn top1(values: impl IntoIterator<Item = f32>) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (i, v) in values.into_iter().enumerate() {
        if v > best.1 {
            best = (i, v);
        }
    }
    best.0
}
