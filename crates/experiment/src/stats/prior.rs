//! Empirical-Bayes prior of variances (Smyth 2004, "Linear models and empirical Bayes methods for assessing
//! differential expression in microarray experiments", Stat. Appl. Genet. Mol. Biol. 3(1), article 3).
//!
//! A variance of three visits has two degrees of freedom and is nearly useless alone. The variances of all cells of a
//! run show how variances are spread, and this prior moderates each of them.

use super::{mean, median, sd};
use serde::{Deserialize, Serialize};
use statrs::function::gamma::digamma;

/// Argument from which the asymptotic series below are exact to the last digits of an `f64`.
const SERIES_FROM: f64 = 20.0;

/// Share of the median below which a variance is taken for zero: limma's bound.
const NEGLIGIBLE: f64 = 1e-5;

/// Scaled inverse χ² prior of the variances of many cells: `1/σ² ~ χ²(df) / (df·variance)`.
///
/// The intervals of cells unlike the others are wrong. A noisier cell is pulled to the typical variance: with three times
/// the noise and three visits, a 95 % interval covers two thirds. The mean coverage over all cells stays near 95 %.
///
/// In JSON an infinite `df` is `null`, which does not read back. Journals keep samples, never a prior.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct VariancePrior {
    /// Degrees of freedom: how many the prior is worth. Infinite where the variances differ only by chance.
    pub df: f64,
    /// Typical variance, `s0²`.
    pub variance: f64,
    /// Sum of the degrees of freedom that the prior was fitted to: no moderated variance has more.
    pub pooled_df: f64,
}

impl VariancePrior {
    /// Fits the prior to sample variances with their degrees of freedom, by the moments of their logarithms.
    ///
    /// ```text
    /// e   = ln s² − ψ(d/2) + ln(d/2)
    /// ψ'(d0/2) = var(e) − mean ψ'(d/2)                  d0 is infinite where the right side is not positive
    /// s0² = exp(mean e + ψ(d0/2) − ln(d0/2))            Smyth 2004, §6.2
    /// ```
    ///
    /// Pairs that are not finite, have a negative variance or no degree of freedom are dropped. So is a variance below
    /// 1e-5 of the median, which the clock's resolution explains. limma raises such variances to that bound instead. Their
    /// logarithms then dominate: two zeros among twelve make the prior of the test eighty times smaller.
    ///
    /// With an infinite `d0`, `s0²` is the pooled variance, weighted by degrees of freedom. `None` below two variances,
    /// or where more than half are zero.
    #[must_use]
    pub fn fit(variances: &[(f64, f64)]) -> Option<Self> {
        let usable = |&&(s2, df): &&(f64, f64)| s2.is_finite() && df.is_finite() && s2 >= 0.0 && df > 0.0;
        let mut kept: Vec<(f64, f64)> = variances.iter().filter(usable).copied().collect();
        let bound = NEGLIGIBLE * median(&kept.iter().map(|v| v.0).collect::<Vec<_>>())?;
        kept.retain(|v| v.0 >= bound);
        if bound <= 0.0 || kept.len() < 2 {
            return None;
        }
        let n = kept.len() as f64;
        let logs: Vec<f64> = kept.iter().map(|&(s2, df)| s2.ln() - log_chi_square_bias(df)).collect();
        let centre = mean(&logs)?;
        let spread = sd(&logs)?.powi(2);
        let by_chance = kept.iter().map(|v| trigamma(v.1 / 2.0)).sum::<Option<f64>>()? / n;
        let pooled_df = kept.iter().map(|v| v.1).sum();
        if spread > by_chance {
            let df = 2.0 * inverse_trigamma(spread - by_chance)?;
            return Some(Self { df, variance: (centre + log_chi_square_bias(df)).exp(), pooled_df });
        }
        let pooled = kept.iter().map(|&(s2, df)| df * s2).sum::<f64>() / pooled_df;
        Some(Self { df: f64::INFINITY, variance: pooled, pooled_df })
    }

    /// Moderated variance `(d0·s0² + d·s²) / (d0 + d)` and its degrees of freedom (Smyth 2004, §3).
    ///
    /// The degrees are `d0 + d`, at most [`Self::pooled_df`] as in limma's `eBayes`: no more were observed.
    #[must_use]
    pub fn moderate(&self, variance: f64, df: f64) -> (f64, f64) {
        let total = self.df + df;
        let moderated =
            if total.is_finite() { (self.df * self.variance + df * variance) / total } else { self.variance };
        (moderated, total.min(self.pooled_df))
    }
}

/// `ψ(d/2) − ln(d/2)`: the mean of `ln(χ²(d)/d)`.
fn log_chi_square_bias(df: f64) -> f64 {
    digamma(df / 2.0) - (df / 2.0).ln()
}

/// Trigamma function `ψ'(x)` by recurrence and series (Abramowitz and Stegun 1964, 6.4.6 and 6.4.12).
///
/// `None` where `x` is not positive.
#[must_use]
pub fn trigamma(x: f64) -> Option<f64> {
    if x.is_nan() || x <= 0.0 {
        return None;
    }
    let (below, x) = shifted(x, |v| v.powi(-2));
    let y = x.powi(-2);
    let tail = y * (1.0 / 6.0 - y * (1.0 / 30.0 - y * (1.0 / 42.0 - y * (1.0 / 30.0 - y * 5.0 / 66.0))));
    Some(below + (1.0 + 0.5 / x + tail) / x)
}

/// Tetragamma function `ψ''(x)` for positive `x` (Abramowitz and Stegun 1964, 6.4.6 and 6.4.13).
fn tetragamma(x: f64) -> f64 {
    let (below, x) = shifted(x, |v| -2.0 * v.powi(-3));
    let y = x.powi(-2);
    let tail = y * (0.5 - y * (1.0 / 6.0 - y * (1.0 / 6.0 - y * (0.3 - y * 5.0 / 6.0))));
    below - y * (1.0 + 1.0 / x + tail)
}

/// Sum of the recurrence's terms up to [`SERIES_FROM`], and the argument there.
fn shifted(mut x: f64, term: impl Fn(f64) -> f64) -> (f64, f64) {
    let mut sum = 0.0;
    while x < SERIES_FROM {
        sum += term(x);
        x += 1.0;
    }
    (sum, x)
}

/// Inverse of [`trigamma`], by Newton's method on `1/ψ'`, which is nearly linear (Smyth 2004, appendix).
///
/// `None` where `x` is not positive and finite.
#[must_use]
pub fn inverse_trigamma(x: f64) -> Option<f64> {
    if !x.is_finite() || x <= 0.0 {
        return None;
    }
    // Outside this range the first term of the series at zero or infinity is exact.
    if x > 1e7 {
        return Some(1.0 / x.sqrt());
    }
    if x < 1e-6 {
        return Some(1.0 / x);
    }
    let mut y = 0.5 + 1.0 / x;
    for _ in 0..50 {
        let at = trigamma(y)?;
        let step = at * (1.0 - at / x) / tetragamma(y);
        y += step;
        if step.abs() < 1e-14 * y {
            break;
        }
    }
    Some(y)
}
