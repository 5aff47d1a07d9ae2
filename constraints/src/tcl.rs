//! Words, commands and scripts of Tcl, printed so that every value arrives as it was given.
//!
//! The rules printed here are those of the Tcl(n) manual page ("dodekalogue"): a word is bare where
//! no character of it means anything to Tcl, braced where it is plain text, and quoted with
//! backslashes where it mixes text with variables. The output is ASCII: other characters become
//! `\uXXXX`, so that the reader's locale does not matter.

use std::fmt::{self, Display, Write as _};

/// Lines are broken before this column where a word boundary allows it.
const WIDTH: usize = 100;

/// One word of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word(Form);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    /// As it is printed.
    Printed(String),
    /// The result of `[list ...]`; kept apart so that long ones can be printed over several lines.
    List(Vec<Word>),
}

/// A part of a word that mixes text and variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Text, taken as it is.
    Text(&'a str),
    /// The value of the variable of that name (a plain identifier).
    Variable(&'a str),
}

impl Word {
    /// The word whose value is `text`, whatever characters it has. Characters above U+FFFF print
    /// as a surrogate pair, which Tcl before 8.7 does not join.
    pub fn text(text: &str) -> Self {
        if !text.is_empty() && text.chars().all(is_plain) {
            Self(Form::Printed(text.to_owned()))
        } else if text
            .chars()
            .all(|c| (' '..='~').contains(&c) && !"{}\\".contains(c))
        {
            Self(Form::Printed(format!("{{{text}}}")))
        } else {
            Self::mixed(&[Piece::Text(text)])
        }
    }

    /// The value of variable `name`, as one word.
    pub fn variable(name: &str) -> Self {
        Self::mixed(&[Piece::Variable(name)])
    }

    /// The pieces one after the other, as one word.
    pub fn mixed(pieces: &[Piece]) -> Self {
        let plain = pieces.iter().all(|piece| match piece {
            Piece::Text(text) => text.chars().all(is_plain),
            Piece::Variable(_) => true,
        });
        let mut printed = String::new();
        for (i, piece) in pieces.iter().enumerate() {
            match piece {
                Piece::Text(text) => text.chars().for_each(|c| push_quoted(&mut printed, c)),
                Piece::Variable(name) => {
                    let next = pieces.get(i + 1).and_then(|p| match p {
                        Piece::Text(text) => text.chars().next(),
                        Piece::Variable(_) => None,
                    });
                    let joins = |c: char| c.is_ascii_alphanumeric() || "_:(".contains(c);
                    if next.is_some_and(joins) {
                        let _ = write!(printed, "${{{name}}}");
                    } else {
                        let _ = write!(printed, "${name}");
                    }
                }
            }
        }
        if !plain || printed.is_empty() {
            printed = format!("\"{printed}\"");
        }
        Self(Form::Printed(printed))
    }

    /// The result of `command`, as one word.
    pub fn call(command: &Command) -> Self {
        Self(Form::Printed(format!("[{command}]")))
    }

    /// The Tcl list of `words`, as one word: what a Vivado argument wants that takes several
    /// objects, and also where there is only one, because Vivado splits such arguments at spaces.
    pub fn list(words: impl IntoIterator<Item = Word>) -> Self {
        Self(Form::List(words.into_iter().collect()))
    }
}

impl Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.0 {
            Form::Printed(text) => f.write_str(text),
            Form::List(words) => {
                f.write_str("[list")?;
                words.iter().try_for_each(|word| write!(f, " {word}"))?;
                f.write_str("]")
            }
        }
    }
}

/// Characters that mean nothing to Tcl anywhere in a word.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_-./:+,=@%*".contains(c)
}

/// `c` for use between double quotes and inside a braced body.
fn push_quoted(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        '"' | '\\' | '$' | '[' | ']' | '{' | '}' => out.extend(['\\', c]),
        ' '..='~' => out.push(c),
        _ => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
}

/// A command: its name and its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command(Vec<Word>);

impl Command {
    /// The command `name` without arguments.
    pub fn new(name: &str) -> Self {
        Self(vec![Word::text(name)])
    }

