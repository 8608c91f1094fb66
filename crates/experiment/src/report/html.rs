//! The report as one self-contained HTML page: inline CSS, inline SVG, and the data as JSON. It loads nothing.

use super::markdown::RECOMPUTED;
use super::svg::escape;
use super::{Align, Block, Report, Section, Table, lines, roofline, waterfall};
use crate::verdict::{Outcome, Verdict};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("table.js");

/// Renders a report as an HTML page.
///
/// # Errors
/// [`crate::Error::Json`] where the data cannot be embedded.
pub fn html(report: &Report) -> Result<String, crate::Error> {
    let data = serde_json::to_string(report).map_err(crate::Error::json("report data"))?;
    // "</script" would end the script element, and "<!--" would change how it is parsed.
    let data = data.replace('<', "\\u003c");
    let title = escape(&report.title);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n<p class=\"subtitle\">{}</p>\n",
        escape(&report.subtitle)
    );
    page += "<nav aria-label=\"Contents\"><ol>\n";
    for (i, section) in report.sections.iter().enumerate() {
        page += &format!("<li><a href=\"#s{}\">{}</a></li>\n", i + 1, escape(&section.title));
    }
    page += "</ol></nav>\n</header>\n<main>\n";
    for (i, section) in report.sections.iter().enumerate() {
        page += &section_html(i + 1, section);
    }
    page += "</main>\n<footer>\n<h2>Provenance</h2>\n<table>\n";
    for (key, value) in &report.provenance {
        page += &format!("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", escape(key), escape(value));
    }
    page += &format!(
        "</table>\n</footer>\n<script type=\"application/json\" id=\"report-data\">{data}</script>\n\
         <script>\n{SCRIPT}</script>\n</body>\n</html>\n"
    );
    Ok(page)
}

fn section_html(number: usize, section: &Section) -> String {
    let mut text = format!("<section id=\"s{number}\">\n<h2>{}</h2>\n", escape(&section.title));
    if !section.intro.is_empty() {
        text += &format!("<p class=\"intro\">{}</p>\n", escape(&section.intro));
    }
    for block in &section.blocks {
        text += &block_html(block);
    }
    text + "</section>\n"
}

fn block_html(block: &Block) -> String {
    match block {
        Block::Text(text) => format!("<p>{}</p>\n", escape(text)),
        Block::Table(table) => table_html(table),
        Block::Roofline(f) => {
            figure(&roofline::svg(f), &f.caption, "measurements", &roofline::legend_table(f), true)
        }
        Block::Waterfalls(f) => {
            figure(&waterfall::svg(f), &f.caption, "numbers", &waterfall::table(f), false)
        }
        Block::Lines(f) => figure(&lines::svg(f), &f.caption, "numbers", &lines::table(f), false),
        Block::Verdicts(verdicts) => verdicts_html(verdicts),
    }
}

/// A figure with its caption, and its numbers in a collapsible table.
fn figure(svg: &str, caption: &str, what: &str, table: &Table, open: bool) -> String {
    let open = if open { " open" } else { "" };
    format!(
        "<figure>\n{svg}<figcaption>{}</figcaption>\n<details{open}><summary>{what}</summary>\n{}</details>\n</figure>\n",
        escape(caption),
        table_html(table)
    )
}

fn table_html(table: &Table) -> String {
    let class = |i: usize| match table.columns.get(i).map(|c| c.align) {
        Some(Align::Right) => " class=\"right\"",
        _ => "",
    };
    let mut text = "<div class=\"scroll\"><table class=\"sortable\">\n".to_owned();
    if !table.caption.is_empty() {
        text += &format!("<caption>{}</caption>\n", escape(&table.caption));
    }
    text += "<thead><tr>";
    for (i, column) in table.columns.iter().enumerate() {
        text += &format!("<th scope=\"col\"{}>{}</th>", class(i), escape(&column.title));
    }
    text += "</tr></thead>\n<tbody>\n";
    for row in &table.rows {
        text += "<tr>";
        for (i, cell) in row.iter().enumerate() {
            text += &format!("<td{}>{}</td>", class(i), escape(cell));
        }
        text += "</tr>\n";
    }
    text + "</tbody>\n</table></div>\n"
}

fn verdicts_html(verdicts: &[Verdict]) -> String {
    let recomputed = verdicts.iter().any(|v| v.recomputed.is_some());
    let mut text = "<div class=\"scroll\"><table class=\"sortable verdicts\">\n<thead><tr>".to_owned();
    let heads = [
        "claim",
        "experiment",
        "statement",
        "published",
        RECOMPUTED,
        "measured here",
        "verdict",
        "predicted",
    ];
    for head in heads.into_iter().filter(|h| recomputed || *h != RECOMPUTED) {
        text += &format!("<th scope=\"col\">{head}</th>");
    }
    text += "</tr></thead>\n<tbody>\n";
    for v in verdicts {
        let class = match v.outcome {
            Outcome::Holds => "holds",
            Outcome::DoesNotHold => "does-not-hold",
            Outcome::Undecided => "undecided",
            Outcome::CannotBeTested => "cannot-be-tested",
        };
        text += &format!(
            "<tr><td>{}</td><td>{}</td><td>{}<small>{}</small></td><td>{}</td>",
            escape(&v.claim),
            escape(&v.study),
            escape(&v.text),
            escape(&v.test),
            escape(&v.published)
        );
        if recomputed {
            text += &format!("<td>{}</td>", escape(v.recomputed.as_deref().unwrap_or("–")));
        }
        text += &format!(
            "<td>{}<small>{}</small></td><td class=\"outcome {class}\">{}</td><td>{}<small>{}</small></td></tr>\n",
            escape(&v.here),
            escape(&v.reason()),
            v.outcome.label(),
            v.prediction.outcome.label(),
            escape(&v.prediction.why)
        );
    }
    text + "</tbody>\n</table></div>\n"
}
