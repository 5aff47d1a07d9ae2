//! What the block tests share: lint, Icarus, and co-simulation of the printed text.

use macforge_hdl::VerilogModule;
use macforge_sim::{Block, BlockSource};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A module's text as it is shipped.
pub fn shipped(module: &VerilogModule) -> String {
    format!(
        "`default_nettype none\n{}`default_nettype wire\n",
        module.text
    )
}

/// Writes modules to a folder, one file each; the paths.
pub fn write(modules: &[VerilogModule], folder: &Path) -> Vec<PathBuf> {
    let write = |m: &VerilogModule| {
        let path = folder.join(format!("{}.v", m.name));
        fs::write(&path, shipped(m)).expect("a temporary folder is writable");
        path
    };
    modules.iter().map(write).collect()
}

/// Runs a tool that must accept the modules without a word.
fn silent(tool: &str, arguments: &[&str], files: &[PathBuf]) {
    let output = Command::new(tool)
        .args(arguments)
        .args(files)
        .output()
        .expect(tool);
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(
        output.status.success() && said.is_empty(),
        "{tool} {arguments:?}:\n{said}"
    );
}

/// `verilator -Wall` without a waiver, and Icarus as Verilog-2001, find nothing. The last module
/// is the top.
pub fn assert_clean(modules: &[VerilogModule]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let files = write(modules, folder.path());
    let top = &modules.last().expect("at least one module").name;
    silent(
        "verilator",
        &["--lint-only", "-Wall", "--top-module", top],
        &files,
    );
    silent(
        "iverilog",
        &["-g2001", "-Wall", "-t", "null", "-s", top],
        &files,
    );
}

/// The Verilated model of the last module.
pub fn block(modules: &[VerilogModule]) -> Block {
    let top = &modules.last().expect("at least one module").name;
    let source = modules.iter().fold(BlockSource::new(top), |source, m| {
        source.text(format!("{}.v", m.name), shipped(m))
    });
    source.build().expect("the block verilates")
}

/// Two's complement bits of a value.
pub fn bits(value: i64, width: u32) -> u64 {
    value.cast_unsigned() << (64 - width) >> (64 - width)
}

/// The value of two's complement bits.
pub fn value(bits: u64, width: u32) -> i64 {
    (bits << (64 - width)).cast_signed() >> (64 - width)
}

/// A reproducible sequence (SplitMix64).
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A signed number of `width` bits; small ones and the extremes are frequent.
    pub fn signed(&mut self, width: u32) -> i64 {
        let kind = self.next();
        let extreme = 1i64 << (width - 1);
        match kind % 8 {
            0 => [-extreme, extreme - 1, 0, -1, 1, 1 - extreme][(kind >> 8) as usize % 6],
            1..=3 => value(self.next(), 1 + (kind >> 8) as u32 % width),
            _ => value(self.next(), width),
        }
    }
}
