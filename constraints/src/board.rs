//! Boards, from the TOML files under `boards/`.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::device::{Device, Resources, device};
use crate::error::ConstraintsError;
use crate::names::nearest;

/// A board: a part, its memory and its clocks. The fields are those of the TOML file.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// Name on the command line: `pynq-z2`.
    pub name: String,
    /// Name as its vendor writes it.
    pub title: String,
    /// Who makes it.
    pub vendor: String,
    /// Full part name for Vivado: device, package, `-`, speed grade.
    pub part: String,
    /// Device, a key of [`device`]: `xc7z020`.
    pub device: String,
    /// Package: `clg400`.
    pub package: String,
    /// Speed grade, 1 (slowest) to 3.
    pub speed_grade: u8,
    /// Vivado's `BOARD_PART` of this board, for projects with a block design.
    pub vivado_board_part: String,
    /// Reference clock of the processing system, MHz.
    pub ps_clock_mhz: f64,
    /// Clock of the programmable logic to design for, MHz: a goal, not a place-and-route result.
    pub default_clock_mhz: f64,
    /// Memory behind the processing system.
    pub ddr: Ddr,
}

/// The memory behind the processing system.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Ddr {
    /// Type of memory.
    pub kind: DdrKind,
    /// Width of the data bus, bits: 16 or 32.
    pub width_bits: u32,
    /// Transfers per second, millions (two per clock): 1066 for DDR3-1066.
    pub data_rate_mtps: u32,
    /// Size, MiB.
    pub size_mib: u32,
}

/// Type of a board's memory.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum DdrKind {
    /// DDR3 at 1.5 V.
    Ddr3,
    /// DDR3 at 1.35 V.
    Ddr3l,
}

impl Ddr {
    /// What a single AXI_HP port can carry, MB/s.
    pub const HP_PORT_MB_S: u32 = 2840;

    /// Peak of the bus, MB/s: bytes per transfer times transfers.
    pub fn peak_mb_s(&self) -> u32 {
        self.width_bits / 8 * self.data_rate_mtps
    }

    /// What to plan on for long sequential bursts, MB/s: 3,800 MB/s for 32 bits at 1066 MT/s and in
    /// proportion for other buses, rounded down.
    pub fn sequential_mb_s(&self) -> u32 {
        3800 * self.width_bits * self.data_rate_mtps / (32 * 1066)
    }
}

impl Board {
    /// Reads a board from TOML. Errors: not TOML, an unknown or missing key, an unknown device, a
    /// part name that is not its device, package and speed grade, a value out of range.
    pub fn from_toml(text: &str) -> Result<Self, ConstraintsError> {
        let board: Self =
            toml::from_str(text).map_err(|e| ConstraintsError::BoardSyntax(e.to_string()))?;
        board.verify()?;
        Ok(board)
    }

    /// Resources of the board's device.
    pub fn resources(&self) -> Resources {
        self.device().resources
    }

    /// The board's device.
    pub fn device(&self) -> &'static Device {
        device(&self.device).expect("from_toml checked the device")
    }

    fn verify(&self) -> Result<(), ConstraintsError> {
        device(&self.device)?;
        let part = format!("{}{}-{}", self.device, self.package, self.speed_grade);
        let problem = if self.part != part {
            format!(
                "part `{}`: device, package and speed grade make `{part}`",
                self.part
            )
        } else if !(1..=3).contains(&self.speed_grade) {
            format!("speed grade {}: wanted 1 to 3", self.speed_grade)
        } else if ![16, 32].contains(&self.ddr.width_bits) {
            format!("DDR bus of {} bits: wanted 16 or 32", self.ddr.width_bits)
        } else if !(200..=1333).contains(&self.ddr.data_rate_mtps) {
            format!(
                "DDR data rate {} MT/s: wanted 200 to 1333",
                self.ddr.data_rate_mtps
            )
        } else if !(30.0..=60.0).contains(&self.ps_clock_mhz) {
            // DS187 / DS191: range of PS_CLK.
            format!(
                "processing system clock {} MHz: wanted 30 to 60",
                self.ps_clock_mhz
            )
        } else {
            return crate::xdc::period_ps(self.default_clock_mhz).map(|_| ());
        };
        Err(ConstraintsError::BoardValue {
            board: self.name.clone(),
            problem,
        })
    }
}

/// The embedded board files, in order of name.
const FILES: [&str; 10] = [
    include_str!("../boards/arty-z7-20.toml"),
    include_str!("../boards/cora-z7-10.toml"),
    include_str!("../boards/microzed-7020.toml"),
    include_str!("../boards/pynq-z1.toml"),
    include_str!("../boards/pynq-z2.toml"),
    include_str!("../boards/zc702.toml"),
    include_str!("../boards/zc706.toml"),
    include_str!("../boards/zedboard.toml"),
    include_str!("../boards/zybo-z7-10.toml"),
    include_str!("../boards/zybo-z7-20.toml"),
];

