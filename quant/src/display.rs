//! `QGraph` as text: stable, readable, one line per node; weights as counts and a hash.

use std::fmt;

use macforge_numeric::lstm::Factor;
use macforge_numeric::{
    BinaryFunction, Fp16Factor, Fp16LstmRule, LstmRule, RequantRule, Requantizer, Step,
};

use crate::graph::{
    Attention, DType, HostOp, Lstm, LstmArithmetic, QGraph, QNode, QOp, QTensor, TensorId, Window,
};

impl fmt::Display for QGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "qgraph {} semantics {}", self.name, self.semantics)?;
        for &id in &self.inputs {
            writeln!(f, "input  {} {}", reference(id), self.tensor(id))?;
        }
        for (index, node) in self.nodes.iter().enumerate() {
            write!(f, "{} = {}", reference(node.output), node.name)?;
            let operands: Vec<String> = node.inputs.iter().map(|&id| reference(id)).collect();
            writeln!(f, "({})  # {}", operands.join(", "), node.source)?;
            writeln!(f, "    -> {}", self.tensor(node.output))?;
            if let Some(detail) = detail(node) {
                writeln!(f, "    {detail}, {} macs", self.macs(index))?;
            }
            if let Some(rule) = rule(node) {
                writeln!(f, "    {rule}")?;
            }
        }
        for &id in &self.outputs {
            writeln!(f, "output {} {}", reference(id), self.tensor(id))?;
        }
        for state in &self.states {
            let (read, write) = (reference(state.read), reference(state.write));
            writeln!(f, "state  {read} <- {write} {}", self.tensor(state.read))?;
        }
        Ok(())
    }
}

impl fmt::Display for QTensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dtype = match self.dtype {
            DType::I8 if self.unsigned => "u8-128",
            DType::I8 => "i8",
            DType::I16 => "i16",
            DType::I32 => "i32",
            DType::F32 => "f32",
        };
        write!(f, "{}: {dtype}{:?}", self.name, self.shape)?;
        match self.quant {
            Some(q) => write!(f, " scale {} zero {}", q.scale, q.zero_point),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pair = |[v, h]: [usize; 2]| format!("{v}x{h}");
        write!(
            f,
            "kernel {} stride {}",
            pair(self.kernel),
            pair(self.stride)
        )?;
        if self.dilation != [1, 1] {
            write!(f, " dilation {}", pair(self.dilation))?;
        }
        write!(f, " pad {}", pair(self.pad))
    }
}

fn reference(id: TensorId) -> String {
    format!("%{}", id.0)
}

/// Weights of a node with multiplications.
fn detail(node: &QNode) -> Option<String> {
    let (prefix, weights, bias) = match &node.op {
        QOp::Conv2d(c) | QOp::ConvTranspose2d(c) => {
            let groups = if c.groups > 1 {
                format!(" groups {}", c.groups)
            } else {
                String::new()
            };
            (format!("{}{groups}, ", c.window), &c.weights, &c.bias)
        }
        QOp::FullyConnected(f) => (String::new(), &f.weights, &f.bias),
        QOp::Lstm(l) => return Some(lstm_weights(l)),
        _ => return None,
    };
    let weight_hash = weight_hash(weights);
    let bias_hash = fnv1a(bias.iter().flat_map(|b| b.to_le_bytes()));
    Some(format!(
        "{prefix}weights {} fnv {weight_hash:016x}, bias {} fnv {bias_hash:016x}",
        weights.len(),
        bias.len()
    ))
}

/// Hash of weights: of their bytes where one is enough for each, otherwise of both.
fn weight_hash(weights: &[i16]) -> u64 {
    let narrow: Result<Vec<i8>, _> = weights.iter().map(|&w| i8::try_from(w)).collect();
    match narrow {
        Ok(bytes) => fnv1a(bytes.into_iter().map(i8::cast_unsigned)),
        Err(_) => fnv1a(weights.iter().flat_map(|w| w.to_le_bytes())),
    }
}

/// Weights of the four gates.
fn lstm_weights(lstm: &Lstm) -> String {
    let weights = lstm
        .gates
        .iter()
        .flat_map(|g| g.input_weights.iter().chain(&g.recurrent_weights));
    let weight_hash = fnv1a(weights.map(|w| w.cast_unsigned()));
    let bias = lstm.gates.iter().flat_map(|g| &g.bias);
    let bias_hash = fnv1a(bias.flat_map(|b| b.to_le_bytes()));
    format!(
        "{} units, {} inputs, weights {} fnv {weight_hash:016x}, bias {} fnv {bias_hash:016x}",
        lstm.units,
        lstm.inputs,
        lstm.weights(),
        4 * lstm.units
    )
}

