//! Fixed costs in seconds: launch, submission, synchronisation, read-back.
//!
//! ```text
//! launch          = slope over empty launches in one submission, encoding included
//! submission      = queue call of a submission without launches
//! synchronisation = wait for that submission
//! read-back       = time with a read-back of four bytes − time without
//! ```
//!
//! The launch includes encoding because each further launch adds it to a decode step.

use super::blocks::typical;
use super::{Clock, Error, Timer};
use crate::timing::{Stopwatch, repeat};
use ridgeline_compute::{Executor, Recording};
use ridgeline_experiment::{matrix::Budget, stats};
use ridgeline_roofline::Overheads;
use serde::{Deserialize, Serialize};

/// Submissions of each kind in a block, of which the median counts.
const RUNS: usize = 15;

/// Fixed costs and the values of each block, in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OverheadSeries {
    /// The costs, each with a 95 % interval.
    pub overheads: Overheads,
    /// Launch, submission, synchronisation and read-back of every block, in seconds.
    pub blocks: Vec<[f64; 4]>,
    /// Creating and finishing a command encoder, median over the blocks, in seconds. None of the four costs includes it.
    pub encode_s: f64,
}

/// Measures the fixed costs. Also returns the wall time of each block in nanoseconds.
///
/// # Errors
/// [`Error::Run`] where the device fails, [`Error::NoBlocks`] where the budget allows fewer than two blocks.
pub fn overheads(timer: &mut Timer<'_>, budget: &Budget) -> Result<(OverheadSeries, Vec<u64>), Error> {
    let launches = timer.unit(&timer.empty(1))?;
    let measured = repeat(budget, || -> Result<_, Error> {
        let stopwatch = Stopwatch::start();
        let (costs, encode_s) = block(timer, &launches)?;
        Ok((costs, encode_s, stopwatch.ns()))
    })?;
    let blocks: Vec<[f64; 4]> = measured.iter().map(|it| it.0).collect();
    let encodes: Vec<f64> = measured.iter().map(|it| it.1).collect();
    let block_ns = measured.iter().map(|it| it.2).collect();
    let column = |i: usize| {
        let costs: Vec<f64> = blocks.iter().map(|b| b[i]).collect();
        typical(&costs).ok_or(Error::NoBlocks)
    };
    let overheads = Overheads {
        launch_s: column(0)?,
        submission_s: column(1)?,
        synchronisation_s: column(2)?,
        readback_s: column(3)?,
    };
    let encode_s = stats::median(&encodes).ok_or(Error::NoBlocks)?;
    Ok((OverheadSeries { overheads, blocks, encode_s }, block_ns))
}

/// One block in seconds: the four costs, and encoding.
fn block(timer: &mut Timer<'_>, launches: &super::Unit) -> Result<([f64; 4], f64), Error> {
    let launch = timer.slope(launches, 3, Clock::WithEncoding)?;
    let plain = Recording::new();
    let mut reading = Recording::new();
    reading.read_back(timer.cell());
    let mut samples: [Vec<f64>; 4] = Default::default();
    for _ in 0..RUNS {
        let timing = timer.device.run(&plain)?.timing;
        let with = timer.device.run(&reading)?.timing;
        let all = [
            timing.submit_ns as f64,
            timing.wait_ns as f64,
            with.total_ns() as f64 - timing.total_ns() as f64,
            timing.encode_ns as f64,
        ];
        for (samples, ns) in samples.iter_mut().zip(all) {
            samples.push(ns * 1e-9);
        }
    }
    let median = |samples: &Vec<f64>| stats::median(samples).ok_or(Error::NoBlocks);
    let costs = [launch, median(&samples[0])?, median(&samples[1])?, median(&samples[2])?];
    Ok((costs, median(&samples[3])?))
}
