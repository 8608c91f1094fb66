//! Whole passes with what was found, beside the same with the defaults.

use super::TOKENS;
use super::attention::DEPTHS;
use crate::models::Loaded;
use crate::{Device, Error, Lab, probe};
use ridgeline_compute::Executor;
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::stats;
use ridgeline_kernels::{Class, Tuning};
use ridgeline_model::{Session, SessionOptions};
use ridgeline_roofline::Measured;
use ridgeline_speculative::Rows;
use std::time::Instant;

const TURNS: Budget = Budget { warmup: 1, min_reps: 9, max_reps: 25, budget_s: 1.0 };

/// A pass in which something changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whole {
    pub tokens: usize,
    pub depth: usize,
    /// Seconds with the defaults.
    pub default_s: f64,
    /// Time with the defaults over time with what was found.
    pub gain: Measured,
}

impl Whole {
    /// Whether what was found surely costs time.
    pub(crate) fn is_slower(&self) -> bool {
        self.gain.hi < 1.0
    }

    /// Whether the products of a class are in it.
    pub(crate) fn is_made_of(&self, class: Class) -> bool {
        self.depth == 0
            && u32::try_from(self.tokens)
                .is_ok_and(|n| Class::of(class.format, n, 0).vectors == class.vectors)
    }

    /// Whether it has positions before it, whose attention is cut.
    pub(crate) const fn is_deep(&self) -> bool {
        self.depth > 0
    }
}

/// Passes of all numbers of tokens, and one at depth, as far as they change.
pub(super) fn tune(lab: &Lab, loaded: &Loaded, tuning: &Tuning) -> Result<Vec<Whole>, Error> {
    let deepest = DEPTHS[1].min(loaded.model.config.window.unwrap_or(usize::MAX) - 1);
    let largest = TOKENS[TOKENS.len() - 1];
    let context = (deepest + 1).max(largest);
    let options = SessionOptions { context, batch: largest, logit_rows: 16, ..SessionOptions::default() };
    let mut session = lab.session(loaded, options)?;
    let mut passes = Vec::new();
    for (depth, tokens) in TOKENS.into_iter().map(|n| (0, n)).chain([(deepest, 1)]) {
        session.assume(depth)?;
        passes.extend(beside(lab, &mut session, (depth, tokens), tuning)?);
    }
    Ok(passes)
}

/// One pass with the defaults and with what was found, in turns; nothing where they are the same.
fn beside(
    lab: &Lab,
    session: &mut Session<Device>,
    (depth, n): (usize, usize),
    tuning: &Tuning,
) -> Result<Option<Whole>, Error> {
    let tokens: Vec<u32> = (0..).take(n).collect();
    let rows = if n <= 16 { Rows::All } else { Rows::Last };
    let mut pass = |tuning: &Tuning| {
        session.tune(tuning.clone());
        session.record(&tokens, rows).cloned()
    };
    let passes = [pass(&Tuning::default())?, pass(tuning)?];
    let launches = passes.each_ref().map(|pass| -> Vec<_> {
        pass.steps().iter().map(|step| (pass.kernel(step), pass.params(step))).collect()
    });
    if launches[0] == launches[1] {
        return Ok(None);
    }
    let mut device = lab.device.borrow_mut();
    let mut seconds = [Vec::new(), Vec::new()];
    let (start, mut done) = (Instant::now(), 0);
    while TURNS.goes_on(done, start.elapsed().as_secs_f64()) {
        for (pass, seconds) in passes.iter().zip(&mut seconds) {
            let timing = device.run(pass)?.timing;
            if done >= TURNS.warmup {
                seconds.push(timing.total_ns() as f64 / 1e9);
            }
        }
        done += 1;
    }
    let gain = stats::ratio_of_medians(&seconds[0], &seconds[1], lab.seed).ok_or(probe::Error::NoBlocks)?;
    let default_s = stats::median(&seconds[0]).unwrap_or(f64::NAN);
    Ok(Some(Whole { tokens: n, depth, default_s, gain }))
}
