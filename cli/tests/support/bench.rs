//! A bench in Verilog around a design, for simulators that are driven from outside.

use super::{read_npz, samples, tree};
use ndarray::{ArrayD, Axis};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Enables the design by AXI4-Lite, offers the words of `input.hex` with gaps, the next sample while
/// the one before is still computed, takes the output words with gaps and prints them to
/// `output.hex`, one per line.
const BENCH: &str = r#"
`timescale 1ns / 1ps
`default_nettype none
module bench;
    reg clk = 1'b0, rst = 1'b1;
    always #5 clk = !clk;

    reg         aw_valid = 1'b0, w_valid = 1'b0;
    wire        aw_ready, w_ready, b_valid;
    reg  [31:0] in_data;
    reg         in_valid = 1'b0, in_last = 1'b0, out_ready = 1'b0;
    wire        in_ready, out_valid, out_last, irq;
    wire [31:0] out_data;
    wire [3:0]  out_keep;
    macforge_top dut (
        .clk(clk), .rst(rst),
        .s_axil_awaddr(12'h004), .s_axil_awvalid(aw_valid), .s_axil_awready(aw_ready),
        .s_axil_wdata(32'd1), .s_axil_wstrb(4'hf), .s_axil_wvalid(w_valid), .s_axil_wready(w_ready),
        .s_axil_bresp(), .s_axil_bvalid(b_valid), .s_axil_bready(1'b1),
        .s_axil_araddr(12'h000), .s_axil_arvalid(1'b0), .s_axil_arready(),
        .s_axil_rdata(), .s_axil_rresp(), .s_axil_rvalid(), .s_axil_rready(1'b0),
        .s_axis_tdata(in_data), .s_axis_tvalid(in_valid), .s_axis_tready(in_ready), .s_axis_tlast(in_last),
        .m_axis_tdata(out_data), .m_axis_tkeep(out_keep), .m_axis_tvalid(out_valid),
        .m_axis_tready(out_ready), .m_axis_tlast(out_last), .irq(irq)
    );

    reg [31:0] words [0:@WORDS@-1];
    integer sent = 0, cycle = 0, ended = 0, file;
    initial begin
        $readmemh("input.hex", words);
        file = $fopen("output.hex", "w");
    end
    always @(posedge clk) begin
        cycle <= cycle + 1;
        if (cycle == 8) rst <= 1'b0;
        if (cycle == 12) {aw_valid, w_valid} <= 2'b11;
        if (aw_valid && aw_ready) aw_valid <= 1'b0;
        if (w_valid && w_ready) w_valid <= 1'b0;
        // a word stays until it is taken; then nothing is offered in one cycle of seven
        if (!in_valid || in_ready) begin
            in_valid <= 1'b0;
            in_data  <= 32'bx;
            if (cycle > 20 && sent < @WORDS@ && cycle % 7 != 0) begin
                in_valid <= 1'b1;
                in_data  <= words[sent];
                in_last  <= sent % (@WORDS@ / @SAMPLES@) == @WORDS@ / @SAMPLES@ - 1;
                sent     <= sent + 1;
            end
        end
        out_ready <= cycle % 3 == 0;
        if (out_valid && out_ready) begin
            $fdisplay(file, "%h", out_data);
            if (out_last) begin
                ended <= ended + 1;
                if (ended == @SAMPLES@ - 1) begin
                    $fclose(file);
                    $finish;
                end
            end
        end
        if (cycle == @LIMIT@) begin
            $display("no end after %0d cycles, %0d words sent", cycle, sent);
            $finish;
        end
    end
endmodule
"#;

/// Clock cycles per sample after which the design is taken to hang.
const LIMIT: usize = 200_000;

/// Who runs the bench.
#[derive(Clone, Copy, Debug)]
pub enum Simulator {
    /// Icarus Verilog with `-g2005` or `-g2012`.
    Icarus(&'static str),
    /// Verilator.
    Verilator,
}

/// Simulates `words`, the input of `samples` inferences, through the design in `dir`; the output
/// words, or what the bench says.
pub fn run(dir: &Path, by: Simulator, words: &[u32], samples: usize) -> Result<Vec<u32>, String> {
    // the design's memory images are named without a folder
    let mem = dir.join("mem");
    let hex: String = words.iter().map(|w| format!("{w:08x}\n")).collect();
    fs::write(mem.join("input.hex"), hex).expect("the words can be written");
    let bench = BENCH.replace("@WORDS@", &words.len().to_string());
    let bench = bench.replace("@SAMPLES@", &samples.to_string());
    let bench = bench.replace("@LIMIT@", &(LIMIT * samples).to_string());
    fs::write(mem.join("bench.v"), bench).expect("the bench can be written");
    let sources = tree(dir)
        .into_keys()
        .filter(|f| f.starts_with("rtl/"))
        .map(|f| dir.join(f));
    let mut simulation = build(&mem, by, &sources.collect::<Vec<_>>());
    let run = simulation
        .current_dir(&mem)
        .output()
        .expect("the simulation starts");
    let printed = String::from_utf8_lossy(&run.stdout);
    if !run.status.success() || printed.contains("no end") {
        return Err(printed.into_owned());
    }
    let output = fs::read_to_string(mem.join("output.hex")).expect("the output");
    let words = output.lines().map(|l| u32::from_str_radix(l, 16));
    words
        .collect::<Result<_, _>>()
        .map_err(|e| format!("{e}: {output}"))
}

fn build(mem: &Path, by: Simulator, sources: &[PathBuf]) -> Command {
    let (mut builder, simulation) = match by {
        Simulator::Icarus(standard) => {
            let mut builder = Command::new("iverilog");
            builder.args([standard, "-s", "bench", "-o", "bench.vvp"]);
            let mut simulation = Command::new("vvp");
            simulation.args(["-n", "bench.vvp"]);
            (builder, simulation)
        }
        Simulator::Verilator => {
            let mut builder = Command::new("verilator");
            // lints of the bench are no matter here; those of the design have their own test
            builder.args([
                "--binary",
                "--timing",
                "-Wno-lint",
                "-Wno-style",
                "--top-module",
                "bench",
            ]);
            builder.args([
                "-CFLAGS", "-O1", "-j", "1", "--Mdir", "bench", "-o", "bench",
            ]);
            (builder, Command::new(mem.join("bench/bench")))
        }
    };
    let built = builder
        .arg("bench.v")
        .args(sources)
        .current_dir(mem)
        .output();
    let built = built.expect("the simulator is installed");
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    simulation
}

/// The first `count` labelled samples as int8 values, and their golden outputs.
pub fn labelled(count: usize) -> (Vec<i8>, Vec<i8>) {
    let first = |name: &str| {
        let all: ArrayD<i8> = read_npz(&samples(), name);
        let kept: Vec<i8> = all
            .axis_iter(Axis(0))
            .take(count)
            .flatten()
            .copied()
            .collect();
        kept
    };
    (first("input"), first("output0"))
}

/// int8 values as stream words.
pub fn pack(values: &[i8]) -> Vec<u32> {
    let bytes: Vec<u8> = values.iter().map(|&v| v as u8).collect();
    bytes
        .chunks_exact(4)
        .map(|c| u32::from_le_bytes([c[0], c[1], c[2], c[3]]))
        .collect()
}

/// Stream words as int8 values.
pub fn unpack(words: &[u32]) -> Vec<i8> {
    words
        .iter()
        .flat_map(|w| w.to_le_bytes())
        .map(|b| b as i8)
        .collect()
}

/// Values of the built-in model's input (scale 1/64, zero point -38, as `graph.txt` says) as the
/// float32 words that they stand for.
pub fn real_input(values: &[i8]) -> Vec<u32> {
    values
        .iter()
        .map(|&q| ((f32::from(q) + 38.0) / 64.0).to_bits())
        .collect()
}

/// The same for its output (scale 1/256, zero point -128).
pub fn real_output(values: &[i8]) -> Vec<u32> {
    values
        .iter()
        .map(|&q| ((f32::from(q) + 128.0) / 256.0).to_bits())
        .collect()
}
