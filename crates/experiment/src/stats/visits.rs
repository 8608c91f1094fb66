//! Intervals and tests of cells that are visited several times, each visit with some repetitions.
//!
//! The machine changes pace by the minute, and repetitions are a second apart. Repetitions of one visit are therefore
//! pseudo-replicates (Hurlbert 1984), and the visit is the unit of every interval and test here.

use super::interval::TAIL;
use super::prior::VariancePrior;
use super::{mean, median, median_interval, percentile_of_sorted, sd, sorted};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use ridgeline_roofline::Measured;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};
use std::f64::consts::FRAC_PI_2;

/// Ratio of two cells with the test that it is 1, from one t statistic.
///
/// The interval excludes 1 exactly where `p` is below 5 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogRatio {
    /// Ratio with its 95 % interval.
    pub interval: Measured,
    /// Two-sided p value of the ratio 1.
    pub p: f64,
}

/// Geometric mean of the visit medians, with a 95 % interval by Student's t on their logarithms.
///
/// A visit is summarised by its median, which one interrupted repetition does not move. The geometric mean is the centre
/// of the t interval. The ratio of two of them is also the geometric mean of the ratios, so intervals and ratios agree.
///
/// The prior moderates the variance between visits ([`VariancePrior::moderate`]). With a single visit, the variance is
/// the prior's plus that of the median within the visit. The prior's already holds a typical variance of the median, so
/// this errs to the wide side. With a single visit and no prior it is [`median_interval`] of the repetitions, which
/// knows nothing of the variance between visits and is too narrow.
///
/// `None` where a visit is empty, a value is not positive and finite, or one repetition is all there is.
#[must_use]
pub fn log_interval(visits: &[Vec<f64>], prior: Option<VariancePrior>) -> Option<Measured> {
    if let ([only], None) = (visits, prior) {
        log_medians(visits)?;
        return median_interval(only);
    }
    LogMean::of_cell(visits, prior)?.interval()
}

/// Ratio `a / b` of two cells by Student's t on log visit medians.
///
/// Cells with the same number of visits were visited one after the other, and visits with the same index form a pair.
/// A pair shares the machine's pace, which cancels. Other cells are compared by [`unpaired_log_ratio`].
///
/// For pairs, fit the prior to [`paired_variance`] of the compared pairs. A prior of [`visit_variance`] has the same
/// unit but includes the shared pace, so it gives a wider interval.
///
/// `None` where a visit is empty, a value is not positive and finite, or a single visit meets no prior.
#[must_use]
pub fn log_ratio(a: &[Vec<f64>], b: &[Vec<f64>], prior: Option<VariancePrior>) -> Option<LogRatio> {
    if a.len() != b.len() {
        return unpaired_log_ratio(a, b, prior);
    }
    let logs = log_differences(a, b)?;
    let within = f64::midpoint(within_variance(a)?, within_variance(b)?);
    let (variance, df) = moderated(paired_variance(a, b), within, prior)?;
    // The variance of a difference of two visits is twice that of one visit.
    LogMean { centre: mean(&logs)?, variance: 2.0 * variance / logs.len() as f64, df }.ratio()
}

/// Ratio `a / b` of two cells whose visits are independent, such as cells of two runs.
///
/// Degrees of freedom are those of Welch (1947) and Satterthwaite (1946), at most those that the prior was fitted to.
/// Both variances hold the same prior, and its own uncertainty does not average out.
///
/// `None` where a visit is empty, a value is not positive and finite, or a single visit meets no prior.
#[must_use]
pub fn unpaired_log_ratio(a: &[Vec<f64>], b: &[Vec<f64>], prior: Option<VariancePrior>) -> Option<LogRatio> {
    let (a, b) = (LogMean::of_cell(a, prior)?, LogMean::of_cell(b, prior)?);
    let variance = a.variance + b.variance;
    let squares = a.variance.powi(2) / a.df + b.variance.powi(2) / b.df;
    let welch = if squares > 0.0 { variance.powi(2) / squares } else { a.df + b.df };
    let df = welch.min(prior.map_or(f64::INFINITY, |it| it.pooled_df));
    LogMean { centre: a.centre - b.centre, variance, df }.ratio()
}

/// Variance of the log visit medians of a cell with its degrees of freedom, to fit [`VariancePrior`].
///
/// `None` below two visits, where a visit is empty, or where a value is not positive and finite.
#[must_use]
pub fn visit_variance(visits: &[Vec<f64>]) -> Option<(f64, f64)> {
    let logs = log_medians(visits)?;
    Some((sd(&logs)?.powi(2), (logs.len() - 1) as f64))
}

/// Half the variance of the log ratios of paired visits, with its degrees of freedom, to fit [`VariancePrior`].
///
/// Half a difference's variance is that of one visit without the pace that its pair shares. `None` as for
/// [`visit_variance`], or where the cells differ in visits.
#[must_use]
pub fn paired_variance(a: &[Vec<f64>], b: &[Vec<f64>]) -> Option<(f64, f64)> {
    let logs = log_differences(a, b)?;
    Some((sd(&logs)?.powi(2) / 2.0, (logs.len() - 1) as f64))
}

