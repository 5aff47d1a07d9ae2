//! Memory images for `$readmemh`.

use macforge_plan::{BitWord, HwPlan, LstmLayer, LstmSize, LstmTables};

/// One word per line, hexadecimal; a memory without words gets a single zero.
fn image<'a>(words: impl Iterator<Item = &'a BitWord>) -> String {
    let text: String = words.map(|w| w.hex() + "\n").collect();
    if text.is_empty() {
        "0\n".to_string()
    } else {
        text
    }
}

/// Weight images: block RAM, and the tail that lies in LUTs.
pub fn weights(plan: &HwPlan) -> [String; 2] {
    let (block, tail) = plan
        .weights
        .split_at(plan.weights.len() - plan.memories.weight_tail);
    [image(block.iter()), image(tail.iter())]
}

/// Requantizer parameter image.
pub fn params(plan: &HwPlan) -> String {
    image(plan.params.iter())
}

/// Program image.
pub fn program(plan: &HwPlan) -> String {
    let words: Vec<BitWord> = plan.program.iter().map(|l| l.word()).collect();
    image(words.iter())
}

/// Activation table image.
pub fn tables(plan: &HwPlan) -> String {
    plan.layers
        .tables
        .iter()
        .flat_map(|table| table.iter())
        .map(|value| format!("{:02x}\n", *value as u8))
        .collect()
}

/// Memories of the LSTM unit: weights where they are on chip, scaling of the sums, tables of the
/// activation functions. Each set of constants has its part of the first two ([`Units::lstm_parts`]).
///
/// [`Units::lstm_parts`]: macforge_plan::Units::lstm_parts
pub fn lstm(plan: &HwPlan, size: &LstmSize) -> Vec<(&'static str, String)> {
    let layers: Vec<&LstmLayer> = plan.units.lstms(&plan.layers.layers).collect();
    let [weights, params] = &plan.units.lstm_parts;
    // the parts are numbered in the order in which layers first have them
    let words = |parts: &[usize], words: &dyn Fn(&LstmLayer) -> Vec<BitWord>| {
        let mut all: Vec<BitWord> = Vec::new();
        let mut next = 0;
        for (&part, layer) in parts.iter().zip(&layers) {
            if part == next {
                all.extend(words(layer));
                next += 1;
            }
        }
        image(all.iter())
    };
    let mut images = Vec::new();
    if size.parts.is_none() {
        let text = words(weights, &|layer| layer.weight_words(size));
        images.push(("lstm_weights.mem", text));
    }
    images.push(("lstm_params.mem", words(params, &LstmLayer::param_words)));
    // one set of tables for all
    let Some(tables) = layers.first().map(|layer| &layer.tables) else {
        return images;
    };
    match tables {
        LstmTables::Integer(tables) => {
            let base = tables.base.iter().flatten();
            let delta = tables.delta.iter().flatten();
            images.push(("lstm_base.mem", base.map(|v| format!("{v:x}\n")).collect()));
            images.push((
                "lstm_delta.mem",
                delta.map(|v| format!("{v:x}\n")).collect(),
            ));
        }
        LstmTables::Fp16(tanh) => {
            let words = tanh.iter().map(|v| format!("{v:x}\n"));
            images.push(("fp16_tanh.mem", words.collect()));
        }
    }
    images
}
