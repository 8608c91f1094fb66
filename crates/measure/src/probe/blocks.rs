//! Interleaved blocks: repetitions of every unit spread over the budget, and the intervals they give.
//!
//! ```text
//! until the budget is spent:             one block
//!     for each unit:                     A B C, A B C, ... and not A A A, B B B, ...
//!         seconds[unit] += the slope of its best repetitions
//! result per unit: the median over blocks, with an interval that is free of distributional assumptions
//! ```
//!
//! This is blocking in the sense of experimental design (Box, Hunter and Hunter 2005, chapter 4). Clock rates and other
//! programs change over seconds. Interleaving exposes every unit to all of these changes, so they appear between blocks
//! and widen the interval.

use super::{Clock, Error, Timer, Unit};
use crate::timing::{Stopwatch, repeat};
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::stats;
use ridgeline_roofline::Measured;

/// Pairs of runs (N and 2N units) per block, of which the best counts.
///
/// A disturbance of fixed length matters less in a long run, so long runs need fewer pairs.
fn pairs(unit: &Unit) -> u32 {
    match unit.estimate_s * f64::from(unit.copies()) {
        t if t > 0.06 => 1,
        t if t > 0.015 => 2,
        _ => 3,
    }
}

/// The result of [`blocks`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Blocks {
    /// Seconds of one repetition: `seconds[unit][block]`.
    pub seconds: Vec<Vec<f64>>,
    /// Wall time of every block in nanoseconds.
    pub block_ns: Vec<u64>,
}

impl Blocks {
    /// Time of the first quarter of the blocks over time of the rest; `None` below eight blocks.
    #[must_use]
    pub fn drift(&self) -> Option<f64> {
        let logs = |block: usize| self.seconds.iter().map(|s| s[block].ln()).sum::<f64>();
        let units = self.seconds.len().max(1) as f64;
        let means: Vec<f64> = (0..self.block_ns.len()).map(|b| (logs(b) / units).exp()).collect();
        stats::drift(&means)
    }
}

/// Times every unit once per block, for as many blocks as the budget allows.
///
/// # Errors
/// [`Error::Run`] where the device fails, [`Error::NoBlocks`] where the budget allows fewer than two blocks.
pub fn blocks(timer: &mut Timer<'_>, units: &[Unit], clock: Clock, budget: &Budget) -> Result<Blocks, Error> {
    for _ in 0..budget.warmup {
        for unit in units {
            timer.slope(unit, 1, clock)?;
        }
    }
    let mut seconds = vec![Vec::new(); units.len()];
    // The warm-up above takes one pair per unit instead of a whole block.
    let block_ns = repeat(&Budget { warmup: 0, ..*budget }, || -> Result<u64, Error> {
        let stopwatch = Stopwatch::start();
        for (unit, seconds) in units.iter().zip(&mut seconds) {
            seconds.push(timer.slope(unit, pairs(unit), clock)?);
        }
        Ok(stopwatch.ns())
    })?;
    if block_ns.len() < 2 { Err(Error::NoBlocks) } else { Ok(Blocks { seconds, block_ns }) }
}

/// A ceiling from the rates of blocks: the median, the lower end of its 95 % interval, and an upper bound as `hi`.
///
/// Disturbances only slow a device down, so the distribution of rates is truncated above. A floor of time must follow
/// from that truncation point, or a fast run would beat it. The estimate is `2·x₍ₙ₎ − x₍ₙ₋₁₎` (Robson and Whitlock
/// 1964, "Estimation of a truncation point"), limited to a tenth above the best block. `None` below two blocks.
#[must_use]
pub fn ceiling(rates: &[f64]) -> Option<Measured> {
    let median = stats::median_interval(rates)?;
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (&best, rest) = sorted.split_last()?;
    let second = rest.last().copied().unwrap_or(best);
    Some(Measured { hi: (2.0 * best - second).min(1.1 * best).max(median.hi), ..median })
}

/// A cost from the seconds of blocks: the median and its 95 % interval. Values below zero are noise and become zero.
#[must_use]
pub fn typical(costs: &[f64]) -> Option<Measured> {
    let m = stats::median_interval(costs)?;
    Some(Measured { value: m.value.max(0.0), lo: m.lo.max(0.0), hi: m.hi.max(0.0) })
}

#[cfg(test)]
mod tests {
    use super::{Blocks, ceiling, typical};

    #[test]
    fn a_ceiling_reaches_beyond_its_best_block() {
        let rates: Vec<f64> = (1..=20).map(f64::from).collect();
        let m = ceiling(&rates).expect("twenty blocks");
        assert_eq!((m.value, m.hi), (10.5, 21.0), "2·20 − 19");
        assert!(m.lo > 1.0, "the lower end is the median's: {m:?}");
        let m = ceiling(&[1.0, 1.0, 10.0]).expect("three blocks");
        assert!((m.hi - 11.0).abs() < 1e-12, "an outlier raises the bound by a tenth at most: {m:?}");
        assert_eq!(ceiling(&[1.0]), None);
    }

    #[test]
    fn a_cost_is_never_negative() {
        let m = typical(&[-3.0, -1.0, 1.0, -2.0]).expect("four blocks");
        assert_eq!((m.value, m.lo, m.hi), (0.0, 0.0, 1.0));
    }

    #[test]
    fn a_cold_start_shows_as_drift() {
        let seconds = vec![vec![2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]; 3];
        let drift = Blocks { seconds, block_ns: vec![1; 8] }.drift().expect("eight blocks");
        assert!((drift - 2.0).abs() < 1e-9, "{drift}");
    }
}
