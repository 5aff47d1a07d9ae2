//! The Verilog-2001 printer.

use std::fmt::Write;
use std::rc::Rc;

use super::expr::{Binary, Expr, Op, Type, Unary};
use super::module::{Kind, Module, Signal};

/// The text of a module.
pub(super) fn verilog(module: &Module) -> String {
    let mut text = String::new();
    comment(&mut text, "Purpose  ", &module.header.purpose);
    comment(&mut text, "Equation ", &module.header.equation);
    comment(&mut text, "Latency  ", &module.header.latency);
    line(&mut text, &format!("module {} (", module.name));
    line(&mut text, &ports(module).join(",\n"));
    line(&mut text, ");");
    for (index, title) in module.sections.iter().enumerate() {
        section(&mut text, module, index, title);
    }
    if !module.unused.is_empty() {
        let parts: Vec<String> = module.unused.iter().map(print).collect();
        line(
            &mut text,
            &format!("\n    wire unused = &{{1'b0, {}}};", parts.join(", ")),
        );
    }
    line(&mut text, "endmodule");
    text
}

fn line(text: &mut String, content: &str) {
    text.push_str(content);
    text.push('\n');
}

fn comment(text: &mut String, title: &str, content: &str) {
    for (i, part) in content.lines().enumerate() {
        let title = if i == 0 { title } else { "         " };
        line(text, &format!("// {title} {part}"));
    }
}

fn ports(module: &Module) -> Vec<String> {
    let clock = module
        .has_registers()
        .then(|| "    input  wire clk".to_owned());
    let input = module.signals.iter().filter(|s| s.kind == Kind::Input);
    let output = module.signals.iter().filter(|s| s.output);
    let port = |direction: &str, s: &Signal| {
        format!("    {direction} {}{}", net(s), declared(s.ty, &s.name))
    };
    clock
        .into_iter()
        .chain(input.map(|s| port("input ", s)))
        .chain(output.map(|s| port("output", s)))
        .collect()
}

/// `wire` or `reg` with a space.
fn net(signal: &Signal) -> &'static str {
    match signal.kind {
        Kind::Input | Kind::Wire => "wire ",
        Kind::Register { .. } | Kind::Table => "reg  ",
    }
}

fn declared(ty: Type, name: &str) -> String {
    let sign = if ty.signed { "signed " } else { "" };
    match ty.width {
        1 if !ty.signed => name.to_owned(),
        width => format!("{sign}[{}:0] {name}", width - 1),
    }
}

fn section(text: &mut String, module: &Module, index: usize, title: &str) {
    let members: Vec<&Signal> = module
        .signals
        .iter()
        .filter(|s| s.section == index && s.kind != Kind::Input)
        .collect();
    if members.is_empty() {
        return;
    }
    text.push('\n');
    if !title.is_empty() {
        comment_inside(text, title);
    }
    let registers: Vec<&&Signal> = members
        .iter()
        .filter(|s| matches!(s.kind, Kind::Register { .. }))
        .collect();
    for s in registers.iter().filter(|s| !s.output) {
        let keep = if s.kind == (Kind::Register { keep: true }) {
            "(* keep *) "
        } else {
            ""
        };
        line(
            text,
            &format!("    {keep}reg  {};", declared(s.ty, &s.name)),
        );
    }
    for s in &members {
        combinational(text, s);
    }
    match registers.as_slice() {
        [] => {}
        [s] => line(text, &format!("    always @(posedge clk) {}", clocked(s))),
        several => {
            line(text, "    always @(posedge clk) begin");
            for s in several {
                line(text, &format!("        {}", clocked(s)));
            }
            line(text, "    end");
        }
    }
}

fn comment_inside(text: &mut String, title: &str) {
    for part in title.lines() {
        line(text, &format!("    // {part}"));
    }
}

fn driver(signal: &Signal) -> &Expr {
    signal
        .driver
        .as_ref()
        .expect("every signal but an input has a driver")
}

fn clocked(signal: &Signal) -> String {
    format!("{} <= {};", signal.name, assigned(driver(signal)))
}

fn combinational(text: &mut String, s: &Signal) {
    match s.kind {
        Kind::Wire if s.output => {
            line(
                text,
                &format!("    assign {} = {};", s.name, assigned(driver(s))),
            );
        }
        Kind::Wire => {
            let declared = declared(s.ty, &s.name);
            line(
                text,
                &format!("    wire {declared} = {};", assigned(driver(s))),
            );
        }
        Kind::Table => table(text, s),
        Kind::Input | Kind::Register { .. } => {}
    }
}

fn table(text: &mut String, s: &Signal) {
    let address = driver(s);
    if !s.output {
        line(text, &format!("    reg  {};", declared(s.ty, &s.name)));
    }
    line(text, "    always @* begin");
    line(text, &format!("        case ({})", print(address)));
    for (i, &word) in s.words.iter().enumerate() {
        let label = literal(address.ty(), i as i128);
        line(
            text,
            &format!("            {label}: {} = {};", s.name, literal(s.ty, word)),
        );
    }
    line(text, "        endcase");
    line(text, "    end");
}