static BOARDS: LazyLock<Vec<Board>> = LazyLock::new(|| {
    FILES
        .iter()
        .map(|text| Board::from_toml(text).expect("embedded board files are valid"))
        .collect()
});

/// All boards, in order of name.
pub fn boards() -> &'static [Board] {
    &BOARDS
}

/// The board called `name` (`pynq-z2`); the error lists the known ones and the nearest.
pub fn board(name: &str) -> Result<&'static Board, ConstraintsError> {
    boards().iter().find(|b| b.name == name).ok_or_else(|| {
        let known = || boards().iter().map(|b| b.name.as_str());
        ConstraintsError::UnknownBoard {
            name: name.to_owned(),
            nearest: nearest(name, known()).map(str::to_owned),
            known: known().map(str::to_owned).collect(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PYNQ: &str = include_str!("../boards/pynq-z2.toml");

    fn problem(text: &str) -> String {
        Board::from_toml(text).unwrap_err().to_string()
    }

    #[test]
    fn every_board_file_is_embedded_under_its_own_name() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/boards");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let names: Vec<String> = boards()
            .iter()
            .map(|b| format!("{}.toml", b.name))
            .collect();
        assert_eq!(files, names);
    }

    #[test]
    fn every_part_starts_with_its_device_and_has_its_resources() {
        for board in boards() {
            assert!(board.part.starts_with(&board.device), "{}", board.name);
            assert_eq!(board.resources(), device(&board.device).unwrap().resources);
        }
    }

    #[test]
    fn parts_are_those_printed_on_the_boards() {
        let parts = [
            ("arty-z7-20", "xc7z020clg400-1"),
            ("cora-z7-10", "xc7z010clg400-1"),
            ("microzed-7020", "xc7z020clg400-1"),
            ("pynq-z1", "xc7z020clg400-1"),
            ("pynq-z2", "xc7z020clg400-1"),
            ("zc702", "xc7z020clg484-1"),
            ("zc706", "xc7z045ffg900-2"),
            ("zedboard", "xc7z020clg484-1"),
            ("zybo-z7-10", "xc7z010clg400-1"),
            ("zybo-z7-20", "xc7z020clg400-1"),
        ];
        assert_eq!(boards().len(), parts.len());
        for (name, part) in parts {
            assert_eq!(board(name).unwrap().part, part);
        }
    }

    #[test]
    fn the_clock_goal_follows_from_the_speed_grade() {
        for board in boards() {
            let goal = if board.speed_grade == 1 { 200.0 } else { 250.0 };
            assert_eq!(board.default_clock_mhz, goal, "{}", board.name);
        }
    }

    #[test]
    fn planned_bandwidth_is_below_the_peak_and_as_designed_for() {
        for board in boards() {
            assert!(
                board.ddr.sequential_mb_s() < board.ddr.peak_mb_s(),
                "{}",
                board.name
            );
        }
        assert_eq!(board("zc706").unwrap().ddr.sequential_mb_s(), 3800);
        assert_eq!(board("pynq-z2").unwrap().ddr.sequential_mb_s(), 1871);
        assert_eq!(board("pynq-z2").unwrap().ddr.peak_mb_s(), 2100);
    }

    #[test]
    fn unknown_board_is_answered_with_the_nearest_and_all_names() {
        let message = board("pynqz2").unwrap_err().to_string();
        assert!(
            message.contains("unknown board `pynqz2` (did you mean `pynq-z2`?)"),
            "{message}"
        );
        for known in boards() {
            assert!(message.contains(&known.name), "{message}");
        }
        assert!(
            !board("kria")
                .unwrap_err()
                .to_string()
                .contains("did you mean")
        );
    }

    #[test]
    fn unknown_and_missing_keys_are_refused() {
        assert!(problem(&format!("colour = \"pink\"\n{PYNQ}")).contains("colour"));
        assert!(problem(&format!("{PYNQ}\nspeed = 1")).contains("speed"));
        assert!(problem(&PYNQ.replace("vendor = \"TUL\"", "")).contains("vendor"));
    }

    #[test]
    fn contradictory_values_are_refused() {
        for (old, new, word) in [
            (
                "device = \"xc7z020\"",
                "device = \"xc7z010\"",
                "make `xc7z010clg400-1`",
            ),
            (
                "device = \"xc7z020\"",
                "device = \"xc7z021\"",
                "unknown device `xc7z021`",
            ),
            ("width_bits = 16", "width_bits = 64", "64 bits"),
            (
                "data_rate_mtps = 1050",
                "data_rate_mtps = 10500",
                "10500 MT/s",
            ),
            ("ps_clock_mhz = 50.0", "ps_clock_mhz = 5.0", "clock 5 MHz"),
            (
                "default_clock_mhz = 200.0",
                "default_clock_mhz = 0.0",
                "clock of 0 MHz",
            ),
        ] {
            assert!(PYNQ.contains(old), "{old}");
            let message = problem(&PYNQ.replacen(old, new, 1));
            assert!(message.contains(word), "{message}");
        }
    }
}
