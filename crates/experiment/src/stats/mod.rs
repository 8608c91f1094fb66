//! Statistics of repeated measurements. All functions are pure; those that resample take a seed.
//!
//! The journal keeps the raw samples, and the report computes these statistics from them. No sample is dropped as an
//! outlier; a run that drifted is flagged instead.

mod fit;
mod interval;
mod prior;
mod regression;
mod test;
mod trend;
mod visits;

pub use fit::{Fit, least_squares};
pub use interval::{RESAMPLES, bca, mean_interval, median_interval, median_interval_rank, ratio_of_medians};
pub use prior::{VariancePrior, inverse_trigamma, trigamma};
pub use regression::{Regression, aic, aicc, regress};
pub use test::{
    EXACT_RANKS, TTest, cohens_d, holm, mann_whitney, minimum_detectable_effect, paired_t, welch,
};
pub use trend::{Trend, mann_kendall, spearman};
pub use visits::{
    LogRatio, hierarchical_bootstrap, log_interval, log_ratio, paired_variance, unpaired_log_ratio,
    visit_variance,
};

use serde::{Deserialize, Serialize};

/// Descriptive statistics of one sample, in the unit of its values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Number of values.
    pub n: usize,
    /// Arithmetic mean.
    pub mean: f64,
    /// Standard deviation with `n − 1`; zero for a single value.
    pub sd: f64,
    /// Median.
    pub median: f64,
    /// Median absolute deviation from the median, unscaled.
    pub mad: f64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// 5th percentile.
    pub p05: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
}

impl Summary {
    /// Describes a sample; `None` where it is empty or holds a value that is not finite.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let sorted = sorted(values)?;
        let at = |p| percentile_of_sorted(&sorted, p);
        Some(Self {
            n: values.len(),
            mean: mean(values)?,
            sd: sd(values).unwrap_or(0.0),
            median: at(50.0),
            mad: mad(values)?,
            min: sorted[0],
            max: sorted[sorted.len() - 1],
            p05: at(5.0),
            p95: at(95.0),
            p99: at(99.0),
        })
    }
}

/// Arithmetic mean; `None` for an empty sample.
#[must_use]
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Standard deviation with `n − 1` in the denominator; `None` below two values.
#[must_use]
pub fn sd(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let centre = mean(values)?;
    let squares: f64 = values.iter().map(|v| (v - centre).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

/// Median; `None` for an empty sample or where a value is not finite.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    percentile(values, 50.0)
}

/// Median absolute deviation from the median, unscaled.
#[must_use]
pub fn mad(values: &[f64]) -> Option<f64> {
    let centre = median(values)?;
    median(&values.iter().map(|v| (v - centre).abs()).collect::<Vec<_>>())
}

/// Percentile by linear interpolation between order statistics (type 7 of Hyndman and Fan 1996, `NumPy`'s default).
///
/// `None` for an empty sample, where a value is not finite, or where `percent` lies outside 0..=100.
#[must_use]
pub fn percentile(values: &[f64], percent: f64) -> Option<f64> {
    if !(0.0..=100.0).contains(&percent) {
        return None;
    }
    Some(percentile_of_sorted(&sorted(values)?, percent))
}

/// Nanoseconds as seconds.
#[must_use]
pub fn seconds(samples_ns: &[u64]) -> Vec<f64> {
    samples_ns.iter().map(|&ns| ns as f64 * 1e-9).collect()
}

/// Drift of a sample in order of time: the median of the first quarter over the median of the rest.
///
/// A value far from 1 means that the device was not warm or was throttled. `None` below eight values.
#[must_use]
pub fn drift(in_order: &[f64]) -> Option<f64> {
    if in_order.len() < 8 {
        return None;
    }
    let (first, rest) = in_order.split_at(in_order.len() / 4);
    Some(median(first)? / median(rest)?)
}

/// A sorted copy; `None` for an empty sample or where a value is not finite.
fn sorted(values: &[f64]) -> Option<Vec<f64>> {
    if values.is_empty() || values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let mut copy = values.to_vec();
    copy.sort_by(f64::total_cmp);
    Some(copy)
}

/// Percentile of a sorted sample that is not empty.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the rank is not negative and below the length of a slice"
)]
fn percentile_of_sorted(sorted: &[f64], percent: f64) -> f64 {
    let rank = percent / 100.0 * (sorted.len() - 1) as f64;
    let below = sorted[rank.floor() as usize];
    let above = sorted[rank.ceil() as usize];
    below + (above - below) * rank.fract()
}
