//! A small ceilings experiment: the measured bandwidth of one memory copy.

use super::copying::{Row, copy};
use ridgeline_experiment::experiment::{Context, Entry, Experiment, Measurement, RunError};
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::report::Section;
use ridgeline_measure::MeasureContext;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    bytes: u64,
}

#[derive(Debug)]
pub(crate) struct Study;

impl Experiment<MeasureContext> for Study {
    const NAME: &'static str = "ceilings";
    type Point = Point;
    type Row = Row;

    fn run(_: &mut MeasureContext, point: &Point, budget: &Budget) -> Result<Measurement<Row>, RunError> {
        let (samples, bytes_per_s) = copy(point.bytes, budget);
        Ok(Measurement::new(Row { bytes_per_s, had_ceilings: false }, samples))
    }

    fn summarise(_: &[Entry<'_, Point, Row>], _: &Context<'_>) -> Vec<Section> {
        Vec::new()
    }
}
