//! The only place of the libraries that reads a clock: the host's stopwatch, and the arithmetic of device timestamps.

use std::time::Instant;

/// A stopwatch that is read lap by lap, so that laps add up to the whole without gaps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since the start or the last lap.
    pub(crate) fn lap(&mut self) -> u64 {
        let now = Instant::now();
        let lap = now.duration_since(self.0);
        self.0 = now;
        u64::try_from(lap.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Device time of each step from pairs of (begin, end) ticks of `period` nanoseconds.
///
/// Nothing where the pairs cannot be true: a tick that was never written (zero), an end before its begin, steps out
/// of order, no time passing at all, or more than the `wall` nanoseconds the host saw, with a tenth for the drift
/// between two clocks.
pub(crate) fn step_times(ticks: &[u64], period: f32, wall: u64) -> Option<Vec<u64>> {
    let pairs = ticks.as_chunks::<2>().0;
    let ordered = ticks.iter().all(|&t| t != 0)
        && pairs.iter().all(|[begin, end]| begin <= end)
        && pairs.windows(2).all(|w| w[0][0] <= w[1][0]);
    if !ordered || !period.is_finite() || period <= 0.0 {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "durations of one recording are far below 2^53 ticks, and not negative"
    )]
    let times: Vec<u64> =
        pairs.iter().map(|[begin, end]| ((end - begin) as f64 * f64::from(period)).round() as u64).collect();
    let sum: u64 = times.iter().sum();
    (sum > 0 && sum <= wall + wall / 10).then_some(times)
}

#[cfg(test)]
mod tests {
    use super::{Stopwatch, step_times};

    #[test]
    fn ticks_become_nanoseconds() {
        assert_eq!(step_times(&[100, 110, 110, 140], 10.0, 400), Some(vec![100, 300]));
        assert_eq!(step_times(&[1_000_000_007, 1_000_000_010], 41.6667, 1000), Some(vec![125]));
    }

    #[test]
    fn implausible_ticks_are_refused() {
        assert_eq!(step_times(&[0, 0, 0, 0], 1.0, 1000), None, "never written");
        assert_eq!(step_times(&[5, 0], 1.0, 1000), None, "end never written");
        assert_eq!(step_times(&[20, 10], 1.0, 1000), None, "backwards");
        assert_eq!(step_times(&[20, 30, 10, 40], 1.0, 1000), None, "steps out of order");
        assert_eq!(step_times(&[7, 7, 7, 7], 1.0, 1000), None, "a clock that stands still");
        assert_eq!(step_times(&[100, 1300], 1.0, 1000), None, "longer than the host saw");
        assert_eq!(step_times(&[100, 200], 0.0, 1000), None, "no period");
    }

    #[test]
    fn laps_add_up() {
        let mut watch = Stopwatch::start();
        let whole = watch;
        std::thread::sleep(std::time::Duration::from_millis(2));
        let first = watch.lap();
        let second = watch.lap();
        assert!(first >= 2_000_000, "{first}");
        assert!(first + second <= { whole }.lap());
    }
}
