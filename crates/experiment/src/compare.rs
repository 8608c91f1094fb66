//! Two journals against each other: which points changed, by how much, and what could not have been seen.
//!
//! A change counts only if it is significant after Holm's correction over all points *and* larger than the
//! margin: with enough repetitions every difference is significant, and few of them matter.

use crate::journal::{last_ok, point_key};
use crate::matrix::{Budget, Cell};
use crate::record::Record;
use crate::report::{Align, Table, number};
use crate::stats;
use ridgeline_roofline::Measured;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Differences of the median below this share are equivalent.
pub const MARGIN: f64 = 0.02;

/// Significance level after correction.
pub const ALPHA: f64 = 0.05;

/// What happened to a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Significantly less time, by more than the margin.
    Faster,
    /// Significantly more time, by more than the margin.
    Slower,
    /// Neither.
    Same,
    /// Too few repetitions on one side to say anything.
    Unknown,
}

impl Change {
    /// The word printed in tables.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::Same => "no change seen",
            Self::Unknown => "too few repetitions",
        }
    }
}

/// One point in both journals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The point, as filters see it.
    pub label: String,
    /// Median time before, seconds.
    pub before_s: f64,
    /// Median time after, seconds.
    pub after_s: f64,
    /// After over before, with its bootstrap interval; `None` below two repetitions.
    pub ratio: Option<Measured>,
    /// p of Welch's test, corrected; `None` where it cannot be computed.
    pub welch_p: Option<f64>,
    /// p of Mann and Whitney's test, corrected.
    pub rank_p: Option<f64>,
    /// Smallest change, as a share of the time before, that would have been seen with 80 % probability.
    pub noise_floor: Option<f64>,
    /// What happened.
    pub change: Change,
}

/// Two journals side by side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Points in both, in the order of the first journal.
    pub differences: Vec<Difference>,
    /// Points only in the first.
    pub only_before: Vec<String>,
    /// Points only in the second.
    pub only_after: Vec<String>,
}

impl Comparison {
    /// Whether any point became slower.
    #[must_use]
    pub fn has_regression(&self) -> bool {
        self.differences.iter().any(|d| d.change == Change::Slower)
    }
}

/// Compares the newest record of every point of two journals, where it is ok; `seed` drives the bootstrap.
#[must_use]
pub fn compare(before: &[Record], after: &[Record], seed: u64) -> Comparison {
    let (old, new) = (last_ok(before), last_ok(after));
    let keyed: BTreeMap<String, &Record> = new.iter().map(|r| (point_key(r), *r)).collect();
    let known: BTreeMap<String, &Record> = old.iter().map(|r| (point_key(r), *r)).collect();
    let pairs: Vec<(&Record, &Record)> =
        old.iter().filter_map(|r| Some((*r, *keyed.get(&point_key(r))?))).collect();
    let tests: Vec<Tests> = pairs.iter().map(|(a, b)| Tests::of(&a.samples_ns, &b.samples_ns)).collect();
    let welch = corrected(&tests.iter().map(|t| t.welch).collect::<Vec<_>>());
    let rank = corrected(&tests.iter().map(|t| t.rank).collect::<Vec<_>>());
    let differences =
        pairs.iter().zip(&tests).zip(welch.iter().zip(&rank)).map(|(((a, b), test), (w, r))| {
            let (x, y) = (stats::seconds(&a.samples_ns), stats::seconds(&b.samples_ns));
            let ratio = stats::ratio_of_medians(&y, &x, seed);
            Difference {
                label: label(a),
                before_s: stats::median(&x).unwrap_or(0.0),
                after_s: stats::median(&y).unwrap_or(0.0),
                ratio,
                welch_p: *w,
                rank_p: *r,
                noise_floor: test.noise_floor,
                change: judge(ratio, *w, *r),
            }
        });
    let missing = |from: &[&Record], other: &BTreeMap<String, &Record>| {
        from.iter().filter(|r| !other.contains_key(&point_key(r))).map(|r| label(r)).collect()
    };
    Comparison {
        differences: differences.collect(),
        only_before: missing(&old, &keyed),
        only_after: missing(&new, &known),
    }
}

/// The differences as a table of the report.
#[must_use]
pub fn table(comparison: &Comparison) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(
        "Median times; p values are corrected after Holm over all rows.",
        [
            ("point", Left),
            ("before", Right),
            ("after", Right),
            ("after / before", Right),
            ("95 % CI", Right),
            ("p (Welch)", Right),
            ("p (ranks)", Right),
            ("noise floor", Right),
            ("change", Left),
        ],
    );
    let dash = || "–".to_owned();
    for d in &comparison.differences {
        let p = |p: Option<f64>| {
            p.map_or_else(dash, |p| if p < 0.001 { "< 0.001".into() } else { format!("{p:.3}") })
        };
        table.push([
            d.label.clone(),
            number::si(d.before_s, "s"),
            number::si(d.after_s, "s"),
            d.ratio.map_or_else(dash, |r| format!("{:.3}", r.value)),
            d.ratio.map_or_else(dash, |r| format!("{:.3} – {:.3}", r.lo, r.hi)),
            p(d.welch_p),
            p(d.rank_p),
            d.noise_floor.map_or_else(dash, |f| format!("± {}", number::percent(f))),
            d.change.label().to_owned(),
        ]);
    }
    table
}

/// Uncorrected results of one pair of samples.
struct Tests {
    welch: Option<f64>,
    rank: Option<f64>,
    noise_floor: Option<f64>,
}

impl Tests {
    fn of(before: &[u64], after: &[u64]) -> Self {
        let (x, y) = (stats::seconds(before), stats::seconds(after));
        if x.len() < 2 || y.len() < 2 {
            return Self { welch: None, rank: None, noise_floor: None };
        }
        let floor = || {
            let sd = (stats::sd(&x)?.powi(2) / 2.0 + stats::sd(&y)?.powi(2) / 2.0).sqrt();
            let effect = stats::minimum_detectable_effect(sd, x.len().min(y.len()), ALPHA, 0.8)?;
            Some(effect / stats::mean(&x)?)
        };
        Self {
            welch: stats::welch(&x, &y).map(|t| t.p),
            rank: stats::mann_whitney(&x, &y),
            noise_floor: floor(),
        }
    }
}

/// Holm's correction over the values there are.
fn corrected(p: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut adjusted = stats::holm(&p.iter().flatten().copied().collect::<Vec<_>>()).into_iter();
    p.iter().map(|p| p.and_then(|_| adjusted.next())).collect()
}

/// Significant by either test and larger than the margin.
fn judge(ratio: Option<Measured>, welch: Option<f64>, rank: Option<f64>) -> Change {
    let Some(ratio) = ratio else {
        return Change::Unknown;
    };
    let significant = [welch, rank].into_iter().flatten().any(|p| p < ALPHA);
    match ratio.value {
        value if significant && value < 1.0 - MARGIN => Change::Faster,
        value if significant && value > 1.0 + MARGIN => Change::Slower,
        _ => Change::Same,
    }
}

/// The point as filters see it.
fn label(record: &Record) -> String {
    let budget = Budget { warmup: 0, min_reps: 1, max_reps: 1, budget_s: 1.0 };
    let (experiment, point) = (record.experiment.clone(), record.point.clone());
    Cell { experiment, point, budget, check: None }.label()
}
