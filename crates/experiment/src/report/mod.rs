//! The report as data: sections of blocks, rendered as HTML and as Markdown, and its figures as files.

mod excerpt;
mod figures;
mod html;
mod legend;
mod lines;
pub mod markdown;
pub mod number;
pub mod plain;
mod roofline;
mod scale;
mod svg;
mod vega;
mod waterfall;

pub use excerpt::{Excerpt, excerpt};
pub use figures::{File, files};
pub use html::html;

use crate::verdict::{Outcome, Verdict};
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

/// The rank of a section's heading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// A chapter of the report.
    #[default]
    Chapter,
    /// An experiment of the chapter before it.
    Experiment,
}

/// A titled part of a report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// Its anchor in the page, such as `gap-4`; also the first part of its figures' file names.
    pub id: String,
    /// The rank of its heading.
    pub level: Level,
    /// Its title.
    pub title: String,
    /// How to read the section, in a few sentences; may be empty.
    pub intro: String,
    /// Its tables, figures and texts.
    pub blocks: Vec<Block>,
}

impl Section {
    /// A chapter without blocks, whose anchor is its title in lower case with hyphens.
    #[must_use]
    pub fn new(title: impl Into<String>, intro: impl Into<String>) -> Self {
        let title = title.into();
        Self { id: slug(&title), level: Level::Chapter, title, intro: intro.into(), blocks: Vec::new() }
    }

    /// An experiment of a study without blocks, such as `GAP-4` with the anchor `gap-4`.
    #[must_use]
    pub fn experiment(id: &str, title: impl Into<String>, intro: impl Into<String>) -> Self {
        Self { id: slug(id), level: Level::Experiment, ..Self::new(title, intro) }
    }

    /// This section with another anchor.
    #[must_use]
    pub fn at(mut self, id: &str) -> Self {
        self.id = slug(id);
        self
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
    /// A reason to distrust numbers of this run.
    Warning(String),
    /// A table.
    Table(Table),
    /// A log-log roofline.
    Roofline(Roofline),
    /// Stacked horizontal bars of time.
    Waterfalls(Waterfalls),
    /// A line figure.
    Lines(Lines),
    /// Verdicts on published claims: the register.
    Verdicts(Vec<Verdict>),
    /// Claims whose verdicts are in the register.
    Claims(Vec<ClaimLink>),
}

/// A claim of the register, named elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimLink {
    /// Id of the claim, such as `GAP-C4`.
    pub claim: String,
    /// The result of its test.
    pub outcome: Outcome,
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
    /// Short name that stands beside its mark where there is room, such as `gate_up`.
    pub name: String,
    /// The model. The figure has a panel for each.
    pub model: String,
    /// Dots of a group share color and shape, such as `prompt` and `decode`.
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

/// Log-log rooflines under the same ceilings: a panel for each model, with axes in common.
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
    /// Not measured on this device: a prediction, a study's figures, or a line that only connects points.
    ///
    /// Such lines are dashed and have no markers. A label that starts with `published` or `Pareto` says what they are.
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

/// Lower-case letters and digits of a text, joined by hyphens: `GAP-C4` gives `gap-c4`.
#[must_use]
pub fn slug(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
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