/// Scales of an LSTM, gate by gate.
fn lstm_rule(rule: &LstmRule) -> String {
    let factors = |rules: [Factor; 4]| rules.map(factor).join(", ");
    let clip = rule
        .cell_clip
        .map_or(String::new(), |c| format!(" clip {c}"));
    format!(
        "input {}; recurrent {}; cell Q{}.{}{clip}; output {} {:+}",
        factors(rule.input),
        factors(rule.recurrent),
        rule.cell_integer_bits,
        15 - rule.cell_integer_bits,
        factor(rule.output),
        rule.output_zero_point
    )
}

/// Heads and factors of an attention.
fn attention(op: &Attention) -> String {
    let output = &op.rule.output;
    format!(
        "{} heads, scores * {}, values * {} {:+}",
        op.heads,
        fp16_factor(&op.rule.score),
        fp16_factor(&output.factor),
        output.zero_point
    )
}

fn fp16_factor(f: &Fp16Factor) -> String {
    format!("{} << {}", f.multiplier, f.exponent)
}

/// Factors of an LSTM with FP16 state.
fn fp16_lstm_rule(rule: &Fp16LstmRule) -> String {
    let all = rule.input.iter().chain(&rule.recurrent).flatten();
    let hash = fnv1a(all.flat_map(|f| fp16_factor(f).into_bytes()));
    let first = rule.input[0].first().map(fp16_factor).unwrap_or_default();
    format!(
        "fp16, factors fnv {hash:016x}, first {first}; output {} {:+}",
        fp16_factor(&rule.output.factor),
        rule.output.zero_point
    )
}

/// The rounding rule of a node.
fn rule(node: &QNode) -> Option<String> {
    let requant = |all: &[Requantizer], activation: bool| {
        let first = all.first()?;
        let hash = fnv1a(all.iter().flat_map(|r| requantizer(r).into_bytes()));
        Some(format!(
            "requant {} fnv {hash:016x}, first {}{}",
            all.len(),
            requantizer(first),
            activated(activation)
        ))
    };
    match &node.op {
        QOp::Conv2d(c) | QOp::ConvTranspose2d(c) => requant(&c.requant, c.lower_is_activation),
        QOp::MatMul(m) => {
            let side = if m.transpose_b { "transposed, " } else { "" };
            let rule = m.requant.as_ref().map_or("raw".into(), requantizer);
            Some(format!("{side}requant {rule}"))
        }
        QOp::Transpose(perm) => Some(format!("order {perm:?}")),
        QOp::Concat(axis) => Some(format!("axis {axis}")),
        QOp::Slice { start, step } => Some(format!("from {start:?} step {step:?}")),
        QOp::Pad { before, value } => Some(format!("before {before:?} value {value}")),
        QOp::Resize { rows, columns } => Some(format!("rows {rows:?} columns {columns:?}")),
        QOp::FullyConnected(f) => requant(&f.requant, f.lower_is_activation),
        QOp::Binary(r) => Some(format!(
            "{}; {:+} clamp {}..={}{}",
            binary(&r.function),
            r.zero_point,
            r.clamp.lo,
            r.clamp.hi,
            activated(r.lower_is_activation)
        )),
        QOp::MaxPool(window, clamp) => Some(format!("{window}, clamp {}..={}", clamp.lo, clamp.hi)),
        QOp::AveragePool(window, rule) => Some(format!(
            "{window}, clamp {}..={}",
            rule.clamp.lo, rule.clamp.hi
        )),
        QOp::Table(table) => {
            let hash = fnv1a(table.iter().map(|q| q.cast_unsigned()));
            Some(format!("table fnv {hash:016x}"))
        }
        QOp::Softmax(r) => Some(format!(
            "multiplier {} << {}, differences from {}",
            r.multiplier, r.left_shift, r.diff_min
        )),
        QOp::Lstm(l) => Some(match &l.rule {
            LstmArithmetic::Integer(rule) => lstm_rule(rule),
            LstmArithmetic::Fp16(rule) => fp16_lstm_rule(rule),
        }),
        QOp::Attention(a) => Some(attention(a)),
        QOp::Host(op) => host(op),
        QOp::Reshape | QOp::Quantize | QOp::Dequantize => None,
    }
}

