//! The ceilings of the device: bandwidth by working-set size, peak arithmetic, fixed costs, mat-vecs.

use super::operation::nanoseconds;
use ridgeline_experiment::data::{Data, Entry};
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::measure::{Measure, Measurement, Run, RunError};
use ridgeline_experiment::record::Record;
use ridgeline_measure::MeasureContext;
use ridgeline_measure::probe::{self, Ceiling, Probed, Quantity};
use ridgeline_roofline::Machine;
use serde::{Deserialize, Serialize};

/// One group of ceilings.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    /// The quantity measured.
    pub quantity: Quantity,
}

/// What was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The ceilings.
    pub ceiling: Ceiling,
}

/// The measure.
#[derive(Debug)]
pub(crate) struct Kind;

impl Measure for Kind {
    const NAME: &'static str = "ceilings";
    type Point = Point;
    type Row = Row;
}

impl Run<MeasureContext> for Kind {
    fn run(cx: &mut MeasureContext, point: &Point, budget: &Budget) -> Result<Measurement<Row>, RunError> {
        cx.require_clock()?;
        let measured = probe::measure(&mut cx.device.borrow_mut(), point.quantity, budget);
        let Probed { ceiling, .. } = measured.map_err(RunError::failed)?;
        // A block's wall time depends on its calibrated length; the time of a fixed amount of work does not.
        let samples_ns = nanoseconds(&ceiling.block_seconds());
        Ok(Measurement::new(Row { ceiling }, samples_ns))
    }
}

/// The ceilings of every quantity, each joined over its visits.
pub(crate) fn joined(data: &Data<'_>) -> Result<Vec<Ceiling>, ridgeline_experiment::Error> {
    Ok(data.rows::<Kind>()?.iter().filter_map(over_visits).collect())
}

/// One ceiling over all visits. A visit that measured other working sets than the newest does not join.
fn over_visits(entry: &Entry<'_, Point, Row>) -> Option<Ceiling> {
    let (newest, earlier) = entry.rows.split_last()?;
    let join = |all: Ceiling, row: &Row| all.joined(&row.ceiling).unwrap_or(all);
    Some(earlier.iter().rev().fold(newest.ceiling.clone(), join))
}

/// The machine model from records of this measure, over all visits. `None` where a ceiling is missing.
#[must_use]
pub(crate) fn machine(records: &[Record]) -> Option<Machine> {
    let own: Vec<Record> = records.iter().filter(|r| r.measure == Kind::NAME).cloned().collect();
    let adapter = own.last()?.machine.adapter.clone();
    let published = ridgeline_experiment::published::Published::default();
    let ceilings = joined(&Data::new(&own, None, &published)).ok()?;
    probe::machine(&adapter, &ceilings)
}
