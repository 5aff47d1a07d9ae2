//! The larger of two int8.
// The derive and the attribute of rust-hdl write undocumented items.
#![allow(missing_docs)]

use super::module;
use crate::VerilogModule;
use rust_hdl_core::prelude::*;

/// `y = max(a, b)`.
#[derive(LogicBlock, Default)]
struct PoolMax {
    pub a: Signal<In, Signed<8>>,
    pub b: Signal<In, Signed<8>>,
    pub y: Signal<Out, Signed<8>>,
    less: Signal<Local, Bit>,
}

impl Logic for PoolMax {
    #[hdl_gen]
    fn update(&mut self) {
        self.less.next = self.a.val() < self.b.val();
        if self.less.val() {
            self.y.next = self.b.val();
        } else {
            self.y.next = self.a.val();
        }
    }
}

/// The cell `pool_max`, combinational: the larger of the signed 8-bit `a` and `b`.
pub fn pool_max() -> VerilogModule {
    let header = [
        "Purpose   larger of two int8, for pooling (described in rust-hdl)",
        "Equation  y = max(a, b)",
        "Latency   0 (combinational)",
    ];
    module("pool_max", &header, PoolMax::default())
}
