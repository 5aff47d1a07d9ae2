//! Chains become nodes: where integers are needed, staircases; where floats are, host work.

use macforge_numeric::step::{self, apply_steps};
use macforge_numeric::{
    AffineParams, Clamp, Direction, Interval, Number, RequantRule, Requantizer, Step, Thresholds,
    accumulator_interval,
};

use super::pair::pair_rule;
use super::value::{Chain, Levels, Operand, Product, Source, UNBOUNDED};
use super::{At, Pass};
use crate::QuantError;
use crate::graph::{Conv2d, DType, FullyConnected, HostOp, QOp, TensorId};

/// The int8 form of a chain's integers.
pub(super) struct Output {
    pub params: AffineParams,
    pub clamp: Clamp,
    /// Added to a level to get the int8 value.
    shift: i64,
    pub lower_is_activation: bool,
}

impl Pass<'_> {
    /// The chain as an int8 tensor, named after the ONNX value that first held its integers.
    pub(super) fn integers(&mut self, at: &At, mut chain: Chain) -> Result<Chain, QuantError> {
        let name = &chain.label.clone();
        if chain.is_integers() {
            return Ok(chain);
        }
        let Some(levels) = chain.levels else {
            return Err(at.error(
                format!("`{name}`, real values that no quantizer has made integers"),
                "a quantizer in front of this operator",
            ));
        };
        let reach = self.reach(&chain);
        let levels = bounded(levels, &chain, &reach);
        chain.levels = Some(levels);
        let out = output(at, name, &levels)?;
        let source = chain.origin.clone();
        let (op, inputs) = match chain.source.clone() {
            Source::Integers(id, range) => (self.remap(at, &chain, id, range, &out)?, vec![id]),
            Source::Floats(id) => {
                let steps = chain.steps.clone();
                (QOp::Host(HostOp::Quantize(steps, out.clamp)), vec![id])
            }
            Source::Product(product) => {
                let requant = self.requantizers(at, &chain, &reach, &out)?;
                let input = product.input;
                (
                    self.product_op(at, &chain, product, requant, &out)?,
                    vec![input],
                )
            }
            Source::Pair(pair) => {
                let rule = pair_rule(at, &chain, &pair, &out)?;
                (QOp::Binary(rule), vec![pair[0].tensor, pair[1].tensor])
            }
        };
        let unsigned = out.shift != 0;
        let hwc = chain.hwc.clone();
        let id = self.add_tensor(name, hwc, DType::I8, Some(out.params), unsigned);
        self.add_node(source, op, inputs, id);
        let range = self.attained(&chain, &reach, &out);
        Ok(chain.replaced(id, out.params, range))
    }

    /// The chain as a float32 tensor of the host.
    pub(super) fn floats(&mut self, at: &At, mut chain: Chain) -> Result<Chain, QuantError> {
        let name = &chain.label.clone();
        chain.become_real();
        let id = match chain.source.clone() {
            Source::Floats(_) if chain.is_plain_source() => return Ok(chain),
            Source::Floats(id) | Source::Integers(id, _) => id,
            Source::Product(product) => self.sums(at, &chain, product)?,
            Source::Pair(_) => {
                return Err(at.error(
                    format!("`{name}`, a sum that no quantizer has made integers"),
                    "a quantizer behind the sum",
                ));
            }
        };
        let host = self.add_tensor(name, chain.hwc.clone(), DType::F32, None, false);
        let steps = QOp::Host(HostOp::Steps(chain.steps));
        self.add_node(chain.origin.clone(), steps, vec![id], host);
        Ok(Chain {
            source: Source::Floats(host),
            steps: vec![vec![]],
            levels: None,
            ..chain
        })
    }

    /// The sums of a product as a tensor: int8 where all of them fit, otherwise int32.
    fn sums(&mut self, at: &At, chain: &Chain, product: Product) -> Result<TensorId, QuantError> {
        let input = product.input;
        let reach = self.reach(chain).into_iter().reduce(Interval::union);
        let narrow = reach.is_some_and(|all| Interval::INT8.encloses(all));
        let identity = Requantizer {
            rule: RequantRule::Pow2 { shift: 0 },
            zero_point: 0,
            clamp: Clamp::INT8,
        };
        let (dtype, params, requant) = match narrow {
            true => {
                let same = vec![identity; chain.channels()];
                (DType::I8, Some(Output::RAW.params), same)
            }
            false => (DType::I32, None, Vec::new()),
        };
        let op = self.product_op(at, chain, product, requant, &Output::RAW)?;
        let name = format!("{}:sums", chain.label);
        let id = self.add_tensor(&name, chain.hwc.clone(), dtype, params, false);
        self.add_node(chain.origin.clone(), op, vec![input], id);
        Ok(id)
    }

    /// The tensor of a graph output: float32 as the model states it.
    pub(super) fn deliver(&mut self, name: &str, chain: Chain) -> Result<TensorId, QuantError> {
        let node = macforge_model::onnx::OnnxNode::new("output", name, &[name], &[name]);
        let at = At {
            node: &node,
            index: self.model.nodes.len(),
        };
        if let (Source::Floats(id), true) = (&chain.source, chain.is_plain_source()) {
            return Ok(*id);
        }
        let mut chain = match chain.levels {
            Some(_) => self.integers(
                &at,
                Chain {
                    label: format!("{name}:integers"),
                    ..chain
                },
            )?,
            None => chain,
        };
        chain.label = name.to_string();
        let chain = self.floats(&at, chain)?;
        match chain.source {
            Source::Floats(id) => Ok(id),
            _ => unreachable!("floats() returns a float32 tensor"),
        }
    }

    /// Reachable numbers of each channel; one interval for all where they do not differ.
    pub(super) fn reach(&self, chain: &Chain) -> Vec<Interval> {
        match &chain.source {
            Source::Integers(_, range) => vec![*range],
            Source::Floats(_) => vec![],
            Source::Product(p) => {
                let per_channel = p.weights.len() / p.bias.len();
                let padded = p.window.is_some_and(|(_, padded)| padded);
                let rows = p.weights.chunks_exact(per_channel).zip(&p.bias);
                rows.map(|(row, &bias)| {
                    accumulator_interval(row, p.range, p.zero_point, bias.into(), padded)
                })
                .collect()
            }
            Source::Pair(_) => vec![],
        }
    }

    /// The int8 values that the reachable numbers give: often fewer than the clamp lets through.
    fn attained(&self, chain: &Chain, reach: &[Interval], out: &Output) -> Interval {
        let of_channel = |c: usize| {
            let steps = &chain.steps[c % chain.steps.len()];
            let range = reach[c % reach.len()];
            let value = |number| {
                let y = level(steps, number).saturating_add(out.shift);
                i64::from(out.clamp.apply(y))
            };
            let (a, b) = (value(range.lo), value(range.hi));
            Interval::new(a.min(b), a.max(b))
        };
        // a function of single values need not be monotone
        let monotone = matches!(chain.source, Source::Product(_));
        let all = (0..chain.channels()).filter(|_| monotone).map(of_channel);
        all.reduce(Interval::union).unwrap_or(out.clamp.interval())
    }

    /// One staircase per channel, over the reachable accumulators; those of falling chains over
    /// the negated ones.
    fn requantizers(
        &self,
        at: &At,
        chain: &Chain,
        reach: &[Interval],
        out: &Output,
    ) -> Result<Vec<Requantizer>, QuantError> {
        let zero_point = out.params.zero_point;
        let offset = out.shift - i64::from(zero_point);
        let bounds = Interval::new(
            i64::from(out.clamp.lo - zero_point) - 1,
            i64::from(out.clamp.hi - zero_point) + 1,
        );
        let staircase = |channel: usize| {
            let steps = &chain.steps[channel % chain.steps.len()];
            let range = reach[channel % reach.len()];
            let (sign, range) = match step::direction(steps) {
                Direction::Rising => (1, range),
                Direction::Falling => (-1, Interval::new(-range.hi, -range.lo)),
            };
            let f = |acc: i64| level(steps, sign * acc).saturating_add(offset);
            let thresholds = Thresholds::of_function(f, range, bounds)
                .map_err(at.rule(format!("output channel {channel}")))?;
            Ok(Requantizer {
                rule: RequantRule::Staircase(thresholds),
                zero_point,
                clamp: out.clamp,
            })
        };
        (0..chain.channels()).map(staircase).collect()
    }

    /// The layer of a product; without requantizers it gives its accumulators.
    fn product_op(
        &self,
        at: &At,
        chain: &Chain,
        product: Product,
        requant: Vec<Requantizer>,
        out: &Output,
    ) -> Result<QOp, QuantError> {
        let out_channels = product.bias.len();
        let per_channel = product.weights.len() / out_channels;
        // sums leave as they are, so nothing is turned around there
        let falls = |c: usize| {
            let turned = |r: &Requantizer| matches!(r.rule, RequantRule::Staircase(_));
            requant.first().is_some_and(turned) && chain.direction(c) == Direction::Falling
        };
        let mut weights = Vec::with_capacity(product.weights.len());
        for (i, &w) in product.weights.iter().enumerate() {
            let channel = i / per_channel;
            let turned = if falls(channel) { -w } else { w };
            let narrow = i8::try_from(turned).map_err(|_| {
                at.error(
                    format!("weight {w} in output channel {channel}, whose scale is negative"),
                    "weights of at least -127 there",
                )
            })?;
            weights.push(i16::from(narrow));
        }
        let turn = |(c, &b): (usize, &i32)| if falls(c) { -b } else { b };
        let bias = product.bias.iter().enumerate().map(turn).collect();
        let weight_zero_points = vec![0; out_channels];
        let lower_is_activation = out.lower_is_activation;
        Ok(match product.window {
            Some((window, _)) => QOp::Conv2d(Conv2d {
                window,
                weights,
                weight_zero_points,
                groups: product.groups,
                out_channels,
                in_channels: product.in_channels,
                bias,
                requant,
                lower_is_activation,
            }),
            None => QOp::FullyConnected(FullyConnected {
                weights,
                weight_zero_points,
                out_channels,
                in_features: per_channel,
                bias,
                requant,
                lower_is_activation,
            }),
        })
    }

    /// A function of single int8 values: a table, or one staircase per channel behind a depthwise
    /// 1x1 convolution.
    fn remap(
        &self,
        at: &At,
        chain: &Chain,
        input: TensorId,
        range: Interval,
        out: &Output,
    ) -> Result<QOp, QuantError> {
        if let [steps] = chain.steps.as_slice() {
            let mut table = Box::new([0; 256]);
            for q in i8::MIN..=i8::MAX {
                let inside = i64::from(q).clamp(range.lo, range.hi);
                let y = level(steps, inside).saturating_add(out.shift);
                table[usize::from(q.cast_unsigned())] = out.clamp.apply(y) as i8;
            }
            return Ok(QOp::Table(table));
        }
        let zero_point = self.graph.tensor(input).quant.map_or(0, |q| q.zero_point);
        let mut shifted = chain.clone();
        for steps in &mut shifted.steps {
            let add = Step::Add(Number::Integer(zero_point.into()));
            steps.insert(0, add);
        }
        let reach = range + Interval::point(-i64::from(zero_point));
        let requant = self.requantizers(at, &shifted, &[reach], out)?;
        let channels = chain.channels();
        let product = Product {
            input,
            range,
            zero_point,
            window: Some((super::pool::unit_window(), false)),
            weights: vec![1; channels],
            bias: vec![0; channels],
            groups: channels,
            in_channels: channels,
        };
        self.product_op(at, chain, product, requant, out)
    }
}

