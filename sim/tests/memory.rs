//! The memory model behind a design's ports: what is written is read back, and every rule that a design can
//! break is noticed. `verilog/write_back.v` does what its input words say.

mod support;

use macforge_sim::{
    BuildRequest, Inference, MemoryModel, MemoryTiming, RunOptions, SimError, System,
};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use support::builder;

static GO: AtomicBool = AtomicBool::new(false);
const BASE: u32 = 0x2000_0000;
/// The image ends, and the room ends, a little before a page does, so that a burst can lie across.
const IMAGE: u32 = 4096 - 64;
const ROOM: u32 = 12288;
/// A page of the room.
const PAGE: u32 = 4096;

fn design() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verilog/write_back.v");
    std::fs::read_to_string(path).unwrap()
}

fn image() -> Vec<u8> {
    (0..IMAGE).map(|i| (i * 7 + i / 256) as u8).collect()
}

/// Fast enough to be nowhere in the way.
const FAST: MemoryTiming = MemoryTiming {
    latency: 10,
    total: 64_000,
    port: 64_000,
    refresh_every: 1,
    refresh_cycles: 0,
};

fn build(text: &str, memory: MemoryModel) -> Result<System, SimError> {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("write_back.v");
    std::fs::write(&source, text).unwrap();
    let request = BuildRequest {
        top: "write_back".to_owned(),
        sources: vec![source],
        memory_dir: folder.path().to_owned(),
        layers: None,
        trace: false,
        quick: true,
        memory: Some(memory),
    };
    System::build(&request, &builder(), &GO)
}

fn load(bits: u32, timing: MemoryTiming) -> System {
    let text = design();
    assert_eq!(text.matches("parameter BUS = 64").count(), 1);
    let text = text.replace("parameter BUS = 64", &format!("parameter BUS = {bits}"));
    let memory = MemoryModel {
        image: image(),
        room: ROOM as usize,
        base: BASE,
        timing,
    };
    build(&text, memory).unwrap()
}

#[derive(Clone, Copy)]
enum Reads {
    AfterResponses,
    AfterBeats,
    WhenOffered,
    AtOnce,
}

#[derive(Clone, Copy)]
enum Fault {
    EarlyLast = 1,
    NoLast,
    Address,
    Data,
    Strobes,
    Last,
    NoAddress,
    NoData,
    Narrow,
    Fixed,
    Stop,
    Peek,
}

/// What the design is told. Offsets are from the base.
#[derive(Clone, Copy)]
struct Job {
    bits: u32,
    write: u32,
    read: u32,
    bursts: u32,
    beats: u32,
    strobes: u32,
    reads: Reads,
    only_read: bool,
    second: bool,
    slow: bool,
    first: u32,
    fault: Option<Fault>,
}

/// Four bursts of four beats, written and read back.
const JOB: Job = Job {
    bits: 64,
    write: PAGE,
    read: PAGE,
    bursts: 4,
    beats: 4,
    strobes: 255,
    reads: Reads::AfterResponses,
    only_read: false,
    second: false,
    slow: false,
    first: 0x0102_0304,
    fault: None,
};

impl Job {
    fn bytes(&self) -> u32 {
        self.bursts * self.beats * self.bits / 8
    }

    fn words(&self) -> Vec<u32> {
        let word = |i: u32| self.first.wrapping_add(i.wrapping_mul(0x9E37_79B9));
        (0..self.bytes() / 4).map(word).collect()
    }

    fn run_with(&self, system: &mut System, seed: Option<u64>) -> Result<Inference, SimError> {
        let control = self.bursts << 24
            | (self.beats - 1) << 16
            | self.strobes << 8
            | (self.reads as u32) << 4
            | u32::from(self.only_read) << 3
            | u32::from(self.second) << 2
            | u32::from(self.slow) << 1;
        let fault = self.fault.map_or(0, |fault| fault as u32);
        let input = [self.write, self.read, control, self.first, fault];
        let options = RunOptions {
            stall_seed: seed,
            max_idle_cycles: 20_000,
            precision: None,
        };
        let words = self.bytes() as usize / 4;
        system.infer(&input, words, &options, &GO, &mut |_| {})
    }

