//! Compares two journals point by point: which became faster or slower, and the smallest detectable change.
//!
//! Welch's t test decides, at a familywise level of 5 % over all points (Holm's correction). The rank test of Mann and
//! Whitney is printed beside it, for samples that are far from normal. A difference must also exceed a margin, because
//! with enough repetitions every difference is significant.

use crate::journal::{best_records, point_key};
use crate::matrix::{Budget, Cell};
use crate::record::Record;
use crate::report::{Align, Table, number};
use crate::stats;
use ridgeline_roofline::Measured;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Significance level after Holm's correction.
pub const ALPHA: f64 = 0.05;

/// Seed of the bootstrap intervals.
const SEED: u64 = 0;

/// Whether a point became faster or slower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Significantly less time, by more than the margin.
    Faster,
    /// Significantly more time, by more than the margin.
    Slower,
    /// No significant difference beyond the margin.
    Same,
    /// One side has fewer than two repetitions, or neither side varies.
    Untestable,
    /// Its samples are wall times of blocks, whose length every run calibrates anew.
    NotCompared,
}

impl Change {
    /// The words printed in tables.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::Same => "no difference",
            Self::Untestable => "cannot be tested",
            Self::NotCompared => "not compared: every run calibrates its block length",
        }
    }
}

/// One point in both journals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PointDiff {
    /// Label of the cell, which filters match.
    pub label: String,
    /// Median time before, seconds.
    pub before_s: Option<f64>,
    /// Median time after, seconds.
    pub after_s: Option<f64>,
    /// After over before, with its 95 % bootstrap interval.
    pub ratio: Option<Measured>,
    /// p value of Welch's t test, uncorrected.
    pub welch_p: Option<f64>,
    /// p value of the rank test of Mann and Whitney, uncorrected.
    pub rank_p: Option<f64>,
    /// p value of Welch's t test after Holm's correction over all points.
    pub adjusted_p: Option<f64>,
    /// Minimum detectable effect at 80 % power, as a fraction of the time before.
    pub noise_floor: Option<f64>,
    /// The result.
    pub outcome: Change,
}

/// The differences between two journals.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JournalDiff {
    /// Points in both, in the order of the first journal.
    pub changes: Vec<PointDiff>,
    /// Points only in the first.
    pub only_before: Vec<String>,
    /// Points only in the second.
    pub only_after: Vec<String>,
}

impl JournalDiff {
    /// Whether any point became slower.
    #[must_use]
    pub fn has_regression(&self) -> bool {
        self.changes.iter().any(|change| change.outcome == Change::Slower)
    }

    /// The changes as a report table.
    #[must_use]
    pub fn table(&self) -> Table {
        use Align::{Left, Right};
        let columns = [
            ("point", Left),
            ("before, median", Right),
            ("after, median", Right),
            ("after / before", Right),
            ("95 % CI", Right),
            ("p (Welch, Holm)", Right),
            ("p (Mann–Whitney)", Right),
            ("detectable change", Right),
            ("change", Left),
        ];
        let mut table = Table::new(
            "Times per repetition; a ratio above 1 is slower. Changes below the detectable change have less than 80 % power.",
            columns,
        );
        for change in &self.changes {
            table.push(change.cells());
        }
        table
    }
}

impl PointDiff {
    fn cells(&self) -> [String; 9] {
        let dash = || "–".to_owned();
        let time = |s: Option<f64>| s.map_or_else(dash, |s| number::si(s, "s"));
        let p = |p: Option<f64>| p.map_or_else(dash, |p| format!("{p:.4}"));
        [
            self.label.clone(),
            time(self.before_s),
            time(self.after_s),
            self.ratio.map_or_else(dash, |r| format!("{:.3}", r.value)),
            self.ratio.map_or_else(dash, |r| format!("{:.3} – {:.3}", r.lo, r.hi)),
            p(self.adjusted_p),
            p(self.rank_p),
            self.noise_floor.map_or_else(dash, |floor| format!("± {}", number::percent(floor))),
            self.outcome.label().to_owned(),
        ]
    }
}

