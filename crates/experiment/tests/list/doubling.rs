//! An experiment that doubles, for the test of the list.

use super::Lab;
use ridgeline_experiment::experiment::{Context, Entry, Experiment, Measurement, RunError};
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::report::Section;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Point {
    size: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    rate: f64,
}

/// The experiment itself.
#[derive(Debug)]
pub(crate) struct Study;

impl Experiment<Lab> for Study {
    const NAME: &'static str = "doubling";
    type Point = Point;
    type Row = Row;

    fn run(lab: &mut Lab, point: &Point, budget: &Budget) -> Result<Measurement<Row>, RunError> {
        if point.size == 0 {
            return Err(RunError::skip("nothing to double"));
        }
        let mut samples = Vec::new();
        while budget.continues(u32::try_from(samples.len()).unwrap_or(u32::MAX), 0.0) {
            samples.push(lab.ns);
        }
        Ok(Measurement::new(Row { rate: point.size as f64 / lab.ns as f64 }, samples))
    }

    fn summarise(entries: &[Entry<'_, Point, Row>], _: &Context<'_>) -> Vec<Section> {
        let rate: f64 = entries.iter().map(|e| e.row.rate).sum();
        let samples: usize = entries.iter().map(|e| e.record.samples_ns.len()).sum();
        vec![Section::new("Doubling", format!("{} points, {rate} in all, {samples} samples", entries.len()))]
    }
}
