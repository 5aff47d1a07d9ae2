//! Units that stand beside the array: built, and run between two activation buffers.

use crate::common::shipped;
use macforge_hdl::VerilogModule;
use macforge_sim::{Block, BlockSource};
use std::path::Path;

/// Banks of a buffer.
const P: usize = 3;

/// A tensor of one column: channels of every pixel.
pub type Vectors = Vec<Vec<i8>>;

/// Geometry of the buffers; input and output lie at their bases, as close as possible.
#[derive(Clone, Copy)]
pub struct Buffers {
    /// Bytes of a word.
    pub word: usize,
    /// Bits of an address.
    pub address_bits: usize,
    /// First word of the input.
    pub in_base: usize,
    /// First word of the output.
    pub out_base: usize,
}

impl Buffers {
    /// The module `top` out of `modules`, after a reset; `$readmemh` reads from `folder`.
    pub fn build(&self, top: &str, modules: &[VerilogModule], folder: Option<&Path>) -> Block {
        let mut source = BlockSource::new(top);
        if let Some(folder) = folder {
            source = source.memory_dir(folder);
        }
        for module in modules {
            source = source.text(format!("{}.v", module.name), shipped(module));
        }
        let [word, bits] = [self.word, self.address_bits];
        for (name, value) in [("P", P), ("RW", 2), ("WB", word), ("AW", bits)] {
            source = source.parameter(name, value);
        }
        let mut unit = source.build().unwrap();
        unit.poke("rst", 1).unwrap();
        unit.tick("clk").unwrap();
        unit.poke("rst", 0).unwrap();
        unit
    }

    /// The input's word at an address.
    fn read(&self, x: &[Vec<i8>], bank: u64, address: u64) -> u64 {
        let plane = x.len().div_ceil(P) as u64;
        let mask = (1 << self.address_bits) - 1;
        let address = address.wrapping_sub(self.in_base as u64) & mask;
        let channel = address / plane * self.word as u64;
        let pixel = x.get((address % plane * P as u64 + bank) as usize);
        (0..self.word as u64).rev().fold(0, |word, byte| {
            let value = pixel.and_then(|v| v.get((channel + byte) as usize));
            // what is not part of the tensor is noise
            word << 8 | u64::from(*value.unwrap_or(&0x5a) as u8)
        })
    }

    /// Runs a layer that makes `pixels` of `channels`; what it writes, and the cycles from `start` to
    /// `done_q`.
    pub fn run(&self, unit: &mut Block, x: &[Vec<i8>], size: [usize; 2]) -> (Vectors, usize) {
        self.run_beside(unit, x, size, |_| ())
    }

    /// The same with `beside` driving further ports, once per cycle in front of the clock's edge.
    pub fn run_beside(
        &self,
        unit: &mut Block,
        x: &[Vec<i8>],
        [pixels, channels]: [usize; 2],
        mut beside: impl FnMut(&mut Block),
    ) -> (Vectors, usize) {
        let plane = pixels.div_ceil(P);
        let mut found = vec![vec![None; channels]; pixels];
        for (port, value) in [
            ("in_base", self.in_base),
            ("in_plane", x.len().div_ceil(P)),
            ("out_base", self.out_base),
            ("out_plane", plane),
            ("start", 1),
        ] {
            unit.poke(port, value as u64).unwrap();
        }
        // a read takes three cycles
        let mut reads = [(0, 0); 4];
        for cycle in 1..200_000 {
            beside(unit);
            unit.tick("clk").unwrap();
            unit.poke("start", 0).unwrap();
            reads.rotate_right(1);
            reads[0] = (
                unit.peek("read_bank").unwrap(),
                unit.peek("read_addr").unwrap(),
            );
            let word = self.read(x, reads[3].0, reads[3].1);
            unit.poke("read_word", word).unwrap();
            if unit.peek("write_valid").unwrap() == 1 {
                let address = unit.peek("write_addr").unwrap() as usize - self.out_base;
                let pixel = address % plane * P + unit.peek("write_bank").unwrap() as usize;
                let data = unit.peek("write_data").unwrap().to_le_bytes();
                for (byte, value) in data[..self.word].iter().enumerate() {
                    let channel = address / plane * self.word + byte;
                    if let Some(slot) = found[pixel].get_mut(channel) {
                        assert_eq!(slot.replace(*value as i8), None, "written twice");
                    }
                }
            }
            if unit.peek("done_q").unwrap() == 1 {
                let all = |v: Vec<Option<i8>>| v.into_iter().map(|y| y.expect("written")).collect();
                return (found.into_iter().map(all).collect(), cycle);
            }
        }
        panic!("the unit does not finish");
    }
}
