//! What Yosys makes of the blocks that hold DSPs computes what their text says.
//!
//! DSP packing is where synthesis has been seen to go wrong (a register moved into a slice and
//! its upper bits lost), and no other test would notice. So the mapped netlist, with Yosys's own
//! models of the primitives, runs beside the text under Icarus, and every output is compared in
//! every cycle. The counts of primitives are checked as well: one DSP for two products, two for a
//! requantizer lane.

use macforge_hdl::VerilogModule;
use macforge_hdl::blocks::{
    RequantLane, add_lane, channel_mul, fp16, high_product, packed_mac, quad_mac,
};
use macforge_numeric::Semantics;
use macforge_numeric::quad_packing::START;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A block, with the widths of its inputs and outputs.
struct Dut {
    modules: Vec<VerilogModule>,
    inputs: &'static [(&'static str, u32)],
    outputs: &'static [(&'static str, u32)],
}

impl Dut {
    fn top(&self) -> &str {
        &self.modules.last().expect("a top module").name
    }
}

fn run(tool: &str, arguments: &[&str], folder: &Path) -> String {
    let output = Command::new(tool)
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect(tool);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{tool} {arguments:?}:\n{text}{errors}"
    );
    text
}

/// A bench that drives text and netlist with the same random inputs, extremes among them.
fn bench(dut: &Dut) -> String {
    let top = dut.top();
    let mut text = String::from("module bench;\n    reg clk = 0;\n    integer i, bad = 0;\n");
    let mut ports = String::from(".clk(clk)");
    for (name, width) in dut.inputs {
        let _ = writeln!(text, "    reg [{}:0] {name};", width - 1);
        let _ = write!(ports, ", .{name}({name})");
    }
    let (mut of_text, mut of_netlist) = (String::new(), String::new());
    for (name, width) in dut.outputs {
        let _ = writeln!(text, "    wire [{0}:0] {name}_t, {name}_n;", width - 1);
        let _ = write!(of_text, ", .{name}({name}_t)");
        let _ = write!(of_netlist, ", .{name}({name}_n)");
    }
    let _ = writeln!(text, "    {top} u_text ({ports}{of_text});");
    let _ = writeln!(text, "    {top}_netlist u_netlist ({ports}{of_netlist});");
    let _ = writeln!(
        text,
        "    initial begin\n        for (i = 0; i < 3000; i = i + 1) begin"
    );
    for (name, width) in dut.inputs {
        let random = "$random, $random";
        let _ = writeln!(text, "            case ($random & 7)");
        let _ = writeln!(text, "                0: {name} = 0;");
        let _ = writeln!(
            text,
            "                1: {name} = {{1'b1, {{{width}{{1'b0}}}}}} >> 1;"
        );
        let _ = writeln!(text, "                2: {name} = {{{width}{{1'b1}}}};");
        let _ = writeln!(
            text,
            "                3: {name} = {{{width}{{1'b1}}}} >> 1;"
        );
        let _ = writeln!(
            text,
            "                default: {name} = {{{random}}};\n            endcase"
        );
    }
    let _ = writeln!(text, "            #5 clk = 1;\n            #5 clk = 0;");
    for (name, _) in dut.outputs {
        let _ = writeln!(
            text,
            "            if (i > 30 && {name}_t !== {name}_n) bad = bad + 1;"
        );
    }
    let _ = writeln!(
        text,
        "        end\n        $display(\"%0d differences\", bad);"
    );
    text + "        $finish;\n    end\nendmodule\n"
}

/// Synthesizes, compares, and returns how many DSP48E1 there are.
fn compare(dut: &Dut) -> usize {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let mut files = Vec::new();
    for m in &dut.modules {
        let name = format!("{}.v", m.name);
        fs::write(folder.join(&name), &m.text).expect("a temporary folder is writable");
        files.push(name);
    }
    let top = dut.top();
    let script = format!(
        "read_verilog {}; synth_xilinx -family xc7 -flatten -noiopad -noclkbuf -top {top}; \
         rename {top} {top}_netlist; write_verilog -noattr netlist.v; \
         select -count t:DSP48E1",
        files.join(" ")
    );
    let said = run("yosys", &["-p", &script], folder);
    let dsps = said
        .lines()
        .rev()
        .find_map(|l| l.strip_suffix(" objects.")?.trim().parse().ok());
    // where Yosys keeps its models: it says so when it reads them
    let models = said
        .lines()
        .find_map(|l| l.split_once("frontend: ")?.1.strip_suffix("cells_sim.v"));
    let models = format!(
        "{}cells_sim.v",
        models.expect("synth_xilinx reads its models")
    );
    fs::write(folder.join("bench.v"), bench(dut)).expect("a temporary folder is writable");
    let mut arguments = vec!["-g2005-sv", "-o", "bench", "bench.v", "netlist.v", &models];
    arguments.extend(files.iter().map(String::as_str));
    run("iverilog", &arguments, folder);
    let said = run("vvp", &["-n", "bench"], folder);
    assert!(said.lines().any(|l| l == "0 differences"), "{top}: {said}");
    dsps.expect("Yosys counts the DSPs")
}

