//! Studies: conclusions from records, without a device or a clock.
//!
//! A study answers one question of the catalogue, such as `GAP-4`. It makes a chapter of the report and named values. The
//! claims of the published studies compare these values with their thresholds; see [`crate::register`].

use crate::Error;
use crate::data::Data;
use crate::report::{Block, Lines, Table};
use ridgeline_roofline::Measured;
use serde::Serialize;

/// One experiment of a published study.
#[derive(Clone, Copy, Debug)]
pub struct Study {
    /// Id in the catalogue of experiments, such as `GAP-4`.
    pub id: &'static str,
    /// A short title.
    pub title: &'static str,
    /// The question in one sentence.
    pub question: &'static str,
    /// What the study did, and what is wrong with it by the codes of the catalogue.
    pub about: &'static str,
    /// Names of the values that it can produce.
    pub values: &'static [&'static str],
    /// Draws the conclusions. Without records, it returns an empty chapter.
    pub conclude: fn(&Data<'_>) -> Result<Chapter, Error>,
}

/// The conclusions of a study.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Chapter {
    /// Its tables, figures and texts.
    pub blocks: Vec<Block>,
    /// Its values, which claims compare.
    pub values: Vec<Value>,
}

/// A named value with its interval.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Value {
    /// Its name in claims, such as `loss_4096`.
    pub name: &'static str,
    /// What was measured, such as a model at a depth.
    pub what: String,
    /// The value with its 95 % interval.
    pub value: Measured,
    /// Change of the value by a relative error of one in a time behind it: itself for a ratio of times, 0 for a count.
    pub per_time: f64,
    /// Number of visits behind it; the smallest of its cells.
    pub visits: usize,
    /// Ids of the cells behind it.
    pub evidence: Vec<String>,
}

/// Cells behind a value, and the smallest number of visits among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Ids of the cells.
    pub cells: Vec<String>,
    /// The smallest number of visits.
    pub visits: usize,
}

impl Evidence {
    /// This evidence and more of it.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.visits = if self.cells.is_empty() { other.visits } else { self.visits.min(other.visits) };
        self.cells
            .extend(other.cells.iter().filter(|id| !self.cells.contains(id)).cloned().collect::<Vec<_>>());
        self
    }
}

impl Chapter {
    /// Adds a table, where it has a row.
    pub fn table(&mut self, table: Table) {
        if !table.rows.is_empty() {
            self.blocks.push(Block::Table(table));
        }
    }

    /// Adds a line figure, where it has a measured point.
    pub fn lines(&mut self, lines: Lines) {
        if lines.lines.iter().any(|line| !line.predicted && !line.points.is_empty()) {
            self.blocks.push(Block::Lines(lines));
        }
    }

    /// Adds a paragraph.
    pub fn text(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Text(text.into()));
    }

    /// Adds a ratio of times, or a time, where it was measured.
    pub fn value(
        &mut self,
        name: &'static str,
        what: impl Into<String>,
        value: Option<Measured>,
        evidence: &Evidence,
    ) {
        let per_time = value.map_or(0.0, |value| value.value.abs());
        self.add(name, what.into(), (value, per_time), evidence);
    }

    /// Adds the loss `1 − ratio` of a ratio of times.
    pub fn loss(
        &mut self,
        name: &'static str,
        what: impl Into<String>,
        ratio: Option<Measured>,
        evidence: &Evidence,
    ) {
        let per_time = ratio.map_or(0.0, |ratio| ratio.value.abs());
        self.add(name, what.into(), (ratio.map(|it| it.map(|it| 1.0 - it)), per_time), evidence);
    }

    /// Adds a value that no time is behind: a count or a quality.
    pub fn counted(
        &mut self,
        name: &'static str,
        what: impl Into<String>,
        value: Option<Measured>,
        evidence: &Evidence,
    ) {
        self.add(name, what.into(), (value, 0.0), evidence);
    }

    /// Adds a value with its [`Value::per_time`].
    pub fn add(
        &mut self,
        name: &'static str,
        what: String,
        (value, per_time): (Option<Measured>, f64),
        evidence: &Evidence,
    ) {
        if let Some(value) = value {
            let Evidence { cells, visits } = evidence.clone();
            self.values.push(Value { name, what, value, per_time, visits, evidence: cells });
        }
    }

    /// Whether the study had nothing to conclude from.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.values.is_empty()
    }
}

/// Declares the studies of one folder.
///
/// `studies! { gap_4, gap_6 }` declares the modules `gap_4` and `gap_6` beside the call and the list `STUDIES` of their
/// studies. Each module exports its study as `STUDY`.
#[macro_export]
macro_rules! studies {
    ($($module:ident),+ $(,)?) => {
        $(mod $module;)+

        /// Every study of this folder, in the order of the list.
        pub(crate) const STUDIES: &[&$crate::study::Study] = &[$(&$module::STUDY),+];
    };
}
