//! The policy file as TOML, and its values checked.

use serde::{Deserialize, Serialize};

use super::{Granularity, TensorPolicy};
use crate::PtqError;
use crate::calibrate::Calibrator;
use crate::scale::Scheme;

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyFile {
    /// What holds for every layer.
    #[serde(default)]
    pub default: DefaultTable,
    /// Overrides; later ones win.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layer: Vec<LayerTable>,
}

/// `[default]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DefaultTable {
    /// Weights of every layer.
    #[serde(default, skip_serializing_if = "Patch::is_empty")]
    pub weights: Patch,
    /// Outputs of every layer, and the graph's inputs.
    #[serde(default, skip_serializing_if = "Patch::is_empty")]
    pub activations: Patch,
    /// Scales are powers of two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_of_two: Option<bool>,
    /// The mean error of the weights is taken out of the bias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias_correction: Option<bool>,
    /// Channel ranges of neighbouring layers are equalised first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equalize: Option<bool>,
    /// Activations stay float.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights_only: Option<bool>,
}

/// `[[layer]]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerTable {
    /// Name of a layer, or a pattern with `*` and `?`.
    #[serde(rename = "match")]
    pub pattern: String,
    /// Changes to the weights.
    #[serde(default, skip_serializing_if = "Patch::is_empty")]
    pub weights: Patch,
    /// Changes to the output.
    #[serde(default, skip_serializing_if = "Patch::is_empty")]
    pub activations: Patch,
    /// See [`DefaultTable::power_of_two`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_of_two: Option<bool>,
    /// See [`DefaultTable::bias_correction`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias_correction: Option<bool>,
    /// The layer stays outside, in float.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub float: Option<bool>,
}

/// Settings of a tensor; what is missing stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patch {
    /// 2, 4, 8 or 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<u32>,
    /// Symmetric or asymmetric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Scheme>,
    /// Tensor, channel or group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granularity: Option<WeightGranularity>,
    /// Output channels per group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_size: Option<usize>,
    /// How the range is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibrator: Option<CalibratorName>,
    /// Percentage of the values that must lie inside, for the calibrator `percentile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percentile: Option<f64>,
}

/// Granularity as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightGranularity {
    /// One scale.
    Tensor,
    /// A scale per output channel.
    Channel,
    /// A scale per `group_size` output channels.
    Group,
}

/// Calibrator as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CalibratorName {
    /// Smallest and largest value.
    MinMax,
    /// A share of the values.
    Percentile,
    /// Least Kullback-Leibler divergence.
    Kl,
    /// Least mean squared error.
    Mse,
}

/// Percentage where none is given.
const DEFAULT_PERCENTILE: f64 = 99.9;

impl PolicyFile {
    /// Reads a policy; `path` is for messages.
    ///
    /// # Errors
    /// [`PtqError::Policy`]: no TOML, an unknown key (the known ones are listed), a value of the
    /// wrong kind.
    pub fn parse(path: &str, text: &str) -> Result<Self, PtqError> {
        toml::from_str(text).map_err(|error| PtqError::Policy {
            at: path.to_string(),
            found: error.to_string().trim_end().to_string(),
            remedy: "correct the key or value that is marked".into(),
        })
    }

    /// The file as TOML.
    ///
    /// # Panics
    /// Never: every value has a TOML form.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("policies have a TOML form")
    }
}

impl Patch {
    fn is_empty(&self) -> bool {
        *self == Patch::default()
    }

    /// `base` with this table's settings; `at` names the table in messages.
    pub(super) fn apply(&self, base: TensorPolicy, at: &str) -> Result<TensorPolicy, PtqError> {
        let bits = self.checked_bits(at)?.unwrap_or(base.bits);
        let calibrator = self.checked_calibrator(at)?.unwrap_or(base.calibrator);
        let scheme = match (bits, self.scheme) {
            (16, Some(Scheme::Asymmetric)) => {
                return Err(refuse(
                    format!("{at}.scheme"),
                    "16 bits with a zero point",
                    "16-bit values are symmetric; leave scheme out",
                ));
            }
            (16, _) => Scheme::Symmetric,
            (_, own) => own.unwrap_or(base.scheme),
        };
        if bits == 16 && calibrator == Calibrator::Kl {
            return Err(refuse(
                format!("{at}.calibrator"),
                "kl with 16 bits, more levels than it has bins",
                "set calibrator to minmax, percentile or mse",
            ));
        }
        Ok(TensorPolicy {
            bits,
            scheme,
            granularity: self.checked_granularity(at)?.unwrap_or(base.granularity),
            calibrator,
        })
    }

    fn checked_bits(&self, at: &str) -> Result<Option<u32>, PtqError> {
        match self.bits {
            None | Some(2 | 4 | 8 | 16) => Ok(self.bits),
            Some(other) => Err(refuse(
                format!("{at}.bits"),
                format!("{other} bits"),
                "set bits to 2, 4, 8 or 16",
            )),
        }
    }

    fn checked_granularity(&self, at: &str) -> Result<Option<Granularity>, PtqError> {
        match (self.granularity, self.group_size) {
            (None, None) => Ok(None),
            (Some(WeightGranularity::Tensor), None) => Ok(Some(Granularity::Tensor)),
            (Some(WeightGranularity::Channel), None) => Ok(Some(Granularity::Channel)),
            (Some(WeightGranularity::Group), Some(size)) if size > 0 => {
                Ok(Some(Granularity::Group(size)))
            }
            (Some(WeightGranularity::Group), _) => Err(refuse(
                format!("{at}.granularity"),
                "groups without a size",
                "add group_size = N, the number of output channels that share a scale",
            )),
            (_, Some(size)) => Err(refuse(
                format!("{at}.group_size"),
                format!("group size {size} without groups"),
                "add granularity = \"group\", or remove group_size",
            )),
        }
    }

    fn checked_calibrator(&self, at: &str) -> Result<Option<Calibrator>, PtqError> {
        if let (Some(percentile), name) = (self.percentile, self.calibrator)
            && name != Some(CalibratorName::Percentile)
        {
            return Err(refuse(
                format!("{at}.percentile"),
                format!("{percentile} without the calibrator percentile"),
                "add calibrator = \"percentile\", or remove percentile",
            ));
        }
        let Some(name) = self.calibrator else {
            return Ok(None);
        };
        Ok(Some(match name {
            CalibratorName::MinMax => Calibrator::MinMax,
            CalibratorName::Kl => Calibrator::Kl,
            CalibratorName::Mse => Calibrator::Mse,
            CalibratorName::Percentile => {
                let value = self.percentile.unwrap_or(DEFAULT_PERCENTILE);
                if !(value > 50.0 && value <= 100.0) {
                    return Err(refuse(
                        format!("{at}.percentile"),
                        format!("percentile {value}"),
                        "set a percentage above 50 and up to 100, for example 99.9",
                    ));
                }
                Calibrator::Percentile(value)
            }
        }))
    }
}

pub(super) fn refuse(
    at: impl Into<String>,
    found: impl Into<String>,
    remedy: impl Into<String>,
) -> PtqError {
    PtqError::Policy {
        at: at.into(),
        found: found.into(),
        remedy: remedy.into(),
    }
}
