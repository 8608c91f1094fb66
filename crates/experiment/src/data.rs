//! The records of one device as typed rows, with every visit of a cell pooled.
//!
//! Repetitions of one visit are a second apart and do not see a machine that changes its pace by the minute. Intervals
//! are therefore of visits, and two cells that were visited in the same rounds are compared visit by visit.

use crate::Error;
use crate::journal::{point_key, visits};
use crate::measure::{Measure, read};
use crate::published::Published;
use crate::record::{ANCHOR, Record, unix_seconds};
use crate::rows::Rows;
use crate::stats::{self, VariancePrior};
use crate::study::Evidence;
use ridgeline_roofline::{Machine, Measured};
use std::collections::BTreeMap;

/// Everything that a study concludes from.
#[derive(Clone, Debug)]
pub struct Data<'a> {
    /// The visits of every cell, in order of time.
    cells: Vec<Vec<&'a Record>>,
    machine: Option<&'a Machine>,
    published: &'a Published,
    prior: Prior,
    /// Relative standard deviation between visits of one cell; `None` before cells have several visits.
    noise: Option<f64>,
    /// The data of the run's other devices.
    others: Vec<Self>,
}

/// One cell: its point, its rows and its samples, by visit.
#[derive(Clone, Debug)]
pub struct Entry<'a, Point, Row> {
    /// The point.
    pub point: Point,
    /// The row of the newest visit.
    pub row: Row,
    /// The rows of every visit, oldest first.
    pub rows: Vec<Row>,
    /// The records of every visit, oldest first.
    pub records: Vec<&'a Record>,
    prior: Prior,
}

/// One cell on two devices.
pub type Twins<'a, M> = (
    Entry<'a, <M as Measure>::Point, <M as Measure>::Row>,
    Entry<'a, <M as Measure>::Point, <M as Measure>::Row>,
);

/// What is known of the variance between visits beside a cell's own.
#[derive(Clone, Copy, Debug)]
struct Prior {
    /// For cells with several visits: fitted to all cells, where there are enough.
    of_several: Option<VariancePrior>,
    /// For cells with one visit.
    of_one: VariancePrior,
    /// For ratios of cells that were visited seconds apart, and so at the same pace.
    of_pairs: Option<VariancePrior>,
}

impl Prior {
    /// For a ratio of two cells, visit by visit.
    fn of_ratio(self, a: &[&Record], b: &[&Record]) -> Option<VariancePrior> {
        self.of_pairs.filter(|_| are_adjacent(a, b)).or_else(|| self.of(a.len().min(b.len())))
    }

    fn of(self, visits: usize) -> Option<VariancePrior> {
        if visits > 1 { self.of_several } else { Some(self.of_several.unwrap_or(self.of_one)) }
    }
}

impl<'a> Data<'a> {
    /// The data of one device's records. `machine` are its ceilings, where they were measured.
    #[must_use]
    pub fn new(records: &'a [Record], machine: Option<&'a Machine>, published: &'a Published) -> Self {
        let cells = visits(records);
        let seconds =
            |cell: &Vec<&Record>| cell.iter().map(|r| stats::seconds(&r.samples_ns)).collect::<Vec<_>>();
        let variances = cells.iter().filter_map(|cell| stats::visit_variance(&seconds(cell)));
        let variances: Vec<(f64, f64)> = variances.collect();
        let measured = VariancePrior::fit(&variances);
        let pairs = cells.windows(2).filter(|pair| are_adjacent(&pair[0], &pair[1]));
        let pairs = pairs.filter_map(|pair| stats::paired_variance(&seconds(&pair[0]), &seconds(&pair[1])));
        let of_pairs = VariancePrior::fit(&pairs.collect::<Vec<_>>());
        let of_one = measured.unwrap_or_else(|| of_anchor(&variances));
        let prior = Prior { of_several: measured, of_one, of_pairs };
        let anchor = variances.iter().max_by(|a, b| a.1.total_cmp(&b.1)).map(|it| it.0);
        let noise = measured.map(|prior| prior.variance).or(anchor).map(f64::sqrt);
        Self { cells, machine, published, prior, noise, others: Vec::new() }
    }

