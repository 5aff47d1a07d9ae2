//! Order of two numbers: [`macforge_numeric::Fp16::is_less`], `maximum`, `minimum`.

use super::{BITS, bits, fields};
use crate::typed::{Expr, Header, Module, concat, mux, repeat};
use macforge_numeric::Fp16;

/// Cycles from the operands to the outputs.
pub const LATENCY: usize = 2;

/// The block `fp16_compare`: `less_q` is `a < b`; the larger one, the smaller one.
pub fn module() -> Module {
    let mut m = Module::new(
        "fp16_compare",
        Header {
            purpose: "order of two FP16 numbers".into(),
            equation: "less = a < b; maximum and minimum, where -0 is below +0; NaN is 7e00".into(),
            latency: format!("{LATENCY}; initiation interval 1; never stalls"),
        },
    );
    let a = m.input("a", BITS);
    let b = m.input("b", BITS);
    m.section("1: keys that are ordered as the numbers are");
    let key = |m: &mut Module, name: &str, x: &Expr| {
        let all = repeat(&x.bit(15), 15);
        let key = concat(&[x.bit(15).not(), x.slice(0, 15).xor(&all)]);
        m.wire(name, &key)
    };
    let (key_a, key_b) = (key(&mut m, "key_a", &a), key(&mut m, "key_b", &b));
    let below = m.register("below", &key_a.less(&key_b));
    let nan = m.register("nan", &fields(&a).nan.or(&fields(&b).nan));
    let zeros = a.slice(0, 15).or(&b.slice(0, 15)).any().not();
    let zeros = m.register("zeros", &zeros);
    let a = m.register("a", &a);
    let b = m.register("b", &b);
    m.section("2: choice");
    let less = m.register("less", &below.and(&nan.or(&zeros).not()));
    let none = bits(Fp16::NAN);
    let maximum = m.register("maximum", &mux(&nan, &none, &mux(&below, &b, &a)));
    let minimum = m.register("minimum", &mux(&nan, &none, &mux(&below, &a, &b)));
    for output in [less, maximum, minimum] {
        m.output(&output);
    }
    m
}
