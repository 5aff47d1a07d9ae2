//! Typed constraints, printed as an XDC file.
//!
//! XDC files are Tcl of which Vivado accepts only the constraint commands and `set`, `list`, `expr`
//! (UG903, "About XDC Constraints"); nothing else is printed here. Times are whole picoseconds,
//! Vivado's own resolution, printed in nanoseconds.

use std::fmt::{self, Display};

use crate::error::ConstraintsError;
use crate::tcl::{Command, Script, Word};

/// Lowest clock accepted, MHz.
pub const MIN_CLOCK_MHZ: f64 = 1.0;
/// Highest clock accepted, MHz: the global clock buffer in the fastest speed grade (DS187, DS191).
pub const MAX_CLOCK_MHZ: f64 = 741.0;

/// Jitter of a clock of the processing system, percent of its period: what the constraints of
/// Xilinx's `processing_system7` core declare for every FCLK (0.3 ns at 100 MHz).
const FCLK_JITTER_PERCENT: u64 = 3;

/// Period of a clock in picoseconds, rounded down: the constraint is never looser than asked for.
pub fn period_ps(clock_mhz: f64) -> Result<u64, ConstraintsError> {
    let (min, max) = (MIN_CLOCK_MHZ, MAX_CLOCK_MHZ);
    if !(min..=max).contains(&clock_mhz) {
        return Err(ConstraintsError::ClockOutOfRange {
            mhz: clock_mhz,
            min,
            max,
        });
    }
    Ok((1e6 / clock_mhz).floor() as u64)
}

/// Name of a clock or of a scalar port: a plain Verilog identifier, so that it is no pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// Checks that `name` is letters, digits and `_`, and starts with no digit.
    pub fn new(name: &str) -> Result<Self, ConstraintsError> {
        let valid = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && name.chars().next().is_some_and(|c| !c.is_ascii_digit());
        if valid {
            Ok(Self(name.to_owned()))
        } else {
            Err(ConstraintsError::BadIdentifier(name.into()))
        }
    }
}

/// What a constraint applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// A port of the top module.
    Port(Name),
    /// A clock, by the name that [`Constraint::Clock`] gave it.
    Clock(Name),
}

impl Object {
    fn word(&self) -> Word {
        let (command, name) = match self {
            Object::Port(name) => ("get_ports", name),
            Object::Clock(name) => ("get_clocks", name),
        };
        Word::call(&Command::new(command).text(&name.0))
    }
}

/// One constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Constraint {
    /// A clock of this name and period that enters at a port.
    Clock {
        /// Name of the clock.
        name: Name,
        /// Period, ps.
        period_ps: u64,
        /// Port that it enters at.
        port: Name,
    },
    /// Peak-to-peak jitter of a clock at its source.
    InputJitter {
        /// The clock.
        clock: Name,
        /// Jitter, ps.
        jitter_ps: u64,
    },
    /// A margin on top of the computed clock uncertainty.
    ClockUncertainty {
        /// The clock.
        clock: Name,
        /// Margin, ps.
        margin_ps: u64,
    },
    /// Paths that need no timing.
    FalsePath {
        /// Where they start.
        from: Object,
        /// Where they end; anywhere if absent.
        to: Option<Object>,
    },
    /// A property of an object.
    Property {
        /// Name of the property.
        name: String,
        /// Value of the property.
        value: String,
        /// What has it.
        of: Object,
    },
}

impl Constraint {
    fn command(&self) -> Command {
        let clock = |name: &Name| Object::Clock(name.clone()).word();
        match self {
            Self::Clock {
                name,
                period_ps,
                port,
            } => Command::new("create_clock")
                .option("name", Word::text(&name.0))
                .option("period", nanoseconds(*period_ps))
                .word(Object::Port(port.clone()).word()),
            Self::InputJitter {
                clock: name,
                jitter_ps,
            } => Command::new("set_input_jitter")
                .word(clock(name))
                .word(nanoseconds(*jitter_ps)),
            Self::ClockUncertainty {
                clock: name,
                margin_ps,
            } => Command::new("set_clock_uncertainty")
                .word(nanoseconds(*margin_ps))
                .word(clock(name)),
            Self::FalsePath { from, to } => {
                let command = Command::new("set_false_path").option("from", from.word());
                match to {
                    Some(to) => command.option("to", to.word()),
                    None => command,
                }
            }
            Self::Property { name, value, of } => Command::new("set_property")
                .text(name)
                .text(value)
                .word(of.word()),
        }
    }
}

fn nanoseconds(ps: u64) -> Word {
    Word::text(&format!("{}.{:03}", ps / 1000, ps % 1000))
}

/// A constraint file under construction; prints itself in the order of the calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Xdc(Script);

impl Xdc {
    /// The empty file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends comment lines.
    pub fn comment(&mut self, text: &str) -> &mut Self {
        self.0.comment(text);
        self
    }

    /// Appends an empty line.
    pub fn blank(&mut self) -> &mut Self {
        self.0.blank();
        self
    }

