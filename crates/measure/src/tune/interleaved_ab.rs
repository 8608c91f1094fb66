//! Works held against the one that serves by default.
//!
//! They are timed beside it, turn by turn, so that drift of the machine hits both; one wins only where its interval ends
//! before the default's begins, and only if a second round says the same.

use crate::Error;
use crate::probe::{self, Clock, Timer, Unit, blocks, typical};
use ridgeline_compute::Recording;
use ridgeline_experiment::matrix::Budget;
use ridgeline_roofline::Measured;

/// Works that are timed with care: the fastest at first sight.
const FINALISTS: usize = 3;

/// A work within this factor of the fastest at first sight is worth a closer look.
const CLOSE: f64 = 1.25;

/// Short, because a model has some thirty classes.
const ROUND: Budget = Budget { warmup: 0, min_reps: 7, max_reps: 15, budget_s: 0.4 };

/// What was found for a class of works.
#[derive(Clone, Copy, Debug)]
pub struct ClassResult<K, C> {
    /// What was timed.
    pub class: K,
    /// The choice that serves without tuning.
    pub default: C,
    /// Its time in seconds.
    pub default_s: Measured,
    /// Another choice and its time, where it is better than the default.
    pub better: Option<(C, Measured)>,
    /// Whether that is slower in a whole pass.
    pub rejected: bool,
}

impl<K, C: Copy> ClassResult<K, C> {
    /// The choice, where there is one.
    pub fn chosen(&self) -> Option<C> {
        self.better.filter(|_| !self.rejected).map(|it| it.0)
    }

    /// Time of the default over time of what is better; 1 where nothing is.
    pub fn gain(&self) -> f64 {
        self.better.map_or(1.0, |it| self.default_s.value / it.1.value)
    }
}

/// Holds other choices for a class against the default.
pub(super) fn hold<K, C: Copy>(
    timer: &mut Timer<'_>,
    class: K,
    (default, usual): (C, &Recording),
    others: &[(C, Recording)],
) -> Result<ClassResult<K, C>, Error> {
    let (default_s, better) = fastest(timer, usual, others)?;
    let better = better.map(|(i, seconds)| (others[i].0, seconds));
    Ok(ClassResult { class, default, default_s, better, rejected: false })
}

/// The default's seconds and, where another is better, which, and its seconds.
fn fastest<C>(
    timer: &mut Timer<'_>,
    default: &Recording,
    others: &[(C, Recording)],
) -> Result<(Measured, Option<(usize, Measured)>), Error> {
    let before = timer.unit(default)?.estimate_s;
    let mut seen = Vec::new();
    for (i, (_, work)) in others.iter().enumerate() {
        match timer.unit(work) {
            Ok(unit) => seen.push((unit.estimate_s, i)),
            // What a driver refuses to compile is no candidate, and no reason to stop.
            Err(probe::Error::Run(ridgeline_compute::Error::Shader { kernel, reason })) => {
                tracing::warn!("{kernel}: {reason}");
            }
            Err(error) => return Err(error.into()),
        }
    }
    let seconds = before.max(timer.unit(default)?.estimate_s);
    seen.sort_by(|a, b| a.0.total_cmp(&b.0));
    let fastest = seen.first().map_or(f64::INFINITY, |it| it.0);
    // What is no faster at first sight is not looked at again: most of the time would go to it.
    let worth = seen.iter().filter(|it| it.0 < seconds && it.0 <= CLOSE * fastest);
    let finalists: Vec<usize> = worth.take(FINALISTS).map(|it| it.1).collect();
    if finalists.is_empty() {
        return Ok((Measured::exact(seconds), None));
    }
    let works: Vec<&Recording> =
        std::iter::once(default).chain(finalists.iter().map(|&i| &others[i].1)).collect();
    let times = round(timer, &works)?;
    let Some(best) = winner(&times) else { return Ok((times[0], None)) };
    // A second opinion, because the best of several is partly the luckiest.
    let again = round(timer, &[default, works[best]])?;
    Ok((again[0], winner(&again).map(|_| (finalists[best - 1], again[1]))))
}

/// The fastest of all but the first, where it is surely faster than the first.
fn winner(times: &[Measured]) -> Option<usize> {
    let (default, others) = times.split_first()?;
    let (i, best) = others.iter().enumerate().min_by(|a, b| a.1.value.total_cmp(&b.1.value))?;
    (best.hi < default.lo).then_some(i + 1)
}

/// Times of works, turn by turn.
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
    fn only_what_is_surely_faster_wins() {
        let default = around(10.0, 0.5);
        assert_eq!(winner(&[default, around(9.0, 0.4), around(8.0, 0.4)]), Some(2));
        assert_eq!(winner(&[default, around(9.0, 0.6)]), None, "the intervals overlap");
        assert_eq!(winner(&[default, around(12.0, 0.1)]), None);
        assert_eq!((winner(&[default]), winner(&[])), (None, None));
    }
}
