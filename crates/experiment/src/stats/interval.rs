//! 95 % intervals: of the mean (Student's t), the median (order statistics), any statistic (`BCa` bootstrap).

use super::{mean, median, percentile_of_sorted, sd, sorted};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use ridgeline_roofline::Measured;
use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, Normal, StudentsT};

/// Bootstrap resamples: enough for three digits of an interval's ends.
pub const RESAMPLES: usize = 9_999;

/// Half of the probability outside a 95 % interval.
pub(super) const TAIL: f64 = 0.025;

/// Mean with Student's 95 % interval (Student 1908); `None` below two values.
#[must_use]
pub fn mean_interval(values: &[f64]) -> Option<Measured> {
    let (centre, spread) = (mean(values)?, sd(values)?);
    let n = values.len() as f64;
    let t = StudentsT::new(0.0, 1.0, n - 1.0).ok()?.inverse_cdf(1.0 - TAIL);
    let half = t * spread / n.sqrt();
    Some(Measured { value: centre, lo: centre - half, hi: centre + half })
}

/// Rank `k` of the order statistics that bound the median with at least 95 % (David and Nagaraja 2003, §7.1).
///
/// The interval runs from the `k`-th smallest to the `k`-th largest value, `k` counted from 1. It is the largest `k`
/// with `P(Binomial(n, ½) < k) ≤ 2.5 %`. `None` below six values, where no such `k` exists.
#[must_use]
pub fn median_interval_rank(n: usize) -> Option<usize> {
    let flips = Binomial::new(0.5, n as u64).ok()?;
    let rank = (0..n).take_while(|&k| flips.cdf(k as u64) <= TAIL).count();
    (rank > 0).then_some(rank)
}

/// Median with its distribution-free 95 % interval from order statistics.
///
/// Below six values no pair of order statistics covers 95 %, and the interval is the full range. The range covers
/// the median with probability `1 − 2^(1−n)`: 94 % at five values, 87.5 % at four. `None` below two values.
#[must_use]
pub fn median_interval(values: &[f64]) -> Option<Measured> {
    if values.len() < 2 {
        return None;
    }
    let sorted = sorted(values)?;
    let rank = median_interval_rank(sorted.len()).unwrap_or(1);
    Some(Measured {
        value: percentile_of_sorted(&sorted, 50.0),
        lo: sorted[rank - 1],
        hi: sorted[sorted.len() - rank],
    })
}

/// Bias-corrected and accelerated (`BCa`) bootstrap interval of a statistic (Efron 1987), seeded.
///
/// ```text
/// z0 = Φ⁻¹(share of resampled statistics below the estimate)        bias
/// a  = skewness of the jackknife values / 6                         acceleration
/// end(α) = percentile of the resampled statistics at Φ(z0 + (z0 + zα) / (1 − a·(z0 + zα)))
/// ```
///
/// `None` below two values, where a value is not finite, or where the statistic is `None`.
pub fn bca(
    values: &[f64],
    statistic: impl Fn(&[f64]) -> Option<f64>,
    resamples: usize,
    seed: u64,
) -> Option<Measured> {
    if values.len() < 2 || resamples == 0 {
        return None;
    }
    sorted(values)?;
    let estimate = statistic(values)?;
    let replicates = replicates(values, &statistic, resamples, seed)?;
    let normal = Normal::new(0.0, 1.0).ok()?;
    let share = |count: usize| count as f64 / replicates.len() as f64;
    let below = replicates.partition_point(|r| *r < estimate);
    let up_to = replicates.partition_point(|r| *r <= estimate);
    // Ties with the estimate count half.
    let bias = normal.inverse_cdf(f64::midpoint(share(below), share(up_to)));
    // The estimate lies outside the range of the resampled values, where BCa is undefined.
    if !bias.is_finite() {
        return Some(Measured::exact(estimate));
    }
    let acceleration = acceleration(values, &statistic)?;
    let end = |tail: f64| {
        let z = bias + normal.inverse_cdf(tail);
        let corrected = normal.cdf(bias + z / (1.0 - acceleration * z));
        percentile_of_sorted(&replicates, corrected * 100.0)
    };
    let (lo, hi) = (end(TAIL), end(1.0 - TAIL));
    Some(Measured { value: estimate, lo: lo.min(estimate), hi: hi.max(estimate) })
}

/// Ratio of two medians, `above / below`, with a seeded percentile bootstrap interval (Efron and Tibshirani 1993, ch. 13).
///
/// Both samples are resampled independently. Where either has fewer than six values, resampling covers less than 95 %,
/// and the interval ends are the ratios of the samples' extremes. `None` where either sample has fewer than two values or
/// the median of `below` is zero.
#[must_use]
pub fn ratio_of_medians(above: &[f64], below: &[f64], seed: u64) -> Option<Measured> {
    if above.len() < 2 || below.len() < 2 || median(below)? == 0.0 {
        return None;
    }
    if let (Some(a), Some(b)) = (sorted(above), sorted(below))
        && [&a, &b].iter().any(|s| median_interval_rank(s.len()).is_none())
        && b[0] > 0.0
        && a[0] >= 0.0
    {
        let value = median(above)? / median(below)?;
        return Some(Measured { value, lo: a[0] / b[b.len() - 1], hi: a[a.len() - 1] / b[0] });
    }
    let top = resampled(above, &median, RESAMPLES, seed)?;
    let bottom = resampled(below, &median, RESAMPLES, seed.wrapping_add(1))?;
    let mut ratios: Vec<f64> = top.iter().zip(&bottom).map(|(a, b)| a / b).collect();
    ratios.sort_by(f64::total_cmp);
    let value = median(above)? / median(below)?;
    let (lo, hi) =
        (percentile_of_sorted(&ratios, TAIL * 100.0), percentile_of_sorted(&ratios, (1.0 - TAIL) * 100.0));
    Some(Measured { value, lo: lo.min(value), hi: hi.max(value) })
}

/// The statistic of every bootstrap resample, unsorted.
fn resampled(
    values: &[f64],
    statistic: &impl Fn(&[f64]) -> Option<f64>,
    resamples: usize,
    seed: u64,
) -> Option<Vec<f64>> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut sample = vec![0.0; values.len()];
    (0..resamples)
        .map(|_| {
            sample.fill_with(|| values[rng.random_range(0..values.len())]);
            statistic(&sample)
        })
        .collect()
}

/// The statistic of every bootstrap resample, sorted.
fn replicates(
    values: &[f64],
    statistic: &impl Fn(&[f64]) -> Option<f64>,
    resamples: usize,
    seed: u64,
) -> Option<Vec<f64>> {
    sorted(&resampled(values, statistic, resamples, seed)?)
}

/// The acceleration `a` of [`bca`]: a sixth of the skewness of the jackknife values, with Efron's sign.
fn acceleration(values: &[f64], statistic: &impl Fn(&[f64]) -> Option<f64>) -> Option<f64> {
    let without = |skip: usize| {
        let kept = values.iter().enumerate().filter(|(i, _)| *i != skip).map(|(_, v)| *v);
        statistic(&kept.collect::<Vec<_>>())
    };
    let leave_one_out = (0..values.len()).map(without).collect::<Option<Vec<f64>>>()?;
    let centre = mean(&leave_one_out)?;
    let cubes: f64 = leave_one_out.iter().map(|v| (centre - v).powi(3)).sum();
    let squares: f64 = leave_one_out.iter().map(|v| (centre - v).powi(2)).sum();
    Some(if squares == 0.0 { 0.0 } else { cubes / (6.0 * squares.powf(1.5)) })
}
