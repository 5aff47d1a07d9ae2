//! Conformance cases through RTL. Independent cases become branches of one network, so that one
//! simulation build serves many of them.

use crate::conformance::Exact;
use crate::cosim::run::Request;
use crate::graphs_support::simulated;
use crate::project::{self, Target};
use macforge_quant::{QGraph, QNode, QState, QTensor, TensorId};
use macforge_reference::Value;

/// Array shapes of the designs: the first one, and another one for strides that share a factor with its
/// pixel lanes.
const SHAPES: [&str; 2] = ["3x8x4", "5x8x4"];
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
    let mut packs: Vec<(Vec<usize>, usize, &str)> = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        let (layers, shape) = match on_some_shape(&case.graph) {
            Ok(found) => found,
            Err(reason) => {
                results[index] = Some(Rtl::Refused(reason));
                continue;
            }
        };
        let semantics = case.graph.semantics;
        let fits = |(pack, used, of): &&mut (Vec<usize>, usize, &str)| {
            cases[pack[0]].graph.semantics == semantics
                && *of == shape
                && pack.len() < MOST[0]
                && *used + layers <= MOST[1]
        };
        match packs.iter_mut().find(fits) {
            Some((pack, used, _)) => {
                pack.push(index);
                *used += layers;
            }
            None => packs.push((vec![index], layers, shape)),
        }
    }
    for (pack, _, shape) in packs {
        run_pack(cases, &pack, shape, &mut results);
    }
    results.into_iter().map(|r| r.expect("judged")).collect()
}

/// The first shape that takes a graph, and its layers; otherwise why the first one does not.
fn on_some_shape(graph: &QGraph) -> Result<(usize, &'static str), String> {
    let first = layers(graph, SHAPES[0]);
    let others = SHAPES[1..].iter();
    let mut found = others.filter_map(|&shape| Some((layers(graph, shape).ok()?, shape)));
    match first {
        Ok(layers) => Ok((layers, SHAPES[0])),
        Err(reason) => found.next().ok_or(reason),
    }
}

/// Layers that the hardware makes of a graph, or why it makes none.
fn layers(graph: &QGraph, shape: &str) -> Result<usize, String> {
    let board = macforge_constraints::board("zc706").expect("a known board");
    let shape = shape.parse().expect("an array shape");
    let target = Target {
        shape: Some(shape),
        ..Target::new(board)
    };
    let options = project::options(graph.semantics, &target);
    let plan = macforge_plan::build(graph, &options).map_err(|e| e.to_string())?;
    Ok(plan.layers.layers.len())
}

/// Cases that do not go together (streams of integers and of floats, for example) run in two halves.
fn run_pack(cases: &[Exact], pack: &[usize], shape: &str, results: &mut [Option<Rtl>]) {
    let mut graph = joined(cases, pack);
    graph.name = format!("{} cases", pack.len());
    if pack.len() > 1 && (graph.verify().is_err() || layers(&graph, shape).is_err()) {
        let (first, second) = pack.split_at(pack.len() / 2);
        run_pack(cases, first, shape, results);
        run_pack(cases, second, shape, results);
        return;
    }
    let count = pack.iter().map(|&i| cases[i].samples.len()).max();
    let sample = |n: usize, i: &usize| &cases[*i].samples[n % cases[*i].samples.len()];
    let samples = (0..count.expect("no empty packs")).map(|n| {
        let inputs = pack.iter().flat_map(|i| sample(n, i).0.clone());
        inputs.collect::<Vec<Value>>()
    });
    let samples: Vec<Vec<Value>> = samples.collect();
    let verified = match simulated(&graph, shape, &samples, &Request::default()) {
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
        input_ranges: Vec::new(),
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
