//! A small ceilings measure: the measured bandwidth of one memory copy.

use super::copying::{Row, copy};
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::measure::{Measure, Measurement, Run, RunError};
use ridgeline_measure::MeasureContext;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    bytes: u64,
}

#[derive(Debug)]
pub(crate) struct Kind;

impl Measure for Kind {
    const NAME: &'static str = "ceilings";
    type Point = Point;
    type Row = Row;
}

impl Run<MeasureContext> for Kind {
    fn run(_: &mut MeasureContext, point: &Point, budget: &Budget) -> Result<Measurement<Row>, RunError> {
        let (samples, bytes_per_s) = copy(point.bytes, budget);
        Ok(Measurement::new(Row { bytes_per_s, had_ceilings: false }, samples))
    }
}
