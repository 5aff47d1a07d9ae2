//! Graph inputs: float32 for the host, or integers where the model says so.

use macforge_model::onnx::OnnxType;
use macforge_numeric::{AffineParams, Interval};

use super::value::{Chain, Levels, Source, Value};
use super::{Pass, channels_last, has_quantizers};
use crate::QuantError;
use crate::graph::DType;

impl Pass<'_> {
    /// Graph inputs: float32 for the host, or integers where the model says so.
    pub(super) fn inputs(&mut self) -> Result<(), QuantError> {
        let integer_only = !has_quantizers(self.model);
        for input in &self.model.inputs {
            let refuse = |found: String, wanted: &str| QuantError::Parameter {
                node: format!("graph input `{}`", input.name),
                found,
                wanted: wanted.into(),
            };
            let Some(shape) = input
                .sizes()
                .filter(|s| s.first() == Some(&1) || s.len() == 1)
            else {
                let found = format!("shape {:?}", input.shape);
                return Err(refuse(found, "fixed sizes and batch 1"));
            };
            if input.dtype != Some(OnnxType::F32) {
                let found = input.dtype.map_or("no type".into(), |t| t.to_string());
                return Err(refuse(found, "float32"));
            }
            let hwc = channels_last(&shape)
                .ok_or_else(|| refuse(format!("shape {shape:?}"), "one to four dimensions"))?;
            let stated = self.model.annotations.get(&input.name);
            let stated = stated
                .and_then(|a| a.get("finn_datatype"))
                .map(String::as_str);
            let range = match stated.and_then(integer_type) {
                // the whole of uint8 is what integer-only models are made for
                None if integer_only => Some(Interval::new(0, 255)),
                stated => stated,
            };
            let chain = match range {
                Some(levels) => {
                    let levels = Levels {
                        scale: 1.0,
                        zero_point: 0,
                        bounds: levels,
                    };
                    self.integer_input(&input.name, shape, hwc, levels)
                }
                None => {
                    let id = self.add_tensor(&input.name, hwc.clone(), DType::F32, None, false);
                    self.graph.inputs.push(id);
                    Chain {
                        source: Source::Floats(id),
                        hwc,
                        shape,
                        steps: vec![vec![]],
                        levels: None,
                        label: input.name.clone(),
                        origin: format!("graph input `{}`", input.name),
                    }
                }
            };
            self.values.insert(input.name.clone(), Value::Chain(chain));
        }
        Ok(())
    }

    fn integer_input(
        &mut self,
        name: &str,
        shape: Vec<usize>,
        hwc: Vec<usize>,
        levels: Levels,
    ) -> Chain {
        let shift = if levels.bounds.hi > 127 { -128 } else { 0 };
        let params = AffineParams {
            scale: levels.scale,
            zero_point: shift as i32,
        };
        let id = self.add_tensor(name, hwc.clone(), DType::I8, Some(params), shift != 0);
        self.graph.inputs.push(id);
        let range = levels.bounds + Interval::point(shift);
        let levels = Levels {
            scale: params.scale,
            zero_point: params.zero_point.into(),
            bounds: range,
        };
        Chain {
            source: Source::Integers(id, range),
            hwc,
            shape,
            steps: vec![vec![]],
            levels: Some(levels),
            label: name.to_string(),
            origin: format!("graph input `{name}`"),
        }
    }
}

/// Range of FINN's `INTn`, `UINTn` and `BIPOLAR` of at most eight bits.
fn integer_type(name: &str) -> Option<Interval> {
    let bits = |digits: &str| digits.parse::<u32>().ok().filter(|b| (1..=8).contains(b));
    if let Some(digits) = name.strip_prefix("UINT") {
        return Some(Interval::new(0, (1 << bits(digits)?) - 1));
    }
    if let Some(digits) = name.strip_prefix("INT") {
        let half = 1i64 << (bits(digits)? - 1);
        return Some(Interval::new(-half, half - 1));
    }
    match name {
        "BIPOLAR" => Some(Interval::new(-1, 1)),
        "BINARY" => Some(Interval::new(0, 1)),
        _ => None,
    }
}
