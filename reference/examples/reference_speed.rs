//! Time of one inference of the reference model, one thread: `reference_speed MODEL [RUNS]`.

use std::time::Instant;

use macforge_quant::DType;
use macforge_reference::{Interpreter, Value};
use ndarray::{ArrayD, IxDyn};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments
        .next()
        .ok_or("usage: reference_speed MODEL [RUNS]")?;
    let runs = arguments.next().map_or(Ok(200), |n| n.parse())?;
    let model = macforge_model::load(path.as_ref())?;
    let graph = macforge_quant::lower(&model, None)?;
    let inputs: Vec<Value> = graph
        .inputs
        .iter()
        .map(|&id| {
            let tensor = graph.tensor(id);
            let shape = IxDyn(&tensor.shape);
            match tensor.dtype {
                DType::F32 => Value::F32(ArrayD::from_elem(shape, 0.5)),
                _ => {
                    let mut next = 0i8;
                    Value::I8(ArrayD::from_shape_simple_fn(shape, || {
                        next = next.wrapping_mul(13).wrapping_add(7);
                        next
                    }))
                }
            }
        })
        .collect();
    let interpreter = Interpreter::new(&graph);
    let mut milliseconds = Vec::with_capacity(runs);
    for _ in 0..runs {
        let start = Instant::now();
        interpreter.run(&inputs)?;
        milliseconds.push(start.elapsed().as_secs_f64() * 1e3);
    }
    milliseconds.sort_by(f64::total_cmp);
    let macs: u64 = (0..graph.nodes.len()).map(|n| graph.macs(n)).sum();
    let (least, median) = (milliseconds[0], milliseconds[runs / 2]);
    println!("{path}: {least:.3} ms least, {median:.3} ms median of {runs}, {macs} MACs");
    Ok(())
}
