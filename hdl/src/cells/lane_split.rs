//! The two sums in the 48 bits of a chain of packed MACs.
// The derive and the attribute of rust-hdl write undocumented items.
#![allow(missing_docs)]

use super::module;
use crate::VerilogModule;
use rust_hdl_core::prelude::*;

/// `lo = P[16:0]` and `hi = P[34:17] + P[16]`, which is `(P[34:16] + 1) >> 1`.
#[derive(LogicBlock)]
struct LaneSplit {
    pub p: Signal<In, Bits<48>>,
    pub lo: Signal<Out, Bits<17>>,
    pub hi: Signal<Out, Bits<18>>,
    window: Signal<Local, Bits<19>>,
    rounded: Signal<Local, Bits<19>>,
    unused_top: Signal<Local, Bits<13>>,
    unused_half: Signal<Local, Bits<1>>,
    one: Constant<Bits<19>>,
}

impl Default for LaneSplit {
    fn default() -> Self {
        Self {
            p: Signal::default(),
            lo: Signal::default(),
            hi: Signal::default(),
            window: Signal::default(),
            rounded: Signal::default(),
            unused_top: Signal::default(),
            unused_half: Signal::default(),
            one: Constant::new(1.into()),
        }
    }
}

impl Logic for LaneSplit {
    #[hdl_gen]
    fn update(&mut self) {
        self.lo.next = self.p.val().get_bits::<17>(0);
        self.window.next = self.p.val().get_bits::<19>(16);
        self.rounded.next = self.window.val() + self.one.val();
        self.hi.next = self.rounded.val().get_bits::<18>(1);
        self.unused_top.next = self.p.val().get_bits::<13>(35);
        self.unused_half.next = self.rounded.val().get_bits::<1>(0);
    }
}

/// The cell `lane_split`, combinational: ports `p` (48 bits), `lo` (17), `hi` (18). The values of
/// `lo` and `hi` are two's complement: [`macforge_numeric::packing::unpack`].
pub fn lane_split() -> VerilogModule {
    let header = [
        "Purpose   the two sums in the accumulator of a chain of packed_mac (described in rust-hdl)",
        "Equation  lo = P[16:0]; hi = P[34:17] + P[16] = (P[34:16] + 1) >> 1; both two's complement",
        "Latency   0 (combinational)",
    ];
    module("lane_split", &header, LaneSplit::default())
}
