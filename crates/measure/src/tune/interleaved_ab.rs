//! Interleaved A/B comparison of kernel variants with the default.
//!
//! ```text
//! calibrate all; finalists = the FINALISTS fastest that are faster than the default
//! round 1: interleave default and finalists; best = fastest whose interval lies below the default's
//! round 2: interleave default and best; accept best if its interval lies below the default's again
//! ```
//!
//! Interleaving exposes all variants to the same drift of the machine. Round 2 guards against the winner's curse: the
//! best of several noisy times is partly luck.

use crate::Error;
use crate::probe::{self, Clock, Timer, Unit, blocks, typical};
use ridgeline_compute::Recording;
use ridgeline_experiment::matrix::Budget;
use ridgeline_roofline::Measured;

/// Variants that reach round 1.
const FINALISTS: usize = 3;

/// Finalists are within this factor of the fastest calibrated time.
const CLOSE: f64 = 1.25;

/// Budget of a round. It is short because a model has about thirty classes.
const ROUND: Budget = Budget { warmup: 0, min_reps: 7, max_reps: 15, budget_s: 0.4 };

/// The result for one class of launches.
#[derive(Clone, Copy, Debug)]
pub struct ClassResult<K, C> {
    /// The class.
    pub class: K,
    /// The choice without tuning.
    pub default: C,
    /// Time of the default in seconds.
    pub default_s: Measured,
    /// A faster choice and its time in seconds; `None` where the default is the fastest.
    pub better: Option<(C, Measured)>,
    /// Whether the faster choice makes a whole forward pass slower.
    pub rejected: bool,
}

impl<K, C: Copy> ClassResult<K, C> {
    /// The choice to keep; `None` for the default.
    pub fn chosen(&self) -> Option<C> {
        self.better.filter(|_| !self.rejected).map(|it| it.0)
    }

    /// Time of the default over time of the faster choice; 1 without one.
    pub fn gain(&self) -> f64 {
        self.better.map_or(1.0, |it| self.default_s.value / it.1.value)
    }
}

/// Compares the choices for a class with the default.
pub(super) fn compare<K, C: Copy>(
    timer: &mut Timer<'_>,
    class: K,
    (default, baseline): (C, &Recording),
    others: &[(C, Recording)],
) -> Result<ClassResult<K, C>, Error> {
    let (default_s, better) = fastest(timer, baseline, others)?;
    let better = better.map(|(i, seconds)| (others[i].0, seconds));
    Ok(ClassResult { class, default, default_s, better, rejected: false })
}

/// Seconds of the default, and index and seconds of a faster recording.
fn fastest<C>(
    timer: &mut Timer<'_>,
    default: &Recording,
    others: &[(C, Recording)],
) -> Result<(Measured, Option<(usize, Measured)>), Error> {
    let before = timer.unit(default)?.estimate_s;
    let mut calibrated = Vec::new();
    for (i, (_, work)) in others.iter().enumerate() {
        match timer.unit(work) {
            Ok(unit) => calibrated.push((unit.estimate_s, i)),
            // A variant that the driver cannot compile is skipped.
            Err(probe::Error::Run(ridgeline_compute::Error::Shader { kernel, reason })) => {
                tracing::warn!("{kernel}: {reason}");
            }
            Err(error) => return Err(error.into()),
        }
    }
    let seconds = before.max(timer.unit(default)?.estimate_s);
    calibrated.sort_by(|a, b| a.0.total_cmp(&b.0));
    let fastest = calibrated.first().map_or(f64::INFINITY, |it| it.0);
    // Slower variants are the majority, so timing them would take most of the budget.
    let faster = calibrated.iter().filter(|it| it.0 < seconds && it.0 <= CLOSE * fastest);
    let finalists: Vec<usize> = faster.take(FINALISTS).map(|it| it.1).collect();
    if finalists.is_empty() {
        return Ok((Measured::exact(seconds), None));
    }
    let works: Vec<&Recording> =
        std::iter::once(default).chain(finalists.iter().map(|&i| &others[i].1)).collect();
    let times = round(timer, &works)?;
    let Some(best) = winner(&times) else { return Ok((times[0], None)) };
    // Round 2.
    let again = round(timer, &[default, works[best]])?;
    Ok((again[0], winner(&again).map(|_| (finalists[best - 1], again[1]))))
}

/// Index of the fastest of all but the first, if its interval lies below that of the first.
fn winner(times: &[Measured]) -> Option<usize> {
    let (default, others) = times.split_first()?;
    let (i, best) = others.iter().enumerate().min_by(|a, b| a.1.value.total_cmp(&b.1.value))?;
    (best.hi < default.lo).then_some(i + 1)
}

/// Seconds of interleaved recordings.
fn round(timer: &mut Timer<'_>, works: &[&Recording]) -> Result<Vec<Measured>, Error> {
    let units: Result<Vec<Unit>, _> = works.iter().map(|work| timer.unit(work)).collect();
    let blocks = blocks(timer, &units?, Clock::SubmitToComplete, &ROUND)?;
    let times = blocks.seconds.iter().map(|seconds| typical(seconds).ok_or(probe::Error::NoBlocks));
    Ok(times.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::winner;
    use ridgeline_roofline::Measured;

    fn around(value: f64, by: f64) -> Measured {
        Measured { value, lo: value - by, hi: value + by }
    }

    #[test]
    fn a_winner_has_an_interval_below_the_default() {
        let default = around(10.0, 0.5);
        assert_eq!(winner(&[default, around(9.0, 0.4), around(8.0, 0.4)]), Some(2));
        assert_eq!(winner(&[default, around(9.0, 0.6)]), None, "the intervals overlap");
        assert_eq!(winner(&[default, around(12.0, 0.1)]), None);
        assert_eq!((winner(&[default]), winner(&[])), (None, None));
    }
}
