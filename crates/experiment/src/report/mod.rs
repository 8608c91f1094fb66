//! The report as data: sections of blocks, rendered as HTML and as Markdown.

mod figures;
mod html;
mod lines;
pub mod markdown;
pub mod number;
pub mod plain;
mod roofline;
mod scale;
mod svg;
mod waterfall;

pub use figures::figures;
pub use html::html;

use crate::verdict::Verdict;
use ridgeline_roofline::{Bound, Measured, Waterfall};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A whole report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Title of the page.
    pub title: String,
    /// One line under the title: device, date, pace.
    pub subtitle: String,
    /// The sections in reading order.
    pub sections: Vec<Section>,
    /// Where the numbers come from: key and value, printed at the end.
    pub provenance: Vec<(String, String)>,
}

/// A titled part of a report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// Its title.
    pub title: String,
    /// How to read the section, in a few sentences; may be empty.
    pub intro: String,
    /// Its tables, figures and texts.
    pub blocks: Vec<Block>,
}

impl Section {
    /// A section without blocks.
    #[must_use]
    pub fn new(title: impl Into<String>, intro: impl Into<String>) -> Self {
        Self { title: title.into(), intro: intro.into(), blocks: Vec::new() }
    }

    /// This section with one more block.
    #[must_use]
    pub fn with(mut self, block: Block) -> Self {
        self.blocks.push(block);
        self
    }
}

/// One block of a section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Block {
    /// A paragraph of plain text.
    Text(String),
    /// A table.
    Table(Table),
    /// A log-log roofline.
    Roofline(Roofline),
    /// Stacked horizontal bars of time.
    Waterfalls(Waterfalls),
    /// A line figure.
    Lines(Lines),
    /// Verdicts on published claims.
    Verdicts(Vec<Verdict>),
}

/// Alignment of a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Align {
    /// For text.
    #[default]
    Left,
    /// For numbers.
    Right,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its heading, with the unit.
    pub title: String,
    /// Its alignment.
    pub align: Align,
}

/// A table of text cells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// What it shows; may be empty.
    pub caption: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows, each with a cell for every column.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with columns given as `("model", Left)`.
    #[must_use]
    pub fn new<'a>(caption: impl Into<String>, columns: impl IntoIterator<Item = (&'a str, Align)>) -> Self {
        let column = |(title, align): (&str, Align)| Column { title: title.to_owned(), align };
        Self { caption: caption.into(), columns: columns.into_iter().map(column).collect(), rows: Vec::new() }
    }

    /// Adds a row; short rows are padded with empty cells, long rows truncated.
    pub fn push(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut row: Vec<String> = cells.into_iter().take(self.columns.len()).collect();
        row.resize(self.columns.len(), String::new());
        self.rows.push(row);
    }
}

/// One sloped ceiling of a roofline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BandwidthLevel {
    /// Its name, such as `memory` or `cache, 1 MiB`.
    pub label: String,
    /// Bandwidth, bytes/s.
    pub bytes_per_s: f64,
}

/// One flat ceiling of a roofline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeakLevel {
    /// Its name, such as `f32 products`.
    pub label: String,
    /// Peak, FLOP/s.
    pub flops_per_s: f64,
}

/// One measurement on a roofline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dot {
    /// What was measured.
    pub label: String,
    /// Dots of a group share color and shape.
    pub group: String,
    /// Operational intensity, FLOP/byte.
    pub intensity: f64,
    /// Achieved FLOP/s with its interval.
    pub flops_per_s: Measured,
    /// The resource that bounds it, where known.
    pub bound: Option<Bound>,
    /// Share of its own roof, where known.
    pub roof_fraction: Option<f64>,
}

/// A log-log roofline with several ceilings and numbered dots.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Roofline {
    /// What it shows.
    pub caption: String,
    /// Sloped ceilings.
    pub bandwidths: Vec<BandwidthLevel>,
    /// Flat ceilings.
    pub peaks: Vec<PeakLevel>,
    /// Measurements.
    pub dots: Vec<Dot>,
}

/// One stacked bar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bar {
    /// What was measured.
    pub label: String,
    /// Its time, split by cause.
    pub parts: Waterfall,
}

/// Stacked horizontal bars of time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waterfalls {
    /// What they show.
    pub caption: String,
    /// The bars.
    pub bars: Vec<Bar>,
}

/// An axis of a line figure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Axis {
    /// What it measures.
    pub title: String,
    /// Unit after the prefix, such as `B/s`; empty for a plain number.
    pub unit: String,
    /// Whether the axis is logarithmic: base 2 for sizes in bytes, else base 10.
    pub log: bool,
}

/// One line of a figure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Its name.
    pub label: String,
    /// Points in ascending order of x: x, and y with its interval.
    pub points: Vec<(f64, Measured)>,
    /// Not measured on this device: a prediction or, where the label starts with `published`, a study's figures.
    ///
    /// Such lines are dashed and have no markers.
    pub predicted: bool,
}

/// A line figure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lines {
    /// What it shows.
    pub caption: String,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// The lines.
    pub lines: Vec<Line>,
}

/// Counts by name, as text such as `1 failed, 12 ok`.
#[must_use]
pub fn tally<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    counts.iter().map(|(name, n)| format!("{n} {name}")).collect::<Vec<_>>().join(", ")
}
