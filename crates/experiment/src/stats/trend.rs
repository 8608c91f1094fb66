//! Rank statistics of order: a trend over time (Mann–Kendall) and a monotone relation (Spearman).

use super::{mean, sorted};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// Fewest values for the normal approximation of Mann and Kendall's test. Kendall (1975) advises ten. At eight, an exact
/// p between 0.005 and 0.1 is approximated within 0.005, mostly from above.
const FEWEST: usize = 8;

/// Result of the test of Mann and Kendall.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    /// Kendall's τb between value and time: 1 where every later value is larger.
    pub tau: f64,
    /// Pairs of values that rise minus pairs that fall.
    pub s: f64,
    /// Two-sided p value that there is no trend.
    pub p: f64,
}

/// Tests values in order of time for a monotone trend (Mann 1945, Kendall 1975).
///
/// ```text
/// s   = Σ_{i<j} sign(x_j − x_i)
/// var = (n(n − 1)(2n + 5) − Σ t(t − 1)(2t + 5)) / 18          t: size of each group of ties
/// z   = (|s| − 1) / √var                                      corrected for continuity
/// ```
///
/// The test assumes independent values. Repetitions a second apart are correlated, and their p is too small
/// (Hamed and Rao 1998): give it visit medians. `None` below eight values or where a value is not finite.
#[must_use]
pub fn mann_kendall(in_order: &[f64]) -> Option<Trend> {
    if in_order.len() < FEWEST {
        return None;
    }
    let ties = tie_sizes(&sorted(in_order)?);
    let later = |(i, x): (usize, &f64)| in_order[i + 1..].iter().map(|y| sign(y - x)).sum::<f64>();
    let s: f64 = in_order.iter().enumerate().map(later).sum();
    let n = in_order.len() as f64;
    let spread = |t: f64| t * (t - 1.0) * (2.0 * t + 5.0);
    let variance = (spread(n) - ties.iter().map(|&t| spread(t)).sum::<f64>()) / 18.0;
    if variance <= 0.0 {
        return Some(Trend { tau: 0.0, s, p: 1.0 });
    }
    let pairs = |t: f64| t * (t - 1.0) / 2.0;
    let untied = pairs(n) - ties.iter().map(|&t| pairs(t)).sum::<f64>();
    let z = (s.abs() - 1.0).max(0.0) / variance.sqrt();
    let p = 2.0 * Normal::new(0.0, 1.0).ok()?.cdf(-z);
    Some(Trend { tau: s / (untied * pairs(n)).sqrt(), s, p })
}

/// Spearman's rank correlation (1904) with the two-sided p value of Student's t with `n − 2` degrees of freedom.
///
/// Ties have their average rank. The p value is approximate below about ten pairs. `None` where lengths differ, below
/// three pairs, where a value is not finite, or where one side is constant.
#[must_use]
pub fn spearman(x: &[f64], y: &[f64]) -> Option<(f64, f64)> {
    if x.len() != y.len() || x.len() < 3 {
        return None;
    }
    let (x, y) = (ranks(x)?, ranks(y)?);
    let centre = mean(&x)?;
    let sum = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(p, q)| (p - centre) * (q - centre)).sum::<f64>();
    let scale = (sum(&x, &x) * sum(&y, &y)).sqrt();
    if scale <= 0.0 {
        return None;
    }
    let rho = (sum(&x, &y) / scale).clamp(-1.0, 1.0);
    let free = (x.len() - 2) as f64;
    let t = rho.abs() * (free / (1.0 - rho * rho)).sqrt();
    let p = 2.0 * StudentsT::new(0.0, 1.0, free).ok()?.cdf(-t);
    Some((rho, p))
}

/// Average ranks from 1, in input order.
fn ranks(values: &[f64]) -> Option<Vec<f64>> {
    let sorted = sorted(values)?;
    let rank = |v: &f64| {
        let (below, up_to) = (sorted.partition_point(|s| s < v), sorted.partition_point(|s| s <= v));
        f64::midpoint((below + 1) as f64, up_to as f64)
    };
    Some(values.iter().map(rank).collect())
}

/// Sizes of the groups of equal values.
fn tie_sizes(sorted: &[f64]) -> Vec<f64> {
    sorted.chunk_by(|a, b| a == b).map(|run| run.len() as f64).collect()
}

/// −1, 0 or 1; unlike `signum`, zero for zero.
fn sign(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x.signum() }
}
