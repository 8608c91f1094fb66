//! Compares two journals point by point: which became faster or slower, and the smallest detectable change.
//!
//! The test is of visits: Student's t on the logarithms of visit medians. The variance between visits is shared by all cells
//! of both journals (Smyth 2004), and the familywise level is 5 % (Holm's correction). A difference must also exceed a
//! margin, because with enough visits every difference is significant. Where every cell has one visit, repetitions take
//! their place: such a test does not see that a machine changes its pace by the minute.

use crate::journal::{point_key, visits};
use crate::matrix;
use crate::record::{ANCHOR, Record};
use crate::report::{Align, Table, number};
use crate::stats::{self, LogRatio, VariancePrior};
use ridgeline_roofline::Measured;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Significance level after Holm's correction.
pub const ALPHA: f64 = 0.05;

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
    /// Nothing tells how much this point varies: one visit of few repetitions.
    Untestable,
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
    /// After over before, with its 95 % interval.
    pub ratio: Option<Measured>,
    /// Number of visits before and after.
    pub visits: [usize; 2],
    /// p value of the t test, uncorrected.
    pub p: Option<f64>,
    /// p value after Holm's correction over all points.
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
            ("visits", Right),
            ("p (t test, Holm)", Right),
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
            format!("{}, {}", self.visits[0], self.visits[1]),
            p(self.adjusted_p),
            self.noise_floor.map_or_else(dash, |floor| format!("± {}", number::percent(floor))),
            self.outcome.label().to_owned(),
        ]
    }
}

/// Compares the visits of every point of two journals.
///
/// `margin` is the smallest relative difference that counts, such as 0.02.
#[must_use]
pub fn compare(before: &[Record], after: &[Record], margin: f64) -> JournalDiff {
    let by_device = [before, after].iter().any(|it| has_several_devices(it));
    let (first, second) = (keyed(before, by_device), keyed(after, by_device));
    let (earlier, later): (BTreeMap<_, _>, BTreeMap<_, _>) =
        (first.iter().cloned().collect(), second.iter().cloned().collect());
    let both: Vec<(&Vec<&Record>, &Vec<&Record>)> =
        first.iter().filter_map(|(key, a)| Some((a, later.get(key)?))).collect();
    let repetitions = both.iter().all(|(a, b)| a.len() < 2 && b.len() < 2);
    let seconds = |cell: &[&Record]| samples(cell, repetitions);
    let variances = both.iter().flat_map(|(a, b)| [seconds(a), seconds(b)]);
    let prior =
        VariancePrior::fit(&variances.filter_map(|it| stats::visit_variance(&it)).collect::<Vec<_>>());
    // Repetitions are plentiful, and a prior of other cells would only hide how much each varies.
    let prior = prior.filter(|_| !repetitions);
    let diff = |(a, b): &(&Vec<&Record>, &Vec<&Record>)| PointDiff {
        label: label(a, by_device),
        ..point_diff(a, b, (&seconds(a), &seconds(b)), prior)
    };
    let mut changes: Vec<PointDiff> = both.iter().map(diff).collect();
    correct(&mut changes, margin);
    let missing = |side: &Cells<'_>, other: &BTreeMap<String, Vec<&Record>>| {
        side.iter()
            .filter(|(key, _)| !other.contains_key(key))
            .map(|(_, cell)| label(cell, by_device))
            .collect()
    };
    JournalDiff { changes, only_before: missing(&first, &later), only_after: missing(&second, &earlier) }
}

/// Cells with their keys: the visits of each.
type Cells<'a> = Vec<(String, Vec<&'a Record>)>;

/// With `by_device`, cells of the same point on two devices have two keys.
fn keyed(records: &[Record], by_device: bool) -> Cells<'_> {
    // The anchor has many visits in every run, and is no cell of the matrix.
    let cells = records.iter().filter(|r| !r.studies.iter().any(|it| it == ANCHOR));
    let key = |r: &Record| if by_device { device(r) + &point_key(r) } else { point_key(r) };
    visits(cells).into_iter().map(|cell| (key(cell[0]), cell)).collect()
}

/// Whether records are of several devices, as after `merge`. Each is then compared with itself only.
///
/// Two journals of one device each are compared whatever the devices are.
fn has_several_devices(records: &[Record]) -> bool {
    records.iter().any(|r| device(r) != device(&records[0]))
}

/// The device of a record. Its driver is left out, so that two drivers of one device can be compared.
fn device(record: &Record) -> String {
    format!("{} ({}) ", record.machine.adapter, record.machine.backend)
}

/// Seconds by visit; with `repetitions`, each repetition counts as a visit.
fn samples(cell: &[&Record], repetitions: bool) -> Vec<Vec<f64>> {
    let visits: Vec<Vec<f64>> = cell.iter().map(|r| stats::seconds(&r.samples_ns)).collect();
    if repetitions { visits.concat().into_iter().map(|s| vec![s]).collect() } else { visits }
}

/// Applies Holm's correction over the tested points, and sets their results.
fn correct(changes: &mut [PointDiff], margin: f64) {
    let (tested, p): (Vec<usize>, Vec<f64>) =
        changes.iter().enumerate().filter_map(|(i, change)| Some((i, change.p?))).unzip();
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

fn point_diff(
    before: &[&Record],
    after: &[&Record],
    (x, y): (&[Vec<f64>], &[Vec<f64>]),
    prior: Option<VariancePrior>,
) -> PointDiff {
    let test: Option<LogRatio> = stats::unpaired_log_ratio(y, x, prior);
    PointDiff {
        label: String::new(),
        before_s: stats::median(&x.concat()),
        after_s: stats::median(&y.concat()),
        ratio: test.as_ref().map(|test| test.interval),
        visits: [before.len(), after.len()],
        p: test.as_ref().map(|test| test.p),
        adjusted_p: None,
        noise_floor: noise_floor(x, y, prior),
        outcome: Change::Untestable,
    }
}

/// Minimum detectable effect at 80 % power, as a fraction of the time before.
fn noise_floor(x: &[Vec<f64>], y: &[Vec<f64>], prior: Option<VariancePrior>) -> Option<f64> {
    let variance = |visits: &[Vec<f64>]| {
        let (s2, df) = stats::visit_variance(visits).unwrap_or((0.0, 0.0));
        prior.map_or((df > 0.0).then_some(s2), |prior| Some(prior.moderate(s2, df).0))
    };
    let sd = f64::midpoint(variance(x)?, variance(y)?).sqrt();
    stats::minimum_detectable_effect(sd, x.len().min(y.len()), ALPHA, 0.8).map(f64::exp_m1)
}

/// The label of a cell.
fn label(cell: &[&Record], by_device: bool) -> String {
    let label = matrix::label(&cell[0].measure, &cell[0].point);
    if by_device { device(cell[0]) + &label } else { label }
}
