//! Forward passes with and without the tuned choices, interleaved.

use super::{batch, options};
use crate::models::Loaded;
use crate::timing::Stopwatch;
use crate::{Device, Error, MeasureContext, probe};
use ridgeline_compute::{Executor, Recording};
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::stats;
use ridgeline_kernels::{LinearClass, Tuning};
use ridgeline_model::Session;
use ridgeline_roofline::Measured;
use std::collections::BTreeSet;

/// Budget of a comparison. A repetition is one run of each pass.
const ROUNDS: Budget = Budget { warmup: 1, min_reps: 9, max_reps: 25, budget_s: 1.0 };

/// Comparison of a forward pass with and without tuned choices.
#[derive(Clone, Debug)]
pub struct PassComparison {
    /// Tokens of the forward pass.
    pub tokens: usize,
    /// Positions in the cache before it.
    pub depth: usize,
    /// Median seconds with the default choices.
    pub default_s: f64,
    /// Time with the default choices over time with the tuned ones.
    pub gain: Measured,
    /// Classes of the linears in the pass.
    pub classes: BTreeSet<LinearClass>,
}

impl PassComparison {
    /// Whether the pass is significantly slower with the tuned choices.
    pub fn is_slower(&self) -> bool {
        self.gain.hi < 1.0
    }
}

/// Compares a forward pass over `n` tokens at `depth` with the choices `before` and `after`, interleaved.
///
/// `None` where both launch the same kernels.
pub(super) fn compare_passes(
    cx: &MeasureContext,
    loaded: &Loaded,
    (depth, n): (usize, usize),
    [before, after]: [&Tuning; 2],
) -> Result<Option<PassComparison>, Error> {
    let mut session = cx.session(loaded, options(depth + n))?;
    session.set_kv_len(depth)?;
    let passes = [pass(&mut session, n, before)?, pass(&mut session, n, after)?];
    let launches = passes.each_ref().map(|pass| -> Vec<_> {
        pass.launches().iter().map(|launch| (pass.kernel(launch), pass.params(launch))).collect()
    });
    if launches[0] == launches[1] {
        return Ok(None);
    }
    let mut device = cx.device.borrow_mut();
    let mut seconds = [Vec::new(), Vec::new()];
    let (start, mut done) = (Stopwatch::start(), 0);
    while ROUNDS.continues(done, start.seconds()) {
        for (pass, seconds) in passes.iter().zip(&mut seconds) {
            let timing = device.run(pass)?.timing;
            if done >= ROUNDS.warmup {
                seconds.push(timing.total_ns() as f64 / 1e9);
            }
        }
        done += 1;
    }
    let gain = stats::ratio_of_medians(&seconds[0], &seconds[1], cx.seed).ok_or(probe::Error::NoBlocks)?;
    let default_s = stats::median(&seconds[0]).unwrap_or(f64::NAN);
    let classes = passes.iter().flat_map(super::linear::classes).collect();
    Ok(Some(PassComparison { tokens: n, depth, default_s, gain, classes }))
}

fn pass(session: &mut Session<Device>, n: usize, tuning: &Tuning) -> Result<Recording, Error> {
    session.tune(tuning.clone());
    let (tokens, rows) = batch(n);
    Ok(session.record(&tokens, rows)?.clone())
}
