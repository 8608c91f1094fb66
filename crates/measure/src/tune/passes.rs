//! PassComparison passes with what was found, compare_passes the same without it.

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

const ROUNDS: Budget = Budget { warmup: 1, min_reps: 9, max_reps: 25, budget_s: 1.0 };

/// A pass in which something changed.
#[derive(Clone, Debug)]
pub struct PassComparison {
    /// Tokens of the forward pass.
    pub tokens: usize,
    /// Positions in the cache before it.
    pub depth: usize,
    /// Seconds without what was found.
    pub default_s: f64,
    /// Time without it over time with it.
    pub gain: Measured,
    /// The products of the pass.
    pub classes: BTreeSet<LinearClass>,
}

impl PassComparison {
    /// Whether what was found surely costs time.
    pub fn is_slower(&self) -> bool {
        self.gain.hi < 1.0
    }
}

/// A pass of so many tokens after `depth` others by `before` and by `after`, in turns; nothing where they are the same.
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
        pass.launches().iter().map(|step| (pass.kernel(step), pass.params(step))).collect()
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
    let classes = passes.iter().flat_map(super::product::classes).collect();
    Ok(Some(PassComparison { tokens: n, depth, default_s, gain, classes }))
}

fn pass(session: &mut Session<Device>, n: usize, tuning: &Tuning) -> Result<Recording, Error> {
    session.tune(tuning.clone());
    let (tokens, rows) = batch(n);
    Ok(session.record(&tokens, rows)?.clone())
}
