//! The block bridge, proved on small modules.

mod support;

use macforge_sim::{BlockSource, BuildCache, Builder, SimError, Toolchain, VectorInput, lint};
use std::ffi::OsStr;
use support::builder;

const MULTIPLIER: &str = "
`default_nettype none
module mul #(parameter W = 16) (
    input wire clk,
    input wire signed [W-1:0] a,
    input wire signed [W-1:0] b,
    output reg signed [2*W-1:0] p
);
    reg signed [2*W-1:0] m_q;
    always @(posedge clk) begin
        m_q <= a * b;
        p <= m_q;
    end
endmodule
";

fn multiplier(width: u32) -> BlockSource {
    BlockSource::new("mul")
        .text("mul.v", MULTIPLIER)
        .parameter("W", width)
}

#[test]
fn every_8_bit_product_comes_out_of_the_pipeline() {
    let mut dut = multiplier(8).build_with(&builder()).unwrap();
    let (mut a, mut b, mut products) = (Vec::new(), Vec::new(), Vec::new());
    for x in i8::MIN..=i8::MAX {
        for y in i8::MIN..=i8::MAX {
            a.push(u64::from(x.cast_unsigned()));
            b.push(u64::from(y.cast_unsigned()));
            products.push(u64::from((i16::from(x) * i16::from(y)).cast_unsigned()));
        }
    }
    let inputs = [
        VectorInput {
            port: "a",
            values: &a,
        },
        VectorInput {
            port: "b",
            values: &b,
        },
    ];
    let outputs = dut.run_vectors(Some("clk"), 2, &inputs, &["p"]).unwrap();
    assert_eq!(outputs, [products]);
}

#[test]
fn poke_tick_peek_shows_each_pipeline_stage() {
    let mut dut = multiplier(32).build_with(&builder()).unwrap();
    dut.poke_signed("a", i64::from(i32::MIN)).unwrap();
    dut.poke_signed("b", i64::from(i32::MAX)).unwrap();
    dut.tick("clk").unwrap();
    assert_eq!(dut.peek_signed("p").unwrap(), 0);
    dut.tick("clk").unwrap();
    let product = i64::from(i32::MIN) * i64::from(i32::MAX);
    assert_eq!(dut.peek_signed("p").unwrap(), product);
    assert_eq!(dut.peek("p").unwrap(), product.cast_unsigned());
}

#[test]
fn combinational_and_wide_ports_keep_every_bit() {
    let text = "module swap(input wire [99:0] d, output wire [99:0] q);\n assign q = {d[49:0], d[99:50]};\nendmodule\n";
    let source = BlockSource::new("swap").text("swap.v", text);
    let mut dut = source.build_with(&builder()).unwrap();
    let value: u128 = 0x9_8765_4321_0fed_cba9_8765_4321;
    let split = |v: u128| [v as u64, (v >> 64) as u64];
    let half = (1u128 << 50) - 1;
    let swapped = |v: u128| ((v & half) << 50) | (v >> 50 & half);
    let value = value & ((1 << 100) - 1);
    dut.poke_chunks("d", &split(value)).unwrap();
    dut.eval().unwrap();
    assert_eq!(dut.peek_chunks("q").unwrap(), split(swapped(value)));

    let vectors = [0, 1, value, (1 << 100) - 1, 1 << 99];
    let values: Vec<u64> = vectors.iter().flat_map(|&v| split(v)).collect();
    let wanted: Vec<u64> = vectors.iter().flat_map(|&v| split(swapped(v))).collect();
    let inputs = [VectorInput {
        port: "d",
        values: &values,
    }];
    assert_eq!(dut.run_vectors(None, 0, &inputs, &["q"]).unwrap(), [wanted]);
}

#[test]
fn values_that_do_not_fit_are_refused() {
    let mut dut = multiplier(8).build_with(&builder()).unwrap();
    for error in [
        dut.poke("a", 256),
        dut.poke_signed("a", 128),
        dut.poke_signed("a", -129),
        dut.poke("p", 0),
        dut.poke("nothing", 0),
        dut.tick("a"),
    ] {
        assert!(matches!(error, Err(SimError::Port { .. })), "{error:?}");
    }
    let inputs = [VectorInput {
        port: "a",
        values: &[1, 2, 256],
    }];
    let error = dut
        .run_vectors(Some("clk"), 2, &inputs, &["p"])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "port `a` of `mul`: vector 2 does not fit 8 bits"
    );
}

const ROM: &str = "
module rom(input wire [1:0] a, output wire [7:0] q);
    reg [7:0] mem [0:3];
    initial $readmemh(\"images/rom.hex\", mem);
    assign q = mem[a];
endmodule
";

#[test]
fn memory_files_are_read_from_the_given_folder_at_start() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("images")).unwrap();
    let image = folder.path().join("images/rom.hex");
    let source = BlockSource::new("rom")
        .text("rom.v", ROM)
        .memory_dir(folder.path());

    let missing = source.build_with(&builder()).map(drop).unwrap_err();
    assert!(missing.to_string().contains("images/rom.hex"), "{missing}");

    for content in [[1u64, 2, 0xfe, 0xff], [9, 8, 7, 6]] {
        let text: Vec<String> = content.iter().map(|v| format!("{v:02x}")).collect();
        std::fs::write(&image, text.join("\n")).unwrap();
        let error = source.build_with(&builder()).map(drop).unwrap_err();
        assert!(
            error.to_string().contains("does not end with a newline"),
            "{error}"
        );
        std::fs::write(&image, text.join("\n") + "\n").unwrap();
        let mut dut = source.build_with(&builder()).unwrap();
        let inputs = [VectorInput {
            port: "a",
            values: &[0, 1, 2, 3],
        }];
        assert_eq!(
            dut.run_vectors(None, 0, &inputs, &["q"]).unwrap(),
            [content]
        );
    }
}

#[test]
fn a_second_build_of_the_same_text_is_a_cache_hit_and_other_text_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let builder = Builder::new(
        Toolchain::discover().unwrap(),
        BuildCache::at(folder.path()),
    );
    let cached = |source: BlockSource| source.build_with(&builder).unwrap().build_info().cached;
    assert!(!cached(multiplier(4)));
    assert!(cached(multiplier(4)));
    assert!(!cached(multiplier(5)));
    let other = MULTIPLIER.replace("a * b", "a * b + 1");
    assert!(!cached(
        BlockSource::new("mul")
            .text("mul.v", other)
            .parameter("W", 4)
    ));
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.starts_with('.'), "{name} was left behind");
    }
}

#[test]
fn concurrent_builds_of_one_module_all_succeed() {
    let builder = builder();
    std::thread::scope(|scope| {
        let build = || multiplier(6).build_with(&builder).unwrap().ports().len();
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(build)).collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), 4);
        }
    });
}

#[test]
fn verilog_errors_and_warnings_come_back_in_verilators_words() {
    for (text, wanted) in [
        (
            "module bad(input wire a, output wire q)\n assign q = a;\nendmodule\n",
            "bad.v:2",
        ),
        (
            "module bad(input wire [3:0] a, output wire q);\n assign q = a;\nendmodule\n",
            "%Warning-WIDTH: bad.v:2",
        ),
        (
            "module good(input wire a, output wire q);\n assign q = a;\nendmodule\n",
            "bad",
        ),
    ] {
        let source = BlockSource::new("bad").text("bad.v", text);
        let error = source.build_with(&builder()).map(drop).unwrap_err();
        assert!(matches!(error, SimError::Verilator { .. }), "{error:?}");
        assert!(error.to_string().contains(wanted), "{error}");
    }
}

#[test]
fn nothing_is_left_in_the_cache_after_a_failed_build() {
    let folder = tempfile::tempdir().unwrap();
    let builder = Builder::new(
        Toolchain::discover().unwrap(),
        BuildCache::at(folder.path()),
    );
    let source = BlockSource::new("bad").text("bad.v", "module bad; syntax error");
    source.build_with(&builder).map(drop).unwrap_err();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn folders_of_killed_builds_are_swept_and_those_of_running_ones_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let dead = folder.path().join(format!(".building-{}-x", child.id()));
    let alive = folder
        .path()
        .join(format!(".building-{}-x", std::process::id()));
    std::fs::create_dir(&dead).unwrap();
    std::fs::create_dir(&alive).unwrap();
    let builder = Builder::new(
        Toolchain::discover().unwrap(),
        BuildCache::at(folder.path()),
    );
    let source = BlockSource::new("bad").text("bad.v", "module bad; syntax error");
    source.build_with(&builder).map(drop).unwrap_err();
    assert!(!dead.exists());
    assert!(alive.exists());
}

#[test]
fn missing_tools_say_how_to_get_them() {
    let error = Toolchain::discover_in(OsStr::new("/nonexistent")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "verilator was not found; install it with `apt-get install verilator clang`"
    );
    let folder = tempfile::tempdir().unwrap();
    let verilator = Toolchain::discover().unwrap().verilator().to_owned();
    std::os::unix::fs::symlink(verilator, folder.path().join("verilator")).unwrap();
    let error = Toolchain::discover_in(folder.path().as_os_str()).unwrap_err();
    assert!(error.to_string().contains("C++ compiler"), "{error}");
}

#[test]
fn gcc_serves_where_there_is_no_clang() {
    let folder = tempfile::tempdir().unwrap();
    let tools = Toolchain::discover().unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let Some(gcc) = std::env::split_paths(&path)
        .map(|folder| folder.join("g++"))
        .find(|path| path.is_file())
    else {
        println!("skipped: no g++ here");
        return;
    };
    std::os::unix::fs::symlink(tools.verilator(), folder.path().join("verilator")).unwrap();
    std::os::unix::fs::symlink(gcc, folder.path().join("g++")).unwrap();
    let tools = Toolchain::discover_in(folder.path().as_os_str()).unwrap();
    assert!(tools.compiler().ends_with("g++"));
    let cache = BuildCache::at(folder.path().join("cache"));
    let mut dut = multiplier(8)
        .build_with(&Builder::new(tools, cache))
        .unwrap();
    let inputs = [
        VectorInput {
            port: "a",
            values: &[0x80, 0x7f],
        },
        VectorInput {
            port: "b",
            values: &[0x80, 0xff],
        },
    ];
    let outputs = dut.run_vectors(Some("clk"), 2, &inputs, &["p"]).unwrap();
    assert_eq!(outputs, [[0x4000, 0xff81]]);
}

#[test]
fn another_tool_of_that_name_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (name, target) in [("verilator", "/bin/echo"), ("g++", "/bin/true")] {
        std::os::unix::fs::symlink(target, folder.path().join(name)).unwrap();
    }
    let error = Toolchain::discover_in(folder.path().as_os_str()).unwrap_err();
    assert!(error.to_string().contains("5.006 or later"), "{error}");
}

#[test]
fn a_design_that_stops_is_an_error_and_not_the_end_of_the_process() {
    let text = "module stop(input wire clk, input wire go);\n always @(posedge clk) if (go) $fatal(1, \"gone\");\nendmodule\n";
    let source = BlockSource::new("stop").text("stop.v", text);
    let mut dut = source.build_with(&builder()).unwrap();
    dut.tick("clk").unwrap();
    dut.poke("go", 1).unwrap();
    let error = dut.tick("clk").unwrap_err();
    assert!(matches!(error, SimError::Fatal { .. }), "{error:?}");
}

#[test]
fn lint_accepts_clean_text_and_shows_every_other_warning() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wire_through.v");
    let clean = "module wire_through(input wire a, output wire q);\n assign q = a;\nendmodule\n";
    std::fs::write(&path, clean).unwrap();
    lint("wire_through", std::slice::from_ref(&path), &builder()).unwrap();
    std::fs::write(
        &path,
        clean.replace("assign q = a;", "wire w = a; assign q = a;"),
    )
    .unwrap();
    let error = lint("wire_through", &[path], &builder()).unwrap_err();
    assert!(error.to_string().contains("UNUSED"), "{error}");
}
