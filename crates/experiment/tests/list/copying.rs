//! A measure with the default plan, for the test of the list.

use super::Lab;
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::measure::{Measure, Measurement, Run, RunError};

/// The measure itself.
#[derive(Debug)]
pub(crate) struct Kind;

impl Measure for Kind {
    const NAME: &'static str = "copying";
    type Point = u64;
    type Row = u64;
}

impl Run<Lab> for Kind {
    fn run(lab: &mut Lab, point: &u64, _: &Budget) -> Result<Measurement<u64>, RunError> {
        Ok(Measurement::new(*point, vec![lab.ns]))
    }
}
