//! Two journals side by side: for each point that both measured, whether the second is faster, slower or neither.
//!
//! Welch's test decides, at 5 % over all points together (Holm); the rank test stands beside it for samples that are
//! far from normal. A difference has to be larger than a margin, too: one that is certain but tiny is none.

use super::plan;
use super::report::chosen;
use ridgeline_experiment::journal::point_key;
use ridgeline_experiment::matrix::{Budget, Cell};
use ridgeline_experiment::record::Record;
use ridgeline_experiment::report::{Align, Table, number};
use ridgeline_experiment::stats::{holm, mann_whitney, median, ratio_of_medians, seconds, welch};
use ridgeline_roofline::Measured;
use serde::Serialize;
use std::collections::BTreeMap;

/// Probability of calling any difference real in a comparison without one.
const ALPHA: f64 = 0.05;

/// Experiments whose samples are wall times of blocks: their lengths are calibrated anew in every run, so that two runs'
/// times say nothing about the device.
const TIMED_IN_BLOCKS: [&str; 2] = [plan::CEILINGS, "kernels"];

/// Seed of the resampling behind the intervals.
const SEED: u64 = 0;

/// What became of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The second takes less time.
    Faster,
    /// The second takes more time.
    Slower,
    /// No difference beyond the margin is certain.
    Same,
    /// One of them has fewer than two repetitions, or neither varies.
    Untestable,
    /// Its samples are wall times of blocks of calibrated length, which differs from run to run.
    NotCompared,
}

impl Outcome {
    const fn word(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::Same => "no difference",
            Self::Untestable => "cannot be tested",
            Self::NotCompared => "not compared: times are of blocks of calibrated length",
        }
    }
}

/// One point in both journals.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The cell.
    pub label: String,
    /// Median of the first, seconds.
    pub before_s: Option<f64>,
    /// Median of the second, seconds.
    pub after_s: Option<f64>,
    /// Time of the second over time of the first, with its 95 % interval.
    pub ratio: Option<Measured>,
    /// Welch's p value, before correction.
    pub welch_p: Option<f64>,
    /// The rank test's p value, before correction.
    pub rank_p: Option<f64>,
    /// Welch's p value after Holm's correction over all points.
    pub adjusted_p: Option<f64>,
    /// What became of it.
    pub outcome: Outcome,
}

/// Two journals side by side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Points that both have, in the order of the first.
    pub changes: Vec<Change>,
    /// Points that only the first has.
    pub only_before: Vec<String>,
    /// Points that only the second has.
    pub only_after: Vec<String>,
}

impl Comparison {
    /// Whether any point got slower.
    #[must_use]
    pub fn has_regression(&self) -> bool {
        self.changes.iter().any(|c| c.outcome == Outcome::Slower)
    }

    /// As a table.
    #[must_use]
    pub fn table(&self) -> Table {
        use Align::{Left, Right};
        let columns = [
            ("cell", Left),
            ("before", Right),
            ("after", Right),
            ("time ratio", Right),
            ("95 % CI", Right),
            ("p (Welch, Holm)", Right),
            ("p (ranks)", Right),
            ("verdict", Left),
        ];
        let mut table = Table::new("Times; a ratio above 1 is slower.", columns);
        for change in &self.changes {
            let time = |s: Option<f64>| s.map_or_else(|| "–".to_owned(), |s| number::si(s, "s"));
            let p = |p: Option<f64>| p.map_or_else(|| "–".to_owned(), |p| format!("{p:.4}"));
            let dash = || "–".to_owned();
            table.push([
                change.label.clone(),
                time(change.before_s),
                time(change.after_s),
                change.ratio.map_or_else(dash, |r| format!("{:.3}", r.value)),
                change.ratio.map_or_else(dash, |r| format!("{:.3} – {:.3}", r.lo, r.hi)),
                p(change.adjusted_p),
                p(change.rank_p),
                change.outcome.word().to_owned(),
            ]);
        }
        table
    }
}

/// Compares two journals' records; `margin` is the smallest relative difference that counts, such as 0.02.
#[must_use]
pub fn compare(before: &[Record], after: &[Record], margin: f64) -> Comparison {
    let index = |records: &'_ [Record]| -> Vec<(String, Record)> {
        chosen(records).into_iter().map(|r| (point_key(r), r.clone())).collect()
    };
    let (first, second) = (index(before), index(after));
    let later: BTreeMap<&str, &Record> = second.iter().map(|(k, r)| (k.as_str(), r)).collect();
    let earlier: BTreeMap<&str, &Record> = first.iter().map(|(k, r)| (k.as_str(), r)).collect();
    let both = first.iter().filter_map(|(k, a)| Some((a, *later.get(k.as_str())?)));
    let mut changes: Vec<Change> = both.map(|(a, b)| change(a, b)).collect();
    let tested: Vec<usize> = (0..changes.len()).filter(|&i| changes[i].welch_p.is_some()).collect();
    let adjusted = holm(&tested.iter().filter_map(|&i| changes[i].welch_p).collect::<Vec<_>>());
    for (&i, p) in tested.iter().zip(adjusted) {
        changes[i].adjusted_p = Some(p);
        changes[i].outcome = verdict(p, changes[i].ratio, margin);
    }
    let missing = |side: &[(String, Record)], other: &BTreeMap<&str, &Record>| {
        side.iter().filter(|(k, _)| !other.contains_key(k.as_str())).map(|(_, r)| label(r)).collect()
    };
    Comparison { changes, only_before: missing(&first, &later), only_after: missing(&second, &earlier) }
}

fn change(before: &Record, after: &Record) -> Change {
    if TIMED_IN_BLOCKS.contains(&before.experiment.as_str()) {
        let (label, outcome) = (label(before), Outcome::NotCompared);
        let (before_s, after_s, ratio, welch_p, rank_p) = (None, None, None, None, None);
        return Change { label, before_s, after_s, ratio, welch_p, rank_p, adjusted_p: None, outcome };
    }
    let (a, b) = (seconds(&before.samples_ns), seconds(&after.samples_ns));
    Change {
        label: label(before),
        before_s: median(&a),
        after_s: median(&b),
        ratio: ratio_of_medians(&b, &a, SEED),
        welch_p: welch(&b, &a).map(|t| t.p),
        rank_p: mann_whitney(&b, &a),
        adjusted_p: None,
        outcome: Outcome::Untestable,
    }
}

fn verdict(p: f64, ratio: Option<Measured>, margin: f64) -> Outcome {
    match ratio {
        Some(ratio) if p < ALPHA && ratio.value > 1.0 + margin => Outcome::Slower,
        Some(ratio) if p < ALPHA && ratio.value < 1.0 / (1.0 + margin) => Outcome::Faster,
        Some(_) => Outcome::Same,
        None => Outcome::Untestable,
    }
}

/// The label of the cell a record belongs to.
fn label(record: &Record) -> String {
    let budget = Budget { warmup: 0, min_reps: 1, max_reps: 1, budget_s: 1.0 };
    let (experiment, point) = (record.experiment.clone(), record.point.clone());
    Cell { experiment, point, budget, check: None }.label()
}
