//! What values the tensors take over the calibration data.

use std::collections::BTreeMap;

use crate::PtqError;
use crate::calibrate::{Histogram, Moments};
use crate::data::Dataset;
use crate::monitor::{Monitor, step};
use crate::session::Session;

/// Statistics of one value.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Range, mean, deviation.
    pub moments: Moments,
    /// Counts over that range.
    pub histogram: Histogram,
    /// Values further than three deviations from the mean.
    pub outliers: u64,
}

impl Observed {
    /// Share of the values further than three deviations from the mean.
    pub fn outlier_share(&self) -> f64 {
        self.outliers as f64 / self.moments.count().max(1) as f64
    }
}

/// Outliers lie further from the mean than this many deviations.
const SIGMAS: f64 = 3.0;

/// Runs the data twice: for the moments, then for histograms and outliers.
///
/// # Errors
/// Inference fails; a value is infinite or no number; the monitor stops.
pub fn observe(
    session: &Session,
    data: &Dataset,
    names: &[&str],
    monitor: &mut dyn Monitor,
) -> Result<BTreeMap<String, Observed>, PtqError> {
    let mut moments = vec![Moments::default(); names.len()];
    monitor.stage("ranges", data.samples.len());
    each(session, data, names, monitor, |i, values| {
        moments[i].add(values)
    })?;
    if let Some(bad) = moments.iter().position(|m| m.not_finite > 0) {
        return Err(PtqError::Data {
            what: format!("value `{}`", names[bad]),
            found: "infinite or no number on the calibration data".into(),
            remedy: "check the data and how they are scaled".into(),
        });
    }
    let fresh = |m: &Moments| Observed {
        moments: *m,
        histogram: Histogram::new(m.range()),
        outliers: 0,
    };
    let mut observed: Vec<Observed> = moments.iter().map(fresh).collect();
    monitor.stage("histograms", data.samples.len());
    each(session, data, names, monitor, |i, values| {
        let o = &mut observed[i];
        o.histogram.add(values);
        let (mean, bound) = (o.moments.mean(), SIGMAS * o.moments.deviation());
        let far = |v: &&f32| (f64::from(**v) - mean).abs() > bound;
        o.outliers += values.iter().filter(far).count() as u64;
    })?;
    let named = names.iter().map(ToString::to_string);
    Ok(named.zip(observed).collect())
}

/// Calls `take` with the index and the elements of every named value of every sample.
fn each(
    session: &Session,
    data: &Dataset,
    names: &[&str],
    monitor: &mut dyn Monitor,
    mut take: impl FnMut(usize, &[f32]),
) -> Result<(), PtqError> {
    for sample in &data.samples {
        let computed: Vec<&str> = names
            .iter()
            .copied()
            .filter(|n| !sample.contains_key(*n))
            .collect();
        let given = sample.iter().map(|(n, v)| (n.as_str(), v));
        let values = session.run(given, &computed)?;
        for (i, &name) in names.iter().enumerate() {
            let value = sample.get(name).or_else(|| values.get(name));
            let value = value.and_then(|v| v.as_slice());
            take(i, value.expect("every name was given or asked for"));
        }
        step(monitor)?;
    }
    Ok(())
}
