//! `macforge boards`

use crate::Outcome;
use crate::say;
use crate::table::Table;
use miette::Result;

/// Prints the known boards.
pub fn run() -> Result<Outcome> {
    let mut table = Table::new(&[
        "board",
        "part",
        "DSP48E1",
        "BRAM36",
        "LUT",
        "FF",
        "clock goal",
        "DDR MB/s",
    ]);
    for board in macforge_constraints::boards() {
        let r = board.resources();
        table.row(vec![
            board.name.clone(),
            board.part.clone(),
            r.dsp.to_string(),
            r.bram36.to_string(),
            r.lut.to_string(),
            r.ff.to_string(),
            format!("{} MHz", board.default_clock_mhz),
            board.ddr.sequential_mb_s().to_string(),
        ]);
    }
    say!("{}", table.render());
    Ok(Outcome::Passed)
}
