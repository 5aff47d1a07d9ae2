//! The typed layer itself: what it refuses, and that the printed text means what the graph means.

use crate::common::{Random, assert_clean, bits, block};
use macforge_hdl::typed::{
    Evaluator, Expr, Header, Module, Type, concat, constant, mux, repeat, signed, unsigned,
};
use macforge_sim::VectorInput;
use std::panic::{AssertUnwindSafe, catch_unwind};

fn header() -> Header {
    Header {
        purpose: "random expressions".into(),
        equation: "none".into(),
        latency: "0".into(),
    }
}

/// One random operation on signals that exist already.
fn random_expression(random: &mut Random, pool: &[Expr]) -> Expr {
    let pick = |random: &mut Random| pool[random.next() as usize % pool.len()].clone();
    let a = pick(random);
    // the second operand in the first one's type
    let fit = |x: Expr, ty: Type| {
        let x = if ty.signed {
            x.as_signed()
        } else {
            x.as_unsigned()
        };
        if x.ty().width <= ty.width {
            Some(x.extend(ty.width))
        } else {
            None
        }
    };
    let b = loop {
        if let Some(b) = fit(pick(random), a.ty()) {
            break b;
        }
    };
    let width = a.ty().width;
    match random.next() % 16 {
        0 => a.plus(&b),
        1 => a.minus(&b),
        2 => a.and(&b).xor(&a.or(&b)),
        3 => a.equals(&b).or(&a.less(&b)),
        4 => a.less(&b),
        5 => a.not().plus(&b.not()),
        6 => mux(&a.less(&b), &a.plus(&b), &b),
        7 if width <= 20 => {
            let (a, b) = (a.as_signed(), b.as_signed());
            a.times(&b)
        }
        8 if width < 30 => a.extend(width + 1).plus(&b.extend_all(width + 1)),
        9 => a.slice(0, width.div_ceil(2)),
        10 => a.slice(width / 2, width - width / 2).as_signed(),
        11 if width < 20 => concat(&[a.clone(), b.not(), repeat(&a.slice(0, 1), 3)]),
        12 if width < 20 => a.shifted_left(3).as_signed(),
        13 => concat(&[a.any(), b.all(), a.equals(&b)]),
        14 => a.plus(&constant(
            a.ty(),
            i128::from(random.next() & 1).min(a.ty().max()),
        )),
        _ => a.minus(&b).less(&a.plus(&b)),
    }
}

/// Helpers that only the test needs.
trait Reach {
    fn max(&self) -> i128;
}

impl Reach for Type {
    fn max(&self) -> i128 {
        (1 << (self.width - u32::from(self.signed))) - 1
    }
}

trait ExtendAll {
    fn extend_all(&self, width: u32) -> Expr;
}

impl ExtendAll for Expr {
    /// An operand that is already an extension is extended by choosing a constant of its type.
    fn extend_all(&self, width: u32) -> Expr {
        let ty = Type { width, ..self.ty() };
        mux(
            &self.any(),
            &constant(ty, 1.min(ty.max())),
            &constant(ty, 0),
        )
    }
}

#[test]
fn the_printed_text_means_what_the_graph_means() {
    let mut random = Random(99);
    for round in 0..4 {
        let mut m = Module::new("random_expressions", header());
        let types = [
            signed(8),
            unsigned(8),
            signed(13),
            unsigned(1),
            signed(2),
            unsigned(17),
        ];
        let names = ["a", "b", "c", "d", "e", "f"];
        let mut pool: Vec<Expr> = names
            .iter()
            .zip(types)
            .map(|(n, t)| m.input(n, t))
            .collect();
        let mut outputs = Vec::new();
        for k in 0..60 {
            let value = random_expression(&mut random, &pool);
            let name = format!("x{k}");
            let x = m.wire(&name, &value);
            m.output(&x);
            outputs.push((name, x.ty()));
            if x.ty().width < 40 {
                pool.push(x);
            }
        }
        let text = [m.build()];
        let vectors = 2000;
        let columns: Vec<Vec<u64>> = types
            .iter()
            .map(|ty| {
                (0..vectors)
                    .map(|_| bits(random.signed(ty.width.max(2)), ty.width))
                    .collect()
            })
            .collect();
        let inputs: Vec<VectorInput> = names
            .iter()
            .zip(&columns)
            .map(|(port, values)| VectorInput { port, values })
            .collect();
        let ports: Vec<&str> = outputs.iter().map(|(name, _)| name.as_str()).collect();
        let found = block(&text).run_vectors(None, 0, &inputs, &ports).unwrap();
        let mut graph = Evaluator::new(&m);
        for v in 0..vectors {
            for ((name, ty), column) in names.iter().zip(types).zip(&columns) {
                let raw = i128::from(column[v]);
                let negative = ty.signed && raw > ty.max();
                graph.set(name, if negative { raw - (1 << ty.width) } else { raw });
            }
            graph.settle();
            for ((name, ty), column) in outputs.iter().zip(&found) {
                let expected = graph.get(name) & ((1 << ty.width) - 1);
                assert_eq!(
                    i128::from(column[v]),
                    expected,
                    "round {round}, {name}:\n{}",
                    text[0].text
                );
            }
        }
    }
}

#[test]
fn what_verilog_would_extend_or_cut_silently_is_refused() {
    let refused = |build: &dyn Fn(&mut Module, &Expr, &Expr)| {
        let attempt = || {
            let mut m = Module::new("refused", header());
            let (a, b) = (m.input("a", signed(8)), m.input("b", signed(9)));
            build(&mut m, &a, &b);
            m.build()
        };
        catch_unwind(AssertUnwindSafe(attempt)).is_err()
    };
    assert!(
        refused(&|_, a, b| drop(a.plus(b))),
        "a sum of different widths"
    );
    assert!(
        refused(&|_, a, _| drop(a.equals(&a.as_unsigned()))),
        "a comparison of mixed signs"
    );
    assert!(
        refused(&|_, a, _| drop(a.extend(7))),
        "an extension to fewer bits"
    );
    assert!(
        refused(&|_, a, _| drop(a.slice(4, 5))),
        "a slice beyond the top"
    );
    assert!(
        refused(&|_, _, _| drop(constant(signed(8), 128))),
        "a constant that does not fit"
    );
    assert!(
        refused(&|_, a, b| drop(mux(a, b, b))),
        "a select of several bits"
    );
    assert!(
        refused(&|_, a, _| drop(a.as_unsigned().times(&a.as_unsigned()))),
        "unsigned product"
    );
    let product = |m: &mut Module, a: &Expr, b: &Expr| {
        let sum = a.times(b).plus(&constant(signed(17), 1));
        m.wire("y", &sum);
    };
    assert!(refused(&product), "a product inside an expression");
    assert!(
        refused(&|m, a, _| drop((m.wire("y", a), m.wire("y", a)))),
        "a name used twice"
    );
}

#[test]
fn registers_delay_by_one_cycle_each_and_start_with_their_section() {
    let mut m = Module::new("pipe", header());
    let x = m.input("x", signed(8));
    m.section("three stages");
    let y = m.delay("x", &x, 3);
    m.output(&y);
    let text = m.build();
    assert_clean(std::slice::from_ref(&text));
    assert!(text.text.contains("    // three stages\n"), "{}", text.text);
    let mut pipe = Evaluator::new(&m);
    let mut seen = Vec::new();
    for v in 1..=6 {
        pipe.set("x", v);
        pipe.tick();
        seen.push(pipe.get("x_d3_q"));
    }
    assert_eq!(seen, [0, 0, 1, 2, 3, 4]);
}
