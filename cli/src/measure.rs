//! Resources measured by Yosys on the design's own Verilog.

use macforge_codegen::Manifest;
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// What Yosys counted, in the units of the device tables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Tool and version.
    pub tool: String,
    /// DSP48E1.
    pub dsp: u64,
    /// RAMB36E1, and RAMB18E1 as halves.
    pub bram36: f64,
    /// LUTs, distributed memories and shift registers included; small LUTs are not paired, as
    /// place and route would do, so this is an upper bound.
    pub lut: u64,
    /// Flip-flops.
    pub ff: u64,
}

/// LUTs that a cell takes.
fn luts(cell: &str) -> u64 {
    match cell {
        "LUT1" | "LUT2" | "LUT3" | "LUT4" | "LUT5" | "LUT6" | "INV" => 1,
        "SRL16E" | "SRLC16E" | "SRLC32E" => 1,
        "RAM32X1S" | "RAM64X1S" => 1,
        "RAM32X1D" | "RAM64X1D" => 2,
        "RAM32M" | "RAM64M" | "RAM128X1D" => 4,
        "RAM256X1S" => 4,
        _ => 0,
    }
}

/// From Yosys' cell counts.
pub fn count(tool: &str, cells: &BTreeMap<String, u64>) -> Measured {
    let sum = |weight: &dyn Fn(&str) -> u64| cells.iter().map(|(c, n)| weight(c) * n).sum::<u64>();
    let halves = sum(&|c| match c {
        "RAMB36E1" => 2,
        "RAMB18E1" => 1,
        _ => 0,
    });
    Measured {
        tool: tool.to_string(),
        dsp: cells.get("DSP48E1").copied().unwrap_or(0),
        bram36: halves as f64 / 2.0,
        lut: sum(&luts),
        ff: sum(&|c| u64::from(matches!(c, "FDRE" | "FDSE" | "FDCE" | "FDPE"))),
    }
}

/// Runs `synth_xilinx -family xc7` over the Verilog of a design folder.
pub fn measure(dir: &Path, manifest: &Manifest) -> Result<Measured> {
    let version = Command::new("yosys")
        .arg("-V")
        .output()
        .map_err(|_| miette!("yosys is not installed; `apt-get install yosys` brings it"))?;
    let tool = String::from_utf8_lossy(&version.stdout).trim().to_string();
    let scratch = tempfile::tempdir().into_diagnostic()?;
    let stat = scratch.path().join("stat.json");
    let root = dir.canonicalize().into_diagnostic()?;
    let sources = manifest.files.keys().filter(|f| f.ends_with(".v"));
    let mut script = String::new();
    for source in sources {
        script += &format!("read_verilog \"{}\"\n", root.join(source).display());
    }
    // `tee` takes its file name as it stands, quotes included
    script += &format!(
        "synth_xilinx -family xc7 -flatten -top {}\ntee -q -o {} stat -json\n",
        manifest.top,
        stat.display()
    );
    let script_file = scratch.path().join("synth.ys");
    std::fs::write(&script_file, script).into_diagnostic()?;
    // memory images are named without a folder
    let output = Command::new("yosys")
        .args(["-q", "-s"])
        .arg(&script_file)
        .current_dir(root.join("mem"))
        .output()
        .into_diagnostic()?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let last: Vec<&str> = text.lines().rev().take(3).collect();
        return Err(miette!(
            "yosys failed: {}",
            last.into_iter().rev().collect::<Vec<_>>().join("\n")
        ));
    }
    let text = std::fs::read_to_string(&stat).into_diagnostic()?;
    Ok(count(&tool, &cells(&text)?))
}

/// Cell counts of the flattened design.
fn cells(stat: &str) -> Result<BTreeMap<String, u64>> {
    #[derive(Deserialize)]
    struct Stat {
        design: Design,
    }
    #[derive(Deserialize)]
    struct Design {
        num_cells_by_type: BTreeMap<String, u64>,
    }
    let stat: Stat = serde_json::from_str(stat)
        .into_diagnostic()
        .wrap_err("yosys printed statistics that cannot be read")?;
    Ok(stat.design.num_cells_by_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_block_ram_and_distributed_memory_are_counted() {
        let cells = [
            ("RAMB36E1", 3),
            ("RAMB18E1", 1),
            ("LUT6", 5),
            ("RAM64M", 2),
            ("FDRE", 7),
            ("CARRY4", 9),
        ];
        let cells = cells.into_iter().map(|(c, n)| (c.to_string(), n)).collect();
        let m = count("yosys", &cells);
        assert_eq!((m.bram36, m.lut, m.ff, m.dsp), (3.5, 13, 7, 0));
    }
}
