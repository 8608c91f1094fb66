//! Multiple least squares by QR decomposition, and information criteria to choose between models.

use super::interval::TAIL;
use super::mean;
use ridgeline_roofline::Measured;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Share of a column that must lie outside the span of the columns before it, else the model is singular.
const INDEPENDENT: f64 = 1e-10;

/// `y = Σ coefficient·column` by least squares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Regression {
    /// One per column, in order.
    pub coefficients: Vec<f64>,
    /// Standard error of each coefficient.
    pub standard_errors: Vec<f64>,
    /// Share of the variance explained; about zero instead of the mean where no column is constant.
    pub r2: f64,
    /// Residual sum of squares.
    pub rss: f64,
    /// Number of points.
    pub n: usize,
}

impl Regression {
    /// Coefficients with Student's 95 % intervals, which assume independent normal residuals of equal variance.
    #[must_use]
    pub fn intervals(&self) -> Option<Vec<Measured>> {
        let free = self.n.checked_sub(self.coefficients.len())? as f64;
        let t = StudentsT::new(0.0, 1.0, free).ok()?.inverse_cdf(1.0 - TAIL);
        let with_ends =
            |(&value, se): (&f64, &f64)| Measured { value, lo: value - t * se, hi: value + t * se };
        Some(self.coefficients.iter().zip(&self.standard_errors).map(with_ends).collect())
    }

    /// [`aicc`] of the model.
    #[must_use]
    pub fn aicc(&self) -> Option<f64> {
        aicc(self.rss, self.n, self.coefficients.len())
    }
}

/// Regresses `y` on `columns`; the caller gives a column of ones for an intercept.
///
/// ```text
/// columns = Q·R,  R·b = Qᵀy,  cov(b) = rss/(n − k)·R⁻¹·R⁻ᵀ             Björck 1967
/// ```
///
/// `None` where lengths differ, a value is not finite, or the columns depend on each other. `None` also without a column
/// and where there are no more points than columns.
#[must_use]
pub fn regress(columns: &[Vec<f64>], y: &[f64]) -> Option<Regression> {
    let (n, k) = (y.len(), columns.len());
    let finite = columns.iter().flatten().chain(y).all(|v| v.is_finite());
    if k == 0 || n <= k || !finite || columns.iter().any(|c| c.len() != n) {
        return None;
    }
    let (mut basis, mut upper) = (Vec::new(), Vec::new());
    for column in columns {
        let (mut shares, rest) = project(&basis, column);
        let length = dot(&rest, &rest).sqrt();
        if length <= INDEPENDENT * dot(column, column).sqrt() {
            return None;
        }
        shares.push(length);
        upper.push(shares);
        basis.push(rest.iter().map(|v| v / length).collect());
    }
    let (shares, residuals) = project(&basis, y);
    let rss = dot(&residuals, &residuals);
    let residual_variance = rss / (n - k) as f64;
    let constant = columns.iter().any(|c| c.iter().all(|v| *v == c[0]));
    let centre = if constant { mean(y)? } else { 0.0 };
    let total: f64 = y.iter().map(|v| (v - centre).powi(2)).sum();
    Some(Regression {
        coefficients: back_substitute(&upper, shares),
        standard_errors: inverse_row_squares(&upper).iter().map(|v| (residual_variance * v).sqrt()).collect(),
        r2: if total > 0.0 { 1.0 - rss / total } else { 1.0 },
        rss,
        n,
    })
}

/// Akaike's information criterion of a Gaussian model: `n·ln(rss/n) + 2K` (Burnham and Anderson 2002, §2.2).
///
/// `k` is the number of coefficients; `K = k + 1`, as the residual variance is also estimated. The constant
/// `n·(ln 2π + 1)` is left out, so only differences on the same data mean anything. `None` where `n` or `rss` is zero.
#[must_use]
pub fn aic(rss: f64, n: usize, k: usize) -> Option<f64> {
    let usable = n > 0 && rss > 0.0 && rss.is_finite();
    usable.then(|| n as f64 * (rss / n as f64).ln() + 2.0 * (k + 1) as f64)
}

/// [`aic`] for small samples: adds `2K(K + 1)/(n − K − 1)` (Hurvich and Tsai 1989).
///
/// Burnham and Anderson (2002, §2.4) advise it below forty points per parameter. `None` also where `n ≤ K + 1`.
#[must_use]
pub fn aicc(rss: f64, n: usize, k: usize) -> Option<f64> {
    let parameters = (k + 1) as f64;
    let free = n as f64 - parameters - 1.0;
    (free > 0.0).then_some(())?;
    Some(aic(rss, n, k)? + 2.0 * parameters * (parameters + 1.0) / free)
}

/// Components of `vector` along an orthonormal basis, and the rest, by modified Gram–Schmidt.
///
/// The second pass removes what rounding left of the first (Giraud et al. 2005: two passes are enough).
fn project(basis: &[Vec<f64>], vector: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let (mut shares, mut rest) = (vec![0.0; basis.len()], vector.to_vec());
    for _ in 0..2 {
        for (share, direction) in shares.iter_mut().zip(basis) {
            let along = dot(direction, &rest);
            *share += along;
            rest.iter_mut().zip(direction).for_each(|(r, d)| *r -= along * d);
        }
    }
    (shares, rest)
}

/// Solves `R·b = right`; `upper[j]` holds column `j` of `R` down to its diagonal.
fn back_substitute(upper: &[Vec<f64>], mut right: Vec<f64>) -> Vec<f64> {
    for (j, column) in upper.iter().enumerate().rev() {
        right[j] /= column[j];
        let solved = right[j];
        right.iter_mut().zip(&column[..j]).for_each(|(r, u)| *r -= solved * u);
    }
    right
}

/// Diagonal of `R⁻¹·R⁻ᵀ`: the sum of squares of each row of `R⁻¹`.
fn inverse_row_squares(upper: &[Vec<f64>]) -> Vec<f64> {
    let mut squares = vec![0.0; upper.len()];
    for unit in 0..upper.len() {
        let mut right = vec![0.0; upper.len()];
        right[unit] = 1.0;
        let column = back_substitute(upper, right);
        squares.iter_mut().zip(&column).for_each(|(s, c)| *s += c * c);
    }
    squares
}

/// Inner product.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}
