//! Predicts whether speculation pays off: expected tokens per round, speedup, break-even acceptance and best
//! draft length.
//!
//! - γ: draft length.
//! - α: acceptance rate per token.
//! - c = `T_draft` / `T_target`: forward passes over one token.
//! - v(n) = `T_verify(n)` / `T_target`: the target's forward pass over n tokens.
//! - τ: tokens per round.
//!
//! Leviathan et al. 2023 (arXiv:2211.17192, §3.1 and §3.3) assume v = 1. This holds where weight traffic
//! dominates, so that verification is free. On real devices v must be measured.

use serde::{Deserialize, Serialize};

/// Expected tokens per round τ = (1 − α^(γ+1)) / (1 − α) when every token is accepted with probability `alpha`
/// independently (Leviathan et al. 2023, eq. 1).
pub fn expected_tokens(alpha: f64, gamma: usize) -> f64 {
    // Summed: the closed form is 0/0 at α = 1.
    std::iter::successors(Some(1.0), |power| Some(power * alpha)).take(gamma + 1).sum()
}

/// Tokens per round τ = 1 + fγ when the fraction f of draft tokens is accepted. Most tools report f.
pub fn tokens_from_fraction(fraction: f64, gamma: usize) -> f64 {
    1.0 + fraction * gamma as f64
}

/// Predicted speedup over plain decoding: S = τ / (v(γ+1) + γc). `v` is v(γ+1).
pub fn speedup(tau: f64, gamma: usize, v: f64, c: f64) -> f64 {
    tau / round_cost(gamma, v, c)
}

/// Cost of a round in single-token forward passes of the target: v(γ+1) + γc. Speculation pays off if τ is
/// larger.
pub fn round_cost(gamma: usize, v: f64, c: f64) -> f64 {
    v + gamma as f64 * c
}

/// The smallest acceptance rate α at which speculation breaks even: τ(α, γ) = v + γc. `None` if even full
/// acceptance loses.
pub fn break_even_alpha(gamma: usize, v: f64, c: f64) -> Option<f64> {
    let cost = round_cost(gamma, v, c);
    // A NaN cost compares false and gives `None`.
    (cost <= gamma as f64 + 1.0).then(|| bisect(|alpha| expected_tokens(alpha, gamma) - cost))
}

/// The smallest ratio `T_target` / `T_draft` at which speculation breaks even: γ / (1 + fγ − v). At v = 1 it
/// is 1/f. `None` if even a free draft loses.
pub fn break_even_ratio(fraction: f64, gamma: usize, v: f64) -> Option<f64> {
    let slack = tokens_from_fraction(fraction, gamma) - v;
    (slack > 0.0).then(|| gamma as f64 / slack)
}

