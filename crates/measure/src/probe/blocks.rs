//! Blocks of repetitions spread over a budget, and the intervals they give.

use super::{Clock, Error, Timer, Unit};
use crate::timing::Stopwatch;
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::stats;
use ridgeline_roofline::Measured;

/// Repetitions of N and of 2N in a block, of which the best counts: fewer of long ones, where a disturbance of given
/// length matters less and time matters more.
fn pairs(unit: &Unit) -> u32 {
    match unit.estimate_s * f64::from(unit.copies()) {
        t if t > 0.06 => 1,
        t if t > 0.015 => 2,
        _ => 3,
    }
}

/// What blocks of measurements yield.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Blocks {
    /// Seconds of one unit by unit and block.
    pub seconds: Vec<Vec<f64>>,
    /// Wall time of every block, nanoseconds.
    pub block_ns: Vec<u64>,
}

impl Blocks {
    /// How much slower the first quarter of the blocks was than the rest; `None` below eight.
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
/// Going through all units before any comes again spreads each over the whole budget: what the machine does
/// meanwhile shows between blocks and therefore in the interval.
///
/// # Errors
/// What the device says; [`Error::NoBlocks`] where the budget allows fewer than two.
pub fn blocks(timer: &mut Timer<'_>, units: &[Unit], clock: Clock, budget: &Budget) -> Result<Blocks, Error> {
    for _ in 0..budget.warmup {
        for unit in units {
            timer.slope(unit, 1, clock)?;
        }
    }
    let mut blocks = Blocks { seconds: vec![Vec::new(); units.len()], block_ns: Vec::new() };
    let start = Stopwatch::start();
    let mut done = 0;
    while budget.continues(done, start.seconds()) {
        let begun = Stopwatch::start();
        for (unit, seconds) in units.iter().zip(&mut blocks.seconds) {
            seconds.push(timer.slope(unit, pairs(unit), clock)?);
        }
        blocks.block_ns.push(begun.ns());
        done += 1;
    }
    if done < 2 { Err(Error::NoBlocks) } else { Ok(blocks) }
}

/// A ceiling from the rates of blocks: their median, the lower end of its 95 % interval, and an estimate of the most
/// that the device can do.
///
/// Disturbances only slow a device down, so that rates have an upper end, and a floor has to be derived from that end
/// to stay a floor. It is estimated as `2·x₍ₙ₎ − x₍ₙ₋₁₎` (Robson and Whitlock 1964, "Estimation of a truncation
/// point"), and never as more than a tenth above the best block.
#[must_use]
pub fn ceiling(rates: &[f64]) -> Option<Measured> {
    let median = stats::median_interval(rates)?;
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (&best, rest) = sorted.split_last()?;
    let second = rest.last().copied().unwrap_or(best);
    Some(Measured { hi: (2.0 * best - second).min(1.1 * best).max(median.hi), ..median })
}

/// A cost from the figures of blocks: their median and its 95 % interval; costs below zero are noise around none.
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
        assert_eq!((m.value, m.hi), (10.5, 21.0), "the best block, and the step to it once more");
        assert!(m.lo > 1.0, "the lower end is the median's: {m:?}");
        let m = ceiling(&[1.0, 1.0, 10.0]).expect("three blocks");
        assert!((m.hi - 11.0).abs() < 1e-12, "a lone block counts for a tenth at most: {m:?}");
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
