//! Modules: ports, wires, registers, tables.

use super::expr::{Expr, Op, Type};
use crate::VerilogModule;

/// What the comment at the top of a module says.
#[derive(Clone, Debug, Default)]
pub struct Header {
    /// What the module is for.
    pub purpose: String,
    /// What it computes; several lines are allowed.
    pub equation: String,
    /// Latency, initiation interval, stall behaviour.
    pub latency: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Input,
    Wire,
    /// Clocked, no reset.
    Register {
        keep: bool,
    },
    /// Combinational look-up table.
    Table,
}

#[derive(Debug)]
pub(super) struct Signal {
    pub(super) name: String,
    pub(super) ty: Type,
    pub(super) kind: Kind,
    pub(super) output: bool,
    /// What drives it: the assigned expression, or the address of a table.
    pub(super) driver: Option<Expr>,
    /// Contents of a table.
    pub(super) words: Vec<i128>,
    /// Which comment section it belongs to.
    pub(super) section: usize,
}

/// A module under construction. Signals are declared in the order in which they depend on each
/// other; sections (one per pipeline stage) group them in the printed text.
#[derive(Debug)]
pub struct Module {
    pub(super) name: String,
    pub(super) header: Header,
    pub(super) signals: Vec<Signal>,
    pub(super) sections: Vec<String>,
    pub(super) unused: Vec<Expr>,
}

impl Module {
    /// An empty module. It has a clock port exactly when it has registers.
    pub fn new(name: &str, header: Header) -> Self {
        Self {
            name: name.to_owned(),
            header,
            signals: Vec::new(),
            sections: vec![String::new()],
            unused: Vec::new(),
        }
    }

    /// Starts a commented group of signals, usually a pipeline stage.
    pub fn section(&mut self, comment: &str) {
        self.sections.push(comment.to_owned());
    }

    /// An input port.
    pub fn input(&mut self, name: &str, ty: Type) -> Expr {
        self.declare(name.to_owned(), ty, Kind::Input, None, Vec::new())
    }

    /// A named intermediate value.
    pub fn wire(&mut self, name: &str, value: &Expr) -> Expr {
        self.drive(name.to_owned(), Kind::Wire, value)
    }

    /// A register; its signal is called `<name>_q`.
    pub fn register(&mut self, name: &str, value: &Expr) -> Expr {
        self.drive(format!("{name}_q"), Kind::Register { keep: false }, value)
    }

    /// A register that synthesis must leave in the fabric instead of moving it into a DSP.
    pub fn kept_register(&mut self, name: &str, value: &Expr) -> Expr {
        self.drive(format!("{name}_q"), Kind::Register { keep: true }, value)
    }

    /// A chain of `stages` registers, `<name>_d1_q`, `<name>_d2_q`, ...; the last one's output.
    pub fn delay(&mut self, name: &str, value: &Expr, stages: usize) -> Expr {
        (1..=stages).fold(value.clone(), |v, i| {
            self.register(&format!("{name}_d{i}"), &v)
        })
    }

    /// A combinational table with `2^width(address)` words.
    pub fn table(&mut self, name: &str, address: &Expr, ty: Type, words: &[i128]) -> Expr {
        assert!(!address.ty().signed, "a table's address is unsigned");
        assert_eq!(
            words.len(),
            1 << address.ty().width,
            "words of table {name}"
        );
        assert!(
            words.iter().all(|&w| ty.holds(w)),
            "a word of {name} does not fit"
        );
        let address = Some(address.clone());
        self.declare(name.to_owned(), ty, Kind::Table, address, words.to_vec())
    }

    /// Makes a wire or register an output port.
    pub fn output(&mut self, signal: &Expr) {
        let Op::Signal { index, .. } = signal.0.op else {
            panic!("an output is a named signal");
        };
        self.signals[index].output = true;
    }

    /// States that a signal or some of its bits are deliberately not used.
    pub fn unused(&mut self, value: &Expr) {
        self.unused.push(value.clone());
    }

    /// The printed module.
    pub fn build(&self) -> VerilogModule {
        VerilogModule {
            name: self.name.clone(),
            text: super::print::verilog(self),
        }
    }

    pub(super) fn has_registers(&self) -> bool {
        self.signals
            .iter()
            .any(|s| matches!(s.kind, Kind::Register { .. }))
    }

    fn drive(&mut self, name: String, kind: Kind, value: &Expr) -> Expr {
        self.declare(name, value.ty(), kind, Some(value.clone()), Vec::new())
    }

    fn declare(
        &mut self,
        name: String,
        ty: Type,
        kind: Kind,
        driver: Option<Expr>,
        words: Vec<i128>,
    ) -> Expr {
        let index = self.signals.len();
        assert!(
            self.signals.iter().all(|s| s.name != name),
            "{name} is declared twice"
        );
        let section = self.sections.len() - 1;
        let signal = Signal {
            name: name.clone(),
            ty,
            kind,
            output: false,
            driver,
            words,
            section,
        };
        self.signals.push(signal);
        Expr::new(ty, Op::Signal { name, index })
    }
}
