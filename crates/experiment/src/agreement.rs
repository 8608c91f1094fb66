//! Agreement of two runs of one build: cells whose values agree within their intervals, and verdicts that flip.

use crate::data::Data;
use crate::journal::point_key;
use crate::matrix;
use crate::published::Published;
use crate::record::{ANCHOR, Record};
use crate::stats;
use crate::verdict::{Outcome, Verdict};
use ridgeline_roofline::Measured;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Agreement of two runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// Cells in both runs.
    pub cells: Vec<CellAgreement>,
    /// Claims with *holds* in one run and *does not hold* in the other.
    pub flipped: Vec<String>,
}

/// One cell in two runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellAgreement {
    /// Label of the cell.
    pub label: String,
    /// Seconds in the first run, with the interval of its visits.
    pub a: Measured,
    /// Seconds in the second run.
    pub b: Measured,
    /// Difference of the logarithms over the half-width that both intervals allow; at most 1 where they agree.
    pub excess: f64,
}

impl CellAgreement {
    /// Whether the values agree.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.excess <= 1.0
    }
}

impl Agreement {
    /// Share of the cells that agree; `None` without cells.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        let agreeing = self.cells.iter().filter(|cell| cell.agrees()).count();
        (!self.cells.is_empty()).then(|| agreeing as f64 / self.cells.len() as f64)
    }

    /// Median half-width of the intervals of both runs, relatively; `None` without cells.
    #[must_use]
    pub fn half_width(&self) -> Option<f64> {
        let widths: Vec<f64> = self.cells.iter().flat_map(|cell| [half(cell.a), half(cell.b)]).collect();
        stats::median(&widths).map(f64::exp_m1)
    }
}

/// Compares two runs. Each cell's interval is that of its own run.
///
/// Two cells agree where they differ by at most the root of the sum of their squared half-widths. With intervals of 95 %,
/// so do 95 % of equal cells.
#[must_use]
pub fn agreement(before: &[Record], after: &[Record], verdicts: [&[Verdict]; 2]) -> Agreement {
    let (first, second) = (intervals(before), intervals(after));
    let cell = |(key, (label, a)): (&String, &(String, Measured))| {
        let (_, b) = second.get(key)?;
        let allowed = half(*a).hypot(half(*b));
        let excess = (a.value / b.value).ln().abs() / allowed.max(f64::MIN_POSITIVE);
        Some(CellAgreement { label: label.clone(), a: *a, b: *b, excess })
    };
    let decided = |it: &Verdict| matches!(it.outcome, Outcome::Holds | Outcome::DoesNotHold);
    let flipped = verdicts[0].iter().filter(|a| {
        let other = verdicts[1].iter().find(|b| b.claim == a.claim);
        decided(a) && other.is_some_and(|b| decided(b) && b.outcome != a.outcome)
    });
    Agreement {
        cells: first.iter().filter_map(cell).collect(),
        flipped: flipped.map(|it| it.claim.clone()).collect(),
    }
}

/// Label and interval of every cell with times, by key.
fn intervals(records: &[Record]) -> BTreeMap<String, (String, Measured)> {
    let published = Published::default();
    let data = Data::new(records, None, &published);
    let interval = |cell: &Vec<&Record>| {
        let first = cell.first().filter(|r| !r.studies.iter().any(|it| it == ANCHOR))?;
        let value = data.seconds(cell)?;
        Some((point_key(first), (matrix::label(&first.measure, &first.point), value)))
    };
    data.cells().iter().filter_map(interval).collect()
}

/// Half of the width of an interval of logarithms.
fn half(m: Measured) -> f64 {
    (m.hi / m.lo.max(f64::MIN_POSITIVE)).ln() / 2.0
}
