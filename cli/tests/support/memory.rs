//! Simulations of designs whose weights come from memory.

use super::{read_json, simulate};
use serde_json::Value;
use std::ffi::OsStr;
use std::path::Path;

fn arguments<'a>(options: &'a [&str]) -> impl Iterator<Item = &'a dyn AsRef<OsStr>> {
    options.iter().map(|o| o as &dyn AsRef<OsStr>)
}

/// Simulates four samples (in every precision) and gives the JSON result; every integer has to be equal.
#[track_caller]
pub fn exact(out: &Path, options: &[&str]) -> Value {
    let json = out.join("../result.json");
    let mut all: Vec<&dyn AsRef<OsStr>> = vec![&"--layers", &"--samples", &"4", &"--json", &json];
    all.extend(arguments(options));
    simulate(out, &all).passed();
    read_json(&json)
}

/// Cycles of waiting for weights in an inference; of the result, or of one of its precisions.
pub fn stalls(result: &Value) -> u64 {
    let layers = result["layers"].as_array().expect("layers");
    let of_layers = layers.iter().map(|l| l["stalls"].as_u64().expect("stalls"));
    of_layers.sum()
}

/// Runs a design whose memory is at fault: the message has all `parts`.
#[track_caller]
pub fn stopped(out: &Path, options: &[&str], parts: &[&str]) {
    let options: Vec<&dyn AsRef<OsStr>> = arguments(options).collect();
    simulate(out, &options).refused(parts);
}
