//! Perplexity of a text, and the KL divergence from a reference model on the same tokens.
//!
//! The caller adds one position at a time, so that memory holds only the logits of the current batch. Logarithms are
//! natural: likelihoods and divergences are in nats. The statistics are those of llama.cpp's `llama-perplexity`.

use crate::stats;
use ridgeline_roofline::Measured;
use serde::{Deserialize, Serialize};

/// The 97.5 % quantile of the standard normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// The logarithm of the softmax of one row of logits, without a copy of the row.
#[derive(Clone, Copy, Debug)]
pub struct LogSoftmax<'a> {
    logits: &'a [f32],
    largest: f64,
    /// ln Σ exp(logit − largest). Separate from `largest`, because their sum would lose digits.
    log_sum: f64,
    top: usize,
}

impl<'a> LogSoftmax<'a> {
    /// The log-softmax of a row of logits. Sums are `f64` and relative to the largest logit, so that nothing overflows.
    ///
    /// `None` for an empty row, a NaN, or a sum that is not finite.
    #[must_use]
    pub fn of(logits: &'a [f32]) -> Option<Self> {
        if logits.iter().any(|it| it.is_nan()) {
            return None;
        }
        let best = |best: usize, i: usize| if logits[i] > logits[best] { i } else { best };
        let top = (0..logits.len()).reduce(best)?;
        let largest = f64::from(logits[top]);
        let sum: f64 = logits.iter().map(|&it| (f64::from(it) - largest).exp()).sum();
        let log_sum = sum.ln();
        (largest + log_sum).is_finite().then_some(Self { logits, largest, log_sum, top })
    }

    fn of_logit(&self, logit: f32) -> f64 {
        f64::from(logit) - self.largest - self.log_sum
    }

    /// The most likely token; the lowest id among equally likely ones.
    #[must_use]
    pub const fn top(&self) -> usize {
        self.top
    }

    /// ln p of a token; `None` beyond the row.
    #[must_use]
    pub fn log_p(&self, token: usize) -> Option<f64> {
        self.logits.get(token).map(|&it| self.of_logit(it))
    }

    /// KL divergence Σ p ln(p/q) of `q` from this distribution p; a token with p = 0 adds nothing.
    ///
    /// `None` where the rows differ in length.
    #[must_use]
    pub fn divergence(&self, q: &LogSoftmax<'_>) -> Option<f64> {
        if self.logits.len() != q.logits.len() {
            return None;
        }
        let term = |(&a, &b): (&f32, &f32)| {
            let (a, b) = (self.of_logit(a), q.of_logit(b));
            if a == f64::NEG_INFINITY { 0.0 } else { a.exp() * (a - b) }
        };
        // For nearly equal rows, rounding can make the sum negative; a divergence is at least zero.
        Some(self.logits.iter().zip(q.logits).map(term).sum::<f64>().max(0.0))
    }
}

/// An estimate and its standard error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Its standard error.
    pub se: f64,
}

impl Estimate {
    /// The mean of values with its standard error, `sd / √n`; `None` below two values.
    #[must_use]
    pub fn mean(values: &[f64]) -> Option<Self> {
        Some(Self { value: stats::mean(values)?, se: stats::sd(values)? / (values.len() as f64).sqrt() })
    }

    /// The exponential, with the error carried over as llama.cpp does: `exp(x) · se`.
    #[must_use]
    pub fn exp(self) -> Self {
        let value = self.value.exp();
        Self { value, se: value * self.se }
    }

    /// The 95 % interval of a normal estimate.
    #[must_use]
    pub fn interval(self) -> Measured {
        let half = Z * self.se;
        Measured { value: self.value, lo: self.value - half, hi: self.value + half }
    }
}

/// Perplexity of a text, accumulated token by token.
#[derive(Clone, Debug, Default)]
pub struct Perplexity {
    nll: Vec<f64>,
}

impl Perplexity {
    /// Adds one scored token's negative log-likelihood.
    pub fn push(&mut self, nll: f64) {
        self.nll.push(nll);
    }

    /// The negative log-likelihoods so far, in the order of the text.
    #[must_use]
    pub fn nll(&self) -> &[f64] {
        &self.nll
    }

    /// exp of the mean negative log-likelihood; `None` below two tokens.
    #[must_use]
    pub fn estimate(&self) -> Option<Estimate> {
        Some(Estimate::mean(&self.nll)?.exp())
    }
}

/// A model compared with a reference model on the same tokens.
#[derive(Clone, Debug, Default)]
pub struct Paired {
    /// Negative log-likelihood minus the reference's.
    delta: Vec<f64>,
    divergence: Vec<f64>,
    agreed: usize,
}

impl Paired {
    /// Adds one position: both distributions there, and the token that follows in the text.
    ///
    /// Returns `false` and adds nothing where `next` is beyond a row or the rows differ in length.
    pub fn push(&mut self, model: &LogSoftmax<'_>, reference: &LogSoftmax<'_>, next: usize) -> bool {
        let (Some(own), Some(other), Some(divergence)) =
            (model.log_p(next), reference.log_p(next), reference.divergence(model))
        else {
            return false;
        };
        self.delta.push(other - own);
        self.divergence.push(divergence);
        self.agreed += usize::from(model.top() == reference.top());
        true
    }

    /// Statistics over all positions; `None` below two positions, or where one is not finite.
    #[must_use]
    pub fn summary(&self) -> Option<PairedSummary> {
        let delta_nll = Estimate::mean(&self.delta)?;
        let n = self.delta.len() as f64;
        let same = self.agreed as f64 / n;
        let kl = |percent| stats::percentile(&self.divergence, percent);
        Some(PairedSummary {
            delta_nll,
            ppl_ratio: delta_nll.exp(),
            kl: Estimate::mean(&self.divergence)?,
            kl_median: kl(50.0)?,
            kl_p90: kl(90.0)?,
            kl_p99: kl(99.0)?,
            kl_p999: kl(99.9)?,
            kl_max: kl(100.0)?,
            top1_agreement: Estimate { value: same, se: (same * (1.0 - same) / (n - 1.0)).sqrt() },
        })
    }
}

/// A model compared with its reference over all scored tokens. KL divergences are of the model from the reference, in nats.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairedSummary {
    /// Mean paired change of the negative log-likelihood; positive is worse than the reference.
    pub delta_nll: Estimate,
    /// Perplexity over the reference's: `exp(delta_nll)`.
    pub ppl_ratio: Estimate,
    /// Mean divergence.
    pub kl: Estimate,
    /// Median divergence.
    pub kl_median: f64,
    /// Its 90th percentile.
    pub kl_p90: f64,
    /// Its 99th percentile.
    pub kl_p99: f64,
    /// Its 99.9th percentile.
    pub kl_p999: f64,
    /// Largest divergence.
    pub kl_max: f64,
    /// Top-1 agreement: share of positions where both have the same most likely token, 0 to 1.
    pub top1_agreement: Estimate,
}
