//! Two int8 multiply-accumulates in one DSP48E1.

use crate::VerilogModule;
use crate::typed::{Expr, Header, Module, Type, signed};
use macforge_numeric::packing::LANE_SHIFT;

/// Cycles from `w1`, `w0` and `a` to `p_q`; `pcin` takes one.
pub const LATENCY: usize = 4;

/// Width of the packed operand: the multiplier's wider input.
pub(super) const OPERAND: u32 = 25;
/// Width of a DSP48E1's accumulator.
pub(super) const ACCUMULATOR: u32 = 48;

/// The cell `packed_mac`: `p = pcin + (w1 * 2^17 + w0) * a`.
///
/// It is written so that synthesis finds the pre-adder (`w1`, `w0`), all pipeline registers and,
/// where `p_q` feeds the next cell's `pcin`, the cascade of one DSP48E1. The operand fits unless
/// `w1` is -128 while `w0` is negative ([`macforge_numeric::packing::fits_operand`]).
pub fn module() -> Module {
    let mut m = Module::new(
        "packed_mac",
        Header {
            purpose:
                "two INT8 multiply-accumulates in one DSP48E1: two weights share an activation"
                    .into(),
            equation: "p = pcin + (w1*2^17 + w0) * a".into(),
            latency: "4 from w1, w0, a; 1 from pcin; initiation interval 1; never stalls".into(),
        },
    );
    dsp_stages(&mut m, [signed(8), signed(8)], |w1, w0| {
        w1.shifted_left(LANE_SHIFT).plus(&w0.extend(OPERAND))
    });
    m
}

/// Ports and pipeline of a cell `p = pcin + packed(w1, w0) * a` in one DSP48E1: operands, pre-adder, product,
/// sum; the types are those of a weight and of `a`.
pub(super) fn dsp_stages(
    m: &mut Module,
    [weight, activation]: [Type; 2],
    packed: impl Fn(&Expr, &Expr) -> Expr,
) {
    let [w1, w0] = ["w1", "w0"].map(|name| m.input(name, weight));
    let a = m.input("a", activation);
    let pcin = m.input("pcin", signed(ACCUMULATOR));
    m.section("operands");
    let w1 = m.register("w1", &w1);
    let w0 = m.register("w0", &w0);
    let a = m.register("a1", &a);
    m.section("pre-adder: one operand holds both weights");
    let packed = m.register("ad", &packed(&w1, &w0));
    let a = m.register("a2", &a);
    m.section("product");
    let product = m.register("m", &packed.times(&a));
    m.section("sum of the chain");
    let p = m.register("p", &pcin.plus(&product.extend(ACCUMULATOR)));
    m.output(&p);
}

/// The printed cell.
pub fn build() -> VerilogModule {
    module().build()
}
