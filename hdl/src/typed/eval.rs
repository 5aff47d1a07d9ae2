//! Runs a module in Rust, one clock cycle at a time.

use super::expr::{Binary, Expr, Op, Unary};
use super::module::{Kind, Module};

/// The state of a [`Module`]. Registers start at zero.
#[derive(Debug)]
pub struct Evaluator<'a> {
    module: &'a Module,
    values: Vec<i128>,
}

impl<'a> Evaluator<'a> {
    /// A module with all signals at zero.
    pub fn new(module: &'a Module) -> Self {
        Self {
            module,
            values: vec![0; module.signals.len()],
        }
    }

    /// Sets an input.
    ///
    /// # Panics
    /// There is no such input, or `value` is not one of its values.
    pub fn set(&mut self, name: &str, value: i128) {
        let index = self.find(name);
        let signal = &self.module.signals[index];
        assert!(signal.kind == Kind::Input, "{name} is not an input");
        assert!(signal.ty.holds(value), "{value} does not fit {name}");
        self.values[index] = value;
    }

    /// Settles all wires and tables.
    pub fn settle(&mut self) {
        for (index, signal) in self.module.signals.iter().enumerate() {
            let Some(driver) = &signal.driver else {
                continue;
            };
            match signal.kind {
                Kind::Wire => self.values[index] = self.value(driver),
                Kind::Table => self.values[index] = signal.words[self.value(driver) as usize],
                Kind::Input | Kind::Register { .. } => {}
            }
        }
    }

    /// One clock edge: registers take the values that the settled inputs give them.
    pub fn tick(&mut self) {
        self.settle();
        let signals = self.module.signals.iter().enumerate();
        let next: Vec<(usize, i128)> = signals
            .filter(|(_, s)| matches!(s.kind, Kind::Register { .. }))
            .filter_map(|(index, s)| Some((index, self.value(s.driver.as_ref()?))))
            .collect();
        for (index, value) in next {
            self.values[index] = value;
        }
        self.settle();
    }

    /// The value of a signal.
    ///
    /// # Panics
    /// There is no such signal.
    pub fn get(&self, name: &str) -> i128 {
        self.values[self.find(name)]
    }

    fn find(&self, name: &str) -> usize {
        let found = self.module.signals.iter().position(|s| s.name == name);
        found.unwrap_or_else(|| panic!("no signal {name}"))
    }

    fn value(&self, expr: &Expr) -> i128 {
        let ty = expr.ty();
        ty.wrap(match &expr.0.op {
            Op::Signal { index, .. } => self.values[*index],
            Op::Const(value) => *value,
            Op::Unary(Unary::Not, x) => !self.value(x),
            Op::Unary(Unary::ReduceOr, x) => (self.value(x) != 0).into(),
            Op::Unary(Unary::ReduceAnd, x) => (x.ty().wrap(-1) == self.value(x)).into(),
            Op::Binary(op, a, b) => binary(*op, self.value(a), self.value(b)),
            Op::Mux(s, a, b) => self.value(if self.value(s) == 1 { a } else { b }),
            Op::Slice { of, lsb } => self.value(of) >> lsb,
            Op::Concat(parts) => parts.iter().fold(0, |bits, part| {
                let low = self.value(part) & ((1 << part.ty().width) - 1);
                (bits << part.ty().width) | low
            }),
            Op::Extend(x) | Op::Cast(x) => self.value(x),
        })
    }
}

fn binary(op: Binary, a: i128, b: i128) -> i128 {
    match op {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::And => a & b,
        Binary::Or => a | b,
        Binary::Xor => a ^ b,
        Binary::Eq => (a == b).into(),
        Binary::Lt => (a < b).into(),
    }
}
