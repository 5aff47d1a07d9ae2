//! The host's part of a network: float32 work in front of the hardware's integers and behind them.

use crate::sayln;
use macforge_quant::QGraph;
use macforge_reference::Value;
use miette::{IntoDiagnostic, Result, WrapErr};

/// Runs one of the host's graphs on each sample, a value per input; samples pass where there is none.
pub fn apply(graph: Option<&QGraph>, samples: Vec<Vec<Value>>) -> Result<Vec<Vec<Value>>> {
    let Some(graph) = graph else {
        return Ok(samples);
    };
    let run = |sample: Vec<Value>| {
        let run = macforge_reference::run(graph, &sample)
            .into_diagnostic()
            .wrap_err("the host's part of the network refuses the sample")?;
        Ok(run.outputs(graph).into_iter().cloned().collect())
    };
    samples.into_iter().map(run).collect()
}

/// Says which nodes the hardware does not compute.
pub fn say(head: Option<&QGraph>, tail: Option<&QGraph>) {
    for (graph, place) in [(head, "in front of"), (tail, "behind")] {
        let Some(graph) = graph else { continue };
        let nodes: Vec<&str> = graph.nodes.iter().map(|n| n.op.kind()).collect();
        sayln!("  on the host, {place} the hardware: {}", nodes.join(", "));
    }
}
