//! Fixed costs: one more launch, a submission, waiting for nothing, reading a few bytes back.
//!
//! One more launch is the slope of empty launches within a submission, encoding included, because that is what it
//! adds to a step. Submission and synchronisation are the queue call and the wait of a submission without launches.
//! Reading back is what four bytes add to it.

use super::blocks::typical;
use super::{Clock, Error, Timer};
use crate::timing::Stopwatch;
use ridgeline_compute::{Executor, Recording};
use ridgeline_experiment::{matrix::Budget, stats};
use ridgeline_roofline::Overheads;
use serde::{Deserialize, Serialize};

/// Runs of each kind in a block, of which the median counts.
const RUNS: usize = 15;

/// Fixed costs, and the figures of each block they come from, in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OverheadSeries {
    /// The costs.
    pub overheads: Overheads,
    /// Launch, submission, synchronisation and read-back of every block.
    pub blocks: Vec<[f64; 4]>,
    /// Making an encoder and finishing it, median over the blocks: not part of any of the four.
    pub encode_s: f64,
}

/// Measures the fixed costs; the blocks' wall times come with them.
///
/// # Errors
/// What the device says.
pub fn overheads(timer: &mut Timer<'_>, budget: &Budget) -> Result<(OverheadSeries, Vec<u64>), Error> {
    let launches = timer.unit(&timer.empty(1))?;
    let (mut blocks, mut encodes, mut block_ns) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..budget.warmup {
        block(timer, &launches)?;
    }
    let start = Stopwatch::start();
    let mut done = 0;
    while budget.continues(done, start.seconds()) {
        let begun = Stopwatch::start();
        let (figures, encode) = block(timer, &launches)?;
        blocks.push(figures);
        encodes.push(encode);
        block_ns.push(begun.ns());
        done += 1;
    }
    let column = |i: usize| {
        let figures: Vec<f64> = blocks.iter().map(|b| b[i]).collect();
        typical(&figures).ok_or(Error::NoBlocks)
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

/// One block: the four figures, and encoding.
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
    let figures = [launch, median(&samples[0])?, median(&samples[1])?, median(&samples[2])?];
    Ok((figures, median(&samples[3])?))
}
