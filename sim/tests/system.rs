//! The system bridge, proved on a small design with the contract's ports and on broken copies of it.

mod support;

use macforge_sim::{
    BuildCache, BuildRequest, Builder, Inference, LayerProbes, Probe, RunOptions, Signal, SimError,
    System, Toolchain,
};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use support::builder;
use tempfile::TempDir;

static GO: AtomicBool = AtomicBool::new(false);
const ADDEND: u8 = 0xf0;

fn design() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verilog/plus_one.v");
    std::fs::read_to_string(path).unwrap()
}

/// Folder with the design and its memory file.
fn folder_with(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("plus_one.v"), text).unwrap();
    std::fs::write(folder.path().join("addend.mem"), format!("{ADDEND:02x}\n")).unwrap();
    folder
}

fn request(folder: &TempDir) -> BuildRequest {
    BuildRequest {
        top: "plus_one".to_owned(),
        sources: vec![folder.path().join("plus_one.v")],
        memory_dir: folder.path().to_owned(),
        layers: None,
        trace: false,
        quick: false,
        memory: None,
    }
}

fn load(text: &str) -> Result<System, SimError> {
    System::build(&request(&folder_with(text)), &builder(), &GO)
}

/// The design with one line changed; the change must apply.
fn broken(from: &str, to: &str) -> System {
    let text = design();
    assert_eq!(text.matches(from).count(), 1, "{from}");
    load(&text.replace(from, to)).unwrap()
}

fn infer(system: &mut System, input: &[u32], options: &RunOptions) -> Result<Inference, SimError> {
    system.infer(input, input.len(), options, &GO, &mut |_| {})
}

fn stalled(seed: u64) -> RunOptions {
    RunOptions {
        stall_seed: Some(seed),
        max_idle_cycles: 20_000,
        precision: None,
    }
}

fn words(count: usize, seed: u32) -> Vec<u32> {
    (0..count as u32)
        .map(|i| (i + seed).wrapping_mul(0x9E37_79B9))
        .collect()
}

fn add(word: u32, step: u8) -> u32 {
    u32::from_le_bytes(word.to_le_bytes().map(|byte| byte.wrapping_add(step)))
}

fn wanted(input: &[u32]) -> Vec<u32> {
    input
        .iter()
        .map(|&word| add(word, ADDEND.wrapping_add(1)))
        .collect()
}

#[test]
fn inferences_follow_each_other_without_reset_and_counters_agree() {
    let mut system = load(&design()).unwrap();
    for count in [1, 2, 5, 64, 3] {
        let input = words(count, 7);
        let result = infer(&mut system, &input, &RunOptions::default()).unwrap();
        let n = u32::try_from(count).unwrap();
        assert_eq!(result.output_words, wanted(&input));
        assert_eq!(result.cycles, 2 * n + 1);
        assert_eq!(result.layer_cycles, [n, n]);
        assert_eq!(result.layer_saturations, [0, u32::from(ADDEND)]);
        assert_eq!(result.stream_cycles, 3 * u64::from(n));
        assert_eq!(result.last_keep, 3);
        assert_eq!(result.output_stall, 0);
        assert!(result.sim_cycles > 4 * u64::from(n));
        assert!(result.snapshots.is_empty());
    }
}

#[test]
fn random_stalls_change_the_counters_and_not_the_outputs() {
    let mut system = load(&design()).unwrap();
    let input = words(64, 1);
    let mut stalls = Vec::new();
    for seed in 0..20 {
        let result = infer(&mut system, &input, &stalled(seed)).unwrap();
        assert_eq!(result.output_words, wanted(&input), "seed {seed}");
        assert_eq!(result.cycles, 129, "seed {seed}");
        stalls.push((result.input_stall, result.output_stall));
    }
    stalls.dedup();
    assert_eq!(stalls.len(), 20, "every seed stalls in its own way");
    assert!(stalls[19].0 > 200 && stalls[19].1 > 200, "{stalls:?}");
}

