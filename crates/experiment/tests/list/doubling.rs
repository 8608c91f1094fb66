//! A measure that doubles, for the test of the list.

use super::Lab;
use ridgeline_experiment::Error;
use ridgeline_experiment::matrix::{Axes, Budget};
use ridgeline_experiment::measure::{Measure, Measurement, Run, RunError};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Point {
    size: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    rate: f64,
}

/// The measure itself.
#[derive(Debug)]
pub(crate) struct Kind;

impl Measure for Kind {
    const NAME: &'static str = "doubling";
    type Point = Point;
    type Row = Row;
}

impl Run<Lab> for Kind {
    /// The smallest size comes first.
    fn plan(axes: &Axes) -> Result<Vec<Point>, Error> {
        let mut points: Vec<Point> = axes.points()?;
        points.sort_by_key(|point| point.size);
        Ok(points)
    }

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
}