impl Output {
    /// Accumulators as they are.
    const RAW: Output = Output {
        params: AffineParams {
            scale: 1.0,
            zero_point: 0,
        },
        clamp: Clamp::INT8,
        shift: 0,
        lower_is_activation: false,
    };
}

impl Chain {
    /// Nothing between the source and the value.
    fn is_plain_source(&self) -> bool {
        self.steps.iter().all(Vec::is_empty)
    }

    /// An int8 tensor as it is, up to the meaning of its integers.
    fn is_integers(&self) -> bool {
        let whole = match (&self.source, self.levels) {
            (Source::Integers(_, range), Some(levels)) => levels.bounds == *range,
            _ => false,
        };
        whole && self.is_plain_source()
    }
}

/// The integer behind a chain.
fn level(steps: &[Step], number: i64) -> i64 {
    match apply_steps(steps, Number::Integer(number)) {
        Number::Integer(level) => level,
        Number::Float(level) => level as i64,
    }
}

/// Bounds where none are stated: what the reachable numbers give.
pub(super) fn bounded(levels: Levels, chain: &Chain, reach: &[Interval]) -> Levels {
    if levels.bounds.lo > i64::MIN && levels.bounds.hi < i64::MAX {
        return levels;
    }
    let ends = match &chain.source {
        Source::Pair(pair) => {
            let real = |o: &Operand, q: i64| o.scale * (q - i64::from(o.zero_point)) as f32;
            let end = |f: fn(Interval) -> i64| {
                let x = real(&pair[0], f(pair[0].range)) + real(&pair[1], f(pair[1].range));
                match apply_steps(&chain.steps[0], Number::Float(x)) {
                    Number::Integer(level) => level,
                    Number::Float(level) => level as i64,
                }
            };
            vec![end(|i| i.lo), end(|i| i.hi)]
        }
        _ => (0..chain.channels().max(1))
            .filter(|_| !reach.is_empty())
            .flat_map(|c| {
                let steps = &chain.steps[c % chain.steps.len()];
                let range = reach[c % reach.len()];
                [level(steps, range.lo), level(steps, range.hi)]
            })
            .collect(),
    };
    let lo = ends.iter().copied().min().unwrap_or(UNBOUNDED.lo);
    let hi = ends.iter().copied().max().unwrap_or(UNBOUNDED.hi);
    let lo = lo.max(levels.bounds.lo);
    Levels {
        bounds: Interval::new(lo, hi.min(levels.bounds.hi).max(lo)),
        ..levels
    }
}

/// Where a chain's integers lie in int8.
fn output(at: &At, name: &str, levels: &Levels) -> Result<Output, QuantError> {
    let Interval { lo, hi } = levels.bounds;
    let shift = match (lo, hi) {
        _ if lo >= -128 && hi <= 127 => 0,
        _ if lo >= 0 && hi <= 255 => -128,
        _ => {
            return Err(at.error(
                format!("`{name}` can hold the integers {lo}..={hi}"),
                "integers of at most eight bits; clip or rescale them in the model",
            ));
        }
    };
    let zero_point = levels.zero_point + shift;
    let zero_point = i32::try_from(zero_point)
        .ok()
        .filter(|z| (-128..=127).contains(z));
    let Some(zero_point) = zero_point else {
        let found = format!(
            "zero point {} for the integers {lo}..={hi}",
            levels.zero_point
        );
        return Err(at.error(found, "a zero point of eight bits"));
    };
    Ok(Output {
        params: AffineParams::new(levels.scale, zero_point).map_err(at.rule(name))?,
        clamp: Clamp {
            lo: (lo + shift) as i32,
            hi: (hi + shift) as i32,
        },
        shift,
        lower_is_activation: lo == levels.zero_point,
    })
}
