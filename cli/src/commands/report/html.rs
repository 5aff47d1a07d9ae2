//! The report as one HTML page that needs no other file.

use super::sections::Section;
use miette::{IntoDiagnostic, Result};
use serde::Serialize;

#[derive(Serialize)]
struct Cell<'a> {
    text: &'a str,
    /// 0 to 100 where the cell is a percentage; drawn as a bar.
    percent: Option<f64>,
}

#[derive(Serialize)]
struct Shown<'a> {
    title: &'a str,
    note: &'a str,
    header: &'a [String],
    rows: Vec<Vec<Cell<'a>>>,
}

/// The page.
pub fn page(heading: &str, sections: &[Section]) -> Result<String> {
    let shown: Vec<Shown> = sections.iter().map(shown).collect();
    let mut context = tera::Context::new();
    context.insert("heading", heading);
    context.insert("version", env!("CARGO_PKG_VERSION"));
    context.insert("sections", &shown);
    let template = include_str!("report.html.tera");
    tera::Tera::one_off(template, &context, true).into_diagnostic()
}

fn shown(section: &Section) -> Shown<'_> {
    let (header, rows) = section.table.parts();
    Shown {
        title: section.title,
        note: &section.note,
        header,
        rows: rows
            .iter()
            .map(|row| row.iter().map(|text| cell(text)).collect())
            .collect(),
    }
}

fn cell(text: &str) -> Cell<'_> {
    let percent = text.strip_suffix(" %").and_then(|n| n.parse::<f64>().ok());
    Cell {
        text,
        percent: percent.map(|p| p.clamp(0.0, 100.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Table;

    #[test]
    fn names_are_escaped_and_percentages_become_bars() {
        let mut table = Table::new(&["layer", "used"]);
        table.row(vec!["<conv>&".into(), "12.5 %".into()]);
        let section = Section {
            title: "Layers",
            table,
            note: String::new(),
        };
        let page = page("a < b", &[section]).expect("the template is complete");
        assert!(page.contains("&lt;conv&gt;&amp;") && page.contains("a &lt; b"));
        assert!(page.contains("--bar: 12.5%"), "{page}");
        assert!(!page.contains("<conv>"));
    }
}
