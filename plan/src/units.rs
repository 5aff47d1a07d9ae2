//! Softmax, LSTM and attention unit are in a design once. Their layers may have different constants, in
//! several precisions or in one: each set of constants has a number, which the program word tells the unit.

use crate::attention::AttentionLayer;
use crate::error::PlanError;
use crate::layers::{HwLayer, LayerKind};
use crate::lower::unsupported;
use crate::lstm::{LstmLayer, LstmTables};
use macforge_numeric::{HalfTables, SoftmaxRule};
use macforge_quant::{LstmArithmetic, LstmGate};

/// The constants of each unit, by number: the index of the first layer that has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Units {
    /// Softmax unit.
    pub softmax: Vec<usize>,
    /// LSTM unit.
    pub lstm: Vec<usize>,
    /// Attention unit.
    pub attention: Vec<usize>,
    /// The part of the LSTM unit's weight memory and of its parameter memory, by number of constants;
    /// equal ones share a part.
    pub lstm_parts: [Vec<usize>; 2],
    /// The number of each layer's constants; 0 for those without.
    pub numbers: Vec<usize>,
}

impl Units {
    /// Of these layers.
    pub fn new(layers: &[HwLayer]) -> Self {
        let mut units = Units {
            softmax: vec![],
            lstm: vec![],
            attention: vec![],
            lstm_parts: [vec![], vec![]],
            numbers: vec![],
        };
        for (index, layer) in layers.iter().enumerate() {
            let known = match layer.kind {
                LayerKind::Softmax(_) => &mut units.softmax,
                LayerKind::Lstm(_) => &mut units.lstm,
                LayerKind::Attention(_) => &mut units.attention,
                _ => {
                    units.numbers.push(0);
                    continue;
                }
            };
            let same = |&i: &usize| layers[i].kind == layer.kind;
            units.numbers.push(number(known, index, same));
        }
        let lstms: Vec<&LstmLayer> = units.lstms(layers).collect();
        units.lstm_parts = [
            parts(&lstms, |l| l.lstm.gates.each_ref().map(weights)),
            parts(&lstms, LstmLayer::param_words),
        ];
        units
    }

    /// Parts of the LSTM unit's weight memory and of its parameter memory.
    pub fn lstm_stored(&self) -> [usize; 2] {
        let count = |parts: &Vec<usize>| parts.iter().max().map_or(0, |last| last + 1);
        self.lstm_parts.each_ref().map(count)
    }

    /// Most sets of constants that a unit has.
    pub fn most(&self) -> usize {
        let counts = [&self.softmax, &self.lstm, &self.attention].map(Vec::len);
        counts.into_iter().fold(1, usize::max)
    }

    /// The softmax unit's rules, by number.
    pub fn softmaxes(&self, layers: &[HwLayer]) -> Vec<SoftmaxRule> {
        let rule = |&i: &usize| match layers[i].kind {
            LayerKind::Softmax(rule) => Some(rule),
            _ => None,
        };
        self.softmax.iter().filter_map(rule).collect()
    }

    /// The LSTM unit's layers, by number.
    pub fn lstms<'a>(&self, layers: &'a [HwLayer]) -> impl Iterator<Item = &'a LstmLayer> {
        self.lstm.iter().filter_map(|&i| layers[i].lstm())
    }

    /// The attention unit's layers, by number.
    pub fn attentions<'a>(
        &self,
        layers: &'a [HwLayer],
    ) -> impl Iterator<Item = &'a AttentionLayer> {
        self.attention.iter().filter_map(|&i| layers[i].attention())
    }
}

/// The number of what is `same` among the known ones, or a new one for `index`.
fn number(known: &mut Vec<usize>, index: usize, same: impl FnMut(&usize) -> bool) -> usize {
    known.iter().position(same).unwrap_or_else(|| {
        known.push(index);
        known.len() - 1
    })
}

fn weights(gate: &LstmGate) -> [&[i8]; 2] {
    [&gate.input_weights, &gate.recurrent_weights]
}

/// The parts of a memory that hold something of each layer; what is equal has one part.
fn parts<'a, T: PartialEq>(
    lstms: &[&'a LstmLayer],
    content: impl Fn(&'a LstmLayer) -> T,
) -> Vec<usize> {
    if let [_] = lstms {
        return vec![0];
    }
    let contents: Vec<T> = lstms.iter().map(|l| content(l)).collect();
    let mut known = Vec::new();
    let part = |i| number(&mut known, i, |&k| contents[k] == contents[i]);
    (0..contents.len()).map(part).collect()
}

const ONE_UNIT: &str =
    "the precisions of a design are quantizations of one network, and share its units";

/// Gives all LSTM layers the unit's products per cycle and tables.
///
/// # Errors
/// A layer that the unit of the first layer of its kind cannot run, because its size or its arithmetic is
/// another one.
pub fn share(layers: &mut [HwLayer]) -> Result<(), PlanError> {
    let first = layers.iter().find_map(HwLayer::attention).map(|a| a.size);
    for layer in &*layers {
        if let Some(attention) = layer.attention().filter(|a| Some(a.size) != first) {
            let found = format!("attention of another size ({:?})", attention.size);
            return Err(unsupported(&layer.source, found, ONE_UNIT));
        }
    }
    share_lstm(layers)
}

fn share_lstm(layers: &mut [HwLayer]) -> Result<(), PlanError> {
    let all: Vec<(&str, &LstmLayer)> = (layers.iter())
        .filter_map(|l| Some((l.source.as_str(), l.lstm()?)))
        .collect();
    let Some((&(_, first), others)) = all.split_first().filter(|(_, others)| !others.is_empty())
    else {
        return Ok(());
    };
    let size = |l: &LstmLayer| [l.length, l.lstm.inputs, l.lstm.units];
    for (source, lstm) in others {
        let [[length, inputs, units], wanted] = [size(lstm), size(first)];
        if size(lstm) != wanted {
            let found = format!(
                "an LSTM of {length} steps, {inputs} inputs and {units} units; {wanted:?} in the first precision"
            );
            return Err(unsupported(source, found, ONE_UNIT));
        }
        if lstm.cell_bits().is_some() != first.cell_bits().is_some() {
            return Err(unsupported(
                source,
                "an LSTM with FP16 state here and one of integers there".into(),
                "the design has one LSTM unit, with one arithmetic; make a design per arithmetic",
            ));
        }
    }
    let parallel = all.iter().map(|(_, l)| l.parallel).max().unwrap_or(1);
    let bits: Vec<u32> = all.iter().filter_map(|(_, l)| l.cell_bits()).collect();
    let tables =
        (bits.iter().any(|b| *b != bits[0])).then(|| LstmTables::Integer(HalfTables::new(&bits)));
    for layer in layers {
        if let LayerKind::Lstm(lstm) = &mut layer.kind {
            lstm.parallel = parallel;
            if let Some(tables) = &tables {
                lstm.tables = tables.clone();
            }
        }
    }
    Ok(())
}

impl LstmLayer {
    /// Integer bits of the cell state; `None` where it is FP16.
    pub fn cell_bits(&self) -> Option<u32> {
        match &self.lstm.rule {
            LstmArithmetic::Integer(rule) => Some(rule.cell_integer_bits),
            LstmArithmetic::Fp16(_) => None,
        }
    }
}
