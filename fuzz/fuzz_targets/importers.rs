//! A model file of any format, from its bytes to the integer graph. Nothing may panic.
//!
//! ```text
//! cargo +nightly fuzz run importers FOLDER_OF_SEEDS -- -max_total_time=600 -rss_limit_mb=2048
//! ```

#![no_main]

use libfuzzer_sys::fuzz_target;
use macforge_model::{Imported, from_bytes};

fuzz_target!(|file: &[u8]| {
    let Ok(model) = from_bytes("fuzz", file) else {
        return;
    };
    if let Imported::Onnx(graph) = &model {
        let _ = graph.to_bytes();
    }
    let _ = macforge_quant::lower(&model, None);
});