    /// Appends `constraint`.
    pub fn constraint(&mut self, constraint: &Constraint) -> &mut Self {
        self.0.command(&constraint.command());
        self
    }
}

impl Display for Xdc {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The constraint file for synthesis and implementation of the design on its own: one clock of
/// `clock_mhz` on the port `clock_port`, as the processing system will drive it. `header` is
/// printed first, as comment lines.
///
/// Boundary ports get no delays: out of context they have no place on the device, and the latency
/// of the clock that launches their data is unknown, so that any figure would be made up.
///
/// Errors: a clock outside [`MIN_CLOCK_MHZ`] to [`MAX_CLOCK_MHZ`]; a port name that is no
/// identifier.
pub fn out_of_context_xdc(
    clock_mhz: f64,
    clock_port: &str,
    header: &str,
) -> Result<String, ConstraintsError> {
    let period_ps = period_ps(clock_mhz)?;
    let port = Name::new(clock_port)?;
    let mut xdc = Xdc::new();
    xdc.comment(header)
        .comment(&format!(
            "Clock goal {clock_mhz} MHz, out of context: every path between registers is timed;\n\
             paths from and to ports are not."
        ))
        .blank()
        .constraint(&Constraint::Clock {
            name: port.clone(),
            period_ps,
            port: port.clone(),
        })
        .comment("A clock of the processing system jitters by 3 % of its period.")
        .constraint(&Constraint::InputJitter {
            clock: port.clone(),
            jitter_ps: (period_ps * FCLK_JITTER_PERCENT).div_ceil(100),
        })
        .comment("The clock will come through a global buffer outside this design (UG905).")
        .constraint(&Constraint::Property {
            name: "HD.CLK_SRC".to_owned(),
            value: "BUFGCTRL_X0Y0".to_owned(),
            of: Object::Port(port),
        });
    Ok(xdc.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn printed(constraint: Constraint) -> String {
        Xdc::new().constraint(&constraint).to_string()
    }

    #[test]
    fn the_period_is_never_longer_than_asked_for() {
        for tenth in 10..=7410 {
            let mhz = f64::from(tenth) / 10.0;
            let period = period_ps(mhz).unwrap() as f64;
            assert!(
                period * mhz <= 1e6 && (period + 1.001) * mhz > 1e6,
                "{mhz}: {period}"
            );
        }
        assert_eq!(period_ps(200.0), Ok(5000));
        assert_eq!(period_ps(150.0), Ok(6666));
    }

    #[test]
    fn impossible_clocks_and_names_are_refused() {
        for mhz in [0.0, -5.0, 0.5, 1000.0, f64::NAN, f64::INFINITY] {
            assert!(out_of_context_xdc(mhz, "clk", "").is_err(), "{mhz}");
        }
        for port in ["", "1clk", "clk[0]", "clk *", "a$b", "clé"] {
            let wanted = Err(ConstraintsError::BadIdentifier(port.to_owned()));
            assert_eq!(out_of_context_xdc(200.0, port, ""), wanted);
        }
    }

    #[test]
    fn each_constraint_prints_in_the_order_that_vivado_wants() {
        let clock = Constraint::Clock {
            name: name("c"),
            period_ps: 6666,
            port: name("clk"),
        };
        assert_eq!(
            printed(clock),
            "create_clock -name c -period 6.666 [get_ports clk]\n"
        );
        let jitter = Constraint::InputJitter {
            clock: name("c"),
            jitter_ps: 150,
        };
        assert_eq!(printed(jitter), "set_input_jitter [get_clocks c] 0.150\n");
        let margin = Constraint::ClockUncertainty {
            clock: name("c"),
            margin_ps: 50,
        };
        assert_eq!(
            printed(margin),
            "set_clock_uncertainty 0.050 [get_clocks c]\n"
        );
        let from = Object::Port(name("rst"));
        let open = Constraint::FalsePath {
            from: from.clone(),
            to: None,
        };
        assert_eq!(printed(open), "set_false_path -from [get_ports rst]\n");
        let closed = Constraint::FalsePath {
            from,
            to: Some(Object::Clock(name("c"))),
        };
        assert_eq!(
            printed(closed),
            "set_false_path -from [get_ports rst] -to [get_clocks c]\n"
        );
    }

    #[test]
    fn the_out_of_context_file_is_ascii_and_the_same_every_time() {
        let write = || out_of_context_xdc(200.0, "clk", "macforge 1.0\nmodel é {").unwrap();
        let text = write();
        assert_eq!(text, write());
        assert!(text.is_ascii());
        assert!(text.starts_with("# macforge 1.0\n# model ? (\n"), "{text}");
        let commands: Vec<&str> = text
            .lines()
            .filter(|l| !l.is_empty() && !l.starts_with('#'))
            .collect();
        assert_eq!(
            commands,
            [
                "create_clock -name clk -period 5.000 [get_ports clk]",
                "set_input_jitter [get_clocks clk] 0.150",
                "set_property HD.CLK_SRC BUFGCTRL_X0Y0 [get_ports clk]",
            ]
        );
    }
}