    fn run(&self, system: &mut System) -> Inference {
        self.run_with(system, None).unwrap()
    }

    /// The rule that this job breaks.
    fn broken_rule(&self, system: &mut System, seed: Option<u64>) -> String {
        match self.run_with(system, seed) {
            Err(SimError::Protocol { message, .. }) => message,
            other => panic!("not a protocol error: {other:?}"),
        }
    }

    fn stop(&self, system: &mut System, seed: Option<u64>) -> (u32, &'static str) {
        match self.run_with(system, seed) {
            Err(SimError::Stopped { code, meaning, .. }) => (code, meaning),
            other => panic!("not stopped: {other:?}"),
        }
    }
}

const REFUSED: (u32, &str) = (
    4,
    "the memory answered an activation transfer with an error",
);

/// The bytes of the memory from `offset` on.
fn content(system: &mut System, offset: u32, bytes: u32) -> Vec<u8> {
    let job = Job {
        read: offset,
        bursts: bytes / 8,
        beats: 1,
        only_read: true,
        ..JOB
    };
    let words = job.run(system).output_words;
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[test]
fn what_is_written_is_read_back_through_either_port() {
    for bits in [32, 64] {
        let mut system = load(bits, FAST);
        let (mut written, mut read) = (0, 0);
        let sizes = [(1, 1), (1, 16), (12, 16), (30, 5), (200, 1)];
        for (i, (bursts, beats)) in sizes.into_iter().cycle().take(20).enumerate() {
            let job = Job {
                bits,
                bursts,
                beats,
                second: i % 2 == 1,
                first: i as u32 * 77,
                ..JOB
            };
            let seed = (i >= 10).then_some(i as u64);
            let result = job.run_with(&mut system, seed).unwrap();
            assert_eq!(result.output_words, job.words(), "{bits} bits, run {i}");
            written += u64::from(job.bytes());
            read += u64::from(job.bytes());
            assert_eq!(result.memory_written, written);
            assert_eq!(result.memory_bytes, read);
        }
    }
}

#[test]
fn only_bytes_with_their_strobes_are_written() {
    let mut system = load(64, FAST);
    JOB.run(&mut system);
    let part = Job {
        first: 0x8090_a0b0,
        strobes: 0b1000_0110,
        ..JOB
    };
    let result = part.run(&mut system);
    let bytes =
        |words: Vec<u32>| -> Vec<u8> { words.into_iter().flat_map(u32::to_le_bytes).collect() };
    let (old, new) = (bytes(JOB.words()), bytes(part.words()));
    let wanted = old.iter().zip(&new).enumerate();
    let wanted: Vec<u8> = wanted
        .map(|(i, (old, new))| {
            if part.strobes >> (i % 8) & 1 == 1 {
                *new
            } else {
                *old
            }
        })
        .collect();
    assert_eq!(bytes(result.output_words), wanted);
    assert_eq!(result.memory_written, 16 * (8 + 3));
}

#[test]
fn writes_outside_of_the_room_are_refused_and_change_nothing() {
    let mut system = load(64, FAST);
    let end = IMAGE + ROOM;
    let edges = |system: &mut System| {
        [
            content(system, IMAGE - 64, 128),
            content(system, end - 64, 64),
        ]
    };
    let before = edges(&mut system);
    assert_eq!(before[0][..64], image()[IMAGE as usize - 64..]);
    let unwritten = [&before[0][64..], &before[1]].concat();
    assert!(!unwritten.contains(&0), "{unwritten:?}");
    assert!(unwritten.windows(2).all(|pair| pair[0] != pair[1]));
    let mut outside = Job {
        bursts: 1,
        read: PAGE,
        ..JOB
    };
    for offset in [
        0,
        IMAGE - 32,
        IMAGE - 8,
        end - 24,
        end,
        0u32.wrapping_sub(32),
    ] {
        outside.write = offset;
        for seed in [None, Some(1)] {
            assert_eq!(outside.stop(&mut system, seed), REFUSED, "{offset}");
        }
        assert_eq!(edges(&mut system), before, "{offset}");
    }
    for offset in [IMAGE, end - 32] {
        let job = Job {
            write: offset,
            read: offset,
            ..outside
        };
        assert_eq!(job.run(&mut system).output_words, job.words());
    }
}

#[test]
fn reads_and_writes_of_the_same_bytes_that_might_overtake_each_other_are_noticed() {
    let timing = MemoryTiming {
        latency: 50,
        ..FAST
    };
    let mut system = load(64, timing);
    let reads_early = "reads what is still being written";
    let writes_early = "overwrites what is still being read";
    let write = PAGE + 1024;
    // One beat is both read and written: the last one that is written, or the last one that is read.
    let (last_written, last_read) = (write + JOB.bytes() - 8, write + 8 - JOB.bytes());
    let (last_write, last_burst) = (write + JOB.bytes() - 32, last_read + JOB.bytes() - 32);
    for (reads, read, rule, address) in [
        (Reads::AfterBeats, last_written, reads_early, last_written),
        (Reads::AfterBeats, last_read, reads_early, last_burst),
        (Reads::AtOnce, last_written, writes_early, last_write),
        (Reads::AtOnce, last_read, reads_early, last_burst),
        // Both are requested in the same cycle; the read counts as the first.
        (Reads::AtOnce, write, writes_early, write),
    ] {
        for second in [false, true] {
            let job = Job {
                write,
                read,
                reads,
                second,
                ..JOB
            };
            let message = job.broken_rule(&mut system, None);
            let wanted = format!("burst of 32 bytes at 0x{:x} {rule}", BASE + address);
            assert!(message.starts_with("cycle "), "{message}");
            assert!(message.ends_with(&wanted), "{message}, wanted {wanted}");
        }
    }
}

#[test]
fn what_is_written_can_be_read_once_its_response_is_offered() {
    let mut system = load(64, FAST);
    // The design takes responses in every other cycle, so one of two lengths has to wait.
    for (beats, seed) in [(4, None), (5, None), (4, Some(1)), (4, Some(2))] {
        let job = Job {
            bursts: 1,
            beats,
            reads: Reads::WhenOffered,
            ..JOB
        };
        let result = job.run_with(&mut system, seed).unwrap();
        assert_eq!(result.output_words, job.words());
    }
}

#[test]
fn reads_beside_what_is_written_are_no_hazard() {
    let mut system = load(64, FAST);
    for reads in [Reads::AfterBeats, Reads::AtOnce] {
        for read in [PAGE - JOB.bytes(), PAGE + JOB.bytes()] {
            for seed in [None, Some(3), Some(4)] {
                let job = Job { read, reads, ..JOB };
                job.run_with(&mut system, seed).unwrap();
            }
        }
    }
}

#[test]
fn a_last_flag_at_another_beat_is_noticed() {
    let mut system = load(64, FAST);
    let early = Job {
        fault: Some(Fault::EarlyLast),
        ..JOB
    };
    let message = early.broken_rule(&mut system, None);
    assert!(
        message.contains("wlast is 1 at beat 3 of 4 of the burst at 0x20001000"),
        "{message}"
    );
    let none = Job {
        fault: Some(Fault::NoLast),
        ..JOB
    };
    let message = none.broken_rule(&mut system, None);
    assert!(message.contains("wlast is 0 at beat 4 of 4"), "{message}");
}

#[test]
fn a_request_or_beat_that_changes_while_it_waits_is_noticed() {
    let mut system = load(64, FAST);
    for (fault, wanted) in [
        (Fault::Address, "m_axi_hp aw payload changed"),
        (Fault::NoAddress, "m_axi_hp aw valid dropped"),
        (Fault::Data, "m_axi_hp w payload changed"),
        (
            Fault::Strobes,
            "m_axi_hp w (strobes and last) payload changed",
        ),
        (Fault::Last, "m_axi_hp w (strobes and last) payload changed"),
        (Fault::NoData, "m_axi_hp w valid dropped"),
    ] {
        // The ninth request has to wait.
        let job = Job {
            bursts: 12,
            beats: 2,
            fault: Some(fault),
            ..JOB
        };
        let message = job.broken_rule(&mut system, None);
        assert!(message.contains(wanted), "{message}");
    }
}

#[test]
fn bursts_that_the_port_does_not_take_are_refused() {
    let mut system = load(64, FAST);
    let narrow = Job {
        fault: Some(Fault::Narrow),
        ..JOB
    };
    let fixed = Job {
        fault: Some(Fault::Fixed),
        ..JOB
    };
    let long = Job { beats: 17, ..JOB };
    let odd = Job {
        write: PAGE + 4,
        ..JOB
    };
    let across = Job {
        write: 2 * PAGE - 8,
        ..JOB
    };
    for (job, rule) in [
        (narrow, "has beats narrower than the bus"),
        (fixed, "is not incrementing"),
        (long, "has more than 16 beats"),
        (odd, "is not aligned to its beats"),
        (across, "crosses a page of 4 KB"),
    ] {
        let message = job.broken_rule(&mut system, None);
        assert!(message.contains(rule), "{message}");
    }
}

#[test]
fn a_design_that_gives_up_says_so() {
    let job = Job {
        fault: Some(Fault::Stop),
        ..JOB
    };
    let found = job.stop(&mut load(64, FAST), None);
    assert_eq!(
        found,
        (5, "an activation transfer did not go on for 65536 cycles")
    );
}

#[test]
fn a_reset_forgets_requests_beats_and_responses() {
    let mut system = load(64, FAST);
    for seed in 0..30 {
        let cut_off = Job {
            bursts: 30,
            beats: 1 + seed as u32 % 3,
            fault: Some(Fault::Stop),
            ..JOB
        };
        cut_off.stop(&mut system, Some(seed));
        assert_eq!(JOB.run(&mut system).output_words, JOB.words());
    }
}

#[test]
fn every_write_channel_stalls_in_its_own_way_and_idle_responses_are_noise() {
    let mut system = load(64, FAST);
    let peek = Job {
        fault: Some(Fault::Peek),
        ..JOB
    };
    peek.run(&mut system);
    assert_eq!(peek.stop(&mut system, Some(1)), REFUSED);
    let quiet = JOB.run(&mut system);
    let mut waits = [Vec::new(), Vec::new(), Vec::new()];
    for seed in 0..20 {
        let result = JOB.run_with(&mut system, Some(seed)).unwrap();
        assert_eq!(result.output_words, quiet.output_words, "seed {seed}");
        waits[0].push(result.input_stall);
        waits[1].push(result.output_stall);
        waits[2].push(result.layer_saturations[0]);
    }
    for each in &mut waits {
        each.sort_unstable();
        each.dedup();
        assert!(each.len() > 5, "{waits:?}");
    }
}

/// Cycles of writing and of reading.
fn cycles(job: Job, timing: MemoryTiming) -> [u32; 2] {
    let result = job.run(&mut load(64, timing));
    [result.layer_cycles[0], result.layer_cycles[1]]
}

#[test]
fn a_response_comes_after_the_latency_and_eight_bursts_are_taken_ahead() {
    let slow = |latency| MemoryTiming { latency, ..FAST };
    let writing = |bursts, latency| cycles(Job { bursts, ..JOB }, slow(latency))[0];
    assert_eq!(writing(1, 40) - writing(1, 10), 30);
    assert_eq!(writing(8, 2000) - writing(8, 1000), 1000);
    assert_eq!(writing(9, 2000) - writing(9, 1000), 2000);
}

#[test]
fn write_beats_keep_to_the_rates_of_port_and_memory_and_to_refresh_gaps() {
    let long = |bursts| Job {
        bursts,
        beats: 16,
        read: PAGE + 4096,
        ..JOB
    };
    let writing = |bursts, timing| cycles(long(bursts), timing)[0];
    // One byte per cycle: 16 beats are 128 cycles.
    let port = MemoryTiming { port: 1000, ..FAST };
    let total = MemoryTiming {
        total: 1000,
        ..FAST
    };
    for timing in [port, total] {
        assert_eq!(writing(4, timing) - writing(3, timing), 128);
    }
    // Both directions at once: each has the whole rate of a port, or half of the memory's.
    let both = |bursts, timing| {
        let reads = Reads::AtOnce;
        cycles(
            Job {
                reads,
                ..long(bursts)
            },
            timing,
        )
    };
    for (timing, step) in [(port, 128), (total, 256)] {
        let (three, four) = (both(3, timing), both(4, timing));
        assert_eq!([four[0] - three[0], four[1] - three[1]], [step, step]);
    }
    // A beat of 8 bytes in 32 cycles is within both rates: waiting for it uses nothing up.
    let slow = Job {
        slow: true,
        ..long(2)
    };
    let fast = cycles(slow, FAST)[0];
    let port = MemoryTiming { port: 300, ..FAST };
    let total = MemoryTiming { total: 300, ..FAST };
    assert_eq!([port, total].map(|t| cycles(slow, t)[0]), [fast, fast]);
    // 256 beats at one per cycle and half of the time: at least two whole gaps.
    let gaps = MemoryTiming {
        refresh_every: 200,
        refresh_cycles: 100,
        ..FAST
    };
    let none = MemoryTiming {
        refresh_cycles: 0,
        ..gaps
    };
    assert_eq!((writing(16, gaps) - writing(16, none)) / 100, 2);
}

#[test]
fn ports_that_write_have_all_signals_of_three_channels() {
    let text = design()
        .replace("m_axi_hp1_wlast", "m_axi_hp1_wend")
        .replace(
            "output wire [BUS-1:0]   m_axi_hp1_wdata",
            "output wire [31:0] m_axi_hp1_wdata",
        )
        .replace(
            "words[BUS-1:0] ^ {w_stalled_q && fault_q == F_DATA, {(BUS-1){1'b0}}}",
            "words[31:0] ^ words[63:32]",
        )
        .replace("[BUS/8-1:0] m_axi_hp1_wstrb", "[0:0] m_axi_hp1_wstrb")
        .replace("strobes[7:8-BUS/8]", "strobes[0]");
    let memory = || MemoryModel {
        image: image(),
        room: 0,
        base: BASE,
        timing: FAST,
    };
    let problems = |text: &str| match build(text, memory()).map(drop) {
        Err(SimError::Contract { problems, .. }) => problems,
        other => panic!("not a contract error: {other:?}"),
    };
    assert_eq!(
        problems(&text),
        [
            "`m_axi_hp1_wlast` is missing",
            "`m_axi_hp1_wdata` is 32 bits wide instead of 64",
            "`m_axi_hp1_wstrb` is 1 bits wide instead of 8",
            "`m_axi_hp1_wend` is not part of the contract",
        ]
    );
    // Without the address the other signals are strays.
    let none = problems(&design().replace("m_axi_hp1_awaddr", "m_axi_hp1_address"));
    assert_eq!(none.len(), 16, "{none:?}");
    assert!(
        none.iter()
            .all(|p| p.ends_with("is not part of the contract")),
        "{none:?}"
    );
}

#[test]
fn a_memory_beyond_32_bits_of_address_is_refused() {
    let memory = MemoryModel {
        image: image(),
        room: usize::MAX,
        base: BASE,
        timing: FAST,
    };
    let error = build(&design(), memory).map(drop).unwrap_err();
    assert!(
        error.to_string().contains("do not end below 4 GB"),
        "{error}"
    );
}
