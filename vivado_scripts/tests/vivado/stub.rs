//! Runs a script under the recording Vivado stub, in a folder with the files of a small bundle.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use macforge_constraints::out_of_context_xdc;
use macforge_vivado_scripts::SynthScript;

/// A bundle in a temporary folder, one level below it so that the folder's name can be chosen.
pub struct Bundle {
    _temporary: tempfile::TempDir,
    pub root: PathBuf,
}

/// What a run of the stub gave.
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    /// One entry per call: the command and its arguments.
    pub calls: Vec<Vec<String>>,
}

impl Bundle {
    /// An empty bundle in a folder called `name`.
    pub fn new(name: &str) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().join(name);
        fs::create_dir(&root).unwrap();
        Self {
            _temporary: temporary,
            root,
        }
    }

    /// Writes the file `path` below the root.
    pub fn write(&self, path: &str, text: &str) -> &Self {
        let file = self.root.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        self
    }

    /// Writes everything that `script` names, with a top module that has a clock, and the script.
    pub fn fill(&self, script: &SynthScript) -> &Self {
        let mut top = format!(
            "`default_nettype none\n// not a port: input wire fake\nmodule {} #(parameter W = 8) (\n    \
             input  wire         clk,\n    input  wire         rst,\n    \
             input  wire [W-1:0] s_axis_tdata,\n    output reg  [W-1:0] m_axis_tdata\n);\n",
            script.top
        );
        for image in &script.memory_files {
            let name = image.rsplit('/').next().unwrap();
            top.push_str(&format!("    initial $readmemh(\"{name}\", rom);\n"));
            self.write(image, "00\n");
        }
        top.push_str("endmodule\n");
        for source in &script.sources {
            self.write(source, "/* one */ // nothing\n/* two */\n");
        }
        self.write(&script.sources[0], &top);
        self.write(&script.xdc, &out_of_context_xdc(200.0, "clk", "").unwrap());
        self.write("vivado/synth.tcl", &script.render().unwrap())
    }

    /// Runs `vivado/synth.tcl` from the temporary folder above the root.
    pub fn run(&self) -> Outcome {
        self.run_with(&[])
    }

    /// The same with environment variables for the stub.
    pub fn run_with(&self, environment: &[(&str, &str)]) -> Outcome {
        let stub = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vivado_stub.tcl");
        let above = self.root.parent().unwrap();
        let record = above.join("record");
        let output = Command::new("tclsh")
            .arg(stub)
            .arg(&record)
            .arg(self.root.join("vivado/synth.tcl"))
            .envs(environment.iter().copied())
            .current_dir(above)
            .output()
            .expect("tclsh is a required tool of these tests (Debian: apt install tcl)");
        assert!(record.exists(), "the stub did not start: {output:?}");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Outcome {
            code: output.status.code().unwrap(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
            calls: fs::read_to_string(record)
                .unwrap()
                .lines()
                .map(fields)
                .collect(),
        }
    }

    /// Runs `script` (Tcl text) as `vivado/synth.tcl`.
    pub fn run_script(&self, script: &str) -> Outcome {
        self.write("vivado/synth.tcl", script).run()
    }
}

impl Outcome {
    /// The arguments of the only call of `command`.
    pub fn arguments(&self, command: &str) -> &[String] {
        let mut calls = self.calls.iter().filter(|call| call[0] == command);
        let (Some(call), None) = (calls.next(), calls.next()) else {
            panic!("wanted one call of {command}: {:?}", self.calls)
        };
        &call[1..]
    }

    /// Fails unless the run ended with exit code 1 and a message that contains `words`.
    #[track_caller]
    pub fn expect_error(&self, words: &str) {
        assert_eq!(
            self.code, 1,
            "wanted `{words}`; output: {}{}",
            self.stdout, self.stderr
        );
        assert!(
            self.stderr.contains(words),
            "wanted `{words}`: {}",
            self.stderr
        );
    }
}

/// Undoes the record's escapes.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        let last = fields.last_mut().unwrap();
        match c {
            '\t' => fields.push(String::new()),
            '\\' => last.push(match characters.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                _ => '\\',
            }),
            _ => last.push(c),
        }
    }
    fields
}

/// A design of two sources and one memory image.
pub fn design() -> SynthScript {
    SynthScript {
        header: "macforge test".to_owned(),
        top: "accelerator".to_owned(),
        part: "xc7z020clg400-1".to_owned(),
        sources: vec!["rtl/accelerator.v".to_owned(), "rtl/mac.v".to_owned()],
        memory_files: vec!["mem/weights.hex".to_owned()],
        xdc: "constraints/accelerator_ooc.xdc".to_owned(),
    }
}
