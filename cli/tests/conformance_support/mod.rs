//! Conformance cases through RTL. Independent cases become branches of one network, so that one
//! simulation build serves many of them.

use crate::conformance::Exact;
use crate::cosim::run::Request;
use crate::graphs_support::simulated;
use crate::project::{self, Target};
use macforge_quant::{QGraph, QNode, QState, QTensor, TensorId};
use macforge_reference::Value;

/// Array shape of the designs.
const SHAPE: &str = "3x8x4";
/// Cases and layers of one network.
const MOST: [usize; 2] = [64, 200];

/// What became of a graph in hardware.
#[derive(Clone)]
pub enum Rtl {
    /// Every integer of every output equals the suite's.
    Passed,
    /// The planner's words.
    Refused(String),
    /// What differs.
    Failed(String),
}

/// Runs every graph, in the given order.
pub fn run(cases: &[Exact]) -> Vec<Rtl> {
    let mut results: Vec<Option<Rtl>> = vec![None; cases.len()];
    let mut packs: Vec<(Vec<usize>, usize)> = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        let layers = match layers(&case.graph) {
            Ok(layers) => layers,
            Err(reason) => {
                results[index] = Some(Rtl::Refused(reason));
                continue;
            }
        };
        let semantics = case.graph.semantics;
        let fits = |(pack, used): &&mut (Vec<usize>, usize)| {
            cases[pack[0]].graph.semantics == semantics
                && pack.len() < MOST[0]
                && used + layers <= MOST[1]
        };
        match packs.iter_mut().find(fits) {
            Some((pack, used)) => {
                pack.push(index);
                *used += layers;
            }
            None => packs.push((vec![index], layers)),
        }
    }
    for (pack, _) in packs {
        run_pack(cases, &pack, &mut results);
    }
    results.into_iter().map(|r| r.expect("judged")).collect()
}

/// Layers that the hardware makes of a graph, or why it makes none.
fn layers(graph: &QGraph) -> Result<usize, String> {
    let board = macforge_constraints::board("zc706").expect("a known board");
    let shape = SHAPE.parse().expect("an array shape");
    let target = Target {
        shape: Some(shape),
        ..Target::new(board)
    };
    let options = project::options(graph.semantics, &target);
    let plan = macforge_plan::build(graph, &options).map_err(|e| e.to_string())?;
    Ok(plan.layers.layers.len())
}

/// Cases that do not go together (streams of integers and of floats, for example) run in two halves.
fn run_pack(cases: &[Exact], pack: &[usize], results: &mut [Option<Rtl>]) {
    let mut graph = joined(cases, pack);
    graph.name = format!("{} cases", pack.len());
    if pack.len() > 1 && (graph.verify().is_err() || layers(&graph).is_err()) {
        let (first, second) = pack.split_at(pack.len() / 2);
        run_pack(cases, first, results);
        run_pack(cases, second, results);
        return;
    }
    let count = pack.iter().map(|&i| cases[i].samples.len()).max();
    let sample = |n: usize, i: &usize| &cases[*i].samples[n % cases[*i].samples.len()];
    let samples = (0..count.expect("no empty packs")).map(|n| {
        let inputs = pack.iter().flat_map(|i| sample(n, i).0.clone());
        inputs.collect::<Vec<Value>>()
    });
    let samples: Vec<Vec<Value>> = samples.collect();
    let verified = match simulated(&graph, SHAPE, &samples, &Request::default()) {
        Ok(verified) => verified,
        Err(why) => {
            for &i in pack {
                results[i] = Some(Rtl::Failed(why.clone()));
            }
            return;
        }
    };
    let mut at = 0;
    for i in pack {
        let width = cases[*i].graph.outputs.len();
        let wrong = (verified.outputs.iter().enumerate())
            .find(|(n, found)| found.get(at..at + width) != Some(&sample(*n, i).1));
        results[*i] = Some(match wrong {
            None => Rtl::Passed,
            Some((n, _)) => Rtl::Failed(format!(
                "sample {n} differs; {}",
                verified.simulation.differences.join("; ")
            )),
        });
        at += width;
    }
}

/// One graph of independent branches; inputs and outputs one case behind the other.
fn joined(cases: &[Exact], pack: &[usize]) -> QGraph {
    let mut all = QGraph {
        name: String::new(),
        semantics: cases[pack[0]].graph.semantics,
        tensors: Vec::new(),
        nodes: Vec::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        states: Vec::new(),
    };
    for &i in pack {
        let part = &cases[i].graph;
        let first = all.tensors.len();
        let moved = |id: &TensorId| TensorId(id.0 + first);
        all.tensors.extend(part.tensors.iter().map(|t| QTensor {
            name: format!("c{i}_{}", t.name),
            ..t.clone()
        }));
        all.nodes.extend(part.nodes.iter().map(|n| QNode {
            name: format!("c{i}_{}", n.name),
            source: n.source.clone(),
            inputs: n.inputs.iter().map(moved).collect(),
            output: moved(&n.output),
            op: n.op.clone(),
        }));
        all.states.extend(part.states.iter().map(|s| QState {
            read: moved(&s.read),
            write: moved(&s.write),
            initial: s.initial.clone(),
        }));
        all.inputs.extend(part.inputs.iter().map(moved));
        all.outputs.extend(part.outputs.iter().map(moved));
    }
    all
}

/// A refusal without the node's name and without numbers, so that like ones are counted together.
pub fn kind_of(reason: &str) -> String {
    let text = reason.split_once(": ").map_or(reason, |(_, rest)| rest);
    let mut kind = String::new();
    for c in text.chars() {
        let c = if c.is_ascii_digit() { 'N' } else { c };
        if c != 'N' || !kind.ends_with('N') {
            kind.push(c);
        }
    }
    kind
}