/// Percentile interval from resampled visits and resampled repetitions within each (Davison and Hinkley 1997, §3.8).
///
/// A resample draws visits with replacement, then repetitions of each drawn visit (Saravanan et al. 2020). The statistic
/// is of the medians of the drawn visits.
///
/// The interval is too narrow for few visits. Resampling divides the variance between visits by `n`, not `n − 1`, and
/// its tails are normal, not Student's. Of three visits, one resample in nine repeats one visit three times. The
/// interval is then their range, which covers a median in 75 % of cases. Below six visits prefer [`log_interval`].
///
/// `None` below two visits, where a visit is empty, a value is not finite, or the statistic is `None`.
pub fn hierarchical_bootstrap<S>(
    visits: &[Vec<f64>],
    statistic: S,
    resamples: usize,
    seed: u64,
) -> Option<Measured>
where
    S: Fn(&[f64]) -> Option<f64>,
{
    if visits.len() < 2 || resamples == 0 {
        return None;
    }
    let medians = visits.iter().map(|it| median(it)).collect::<Option<Vec<f64>>>()?;
    let estimate = statistic(&medians)?;
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut drawn_median = || {
        let visit = &visits[rng.random_range(0..visits.len())];
        let drawn: Vec<f64> = visit.iter().map(|_| visit[rng.random_range(0..visit.len())]).collect();
        median(&drawn)
    };
    let mut replicate = || statistic(&visits.iter().map(|_| drawn_median()).collect::<Option<Vec<f64>>>()?);
    let replicates = sorted(&(0..resamples).map(|_| replicate()).collect::<Option<Vec<f64>>>()?)?;
    let end = |tail: f64| percentile_of_sorted(&replicates, tail * 100.0);
    let (lo, hi) = (end(TAIL), end(1.0 - TAIL));
    Some(Measured { value: estimate, lo: lo.min(estimate), hi: hi.max(estimate) })
}

/// A mean on the log scale, its squared standard error and the degrees of freedom of that.
struct LogMean {
    centre: f64,
    variance: f64,
    df: f64,
}

impl LogMean {
    /// Mean of a cell's log visit medians.
    fn of_cell(visits: &[Vec<f64>], prior: Option<VariancePrior>) -> Option<Self> {
        let logs = log_medians(visits)?;
        let (variance, df) = moderated(visit_variance(visits), within_variance(visits)?, prior)?;
        Some(Self { centre: mean(&logs)?, variance: variance / logs.len() as f64, df })
    }

    /// Student's 95 % interval on the scale of the values.
    fn interval(&self) -> Option<Measured> {
        let half = t_quantile(self.df)? * self.variance.sqrt();
        Some(Measured {
            value: self.centre.exp(),
            lo: (self.centre - half).exp(),
            hi: (self.centre + half).exp(),
        })
    }

    /// The interval with the p value of the ratio 1. Visits that do not vary decide for certain, as in `SciPy`.
    fn ratio(&self) -> Option<LogRatio> {
        let t = self.centre.abs() / self.variance.sqrt();
        // 0/0: equal cells that do not vary.
        let p = if t.is_nan() { 1.0 } else { 2.0 * StudentsT::new(0.0, 1.0, self.df).ok()?.cdf(-t) };
        Some(LogRatio { interval: self.interval()?, p })
    }
}

/// Upper 2.5 % quantile of Student's t, of the normal distribution for infinite `df`, where statrs gives NaN.
fn t_quantile(df: f64) -> Option<f64> {
    if df.is_infinite() {
        return Some(Normal::new(0.0, 1.0).ok()?.inverse_cdf(1.0 - TAIL));
    }
    Some(StudentsT::new(0.0, 1.0, df).ok()?.inverse_cdf(1.0 - TAIL))
}

/// Variance of one visit and its degrees of freedom: the cell's own, moderated, or the prior's plus `within`.
fn moderated(own: Option<(f64, f64)>, within: f64, prior: Option<VariancePrior>) -> Option<(f64, f64)> {
    match (own, prior) {
        (Some((variance, df)), Some(prior)) => Some(prior.moderate(variance, df)),
        (Some(own), None) => Some(own),
        (None, prior) => {
            let (variance, df) = prior?.moderate(0.0, 0.0);
            Some((variance + within, df))
        }
    }
}

/// Logarithm of the median of each visit; `None` unless there are visits and every value is positive and finite.
fn log_medians(visits: &[Vec<f64>]) -> Option<Vec<f64>> {
    if visits.is_empty() || visits.iter().flatten().any(|v| !v.is_finite() || *v <= 0.0) {
        return None;
    }
    visits.iter().map(|it| Some(median(it)?.ln())).collect()
}

/// Log ratio of the medians of each pair of visits.
fn log_differences(a: &[Vec<f64>], b: &[Vec<f64>]) -> Option<Vec<f64>> {
    if a.len() != b.len() {
        return None;
    }
    let (a, b) = (log_medians(a)?, log_medians(b)?);
    Some(a.iter().zip(&b).map(|(x, y)| x - y).collect())
}

/// Variance of the first visit's log median, `π/2·s²/n` of a normal sample (Cramér 1946, §28.5).
///
/// The asymptotic value is too large in small samples: by 10 % at five. A single repetition says nothing of its
/// variance and gives zero. `None` without a visit.
fn within_variance(visits: &[Vec<f64>]) -> Option<f64> {
    let logs: Vec<f64> = visits.first()?.iter().map(|v| v.ln()).collect();
    Some(sd(&logs).map_or(0.0, |it| FRAC_PI_2 * it.powi(2) / logs.len() as f64))
}