    /// This data beside that of the other devices of a run, for studies that compare devices.
    #[must_use]
    pub fn beside(mut self, others: Vec<Self>) -> Self {
        self.others = others;
        self
    }

    /// The data of every device of the run, this one first.
    pub fn devices(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.others)
    }

    /// The cells of a measure that an experiment wants here, each with the same cell of another device.
    ///
    /// # Errors
    /// As [`Data::rows`].
    pub fn shared<M: Measure>(&self, other: &Self, id: &str) -> Result<Vec<Twins<'a, M>>, Error>
    where
        M::Point: PartialEq,
    {
        let mut theirs = other.rows::<M>()?.into_entries();
        let mut twin = |entry: Entry<'a, M::Point, M::Row>| {
            let at = theirs.iter().position(|it| it.point == entry.point)?;
            Some((entry, theirs.swap_remove(at)))
        };
        Ok(self.rows::<M>()?.wanted_by(id).into_entries().into_iter().filter_map(&mut twin).collect())
    }

    /// This data without a cell that no experiment wants, such as the anchor. Its visits still count for the noise.
    #[must_use]
    pub fn without(mut self, cell_id: &str) -> Self {
        let is = |r: &&Record| r.cell_id == cell_id && r.studies.iter().all(|it| it == ANCHOR);
        self.cells.retain(|cell| !cell.iter().all(is));
        self
    }

    /// Every cell of a measure.
    ///
    /// # Errors
    /// Where a record's point or row does not deserialize to the measure's types.
    pub fn rows<M: Measure>(&self) -> Result<Rows<'a, M::Point, M::Row>, Error> {
        let own = self.cells.iter().filter(|cell| cell.iter().all(|r| r.measure == M::NAME));
        let entry = |records: &Vec<&'a Record>| -> Result<_, Error> {
            let row = |r: &&Record| read(M::NAME, "row", &r.row);
            let newest =
                records.last().ok_or_else(|| Error::UnknownPublished { kind: "cell", id: String::new() })?;
            Ok(Entry {
                point: read(M::NAME, "point", &newest.point)?,
                row: row(newest)?,
                rows: records.iter().map(row).collect::<Result<_, _>>()?,
                records: records.clone(),
                prior: self.prior,
            })
        };
        Ok(Rows::new(own.map(entry).collect::<Result<_, _>>()?))
    }

    /// The ceilings of the device, where they were measured.
    #[must_use]
    pub const fn machine(&self) -> Option<&'a Machine> {
        self.machine
    }

    /// The published numbers.
    #[must_use]
    pub const fn published(&self) -> &'a Published {
        self.published
    }

    /// The variance between visits that cells of this run have in common; `None` while few have several visits.
    #[must_use]
    pub const fn prior(&self) -> Option<VariancePrior> {
        self.prior.of_several
    }

    /// Noise floor: relative standard deviation between two visits of one cell.
    #[must_use]
    pub const fn noise(&self) -> Option<f64> {
        self.noise
    }

    /// Seconds of one repetition of a cell, with the interval of visits.
    #[must_use]
    pub fn seconds(&self, cell: &[&Record]) -> Option<Measured> {
        let visits: Vec<Vec<f64>> = cell.iter().map(|r| stats::seconds(&r.samples_ns)).collect();
        stats::log_interval(&visits, self.prior.of(visits.len()))
    }

    /// The visits of every cell, in order of first appearance.
    #[must_use]
    pub fn cells(&self) -> &[Vec<&'a Record>] {
        &self.cells
    }

    /// Number of visits by cell id.
    #[must_use]
    pub fn visits(&self) -> BTreeMap<&'a str, usize> {
        self.cells.iter().filter_map(|cell| Some((cell.first()?.cell_id.as_str(), cell.len()))).collect()
    }
}

/// Whether two cells have the same number of visits, several, each within [`ADJACENT_S`] seconds of the other's.
fn are_adjacent(a: &[&Record], b: &[&Record]) -> bool {
    let near =
        |(a, b): (&&Record, &&Record)| match (unix_seconds(&a.started_utc), unix_seconds(&b.started_utc)) {
            (Some(a), Some(b)) => a.abs_diff(b) <= ADJACENT_S,
            _ => false,
        };
    a.len() == b.len() && a.len() > 1 && a.iter().zip(b).all(near)
}

