//! Checks of a run against itself: contradictions between its own numbers, and the error of its controls.

use crate::stats::{self, Trend};
use ridgeline_roofline::{Machine, Measured};
use serde::Serialize;

/// What the numbers of a run say about each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Audit {
    /// The ceilings, with the intervals that cells refute widened.
    pub machine: Option<Machine>,
    /// The contradictions.
    pub faults: Vec<Fault>,
    /// Largest relative error of a control, beyond its interval. A control compares equal work.
    pub control: f64,
    /// How the pace of the machine changed, where the anchor was measured often enough.
    pub pace: Option<Pace>,
}

/// A contradiction between numbers of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The contradiction, and what was done about it.
    pub sentence: String,
    /// Ids of the cells that take part in it; they are measured again.
    pub cells: Vec<String>,
}

/// The pace of the machine over a run, by the anchor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Measurements of the anchor.
    pub n: usize,
    /// The slowest over the median, minus 1.
    pub slowest: f64,
    /// The fastest over the median, minus 1; negative.
    pub fastest: f64,
    /// Trend of its times in order (Mann 1945, Kendall 1975); `None` below eight.
    pub trend: Option<Trend>,
}

impl Pace {
    /// The pace from the seconds of the anchor in order; `None` below two.
    #[must_use]
    pub fn of(seconds: &[f64]) -> Option<Self> {
        let median = stats::median(seconds).filter(|_| seconds.len() > 1)?;
        let relative = |end: fn(f64, f64) -> f64| seconds.iter().map(|s| s / median - 1.0).fold(0.0, end);
        let trend = stats::mann_kendall(seconds);
        Some(Self { n: seconds.len(), slowest: relative(f64::max), fastest: relative(f64::min), trend })
    }

    /// Whether the times of the anchor rise significantly, as they do under thermal throttling.
    #[must_use]
    pub fn throttles(&self) -> bool {
        self.trend.as_ref().is_some_and(|trend| trend.p < 0.05 && trend.tau > 0.0)
    }
}

/// How far a ratio that has to be 1 lies outside its interval, relatively: 0 where the interval contains 1.
#[must_use]
pub fn control_error(ratio: Measured) -> f64 {
    if ratio.lo > 1.0 {
        ratio.lo - 1.0
    } else if ratio.hi < 1.0 {
        1.0 / ratio.hi.max(f64::MIN_POSITIVE) - 1.0
    } else {
        0.0
    }
}

/// Pairs of neighbours whose times fall although they have to rise: the whole interval of the later lies below.
///
/// `times` are in the order in which they have to rise.
#[must_use]
pub fn falling(times: &[Measured]) -> Vec<usize> {
    (1..times.len()).filter(|&i| times[i].hi < times[i - 1].lo).collect()
}

#[cfg(test)]
mod tests {
    use super::{Pace, control_error, falling};
    use ridgeline_roofline::Measured;

    fn m(lo: f64, hi: f64) -> Measured {
        Measured { value: f64::midpoint(lo, hi), lo, hi }
    }

    #[test]
    fn controls_err_by_the_distance_from_one() {
        assert_eq!(control_error(m(0.9, 1.2)), 0.0);
        assert!((control_error(m(1.15, 1.5)) - 0.15).abs() < 1e-12);
        assert!((control_error(m(0.5, 0.8)) - 0.25).abs() < 1e-12);
    }

    #[test]
    fn times_that_fall_beyond_their_intervals_are_found() {
        assert_eq!(falling(&[m(1.0, 1.2), m(1.1, 1.3), m(0.8, 0.9), m(0.85, 1.0)]), [2]);
        assert!(falling(&[]).is_empty());
    }

    #[test]
    fn a_machine_that_slows_down_throttles() {
        let rising: Vec<f64> = (0..10).map(|i| 1.0 + 0.05 * f64::from(i)).collect();
        let pace = Pace::of(&rising).expect("ten");
        assert!(pace.throttles() && pace.slowest > 0.15 && pace.fastest < -0.15, "{pace:?}");
        let steady = Pace::of(&[1.0, 1.1, 0.9, 1.0, 1.05, 0.95, 1.0, 1.0, 0.98]).expect("nine");
        assert!(!steady.throttles());
        assert_eq!(Pace::of(&[1.0]), None);
    }
}
