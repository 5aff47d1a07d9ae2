//! Memory images for `$readmemh`.

use macforge_plan::{BitWord, HwPlan, LstmLayer};

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

/// Memories of the LSTM unit: weights, scaling of the sums, tables of the activation functions.
pub fn lstm(layer: &LstmLayer) -> [(&'static str, String); 4] {
    let base = layer.tables.base.iter().flatten();
    let delta = layer.tables.delta.iter().flatten();
    [
        ("lstm_weights.mem", image(layer.weight_words().iter())),
        ("lstm_params.mem", image(layer.param_words().iter())),
        ("lstm_base.mem", base.map(|v| format!("{v:x}\n")).collect()),
        (
            "lstm_delta.mem",
            delta.map(|v| format!("{v:x}\n")).collect(),
        ),
    ]
}