/// The right side of an assignment: no outer parentheses, and the only place for a product.
fn assigned(expr: &Expr) -> String {
    if expr.is_product() {
        return body(expr);
    }
    let text = print(expr);
    match expr.0.op {
        Op::Binary(..) | Op::Mux(..) => text[1..text.len() - 1].to_owned(),
        _ => text,
    }
}

fn print(expr: &Expr) -> String {
    assert!(
        !expr.is_product(),
        "a product inside an expression would be cut to its operands' width"
    );
    body(expr)
}

fn body(expr: &Expr) -> String {
    match &expr.0.op {
        Op::Signal { name, .. } => name.clone(),
        Op::Const(value) => literal(expr.ty(), *value),
        Op::Unary(op, x) => {
            let symbol = match op {
                Unary::Not => "~",
                Unary::ReduceOr => "|",
                Unary::ReduceAnd => "&",
            };
            format!("({symbol}{})", print(x))
        }
        Op::Binary(Binary::Mul, a, b) => format!("{} * {}", print(a), print(b)),
        Op::Binary(op, a, b) => format!("({} {} {})", print(a), symbol(*op), print(b)),
        Op::Mux(s, a, b) => format!("({} ? {} : {})", print(s), print(a), print(b)),
        Op::Slice { of, lsb } => slice(of, *lsb, expr.ty().width),
        Op::Concat(parts) if repeated(parts) => {
            format!("{{{}{{{}}}}}", parts.len(), print(&parts[0]))
        }
        Op::Concat(parts) => {
            let parts: Vec<String> = parts.iter().map(bits).collect();
            format!("{{{}}}", parts.join(", "))
        }
        Op::Extend(x) => extend(x, expr.ty()),
        Op::Cast(x) if expr.ty().signed => format!("$signed({})", print(x)),
        Op::Cast(x) => match &x.0.op {
            Op::Extend(_) => format!("{{{}}}", bits(x)),
            _ => format!("$unsigned({})", print(x)),
        },
    }
}

/// Whether all parts are the same expression, several times.
fn repeated(parts: &[Expr]) -> bool {
    parts.len() > 1 && parts.iter().all(|p| Rc::ptr_eq(&p.0, &parts[0].0))
}

fn symbol(op: Binary) -> &'static str {
    match op {
        Binary::Add => "+",
        Binary::Sub => "-",
        Binary::Mul => "*",
        Binary::And => "&",
        Binary::Or => "|",
        Binary::Xor => "^",
        Binary::Eq => "==",
        Binary::Lt => "<",
    }
}

fn slice(of: &Expr, lsb: u32, width: u32) -> String {
    let name = print(of);
    match (of.ty().width, width) {
        (1, _) => name,
        (_, 1) => format!("{name}[{lsb}]"),
        _ => format!("{name}[{}:{lsb}]", lsb + width - 1),
    }
}

fn extend(x: &Expr, ty: Type) -> String {
    match ty.signed {
        true => format!("$signed({{{}}})", extended_bits(x, ty)),
        false => format!("{{{}}}", extended_bits(x, ty)),
    }
}

/// The parts of an extension: zeros or copies of the sign, then the value.
fn extended_bits(x: &Expr, ty: Type) -> String {
    let added = ty.width - x.ty().width;
    let signs = match (ty.signed, added) {
        (false, _) => literal(
            Type {
                width: added,
                signed: false,
            },
            0,
        ),
        (true, 1) => top_bit(x),
        (true, _) => format!("{{{added}{{{}}}}}", top_bit(x)),
    };
    format!("{signs}, {}", bits(x))
}

/// A part of a concatenation, where signedness has no meaning: casts are left out.
fn bits(x: &Expr) -> String {
    match &x.0.op {
        Op::Cast(inner) => bits(inner),
        Op::Extend(inner) => extended_bits(inner, x.ty()),
        Op::Concat(parts) if !repeated(parts) => {
            parts.iter().map(bits).collect::<Vec<_>>().join(", ")
        }
        _ => print(x),
    }
}

fn top_bit(x: &Expr) -> String {
    match &x.0.op {
        Op::Signal { .. } => slice(x, x.ty().width - 1, 1),
        Op::Slice { of, lsb } => slice(of, lsb + x.ty().width - 1, 1),
        Op::Cast(inner) => top_bit(inner),
        Op::Concat(parts) => top_bit(&parts[0]),
        _ => panic!("an extended expression must be named first"),
    }
}

/// A sized hexadecimal literal, the sign in its bits.
fn literal(ty: Type, value: i128) -> String {
    let mut text = String::new();
    let bits = value & ((1 << ty.width) - 1);
    let digits = ty.width.div_ceil(4) as usize;
    let _ = match (ty.signed, ty.width) {
        (true, w) => write!(text, "{w}'sh{bits:0digits$x}"),
        (false, 1) => write!(text, "1'b{bits}"),
        (false, w) if bits == 0 => write!(text, "{w}'d0"),
        (false, w) => write!(text, "{w}'h{bits:0digits$x}"),
    };
    text
}
