//! Ordinary least squares: a fixed cost and a cost per unit, with standard errors.

use super::mean;
use serde::{Deserialize, Serialize};

/// `y = intercept + slope·x` by least squares.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// Value at zero: the fixed cost.
    pub intercept: f64,
    /// Change per unit of x.
    pub slope: f64,
    /// Standard error of the intercept.
    pub se_intercept: f64,
    /// Standard error of the slope.
    pub se_slope: f64,
    /// Standard deviation of the residuals with `n − 2` degrees of freedom.
    pub residual_sd: f64,
    /// Share of the variance explained.
    pub r2: f64,
    /// Number of points.
    pub n: usize,
}

impl Fit {
    /// The line at `x`.
    #[must_use]
    pub fn at(&self, x: f64) -> f64 {
        self.intercept + self.slope * x
    }
}

/// Fits a line; `None` where lengths differ, below three points, or where every x is the same.
#[must_use]
pub fn least_squares(x: &[f64], y: &[f64]) -> Option<Fit> {
    let n = x.len();
    if n != y.len() || n < 3 {
        return None;
    }
    let (mx, my) = (mean(x)?, mean(y)?);
    let sxx: f64 = x.iter().map(|v| (v - mx).powi(2)).sum();
    let syy: f64 = y.iter().map(|v| (v - my).powi(2)).sum();
    let sxy: f64 = x.iter().zip(y).map(|(a, b)| (a - mx) * (b - my)).sum();
    if sxx.is_nan() || sxx <= 0.0 {
        return None;
    }
    let slope = sxy / sxx;
    let intercept = my - slope * mx;
    let residual: f64 = x.iter().zip(y).map(|(a, b)| (b - intercept - slope * a).powi(2)).sum();
    let residual_sd = (residual / (n - 2) as f64).sqrt();
    Some(Fit {
        intercept,
        slope,
        se_intercept: residual_sd * (1.0 / n as f64 + mx.powi(2) / sxx).sqrt(),
        se_slope: residual_sd / sxx.sqrt(),
        residual_sd,
        r2: if syy > 0.0 { 1.0 - residual / syy } else { 1.0 },
        n,
    })
}
