//! Bits of the simulation back to tensors.

use crate::cosim::pairs;
use macforge_plan::{HwPlan, Region};
use macforge_quant::{DType, QGraph, QTensor, TensorId};
use macforge_reference::Value;
use ndarray::{ArrayD, IxDyn};

/// Activation memory as the simulation shows it, by probe name.
pub trait Memory {
    /// Byte `byte` of word `address` of a bank; `None` if the probe is missing.
    fn byte(&self, probe: &str, address: usize, byte: usize) -> Option<u8>;
}

/// Probe name of one bank.
pub fn probe_name(buffer: usize, bank: usize) -> String {
    format!("buffer{buffer}.bank{bank}")
}

/// Hierarchical name of the memory behind a probe.
pub fn probe_hierarchy(buffer: usize, bank: usize) -> String {
    format!("gen_buffer[{buffer}].u_buffer.gen_bank[{bank}].u_ram.mem")
}

/// Beats of each output tensor on the stream.
pub fn output_beats(graph: &QGraph) -> Vec<usize> {
    let beats = |&output: &TensorId| {
        let output = graph.tensor(output);
        match output.dtype {
            DType::I8 => output.elements().div_ceil(4),
            DType::I16 => output.elements().div_ceil(2),
            DType::I32 | DType::F32 => output.elements(),
        }
    };
    graph.outputs.iter().map(beats).collect()
}

/// A part of the output stream as the graph output `id`; `None` if it is too short.
pub fn output(graph: &QGraph, id: TensorId, beats: &[u32]) -> Option<Value> {
    let output = graph.tensor(id);
    let shape = IxDyn(&output.shape);
    match output.dtype {
        DType::I8 => {
            let bytes = beats.iter().flat_map(|w| w.to_le_bytes());
            let flip = top_bit(output);
            let values: Vec<i8> = bytes
                .map(|b| (b ^ flip) as i8)
                .take(output.elements())
                .collect();
            ArrayD::from_shape_vec(shape, values).ok().map(Value::I8)
        }
        DType::I16 => {
            let bytes = beats.iter().flat_map(|w| w.to_le_bytes());
            let bytes: Vec<i8> = bytes.map(|b| b as i8).take(2 * output.elements()).collect();
            let values = pairs::join(output, &bytes);
            ArrayD::from_shape_vec(shape, values).ok().map(Value::I16)
        }
        DType::I32 => {
            let values: Vec<i32> = beats.iter().map(|w| w.cast_signed()).collect();
            ArrayD::from_shape_vec(shape, values).ok().map(Value::I32)
        }
        DType::F32 => {
            let values: Vec<f32> = beats.iter().map(|&w| f32::from_bits(w)).collect();
            ArrayD::from_shape_vec(shape, values).ok().map(Value::F32)
        }
    }
}

/// What turns a tensor's int8 into the byte on the stream: the model's uint8 is 128 more.
pub fn top_bit(tensor: &QTensor) -> u8 {
    if tensor.unsigned { 0x80 } else { 0 }
}

/// The int8 values of a stored tensor in row, column, channel order.
pub fn region(plan: &HwPlan, region: &Region, memory: &impl Memory) -> Option<Vec<i8>> {
    let placement = plan.placements.get(region.storage.0)?;
    let [h, w, c] = region.hwc;
    let mut values = Vec::with_capacity(h * w * c);
    for y in 0..h {
        for x in 0..w {
            for channel in 0..c {
                let at = [y, x, channel];
                let (bank, address, byte) = placement.locate(&plan.shape, region, at);
                let probe = probe_name(placement.buffer, bank);
                values.push(memory.byte(&probe, address, byte)? as i8);
            }
        }
    }
    Some(values)
}