#[test]
fn the_same_seed_gives_the_same_cycles() {
    let run = || {
        let mut system = load(&design()).unwrap();
        let input = words(40, 3);
        let each = (0..3).map(|_| infer(&mut system, &input, &stalled(5)).unwrap().sim_cycles);
        each.collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

fn probes() -> LayerProbes {
    let signal = |module: &str, hierarchy: &str| Signal {
        module: module.to_owned(),
        hierarchy: hierarchy.to_owned(),
    };
    let memory = |b: u32| Probe {
        signal: signal("byte_ram", &format!("u_store.gen_byte[{b}].u_ram.mem")),
        width: 8,
        depth: 64,
    };
    LayerProbes {
        done: signal("plus_one", "layer_done"),
        index: signal("plus_one", "layer_q"),
        memories: (0..4).map(memory).collect(),
    }
}

#[test]
fn snapshots_show_the_memories_after_every_layer() {
    let folder = folder_with(&design());
    let mut request = request(&folder);
    request.layers = Some(probes());
    let mut system = System::build(&request, &builder(), &GO).unwrap();
    let input = words(10, 5);
    for options in [RunOptions::default(), stalled(1)] {
        let result = infer(&mut system, &input, &options).unwrap();
        assert_eq!(result.output_words, wanted(&input));
        assert_eq!(result.snapshots.len(), 2);
        for (snapshot, (layer, step)) in result.snapshots.iter().zip([(0, 1), (1, ADDEND + 1)]) {
            assert_eq!(snapshot.layer, layer);
            for (i, &word) in input.iter().enumerate() {
                let bytes: Vec<u32> = snapshot.memories.iter().map(|m| m.entry(i)[0]).collect();
                let wanted = add(word, step).to_le_bytes().map(u32::from);
                assert_eq!(bytes, wanted, "layer {layer} word {i}");
            }
        }
    }
}

#[test]
fn probes_that_the_design_does_not_have_are_refused() {
    let folder = folder_with(&design());
    let mut request = request(&folder);
    let mut wrong = probes();
    wrong.memories[1].depth = 63;
    let mut absent = probes();
    absent.memories[2].signal.hierarchy = "u_store.gen_byte[9].u_ram.mem".to_owned();
    let mut no_flag = probes();
    no_flag.done.hierarchy = "u_store.nothing".to_owned();
    for (probes, text) in [
        (wrong, "has 64 entries of 1 bytes, wanted 63 of 8 bits"),
        (absent, "no such signal"),
        (no_flag, "no such signal"),
    ] {
        request.layers = Some(probes);
        let error = System::build(&request, &builder(), &GO)
            .map(drop)
            .unwrap_err();
        assert!(matches!(error, SimError::Probe { .. }), "{error:?}");
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[test]
fn a_trace_build_writes_a_waveform_with_the_same_outputs() {
    let folder = folder_with(&design());
    let mut request = request(&folder);
    let mut plain = System::build(&request, &builder(), &GO).unwrap();
    let file = folder.path().join("wave.fst");
    let error = plain.trace_to(&file).unwrap_err();
    assert!(
        error.to_string().contains("built without traces"),
        "{error}"
    );

    request.trace = true;
    let mut system = System::build(&request, &builder(), &GO).unwrap();
    let nowhere: PathBuf = folder.path().join("absent/wave.fst");
    assert!(system.trace_to(&nowhere).is_err());
    system.trace_to(&file).unwrap();
    let input = words(20, 2);
    let result = infer(&mut system, &input, &RunOptions::default()).unwrap();
    assert_eq!(result.output_words, wanted(&input));
    drop(system);
    let bytes = std::fs::read(&file).unwrap();
    // FST: block type 0 (header), then a big-endian length of 329.
    assert_eq!(bytes[..9], [0, 0, 0, 0, 0, 0, 0, 1, 73]);
    assert!(bytes.len() > 1000);
}

fn protocol_message(mut system: System, options: &RunOptions) -> String {
    match infer(&mut system, &words(64, 1), options) {
        Err(SimError::Protocol { message, .. }) => message,
        other => panic!("not a protocol error: {other:?}"),
    }
}

#[test]
fn a_valid_that_drops_before_ready_is_detected() {
    let system = broken(
        "assign m_axis_tvalid = state_q == S_OUT;",
        "assign m_axis_tvalid = state_q == S_OUT && output_stall_q[1:0] != 2'd3;",
    );
    let message = protocol_message(system, &stalled(3));
    assert!(message.contains("m_axis valid dropped"), "{message}");
}

#[test]
fn a_payload_that_changes_while_stalled_is_detected() {
    let system = broken(
        "assign m_axis_tdata  = word;",
        "assign m_axis_tdata  = word ^ {31'd0, output_stall_q[3]};",
    );
    let message = protocol_message(system, &stalled(3));
    assert!(message.contains("m_axis payload changed"), "{message}");
}

#[test]
fn a_wrong_tlast_or_tkeep_is_detected() {
    let early = broken(
        "m_axis_tlast  = index_q == last_q",
        "m_axis_tlast = index_q == 6'd9",
    );
    let message = protocol_message(early, &RunOptions::default());
    assert!(message.contains("tlast is 1 at word 10 of 64"), "{message}");
    let never = broken("m_axis_tlast  = index_q == last_q", "m_axis_tlast = 1'b0");
    let message = protocol_message(never, &RunOptions::default());
    assert!(message.contains("tlast is 0 at word 64 of 64"), "{message}");
    let keep = broken("m_axis_tlast ? 4'h3 : 4'hf", "m_axis_tlast ? 4'h5 : 4'hf");
    let message = protocol_message(keep, &RunOptions::default());
    assert!(message.contains("tkeep is 0x5"), "{message}");
}

#[test]
fn a_design_that_keeps_talking_or_miscounts_is_detected() {
    let again = broken(
        "if (out_fire && m_axis_tlast) begin\n                        state_q      <= S_IN;",
        "if (out_fire && m_axis_tlast) begin\n                        state_q      <= S_OUT;",
    );
    let message = protocol_message(again, &RunOptions::default());
    assert!(message.contains("after the last of 64"), "{message}");
    let uncounted = broken("inferences_q + 1'b1", "inferences_q + 32'd2");
    let message = protocol_message(uncounted, &RunOptions::default());
    assert!(
        message.contains("INFERENCES register reads 2 after 1"),
        "{message}"
    );
    let other = broken("32'h4D464731", "32'h4D464732");
    let message = protocol_message(other, &RunOptions::default());
    assert!(message.contains("reads 0x4d464732"), "{message}");
}

#[test]
fn a_hanging_design_is_detected() {
    let mut system = broken("if (layer_q) state_q <= S_OUT;", "");
    let options = RunOptions {
        max_idle_cycles: 5000,
        ..RunOptions::default()
    };
    let error = infer(&mut system, &words(8, 1), &options).unwrap_err();
    assert!(matches!(error, SimError::Hang { .. }), "{error:?}");
    assert!(
        error.to_string().contains("8 of 8 input words taken"),
        "{error}"
    );
    let mut deaf = broken("s_axil_arready = !s_axil_rvalid", "s_axil_arready = 1'b0");
    let error = infer(&mut deaf, &words(8, 1), &options).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("register read at 0x000 has no answer"),
        "{error}"
    );
}

#[test]
fn cancel_stops_a_run_and_the_next_inference_starts_afresh() {
    let mut system = broken(
        "if (layer_q) state_q <= S_OUT;",
        "if (layer_q && last_q != 6'd7) state_q <= S_OUT;",
    );
    let cancel = AtomicBool::new(false);
    let mut calls = 0;
    let input = words(8, 1);
    let error = system
        .infer(
            &input,
            8,
            &RunOptions::default(),
            &cancel,
            &mut |progress| {
                calls += 1;
                assert_eq!(progress.input_words, 8);
                if calls == 5 {
                    cancel.store(true, Ordering::Relaxed);
                }
            },
        )
        .unwrap_err();
    assert!(matches!(error, SimError::Cancelled), "{error:?}");
    assert_eq!(calls, 5);
    let input = words(9, 1);
    let result = infer(&mut system, &input, &RunOptions::default()).unwrap();
    assert_eq!(result.output_words, wanted(&input));
}

#[test]
fn a_cancelled_build_leaves_nothing() {
    let cache = tempfile::tempdir().unwrap();
    let builder = Builder::new(Toolchain::discover().unwrap(), BuildCache::at(cache.path()));
    let folder = folder_with(&design());
    let cancel = AtomicBool::new(true);
    let error = System::build(&request(&folder), &builder, &cancel)
        .map(drop)
        .unwrap_err();
    assert!(matches!(error, SimError::Cancelled), "{error:?}");
    let left: Vec<_> = std::fs::read_dir(cache.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_module_with_other_ports_is_refused_with_a_list() {
    let text = design()
        .replace("output wire        irq", "output wire        irq_out")
        .replace("assign irq ", "assign irq_out ")
        .replace(
            "input  wire [3:0]  s_axil_wstrb",
            "input  wire [0:0]  s_axil_wstrb",
        );
    let error = load(&text).map(drop).unwrap_err();
    let SimError::Contract { problems, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(
        *problems,
        [
            "`s_axil_wstrb` is 1 bits wide instead of 4",
            "`irq` is missing",
            "`irq_out` is not part of the contract"
        ]
    );
}

#[test]
fn a_missing_memory_file_is_an_error() {
    let folder = folder_with(&design());
    std::fs::remove_file(folder.path().join("addend.mem")).unwrap();
    let error = System::build(&request(&folder), &builder(), &GO)
        .map(drop)
        .unwrap_err();
    assert!(error.to_string().contains("addend.mem"), "{error}");
}
