//! The plan as text, so that two plans can be compared line by line.

use crate::hwplan::HwPlan;
use crate::input::InputMode;
use crate::shape::Packing;
use std::fmt;

impl fmt::Display for HwPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "plan {} shape {} lanes {} x {}",
            self.name, self.shape, self.shape.drained, self.shape.lanes
        )?;
        if self.weight_parts > 1 {
            writeln!(
                f,
                "narrow weights share words of {} parts",
                self.weight_parts
            )?;
        }
        if self.shape.packing == Packing::Four {
            writeln!(f, "four products per DSP")?;
        }
        if self.shape.fabric > 0 {
            writeln!(f, "chains in LUTs {}", self.shape.fabric)?;
        }
        writeln!(
            f,
            "memory activations {} banks x {} + {} words of {} bytes, weights {} words, parameters \
             {} words",
            self.shape.p,
            self.act_depths[0],
            self.act_depths[1],
            self.shape.word,
            self.weights.len(),
            self.params.len()
        )?;
        if let InputMode::Folded { fold, columns, .. } = self.input_mode {
            writeln!(
                f,
                "input folds {fold} kernel columns, {columns} stored columns"
            )?;
        }
        for (number, set) in self.layers.sets.iter().enumerate() {
            if self.layers.sets.len() > 1 {
                writeln!(f, "precision {number} layers {}..{}", set.start, set.end)?;
            }
        }
        for (index, layer) in self.layers.layers.iter().enumerate() {
            let program = &self.program[index];
            let output = &self.placements[layer.output.storage.0];
            writeln!(
                f,
                "layer {index} {} {} tiles {} groups {} steps {} drain {} cycles {} -> buffer {} \
                 base {} pitch {}",
                layer.name,
                layer.op,
                program.loops.tiles,
                program.loops.groups,
                program.loops.steps(),
                program.drain_cycles,
                self.cycles[index].total(),
                output.buffer,
                output.base,
                output.storage.pitch
            )?;
            for field in &program.fields {
                writeln!(f, "  {} = {:?}", field.name, field.values)?;
            }
        }
        Ok(())
    }
}
