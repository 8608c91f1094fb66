//! The report as Markdown: every figure becomes a table of its numbers.

use super::{Align, Block, Column, Report, Table, lines, roofline, waterfall};
use crate::verdict::Verdict;

/// Heading of the column with the study's recomputed figures.
pub(super) const RECOMPUTED: &str = "recomputed from published data";

/// Renders a report as Markdown.
#[must_use]
pub fn markdown(report: &Report) -> String {
    let mut text = format!("# {}\n\n{}\n", escape(&report.title), escape(&report.subtitle));
    for section in &report.sections {
        text += &format!("\n## {}\n", escape(&section.title));
        if !section.intro.is_empty() {
            text += &format!("\n{}\n", escape(&section.intro));
        }
        for block in &section.blocks {
            text += &block_markdown(block);
        }
    }
    text += "\n## Provenance\n\n";
    for (key, value) in &report.provenance {
        text += &format!("- {}: {}\n", escape(key), escape(value));
    }
    text
}

/// A pipe table, padded so that it is readable as plain text.
#[must_use]
pub fn table(table: &Table) -> String {
    let cell = |text: &str| escape(text);
    let heads: Vec<String> = table.columns.iter().map(|c| cell(&c.title)).collect();
    let rows: Vec<Vec<String>> = table.rows.iter().map(|r| r.iter().map(|c| cell(c)).collect()).collect();
    let width = |i: usize| {
        let column = rows.iter().filter_map(|r| r.get(i)).chain(heads.get(i));
        column.map(|c| c.chars().count()).max().unwrap_or(0).max(3)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let line = |cells: &[String]| {
        let padded =
            cells.iter().zip(&table.columns).zip(&widths).map(|((c, column), w)| match column.align {
                Align::Left => format!("{c:<w$}"),
                Align::Right => format!("{c:>w$}"),
            });
        format!("| {} |\n", padded.collect::<Vec<_>>().join(" | "))
    };
    let rule = |(column, w): (&Column, &usize)| match column.align {
        Align::Left => "-".repeat(*w),
        Align::Right => format!("{}:", "-".repeat(w - 1)),
    };
    let rules: Vec<String> = table.columns.iter().zip(&widths).map(rule).collect();
    let mut text = line(&heads) + &format!("| {} |\n", rules.join(" | "));
    for row in &rows {
        text += &line(row);
    }
    text
}

fn block_markdown(block: &Block) -> String {
    let with = |caption: &str, t: &Table| {
        let caption = if caption.is_empty() { String::new() } else { format!("\n{}\n", escape(caption)) };
        format!("{caption}\n{}", table(t))
    };
    match block {
        Block::Text(text) => format!("\n{}\n", escape(text)),
        Block::Table(t) => with(&t.caption, t),
        Block::Roofline(f) => {
            with(&f.caption, &roofline::ceiling_table(f)) + &with("", &roofline::legend_table(f))
        }
        Block::Waterfalls(f) => with(&f.caption, &waterfall::table(f)),
        Block::Lines(f) => with(&f.caption, &lines::table(f)),
        Block::Verdicts(verdicts) => with("", &verdict_table(verdicts)),
    }
}

fn verdict_table(verdicts: &[Verdict]) -> Table {
    use Align::Left;
    let columns = [
        "claim",
        "experiment",
        "statement",
        "published",
        RECOMPUTED,
        "measured here",
        "verdict",
        "test and reason",
        "predicted",
    ];
    let mut table = Table::new("", columns.map(|c| (c, Left)));
    for v in verdicts {
        table.push([
            v.claim.clone(),
            v.study.clone(),
            v.text.clone(),
            v.published.clone(),
            v.recomputed.clone().unwrap_or_else(|| "–".to_owned()),
            v.here.clone(),
            v.outcome.label().to_owned(),
            format!("{}: {}", v.test, v.reason()),
            format!("{}: {}", v.prediction.outcome.label(), v.prediction.why),
        ]);
    }
    table
}

/// Escapes text for a Markdown table cell: no pipes, tags, emphasis or line breaks.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' => escaped.push_str("\\|"),
            '<' => escaped.push_str("&lt;"),
            '*' | '_' | '`' => {
                escaped.push('\\');
                escaped.push(c);
            }
            '\n' | '\r' => escaped.push(' '),
            _ => escaped.push(c),
        }
    }
    escaped
}
