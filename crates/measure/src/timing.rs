//! The host's monotonic clock, and repeating a measurement within its budget.

use ridgeline_experiment::matrix::Budget;
use std::time::Instant;

/// Time since its start by the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts at zero.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since the start, saturating after five centuries.
    #[must_use]
    pub fn ns(self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Seconds since the start.
    #[must_use]
    pub fn seconds(self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// Nanoseconds that `work` takes, with its result.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let stopwatch = Stopwatch::start();
    let result = work();
    (result, stopwatch.ns())
}

/// Runs `once` for the warm-up and then until the budget is spent. Returns its results without those of the warm-up.
///
/// `once` times its own work, so that preparing a repetition is not part of the time.
///
/// # Errors
/// The first error of `once`.
pub fn repeat<T, E>(budget: &Budget, mut once: impl FnMut() -> Result<T, E>) -> Result<Vec<T>, E> {
    for _ in 0..budget.warmup {
        once()?;
    }
    let stopwatch = Stopwatch::start();
    let mut samples = Vec::new();
    let mut done = 0;
    while budget.continues(done, stopwatch.seconds()) {
        samples.push(once()?);
        done += 1;
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::{repeat, timed};
    use ridgeline_experiment::matrix::Budget;

    #[test]
    fn a_budget_bounds_repetitions() {
        let mut calls = 0;
        let budget = Budget { warmup: 2, min_reps: 3, max_reps: 5, budget_s: 60.0 };
        let samples = repeat(&budget, || {
            calls += 1;
            Ok::<u64, ()>(calls)
        });
        assert_eq!(samples, Ok(vec![3, 4, 5, 6, 7]));
        let spent = Budget { budget_s: 0.0, ..budget };
        assert_eq!(repeat(&spent, || Ok::<u64, ()>(1)), Ok(vec![1, 1, 1]));
        assert_eq!(repeat(&budget, || Err::<u64, &str>("no")), Err("no"));
    }

    #[test]
    fn time_passes() {
        let ((), ns) = timed(|| std::thread::sleep(std::time::Duration::from_millis(2)));
        assert!(ns >= 2_000_000);
    }
}
