//! Two-sample tests, correction for multiple tests, effect size and minimum detectable effect.

use super::{mean, sd};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// Largest sample for which the rank test uses the exact distribution.
pub const EXACT_RANKS: usize = 20;

/// Result of a two-sided t test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TTest {
    /// The statistic; positive where the first sample is larger.
    pub t: f64,
    /// Degrees of freedom.
    pub df: f64,
    /// Two-sided p value.
    pub p: f64,
}

/// Welch's t test that two means differ, without assuming equal variances (Welch 1947).
///
/// `None` where a sample has fewer than two values or neither varies.
#[must_use]
pub fn welch(a: &[f64], b: &[f64]) -> Option<TTest> {
    let (var_a, var_b) = (sd(a)?.powi(2) / a.len() as f64, sd(b)?.powi(2) / b.len() as f64);
    let var = var_a + var_b;
    if var <= 0.0 {
        return None;
    }
    let df = var.powi(2) / (var_a.powi(2) / (a.len() - 1) as f64 + var_b.powi(2) / (b.len() - 1) as f64);
    two_sided((mean(a)? - mean(b)?) / var.sqrt(), df)
}

/// Paired t test (Student 1908) that the mean difference `a − b` is not zero.
///
/// `None` where the samples differ in length, have fewer than two pairs, or every difference is the same.
#[must_use]
pub fn paired_t(a: &[f64], b: &[f64]) -> Option<TTest> {
    if a.len() != b.len() {
        return None;
    }
    let differences: Vec<f64> = a.iter().zip(b).map(|(x, y)| x - y).collect();
    let (centre, spread) = (mean(&differences)?, sd(&differences)?);
    let n = differences.len() as f64;
    if spread <= 0.0 {
        return None;
    }
    two_sided(centre / (spread / n.sqrt()), n - 1.0)
}

/// Two-sided p value of the rank test of Mann and Whitney (1947).
///
/// Exact where both samples have at most [`EXACT_RANKS`] values and there are no ties. Else the normal approximation
/// with corrections for ties and continuity. `None` where a sample is empty or holds a NaN.
#[must_use]
pub fn mann_whitney(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.is_empty() || b.is_empty() || a.iter().chain(b).any(|v| v.is_nan()) {
        return None;
    }
    let wins =
        |x: &f64| b.iter().map(|y| if x > y { 1.0 } else { f64::from(u8::from(x == y)) / 2.0 }).sum::<f64>();
    let u: f64 = a.iter().map(wins).sum();
    let pairs = (a.len() * b.len()) as f64;
    let larger = u.max(pairs - u);
    let mut pooled: Vec<f64> = a.iter().chain(b).copied().collect();
    pooled.sort_by(f64::total_cmp);
    let ties: Vec<f64> = pooled.chunk_by(|x, y| x == y).map(|run| run.len() as f64).collect();
    let one_sided = if a.len().max(b.len()) <= EXACT_RANKS && ties.len() == pooled.len() {
        exact_upper_tail(a.len(), b.len(), larger)
    } else {
        let n = pooled.len() as f64;
        let tied: f64 = ties.iter().map(|t| t.powi(3) - t).sum();
        let variance = pairs / 12.0 * (n + 1.0 - tied / (n * (n - 1.0)));
        if variance <= 0.0 {
            return Some(1.0);
        }
        Normal::new(0.0, 1.0).ok()?.cdf(-(larger - pairs / 2.0 - 0.5) / variance.sqrt())
    };
    Some((2.0 * one_sided).min(1.0))
}

/// `P(U ≥ u)` for samples of `n` and `m` values without ties, by the recurrence of Mann and Whitney (1947).
///
/// ```text
/// N(i, j, u) = N(i − 1, j, u − j) + N(i, j − 1, u)        orderings of i and j values with U = u
/// ```
///
/// The largest value belongs either to the first sample, and then exceeds all `j` of the second, or to the second.
fn exact_upper_tail(n: usize, m: usize, u: f64) -> f64 {
    let mut shorter = vec![vec![1.0]; m + 1];
    for _ in 1..=n {
        let mut row: Vec<Vec<f64>> = vec![vec![1.0]];
        for j in 1..=m {
            let mut counts = row[j - 1].clone();
            counts.resize(counts.len().max(shorter[j].len() + j), 0.0);
            for (wins, ways) in shorter[j].iter().enumerate() {
                counts[wins + j] += ways;
            }
            row.push(counts);
        }
        shorter = row;
    }
    let counts = &shorter[m];
    let at_least = counts.iter().enumerate().filter(|(wins, _)| *wins as f64 >= u).map(|(_, ways)| ways);
    at_least.sum::<f64>() / counts.iter().sum::<f64>()
}

/// Holm's step-down adjustment of p values (Holm 1979), in input order.
#[must_use]
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&i, &j| p[i].total_cmp(&p[j]));
    let mut adjusted = vec![0.0; p.len()];
    let mut running = 0.0_f64;
    for (rank, &i) in order.iter().enumerate() {
        running = running.max((p.len() - rank) as f64 * p[i]).min(1.0);
        adjusted[i] = running;
    }
    adjusted
}

/// Cohen's d (Cohen 1988): the difference of the means over the pooled standard deviation.
#[must_use]
pub fn cohens_d(a: &[f64], b: &[f64]) -> Option<f64> {
    let (free_a, free_b) = (a.len().checked_sub(1)? as f64, b.len().checked_sub(1)? as f64);
    let pooled = (free_a * sd(a)?.powi(2) + free_b * sd(b)?.powi(2)) / (free_a + free_b);
    (pooled > 0.0).then_some(())?;
    Some((mean(a)? - mean(b)?) / pooled.sqrt())
}

/// Minimum detectable effect (Bloom 1995): the smallest difference of means that a two-sided t test would detect.
///
/// Two groups of `n` values with standard deviation `sd`, level `alpha`, probability `power`, in the unit of `sd`:
/// `(t(1−α/2) + t(power))·sd·√(2/n)`. This is within 0.3 % of the exact noncentral t result from five values on.
/// `None` below two values a group or where a probability lies outside (0, 1).
#[must_use]
pub fn minimum_detectable_effect(sd: f64, n: usize, alpha: f64, power: f64) -> Option<f64> {
    let open = |p: f64| p > 0.0 && p < 1.0;
    if n < 2 || !open(alpha) || !open(power) {
        return None;
    }
    let t = StudentsT::new(0.0, 1.0, (2 * n - 2) as f64).ok()?;
    Some((t.inverse_cdf(1.0 - alpha / 2.0) + t.inverse_cdf(power)) * sd * (2.0 / n as f64).sqrt())
}

/// A t statistic with its two-sided p value.
fn two_sided(t: f64, df: f64) -> Option<TTest> {
    let p = 2.0 * StudentsT::new(0.0, 1.0, df).ok()?.cdf(-t.abs());
    Some(TTest { t, df, p })
}
