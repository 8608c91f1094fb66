//! The figures and tables of a report as files of their own: SVG with its style inside, CSV, and Vega-Lite.
//!
//! A file is named by the anchor of its section: `gap-4-lines.svg`, `gap-4-lines.csv` and `gap-4-lines.vl.json`.

use super::html::FIGURE_STYLE;
use super::{Block, Report, Table, lines, roofline, slug, vega, waterfall};
use std::collections::BTreeSet;

/// A file to be written beside the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name, without a folder.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Every figure and table of a report in reading order, each as several files.
///
/// A second block of one kind in a section has a number in its name. A roofline has an SVG for each model.
#[must_use]
pub fn files(report: &Report) -> Vec<File> {
    let mut taken = BTreeSet::new();
    let mut all = Vec::new();
    for section in &report.sections {
        for block in &section.blocks {
            let Some(kind) = kind(block) else { continue };
            let base = free(&format!("{}-{kind}", section.id), &mut taken);
            all.extend(drawings(block, &base));
            let file = |extension: &str, text| File { name: format!("{base}.{extension}"), text };
            if let Some((data, spec)) = vega::data(block, &format!("{base}.csv")) {
                all.extend([file("csv", data), file("vl.json", spec)]);
            } else if let Block::Table(table) = block {
                all.push(file("csv", table_csv(table)));
            }
        }
    }
    all
}

const fn kind(block: &Block) -> Option<&'static str> {
    match block {
        Block::Roofline(_) => Some("roofline"),
        Block::Waterfalls(_) => Some("waterfall"),
        Block::Lines(_) => Some("lines"),
        Block::Table(_) => Some("table"),
        Block::Text(_) | Block::Warning(_) | Block::Verdicts(_) | Block::Claims(_) => None,
    }
}

/// The base name, with a number where it is taken.
fn free(base: &str, taken: &mut BTreeSet<String>) -> String {
    let numbered = (2..).map(|number| format!("{base}-{number}"));
    let name = std::iter::once(base.to_owned()).chain(numbered).find(|name| !taken.contains(name));
    let name = name.unwrap_or_default();
    taken.insert(name.clone());
    name
}

fn drawings(block: &Block, base: &str) -> Vec<File> {
    let file = |name: String, svg: &str| File { name: format!("{name}.svg"), text: standalone(svg) };
    match block {
        Block::Roofline(figure) => roofline::panels(figure)
            .into_iter()
            .map(|panel| file(format!("{base}-{}", slug(&panel.model)), &panel.svg))
            .collect(),
        Block::Waterfalls(figure) => vec![file(base.to_owned(), &waterfall::svg(figure))],
        Block::Lines(figure) => vec![file(base.to_owned(), &lines::svg(figure))],
        _ => Vec::new(),
    }
}

/// Width of a drawing in a file of its own, in pixels.
const WIDTH: f64 = 720.0;

/// A drawing with the namespace, size and style that it has from the page otherwise.
fn standalone(svg: &str) -> String {
    let style = format!(
        "<style>\n{FIGURE_STYLE}svg {{ background: var(--page); font-family: system-ui, sans-serif; }}\n</style>\n"
    );
    let size = size(svg).map_or_else(String::new, |(width, height)| {
        format!("width=\"{WIDTH:.0}\" height=\"{:.0}\" ", WIDTH * height / width)
    });
    let svg = svg.replacen("<svg ", &format!("<svg xmlns=\"http://www.w3.org/2000/svg\" {size}"), 1);
    svg.replacen(">\n", &format!(">\n{style}"), 1)
}

/// Width and height of a drawing's view box.
fn size(svg: &str) -> Option<(f64, f64)> {
    let (_, rest) = svg.split_once("viewBox=\"0 0 ")?;
    let (width, height) = rest.split_once('"')?.0.split_once(' ')?;
    Some((width.parse().ok()?, height.parse().ok()?))
}

fn table_csv(table: &Table) -> String {
    let heads = table.columns.iter().map(|column| column.title.as_str());
    let mut text = vega::csv_line(heads);
    for row in &table.rows {
        text += &vega::csv_line(row.iter().map(String::as_str));
    }
    text
}