/// The root of an increasing function in [0, 1], or the nearer end if there is none.
pub(crate) fn bisect(f: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    // 60 halvings exhaust the precision of an f64.
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if f(middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// Measured cost of verifying n tokens in one forward pass, relative to one token: v(n) = T(n) / T(1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerifyCurve {
    /// (n, v), ascending in n and starting at (1, 1).
    points: Vec<(usize, f64)>,
}

impl VerifyCurve {
    /// From times of forward passes over n tokens, in any unit and order. The first time of each n counts.
    /// `None` without n = 1, or unless every time is positive and finite.
    pub fn from_times(times: &[(usize, f64)]) -> Option<Self> {
        let &(_, one) = times.iter().find(|&&(n, _)| n == 1)?;
        if !times.iter().all(|&(n, t)| n > 0 && t > 0.0 && t.is_finite()) {
            return None;
        }
        let mut points: Vec<_> = times.iter().map(|&(n, t)| (n, t / one)).collect();
        points.sort_by_key(|&(n, _)| n);
        points.dedup_by_key(|point| point.0);
        Some(Self { points })
    }

    /// v(n), interpolated linearly. `None` outside the measured range.
    pub fn at(&self, n: usize) -> Option<f64> {
        match self.points.binary_search_by_key(&n, |&(n, _)| n) {
            Ok(i) => Some(self.points[i].1),
            Err(0) => None,
            Err(i) => {
                let &(n1, v1) = self.points.get(i)?;
                let (n0, v0) = self.points[i - 1];
                Some(v0 + (v1 - v0) * (n - n0) as f64 / (n1 - n0) as f64)
            }
        }
    }

    /// The draft length with the largest predicted speedup, and that speedup. Candidates are 0 (no
    /// speculation, speedup 1) to `max`, within the measured range. The shortest wins a tie.
    pub fn best_gamma(&self, alpha: f64, c: f64, max: usize) -> (usize, f64) {
        let predicted = (1..=max).map_while(|gamma| {
            let v = self.at(gamma + 1)?;
            Some((gamma, speedup(expected_tokens(alpha, gamma), gamma, v, c)))
        });
        predicted.fold((0, 1.0), |best, next| if next.1 > best.1 { next } else { best })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64, tolerance: f64) {
        assert!((a - b).abs() <= tolerance, "{a} is not {b}");
    }

    #[test]
    fn expected_tokens_by_hand() {
        // 1 + 0.5 + 0.25 + 0.125 = (1 − 0.5⁴) / 0.5.
        assert_eq!(expected_tokens(0.5, 3), 1.875);
        assert_eq!(expected_tokens(1.0, 4), 5.0);
        assert_eq!(expected_tokens(0.0, 4), 1.0);
        assert_eq!(expected_tokens(0.9, 0), 1.0);
        close(expected_tokens(0.8, 5), (1.0 - 0.8_f64.powi(6)) / 0.2, 1e-12);
    }

    #[test]
    fn speedup_by_hand() {
        // (1 − 0.75⁸) / 0.25 = 3.5995 tokens at a cost of 1 + 7 · 0.02 = 1.14 forward passes.
        close(speedup(expected_tokens(0.75, 7), 7, 1.0, 0.02), 3.1575, 1e-4);
        // Five draft tokens take 27.42 ms, a target forward pass 19.75 ms, and 46.7 % are accepted. That is
        // 3.335 tokens in 47.17 ms, against 19.75 ms for each token.
        let c = 27.42 / 5.0 / 19.75;
        close(speedup(tokens_from_fraction(0.467, 5), 5, 1.0, c), 1.396, 1e-3);
        // A free draft at v = 1 gives at most τ.
        close(speedup(tokens_from_fraction(0.033, 4), 4, 1.0, 0.0), 1.132, 1e-12);
    }

    #[test]
    fn break_even_by_hand() {
        close(break_even_ratio(0.45, 4, 1.0).expect("can break even"), 2.22, 0.005);
        close(break_even_ratio(0.55, 4, 1.81).expect("can break even"), 2.88, 0.005);
        close(break_even_ratio(0.45, 8, 2.6).expect("can break even"), 4.0, 1e-9);
        assert_eq!(break_even_ratio(0.2, 4, 1.8), None);
        // 1 + α = 1 + 0.25 + 0.25.
        close(break_even_alpha(1, 1.25, 0.25).expect("can break even"), 0.5, 1e-12);
        close(break_even_alpha(3, 1.5, 0.125).expect("can break even"), 0.5, 1e-12);
        close(break_even_alpha(4, 1.0, 0.0).expect("can break even"), 0.0, 1e-12);
        assert_eq!(break_even_alpha(4, 3.0, 0.6), None);
        assert_eq!(break_even_alpha(4, f64::NAN, 0.6), None);
        // At the break-even the predicted speedup is 1.
        let alpha = break_even_alpha(5, 1.7, 0.2).expect("can break even");
        close(speedup(expected_tokens(alpha, 5), 5, 1.7, 0.2), 1.0, 1e-9);
    }

    #[test]
    fn curve_interpolates_and_finds_the_best_draft() {
        let curve = VerifyCurve::from_times(&[(8, 26.0), (1, 10.0), (4, 14.5)]).expect("has n = 1");
        close(curve.at(1).expect("measured"), 1.0, 0.0);
        close(curve.at(2).expect("between"), 1.15, 1e-12);
        close(curve.at(6).expect("between"), 2.025, 1e-12);
        assert_eq!((curve.at(0), curve.at(9)), (None, None));
        // α = 1, c = 0: (γ+1)/v is 2/1.15, 3/1.3, 4/1.45 = 2.76, 5/1.7375 = 2.88, 6/2.025 = 2.96, 7/2.3125 = 3.03,
        // 8/2.6 = 3.08.
        let (gamma, s) = curve.best_gamma(1.0, 0.0, 20);
        assert_eq!(gamma, 7);
        close(s, 8.0 / 2.6, 1e-9);
        // At α = 0.1 even v(2) = 1.15 loses.
        assert_eq!(curve.best_gamma(0.1, 0.0, 20), (0, 1.0));
        assert_eq!(VerifyCurve::from_times(&[(2, 1.0)]), None);
        assert_eq!(VerifyCurve::from_times(&[(1, 1.0), (2, f64::NAN)]), None);
    }
}