/// Seconds between two visits within which a machine keeps its pace.
const ADJACENT_S: u64 = 30;

/// The prior of cells with one visit, before others have several: [`ASSUMED`], updated by the variance of the anchor.
fn of_anchor(variances: &[(f64, f64)]) -> VariancePrior {
    let anchor = variances.iter().max_by(|a, b| a.1.total_cmp(&b.1));
    let (variance, df) = anchor.map_or((ASSUMED.variance, ASSUMED.df), |&(s2, df)| ASSUMED.moderate(s2, df));
    VariancePrior { df, variance, pooled_df: df }
}

/// What is assumed of visits before any cell has several: a standard deviation of 10 %, known as well as from five visits.
///
/// On shared machines, visits of one cell minutes apart differed by 5 to 15 %.
const ASSUMED: VariancePrior = VariancePrior { df: 4.0, variance: 0.01, pooled_df: 4.0 };

impl<Point, Row> Entry<'_, Point, Row> {
    /// The record of the newest visit.
    #[must_use]
    pub fn record(&self) -> &Record {
        self.records[self.records.len() - 1]
    }

    /// Seconds of every repetition, by visit.
    #[must_use]
    pub fn seconds_by_visit(&self) -> Vec<Vec<f64>> {
        self.records.iter().map(|r| stats::seconds(&r.samples_ns)).collect()
    }

    /// Seconds of one repetition, with the interval of visits.
    #[must_use]
    pub fn seconds(&self) -> Option<Measured> {
        stats::log_interval(&self.seconds_by_visit(), self.prior.of(self.visits()))
    }

    /// A positive figure of each visit's row, with the interval of visits.
    #[must_use]
    pub fn over_visits(&self, figure: impl Fn(&Row) -> Option<f64>) -> Option<Measured> {
        stats::log_interval(&self.figures(figure)?, self.prior.of(self.visits()))
    }

    /// A ratio that each visit measures with both sides interleaved, with the interval of visits.
    ///
    /// The pace cancels within a visit, so that from three visits on only their own variance counts.
    #[must_use]
    pub fn interleaved(&self, ratio: impl Fn(&Row) -> Option<f64>) -> Option<Measured> {
        let prior = self.prior.of(self.visits()).filter(|_| self.visits() < 3);
        stats::log_interval(&self.figures(ratio)?, prior)
    }

    /// Time of this cell over that of another, visit by visit.
    #[must_use]
    pub fn time_over<P, R>(&self, other: &Entry<'_, P, R>) -> Option<Measured> {
        let prior = self.prior.of_ratio(&self.records, &other.records);
        let ratio = stats::log_ratio(&self.seconds_by_visit(), &other.seconds_by_visit(), prior)?;
        Some(ratio.interval)
    }

    /// A positive figure of this cell over that of another, visit by visit.
    #[must_use]
    pub fn ratio<P, R>(
        &self,
        figure: impl Fn(&Row) -> Option<f64>,
        other: &Entry<'_, P, R>,
        of_other: impl Fn(&R) -> Option<f64>,
    ) -> Option<Measured> {
        let (above, below) = (self.figures(figure)?, other.figures(of_other)?);
        let prior = self.prior.of_ratio(&self.records, &other.records);
        stats::log_ratio(&above, &below, prior).map(|it| it.interval)
    }

    /// This cell as evidence.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        Evidence { cells: vec![self.record().cell_id.clone()], visits: self.records.len() }
    }

    /// Number of visits.
    #[must_use]
    pub fn visits(&self) -> usize {
        self.records.len()
    }

    /// Measure and point: equal for cells of two journals.
    #[must_use]
    pub fn key(&self) -> String {
        point_key(self.record())
    }

    fn figures(&self, figure: impl Fn(&Row) -> Option<f64>) -> Option<Vec<Vec<f64>>> {
        self.rows.iter().map(|row| figure(row).map(|it| vec![it])).collect()
    }
}
