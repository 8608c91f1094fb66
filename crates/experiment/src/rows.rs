//! Rows of one measure, and what studies make of them: selections, tables and line figures.

use crate::data::Entry;
use crate::published::Table as PublishedTable;
use crate::report::{Align, Axis, Line, Lines, Table};
use ridgeline_roofline::Measured;
use std::collections::BTreeMap;

/// Cells of one measure.
#[derive(Clone, Debug)]
pub struct Rows<'a, Point, Row> {
    entries: Vec<Entry<'a, Point, Row>>,
}

/// The text of a cell's column.
type Text<'c, Point, Row> = Box<dyn Fn(&Entry<'_, Point, Row>) -> String + 'c>;

/// A column of a table of rows.
pub struct Col<'c, Point, Row> {
    title: &'c str,
    align: Align,
    text: Text<'c, Point, Row>,
}

impl<Point, Row> std::fmt::Debug for Col<'_, Point, Row> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Col").field("title", &self.title).finish_non_exhaustive()
    }
}

impl<'c, Point, Row> Col<'c, Point, Row> {
    /// A column of text, on the left.
    pub fn text(title: &'c str, text: impl Fn(&Entry<'_, Point, Row>) -> String + 'c) -> Self {
        Self { title, align: Align::Left, text: Box::new(text) }
    }

    /// A column of numbers, on the right; `None` is a dash.
    pub fn number(title: &'c str, text: impl Fn(&Entry<'_, Point, Row>) -> Option<String> + 'c) -> Self {
        let text = move |entry: &Entry<'_, Point, Row>| text(entry).unwrap_or_else(|| "–".to_owned());
        Self { title, align: Align::Right, text: Box::new(text) }
    }
}

impl<'a, Point, Row> Rows<'a, Point, Row> {
    /// These cells.
    #[must_use]
    pub const fn new(entries: Vec<Entry<'a, Point, Row>>) -> Self {
        Self { entries }
    }

    /// The cells, in order of first appearance.
    pub fn iter(&self) -> std::slice::Iter<'_, Entry<'a, Point, Row>> {
        self.entries.iter()
    }

    /// The cells, in order of first appearance.
    #[must_use]
    pub fn into_entries(self) -> Vec<Entry<'a, Point, Row>> {
        self.entries
    }

    /// The cells that match.
    #[must_use]
    pub fn filter(self, keep: impl Fn(&Point) -> bool) -> Self {
        Self { entries: self.entries.into_iter().filter(|entry| keep(&entry.point)).collect() }
    }

    /// The cells that an experiment wants, by its id.
    #[must_use]
    pub fn wanted_by(self, id: &str) -> Self {
        let is = |entry: &Entry<'_, Point, Row>| entry.record().studies.iter().any(|it| it == id);
        Self { entries: self.entries.into_iter().filter(is).collect() }
    }

    /// The first cell that matches.
    pub fn find(&self, is: impl Fn(&Point) -> bool) -> Option<&Entry<'a, Point, Row>> {
        self.entries.iter().find(|entry| is(&entry.point))
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Sorted by a key of the point.
    #[must_use]
    pub fn sorted<K: PartialOrd>(mut self, key: impl Fn(&Entry<'_, Point, Row>) -> K) -> Self {
        self.entries.sort_by(|a, b| key(a).partial_cmp(&key(b)).unwrap_or(std::cmp::Ordering::Equal));
        self
    }

    /// Groups of cells with equal keys, in order of first appearance.
    pub fn group<K: PartialEq>(&self, key: impl Fn(&Point) -> K) -> Vec<(K, Vec<&Entry<'a, Point, Row>>)> {
        let mut groups: Vec<(K, Vec<&Entry<'a, Point, Row>>)> = Vec::new();
        for entry in &self.entries {
            let key = key(&entry.point);
            match groups.iter_mut().find(|(known, _)| *known == key) {
                Some((_, members)) => members.push(entry),
                None => groups.push((key, vec![entry])),
            }
        }
        groups
    }

    /// A table with a row for each cell.
    #[must_use]
    pub fn table(&self, caption: impl Into<String>, columns: &[Col<'_, Point, Row>]) -> Table {
        let mut table = Table::new(caption, columns.iter().map(|col| (col.title, col.align)));
        for entry in &self.entries {
            table.push(columns.iter().map(|col| (col.text)(entry)));
        }
        table
    }

    /// A figure with a line for each series, and a point for each cell.
    #[must_use]
    pub fn lines(
        &self,
        caption: impl Into<String>,
        (x, y): (Axis, Axis),
        series: impl Fn(&Point) -> String,
        point: impl Fn(&Entry<'_, Point, Row>) -> Option<(f64, Measured)>,
    ) -> Lines {
        let mut lines: BTreeMap<String, Vec<(f64, Measured)>> = BTreeMap::new();
        for entry in &self.entries {
            if let Some(point) = point(entry) {
                lines.entry(series(&entry.point)).or_default().push(point);
            }
        }
        let line = |(label, mut points): (String, Vec<(f64, Measured)>)| {
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            Line { label, points, predicted: false }
        };
        Lines { caption: caption.into(), x, y, lines: lines.into_iter().map(line).collect() }
    }
}

impl<'e, 'a, Point, Row> IntoIterator for &'e Rows<'a, Point, Row> {
    type Item = &'e Entry<'a, Point, Row>;
    type IntoIter = std::slice::Iter<'e, Entry<'a, Point, Row>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Lines {
    /// This figure with a published table as a dashed line: `y` of each row over column `x`, scaled by `by`.
    #[must_use]
    pub fn published(mut self, table: Option<&PublishedTable>, x: &str, y: &str, by: f64) -> Self {
        let Some(table) = table else { return self };
        let point =
            |row: &crate::published::Row| Some((row.number(x)?, Measured::exact(by * row.number(y)?)));
        let label = format!("published: {}", table.device.as_deref().unwrap_or("the study's device"));
        self.lines.push(Line {
            label,
            points: table.rows.iter().filter_map(point).collect(),
            predicted: true,
        });
        self
    }
}