/// Compares the best record of every point of two journals.
///
/// `margin` is the smallest relative difference that counts, such as 0.02. Experiments in `timed_in_blocks` are listed,
/// but not compared.
#[must_use]
pub fn compare(before: &[Record], after: &[Record], margin: f64, timed_in_blocks: &[&str]) -> JournalDiff {
    let (first, second) = (keyed(before), keyed(after));
    let (earlier, later): (BTreeMap<_, _>, BTreeMap<_, _>) =
        (first.iter().cloned().collect(), second.iter().cloned().collect());
    let both = first.iter().filter_map(|(key, a)| Some((*a, *later.get(key)?)));
    let diff = |(a, b): (&Record, &Record)| {
        if timed_in_blocks.contains(&a.experiment.as_str()) { not_compared(a) } else { point_diff(a, b) }
    };
    let mut changes: Vec<PointDiff> = both.map(diff).collect();
    correct(&mut changes, margin);
    let missing = |side: &[(String, &Record)], other: &BTreeMap<String, &Record>| {
        side.iter().filter(|(key, _)| !other.contains_key(key)).map(|(_, record)| label(record)).collect()
    };
    JournalDiff { changes, only_before: missing(&first, &later), only_after: missing(&second, &earlier) }
}

fn keyed(records: &[Record]) -> Vec<(String, &Record)> {
    best_records(records).into_iter().map(|record| (point_key(record), record)).collect()
}

/// Applies Holm's correction over the tested points, and sets their results.
fn correct(changes: &mut [PointDiff], margin: f64) {
    let (tested, p): (Vec<usize>, Vec<f64>) =
        changes.iter().enumerate().filter_map(|(i, change)| Some((i, change.welch_p?))).unzip();
    for (i, p) in tested.into_iter().zip(stats::holm(&p)) {
        changes[i].adjusted_p = Some(p);
        changes[i].outcome = decide(p, changes[i].ratio, margin);
    }
}

fn decide(p: f64, ratio: Option<Measured>, margin: f64) -> Change {
    match ratio {
        Some(ratio) if p < ALPHA && ratio.value > 1.0 + margin => Change::Slower,
        Some(ratio) if p < ALPHA && ratio.value < 1.0 / (1.0 + margin) => Change::Faster,
        Some(_) => Change::Same,
        None => Change::Untestable,
    }
}

fn point_diff(before: &Record, after: &Record) -> PointDiff {
    let (x, y) = (stats::seconds(&before.samples_ns), stats::seconds(&after.samples_ns));
    PointDiff {
        label: label(before),
        before_s: stats::median(&x),
        after_s: stats::median(&y),
        ratio: stats::ratio_of_medians(&y, &x, SEED),
        welch_p: stats::welch(&y, &x).map(|test| test.p),
        rank_p: stats::mann_whitney(&y, &x),
        adjusted_p: None,
        noise_floor: noise_floor(&x, &y),
        outcome: Change::Untestable,
    }
}

fn not_compared(record: &Record) -> PointDiff {
    PointDiff {
        label: label(record),
        before_s: None,
        after_s: None,
        ratio: None,
        welch_p: None,
        rank_p: None,
        adjusted_p: None,
        noise_floor: None,
        outcome: Change::NotCompared,
    }
}

/// Minimum detectable effect at 80 % power, relative to the mean of `x`.
fn noise_floor(x: &[f64], y: &[f64]) -> Option<f64> {
    if x.len() < 2 || y.len() < 2 {
        return None;
    }
    let sd = (stats::sd(x)?.powi(2) / 2.0 + stats::sd(y)?.powi(2) / 2.0).sqrt();
    let effect = stats::minimum_detectable_effect(sd, x.len().min(y.len()), ALPHA, 0.8)?;
    Some(effect / stats::mean(x)?)
}

/// The label of the cell a record belongs to.
fn label(record: &Record) -> String {
    let budget = Budget { warmup: 0, min_reps: 1, max_reps: 1, budget_s: 1.0 };
    let (experiment, point) = (record.experiment.clone(), record.point.clone());
    Cell { experiment, point, budget, check: None }.label()
}