    /// With `word` appended.
    pub fn word(mut self, word: Word) -> Self {
        self.0.push(word);
        self
    }

    /// With the text `text` appended as one word.
    pub fn text(self, text: &str) -> Self {
        self.word(Word::text(text))
    }

    /// With the flag `-name` appended.
    pub fn flag(self, name: &str) -> Self {
        self.word(Word::text(&format!("-{name}")))
    }

    /// With `-name value` appended.
    pub fn option(self, name: &str, value: Word) -> Self {
        self.flag(name).word(value)
    }
}

impl Display for Command {
    /// On one line.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for (i, word) in self.0.iter().enumerate() {
            let gap = if i == 0 { "" } else { " " };
            write!(f, "{gap}{word}")?;
        }
        Ok(())
    }
}

/// The unbreakable parts of `word`, each with whether it wants a line of its own.
fn tokens(word: &Word) -> Vec<(String, bool)> {
    let Form::List(words) = &word.0 else {
        return vec![(word.to_string(), false)];
    };
    let mut tokens = vec![("[list".to_owned(), false)];
    tokens.extend(words.iter().map(|word| (word.to_string(), true)));
    tokens.last_mut().expect("starts with `[list`").0.push(']');
    tokens
}

/// A condition of `if`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition(String);

impl Condition {
    /// `left < right`.
    pub fn less(left: &Word, right: i64) -> Self {
        Self(format!("{left} < {right}"))
    }

    /// `left == right`.
    pub fn equal(left: &Word, right: i64) -> Self {
        Self(format!("{left} == {right}"))
    }

    /// `word` is a Tcl boolean that is true.
    pub fn holds(word: &Word) -> Self {
        Self(word.to_string())
    }
}

/// A script under construction; prints itself with a newline after each command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    text: String,
    depth: usize,
}

impl Script {
    /// The empty script.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends comment lines. Braces, backslashes and non-ASCII characters are replaced, since in a
    /// comment they could unbalance a body or swallow the next line.
    pub fn comment(&mut self, text: &str) -> &mut Self {
        for line in text.lines() {
            let line: String = line
                .chars()
                .map(|c| match c {
                    '{' => '(',
                    '}' => ')',
                    '\\' => '/',
                    ' '..='~' => c,
                    _ => '?',
                })
                .collect();
            self.line(format!("# {line}").trim_end());
        }
        self
    }

    /// Appends an empty line.
    pub fn blank(&mut self) -> &mut Self {
        self.text.push('\n');
        self
    }

    /// Appends `command`: on one line if it fits, else broken between words, with the elements of a
    /// list on lines of their own.
    pub fn command(&mut self, command: &Command) -> &mut Self {
        let indent = 4 * self.depth;
        let whole = command.to_string();
        if indent + whole.len() <= WIDTH {
            return self.line(&whole);
        }
        let mut line = String::new();
        for (text, own_line) in command.0.iter().flat_map(tokens) {
            let full = indent + line.len() + 1 + text.len() + " \\".len() > WIDTH;
            if line.is_empty() {
                line = text;
            } else if own_line || full {
                self.line(&format!("{line} \\"));
                line = format!("    {text}");
            } else {
                line = format!("{line} {text}");
            }
        }
        self.line(&line)
    }

    /// Appends `set name value`.
    pub fn set(&mut self, name: &str, value: Word) -> &mut Self {
        self.command(&Command::new("set").text(name).word(value))
    }

    /// Appends `if {condition} {body}`.
    pub fn when(&mut self, condition: &Condition, body: impl FnOnce(&mut Self)) -> &mut Self {
        self.line(&format!("if {{{}}} {{", condition.0));
        self.depth += 1;
        body(self);
        self.depth -= 1;
        self.line("}")
    }

    fn line(&mut self, line: &str) -> &mut Self {
        let indent = if line.is_empty() { 0 } else { 4 * self.depth };
        let _ = writeln!(self.text, "{:indent$}{line}", "");
        self
    }
}

impl Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.text)
    }
}