#[test]
fn a_chain_of_four_packed_macs_is_four_dsps() {
    let instance = |j: u32, pcin: &str, p: &str| {
        let (hi, lo) = (8 * j + 7, 8 * j);
        format!(
            "    packed_mac u_mac{j} (.clk(clk), .w1(w1[{hi}:{lo}]), .w0(w0[{hi}:{lo}]), \
             .a(a[{hi}:{lo}]), .pcin({pcin}), .p_q({p}));\n"
        )
    };
    let text = format!(
        "module chain (input wire clk, input wire [31:0] w1, w0, a, output wire [47:0] p);\n\
         \x20   wire signed [47:0] p0, p1, p2;\n{}{}{}{}endmodule\n",
        instance(0, "48'sd0", "p0"),
        instance(1, "p0", "p1"),
        instance(2, "p1", "p2"),
        instance(3, "p2", "p")
    );
    let dut = Dut {
        modules: vec![
            packed_mac::build(),
            VerilogModule {
                name: "chain".into(),
                text,
            },
        ],
        inputs: &[("w1", 32), ("w0", 32), ("a", 32)],
        outputs: &[("p", 48)],
    };
    assert_eq!(compare(&dut), 4);
}

/// Operands, the chain from its constant on, and the split of its sums.
#[test]
fn a_chain_of_eight_quad_macs_is_eight_dsps() {
    let text = format!(
        "module chain (input wire clk, input wire [31:0] w1, w0, a1, a0,\n\
         \x20   output wire [9:0] w0a0, w0a1, w1a0, w1a1);\n\
         \x20   wire [48*9-1:0] p;\n    assign p[47:0] = 48'd{START};\n    genvar j;\n\
         \x20   generate for (j = 0; j < 8; j = j + 1) begin : gen_mac\n        wire [14:0] a;\n\
         \x20       quad_operand u_operand (.a1(a1[4*j +: 4]), .a0(a0[4*j +: 4]), .a(a));\n\
         \x20       quad_mac u_mac (.clk(clk), .w1(w1[4*j +: 4]), .w0(w0[4*j +: 4]), .a(a),\n\
         \x20           .pcin(p[48*j +: 48]), .p_q(p[48*(j+1) +: 48]));\n    end endgenerate\n\
         \x20   quad_split u_split (.p(p[48*8 +: 48]), .w0a0(w0a0), .w0a1(w0a1), .w1a0(w1a0), \
         .w1a1(w1a1));\nendmodule\n"
    );
    let chain = VerilogModule {
        name: "chain".into(),
        text,
    };
    let dut = Dut {
        modules: quad_mac::build().into_iter().chain([chain]).collect(),
        inputs: &[("w1", 32), ("w0", 32), ("a1", 32), ("a0", 32)],
        outputs: &[("w0a0", 10), ("w0a1", 10), ("w1a0", 10), ("w1a1", 10)],
    };
    assert_eq!(compare(&dut), 8);
}

#[test]
fn a_requantizer_lane_is_two_dsps() {
    for semantics in [Semantics::TfliteDouble, Semantics::OrtX86] {
        let lane = RequantLane {
            semantics,
            acc_bits: 25,
            bias_bits: 25,
            fraction_bits: 0,
            wraps: false,
            halves: false,
        };
        let dut = Dut {
            modules: vec![lane.build().unwrap()],
            inputs: &[
                ("acc", 25),
                ("bias", 25),
                ("multiplier", 31),
                ("shift", 6),
                ("double_round", 1),
                ("zero_point", 8),
                ("clamp_lo", 8),
                ("clamp_hi", 8),
                ("lower_is_activation", 1),
            ],
            outputs: &[("q_q", 8), ("saturated_q", 1)],
        };
        assert_eq!(compare(&dut), 2, "{semantics}");
    }
}

#[test]
fn the_high_product_is_four_dsps() {
    let dut = Dut {
        modules: vec![high_product::module().build()],
        inputs: &[("a", 32), ("b", 31)],
        outputs: &[("y", 32)],
    };
    assert_eq!(compare(&dut), 4);
}

#[test]
fn the_residual_adder_needs_no_dsp() {
    let dut = Dut {
        modules: vec![add_lane::build()],
        inputs: &[
            ("a", 8),
            ("b", 8),
            ("mul_a", 25),
            ("mul_b", 25),
            ("offset", 36),
            ("shift", 5),
            ("clamp_lo", 8),
            ("clamp_hi", 8),
            ("lower_is_activation", 1),
        ],
        outputs: &[("q_q", 8), ("saturated_q", 1)],
    };
    assert_eq!(compare(&dut), 0);
}

#[test]
fn the_channel_multiplier_needs_no_dsp() {
    let dut = Dut {
        modules: vec![channel_mul::build()],
        inputs: &[("x", 8), ("w", 8)],
        outputs: &[("product_q", 16), ("carry_q", 1)],
    };
    assert_eq!(compare(&dut), 0);
}

#[test]
fn fp16_blocks_have_the_dsps_that_they_state() {
    let pair: &[_] = &[("a", 16), ("b", 16)];
    let result: &[_] = &[("y_q", 16)];
    for (module, inputs, outputs, dsps) in [
        (fp16::add::module(), pair, result, 0),
        (fp16::mul::module(), pair, result, 1),
        (
            fp16::dequantize::module(),
            &[("acc", 32), ("multiplier", 17), ("exponent", 7)],
            result,
            2,
        ),
        (
            fp16::quantize::module(),
            &[
                ("x", 16),
                ("multiplier", 17),
                ("exponent", 7),
                ("zero_point", 8),
            ],
            &[("q_q", 8), ("saturated_q", 1)],
            1,
        ),
    ] {
        let dut = Dut {
            modules: vec![module.build()],
            inputs,
            outputs,
        };
        assert_eq!(compare(&dut), dsps, "{}", dut.top());
    }
}
