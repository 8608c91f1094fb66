//! Clocks: the host's stopwatch, and the conversion of device timestamps. No other module of this crate reads a clock.

use std::time::Instant;

/// A stopwatch with laps. Laps have no gaps, so they add up to the total.
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

/// Device time of each launch, from pairs of (begin, end) ticks of `period` nanoseconds.
///
/// `None` if the ticks are implausible:
/// - a tick is zero, so it was never written;
/// - an end comes before its begin, or launches are out of order;
/// - the sum is zero, or more than 110 % of the `wall` nanoseconds on the host's clock.
pub(crate) fn launch_times(ticks: &[u64], period: f32, wall: u64) -> Option<Vec<u64>> {
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
    use super::{Stopwatch, launch_times};

    #[test]
    fn ticks_become_nanoseconds() {
        assert_eq!(launch_times(&[100, 110, 110, 140], 10.0, 400), Some(vec![100, 300]));
        assert_eq!(launch_times(&[1_000_000_007, 1_000_000_010], 41.6667, 1000), Some(vec![125]));
    }

    #[test]
    fn implausible_ticks_are_refused() {
        assert_eq!(launch_times(&[0, 0, 0, 0], 1.0, 1000), None, "never written");
        assert_eq!(launch_times(&[5, 0], 1.0, 1000), None, "end never written");
        assert_eq!(launch_times(&[20, 10], 1.0, 1000), None, "backwards");
        assert_eq!(launch_times(&[20, 30, 10, 40], 1.0, 1000), None, "launches out of order");
        assert_eq!(launch_times(&[7, 7, 7, 7], 1.0, 1000), None, "a clock that does not advance");
        assert_eq!(launch_times(&[100, 1300], 1.0, 1000), None, "longer than the host's time");
        assert_eq!(launch_times(&[100, 200], 0.0, 1000), None, "no period");
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
