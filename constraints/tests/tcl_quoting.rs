//! What the printer prints, tclsh must read back as the same value. `tclsh` is a required tool: a
//! machine without it fails these tests.

use std::io::Write;
use std::process::{Command as Process, Stdio};

use macforge_constraints::tcl::{Command, Condition, Piece, Script, Word};

/// Output of `tclsh` for `script`, given on its standard input.
fn tclsh(script: &str) -> String {
    assert!(
        script.is_ascii(),
        "scripts must not depend on the reader's locale"
    );
    let mut child = Process::new("tclsh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("tclsh is a required tool of these tests (Debian: apt install tcl)");
    // Written from a thread of its own: both pipes are smaller than what goes through them.
    let mut stdin = child.stdin.take().unwrap();
    let text = script.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{script}");
    String::from_utf8(output.stdout).unwrap()
}

/// `puts` of the UTF-8 bytes of `word` in hexadecimal, one line.
fn dump(word: Word) -> Command {
    let bytes = Command::new("encoding")
        .text("convertto")
        .text("utf-8")
        .word(word);
    let hex = Command::new("binary")
        .text("encode")
        .text("hex")
        .word(Word::call(&bytes));
    Command::new("puts").word(Word::call(&hex))
}

fn hex(text: &str) -> String {
    text.bytes().map(|b| format!("{b:02x}")).collect()
}

/// Every character up to U+024F alone and between others, and 2,000 mixtures of those that mean
/// something to Tcl.
fn samples() -> Vec<String> {
    let singles = (1..0x250).filter_map(char::from_u32);
    let mut samples: Vec<String> = singles
        .flat_map(|c| [c.to_string(), format!("a{c}b"), format!("{c}{c} ")])
        .collect();
    samples.push(String::new());
    let special: Vec<char> = "{}[]\\\"$ ;#~\n\tan0(é語".chars().collect();
    let mut state = 1u64;
    for _ in 0..2000 {
        let mut text = String::new();
        for _ in 0..12 {
            // Knuth's MMIX generator: a fixed seed, so that a failure can be repeated.
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            text.push(special[(state >> 33) as usize % special.len()]);
        }
        samples.push(text);
    }
    samples
}

#[test]
fn every_text_arrives_as_it_was_given() {
    let samples = samples();
    let mut script = Script::new();
    for text in &samples {
        script.command(&dump(Word::text(text)));
    }
    let output = tclsh(&script.to_string());
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.len(), samples.len());
    for (text, line) in samples.iter().zip(lines) {
        assert_eq!(line, hex(text), "{text:?}");
    }
}

#[test]
fn text_next_to_a_variable_neither_joins_its_name_nor_is_substituted() {
    let samples = samples();
    let mut script = Script::new();
    script.set("root", Word::text("/a [b] $c {"));
    for text in &samples {
        let pieces = [
            Piece::Text(text),
            Piece::Variable("root"),
            Piece::Text(text),
        ];
        script.command(&dump(Word::mixed(&pieces)));
    }
    for (text, line) in samples.iter().zip(tclsh(&script.to_string()).lines()) {
        assert_eq!(line, hex(&format!("{text}/a [b] $c {{{text}")), "{text:?}");
    }
}

#[test]
fn long_lists_survive_the_line_breaks_inside_a_body() {
    let samples = samples();
    let list = Word::list(samples.iter().map(|text| Word::text(text)));
    let mut script = Script::new();
    script.set("depth", Word::text("3"));
    script.when(&Condition::less(&Word::variable("depth"), 4), |body| {
        body.comment("a { comment } } that could unbalance the body \\")
            .set("all", list);
    });
    let length = Command::new("llength").word(Word::variable("all"));
    script.command(&dump(Word::call(&length)));
    for i in 0..samples.len() {
        let element = Command::new("lindex")
            .word(Word::variable("all"))
            .text(&i.to_string());
        script.command(&dump(Word::call(&element)));
    }
    let output = tclsh(&script.to_string());
    let mut lines = output.lines();
    assert_eq!(lines.next(), Some(hex(&samples.len().to_string()).as_str()));
    for (text, line) in samples.iter().zip(lines) {
        assert_eq!(line, hex(text), "{text:?}");
    }
}

#[test]
fn conditions_choose_the_branch_that_they_say() {
    let mut script = Script::new();
    for value in ["-0.001", "0.000", "1"] {
        script.set("x", Word::text(value));
        let x = Word::variable("x");
        for (label, condition) in [
            ("less", Condition::less(&x, 0)),
            ("equal", Condition::equal(&x, 0)),
            ("holds", Condition::holds(&x)),
        ] {
            script.when(&condition, |body| {
                body.command(&Command::new("puts").text(&format!("{value} {label}")));
            });
        }
    }
    let expected = "-0.001 less\n-0.001 holds\n0.000 equal\n1 holds\n";
    assert_eq!(tclsh(&script.to_string()), expected);
}

#[test]
fn lines_stay_short_where_words_allow_it() {
    let mut script = Script::new();
    let files = (0..9)
        .map(|i| Word::mixed(&[Piece::Variable("root"), Piece::Text(&format!("/rtl/{i}.v"))]));
    let command = Command::new("read_verilog")
        .flag("sv")
        .word(Word::list(files));
    script.command(&command);
    let text = script.to_string();
    assert!(
        text.starts_with("read_verilog -sv [list \\\n    $root/rtl/0.v \\\n"),
        "{text}"
    );
    assert!(text.ends_with("    $root/rtl/8.v]\n"), "{text}");
}