/// The constants of a function of two operands.
fn binary(function: &BinaryFunction) -> String {
    match function {
        BinaryFunction::TfliteAdd(s) => format!(
            "({:+}) * {} << {}, ({:+}) * {} << {}; sum * {} << {}",
            s.input1_offset,
            s.input1_multiplier,
            s.input1_shift,
            s.input2_offset,
            s.input2_multiplier,
            s.input2_shift,
            s.output_multiplier,
            s.output_shift,
        ),
        BinaryFunction::TfliteMul(p) => format!(
            "({:+}), ({:+}); product * {} << {}",
            p.input1_offset, p.input2_offset, p.multiplier, p.shift
        ),
        BinaryFunction::Minimum => "smaller".into(),
        BinaryFunction::Maximum => "larger".into(),
        BinaryFunction::QLinearAdd(s) => format!(
            "* {}, * {}, {:+}; integers {:+}",
            s.ratio_a, s.ratio_b, s.fixed, s.offset
        ),
        BinaryFunction::QLinearMul(p) => format!(
            "({:+}), ({:+}); product * {} {:+}; integers {:+}",
            -p.zero_point_a, -p.zero_point_b, p.ratio, p.zero_point, p.offset
        ),
        BinaryFunction::WeightedSum(s) => format!(
            "floor(({} * {:+} and {} * {:+}) / {})",
            s.a, -s.zero_point_a, s.b, -s.zero_point_b, s.divisor
        ),
        BinaryFunction::Float(r) => format!(
            "float32 {} of * {} {:+}, * {} {:+}; / {}",
            r.operation.name(),
            r.a.scale,
            -r.a.zero_point,
            r.b.scale,
            -r.b.zero_point,
            r.scale
        ),
    }
}

/// Parameters of a host operation; chains of many channels by a hash of their text.
fn host(op: &HostOp) -> Option<String> {
    let chains = |steps: &[Vec<Step>]| match steps {
        [one] => format!("{one:?}"),
        many => {
            let text = format!("{many:?}");
            format!("{} chains fnv {:016x}", many.len(), fnv1a(text.bytes()))
        }
    };
    let floats = |weights: &[f32]| {
        let bytes = weights.iter().flat_map(|w| w.to_bits().to_le_bytes());
        format!("weights fnv {:016x}", fnv1a(bytes))
    };
    match op {
        HostOp::Steps(steps) => Some(chains(steps)),
        HostOp::Quantize(steps, clamp) => Some(format!(
            "{} clamp {}..={}",
            chains(steps),
            clamp.lo,
            clamp.hi
        )),
        HostOp::FullyConnected { weights, .. } => Some(floats(weights)),
        HostOp::Conv2d {
            window, weights, ..
        } => Some(format!("{window}, {}", floats(weights))),
        HostOp::Select(index) => Some(format!("index {index}")),
        HostOp::Softmax | HostOp::LogSoftmax | HostOp::Sigmoid | HostOp::ArgMax => None,
    }
}

/// Marks a lower bound that belongs to the activation function.
fn activated(lower_is_activation: bool) -> &'static str {
    if lower_is_activation {
        " activation"
    } else {
        ""
    }
}

fn factor(factor: Factor) -> String {
    format!("* {} << {}", factor.multiplier, factor.shift)
}

fn requantizer(r: &Requantizer) -> String {
    let scale = match &r.rule {
        RequantRule::TfliteDouble { multiplier, shift }
        | RequantRule::TfliteSingle { multiplier, shift } => format!("* {multiplier} << {shift}"),
        RequantRule::Wide { multiplier, shift } => format!("*16 {multiplier} << {shift}"),
        RequantRule::OrtX86 { scale } => format!("* {scale}"),
        RequantRule::Pow2 { shift } => format!(">> {shift}"),
        RequantRule::MultiplyAdd {
            multiplier,
            shift,
            constant,
        } => format!("* {multiplier} + {constant} >> {shift}"),
        RequantRule::Staircase(steps) => {
            let bytes = steps.at().iter().flat_map(|step| step.to_le_bytes());
            let hash = fnv1a(bytes);
            format!(
                "from {} by {} steps fnv {hash:016x}",
                steps.base(),
                steps.at().len()
            )
        }
    };
    format!(
        "{scale} {:+} clamp {}..={}",
        r.zero_point, r.clamp.lo, r.clamp.hi
    )
}

/// FNV-1a, 64 bits: enough to see in a diff that constants changed.
fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}
