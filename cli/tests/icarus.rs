//! A second simulator: Icarus Verilog, which shares no code with Verilator and knows X, runs one
//! inference of the shipped Verilog and gives the golden output.

mod support;

use ndarray::{ArrayD, Axis};
use std::fs;
use std::path::Path;
use std::process::Command;
use support::{compile, read_npz, samples, tree};

/// Enables the design by AXI4-Lite, offers the words of `input.hex` with gaps, takes the output
/// words with gaps and prints them to `output.hex`, one per line.
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
    integer sent = 0, cycle = 0, file;
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
                in_last  <= sent == @WORDS@ - 1;
                sent     <= sent + 1;
            end
        end
        out_ready <= cycle % 3 == 0;
        if (out_valid && out_ready) begin
            $fdisplay(file, "%h", out_data);
            if (out_last) begin
                $fclose(file);
                $finish;
            end
        end
        if (cycle == @LIMIT@) begin
            $display("no end after %0d cycles, %0d words sent", cycle, sent);
            $finish;
        end
    end
endmodule
"#;

/// Clock cycles after which the design is taken to hang.
const LIMIT: u32 = 200_000;

/// Simulates `words` through the design in `dir` and returns the output words.
fn icarus(dir: &Path, standard: &str, words: &[u32]) -> Vec<u32> {
    // the design's memory images are named without a folder
    let mem = dir.join("mem");
    let hex: String = words.iter().map(|w| format!("{w:08x}\n")).collect();
    fs::write(mem.join("input.hex"), hex).expect("the words can be written");
    let bench = BENCH.replace("@WORDS@", &words.len().to_string());
    let bench = bench.replace("@LIMIT@", &LIMIT.to_string());
    fs::write(mem.join("bench.v"), bench).expect("the bench can be written");
    let sources = tree(dir).into_keys().filter(|f| f.starts_with("rtl/")).map(|f| dir.join(f));
    let built = Command::new("iverilog")
        .args([standard, "-Wall", "-Wno-timescale", "-s", "bench", "-o", "bench.vvp", "bench.v"])
        .args(sources)
        .current_dir(&mem)
        .output()
        .expect("iverilog is installed");
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{said}");
    let run = Command::new("vvp").args(["-n", "bench.vvp"]).current_dir(&mem).output();
    let run = run.expect("vvp is installed");
    let printed = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && !printed.contains("no end"), "{printed}");
    let output = fs::read_to_string(mem.join("output.hex")).expect("the output");
    output.lines().map(|l| u32::from_str_radix(l, 16).expect("no X in the output")).collect()
}

/// The first labelled sample as stream words, and its golden output.
fn sample() -> (Vec<u32>, Vec<i8>) {
    let input = read_npz::<i8>(&samples(), "input").index_axis_move(Axis(0), 0);
    let bytes: Vec<u8> = input.iter().map(|&v| v as u8).collect();
    let words = bytes.chunks_exact(4).map(|c| u32::from_le_bytes([c[0], c[1], c[2], c[3]]));
    let golden: ArrayD<i8> = read_npz(&samples(), "output0");
    (words.collect(), golden.index_axis_move(Axis(0), 0).into_iter().collect())
}

/// Compiles the built-in model with `options`, runs the first sample and compares the int8 output.
fn assert_golden(options: &[&str], standard: &str) {
    let (words, golden) = sample();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("out");
    compile("fire-risk", "pynq-z2", options, &out);
    let found = icarus(&out, standard, &words);
    let bytes: Vec<i8> = found.iter().flat_map(|w| w.to_le_bytes()).map(|b| b as i8).collect();
    assert_eq!(bytes, golden);
}

#[test]
fn icarus_gives_the_golden_output() {
    assert_golden(&["--shape", "3x8x4"], "-g2005");
}

#[test]
#[ignore = "Icarus needs minutes for the whole array"]
fn icarus_gives_the_golden_output_of_the_demo_design() {
    assert_golden(&[], "-g2012");
}

#[test]
fn icarus_gives_the_golden_output_through_the_float_boundary() {
    let (words, golden) = sample();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("out");
    compile("fire-risk", "pynq-z2", &["--shape", "5x8x4", "--io", "float"], &out);
    // the input tensor has the scale 1/64 and the zero point -38, as graph.txt says
    let bytes = words.iter().flat_map(|w| w.to_le_bytes()).map(|b| f32::from(b as i8));
    let floats: Vec<u32> = bytes.map(|q| ((q + 38.0) / 64.0).to_bits()).collect();
    let found = icarus(&out, "-g2012", &floats);
    // the output has the scale 1/256 and the zero point -128
    let real = |q: i8| ((f32::from(q) + 128.0) / 256.0).to_bits();
    assert_eq!(found, golden.into_iter().map(real).collect::<Vec<_>>());
}
