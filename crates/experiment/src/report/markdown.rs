//! The report as Markdown: every figure becomes a table of its numbers.

use super::legend::legend;
use super::{Align, Block, ClaimLink, Column, Level, Report, Section, Table, lines, roofline, waterfall};
use crate::verdict::Verdict;

/// Renders a report as Markdown.
#[must_use]
pub fn markdown(report: &Report) -> String {
    let mut text = format!("# {}\n\n{}\n", escape(&report.title), escape(&report.subtitle));
    report.sections.iter().for_each(|it| text += &section(it));
    if !report.provenance.is_empty() {
        text += "\n## Provenance\n\n";
    }
    for (key, value) in &report.provenance {
        text += &format!("- {}: {}\n", escape(key), escape(value));
    }
    text
}

/// Renders one section, after an empty line.
#[must_use]
pub fn section(section: &Section) -> String {
    let marks = if section.level == Level::Chapter { "##" } else { "###" };
    let mut text = format!("\n{marks} {}\n", escape(&section.title));
    if !section.intro.is_empty() {
        text += &format!("\n{}\n", escape(&section.intro));
    }
    let mut defined = Vec::new();
    for block in &section.blocks {
        text += &block_markdown(block, &mut defined);
    }
    text
}

/// A pipe table, padded so that it is readable as plain text.
#[must_use]
pub fn table(table: &Table) -> String {
    aligned(table, &[]).0
}

/// As [`table`], with columns of at least these widths in characters. Returns the widths, too.
#[must_use]
pub fn aligned(table: &Table, least: &[usize]) -> (String, Vec<usize>) {
    let cell = |text: &str| escape(text);
    let heads: Vec<String> = table.columns.iter().map(|c| cell(&c.title)).collect();
    let rows: Vec<Vec<String>> = table.rows.iter().map(|r| r.iter().map(|c| cell(c)).collect()).collect();
    let width = |i: usize| {
        let column = rows.iter().filter_map(|r| r.get(i)).chain(heads.get(i));
        let least = least.get(i).copied().unwrap_or(0).max(3);
        column.map(|c| c.chars().count()).max().unwrap_or(0).max(least)
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
    (text, widths)
}

fn block_markdown(block: &Block, defined: &mut Vec<&'static str>) -> String {
    let mut with = |caption: &str, t: &Table| {
        let caption = if caption.is_empty() { String::new() } else { format!("\n{}\n", escape(caption)) };
        let legend = legend(t, defined);
        let legend = if legend.is_empty() { legend } else { format!("\n{}\n", escape(&legend)) };
        format!("{caption}\n{}{legend}", table(t))
    };
    match block {
        Block::Text(text) => format!("\n{}\n", escape(text)),
        Block::Warning(text) => format!("\n> {}\n", escape(text)),
        Block::Table(t) => with(&t.caption, t),
        Block::Roofline(f) => with(&f.caption, &roofline::ceiling_table(f)) + &with("", &roofline::table(f)),
        Block::Waterfalls(f) => with(&f.caption, &waterfall::table(f)),
        Block::Lines(f) => with(&f.caption, &lines::table(f)),
        Block::Verdicts(verdicts) => with("", &register(verdicts)) + &evidence(verdicts),
        Block::Claims(links) => format!("\n{}\n", escape(&claims(links))),
    }
}

fn claims(links: &[ClaimLink]) -> String {
    let one = |it: &ClaimLink| format!("{} ({})", it.claim, it.outcome.label());
    format!("Decides: {}.", links.iter().map(one).collect::<Vec<_>>().join(", "))
}

/// One row a claim.
fn register(verdicts: &[Verdict]) -> Table {
    let columns = ["claim", "experiment", "statement", "published", "here", "verdict", "because"];
    let mut table = Table::new("", columns.map(|c| (c, Align::Left)));
    for v in verdicts {
        let standing = v.standing().map_or_else(String::new, |it| format!(" ({it})"));
        table.push([
            v.claim.clone(),
            v.study.clone(),
            v.text.clone(),
            v.published.clone(),
            v.short(),
            format!("{}{standing}", v.outcome.label()),
            v.sentence(),
        ]);
    }
    table
}

/// What is behind each verdict, as a list.
fn evidence(verdicts: &[Verdict]) -> String {
    let mut text = String::new();
    for v in verdicts {
        let mut facts = vec![
            format!("test: {}", v.test),
            v.because.clone(),
            format!("predicted: {}, {}", v.prediction.outcome.label(), v.prediction.why),
        ];
        facts.extend(v.recomputed.iter().map(|it| format!("recomputed from published data: {it}")));
        facts.extend(v.beside.iter().map(|it| format!("beside it: {it}")));
        facts.extend(v.caveats.iter().map(|it| format!("poor test: {it}")));
        text += &format!("\n- {}", escape(&v.claim));
        for fact in facts {
            text += &format!("\n  - {}", escape(&fact));
        }
    }
    if text.is_empty() { text } else { text + "\n" }
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
