//! Leaf cells of fixed width.

use crate::typed::{Header, Module, mux, signed, unsigned};
use crate::{HdlError, VerilogModule};

/// lane split
pub fn lane_split() -> Result<VerilogModule, HdlError> {
    let mut m = Module::new("lane_split", Header { purpose: "the two sums of a chain of packed_mac".into(),
        equation: "lo = P[16:0], hi = P[34:17] + P[16]".into(), latency: "0 (combinational)".into() });
    let p = m.input("p", signed(48));
    let lo = m.wire("lo", &p.slice(0, 17).as_signed());
    let hi = m.wire("hi", &p.slice(17, 18).plus(&p.bit(16).extend(18)).as_signed());
    m.unused(&p.slice(35, 13));
    m.output(&lo); m.output(&hi);
    Ok(m.build())
}
/// max
pub fn pool_max() -> Result<VerilogModule, HdlError> {
    let mut m = Module::new("pool_max", Header { purpose: "larger of two int8".into(),
        equation: "y = max(a, b)".into(), latency: "0 (combinational)".into() });
    let a = m.input("a", signed(8));
    let b = m.input("b", signed(8));
    let y = m.wire("y", &mux(&a.less(&b), &b, &a));
    let _ = unsigned(1);
    m.output(&y);
    Ok(m.build())
}
