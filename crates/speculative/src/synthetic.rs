//! Synthetic acceptance: acceptance at given rates, independent of the tokens, to measure the cost of
//! speculation.

use crate::dist::uniform;
use crate::{Draft, Error, Proposer, RngStream, Sampler, SamplerRng, Token};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;

/// Acceptance rate per draft position. The rates are unconditional, as in
/// [`Stats::rate_at`](crate::Stats::rate_at): the share of drafts accepted up to and including the position.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f64>", into = "Vec<f64>")]
pub struct SynthRates(Vec<f64>);

impl SynthRates {
    /// Rates of the first positions. Later positions are never accepted.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless the rates are within [0, 1] and do not increase.
    pub fn new(rates: Vec<f64>) -> Result<Self, Error> {
        let mut ceiling = 1.0;
        for &rate in &rates {
            if !(0.0..=ceiling).contains(&rate) {
                let requirement = "between 0 and 1 and no larger than the rate before it";
                return Err(Error::Parameter { name: "synthetic acceptance rate", value: rate, requirement });
            }
            ceiling = rate;
        }
        Ok(Self(rates))
    }

    /// The geometric rates p, p², …, pᵏ for a mean of `tokens` tokens per round: p + … + pᵏ = tokens − 1.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless 1 ≤ tokens ≤ k + 1.
    pub fn for_length(tokens: f64, k: usize) -> Result<Self, Error> {
        if !(1.0..=k as f64 + 1.0).contains(&tokens) {
            let requirement = "between 1 and the draft length plus 1";
            return Err(Error::Parameter { name: "synthetic tokens per round", value: tokens, requirement });
        }
        let powers = |p: f64| std::iter::successors(Some(p), move |x| Some(x * p)).take(k);
        let p = crate::planner::bisect(|p| powers(p).sum::<f64>() - (tokens - 1.0));
        Ok(Self(powers(p).collect()))
    }

    /// The rates, one per position.
    pub fn rates(&self) -> &[f64] {
        &self.0
    }

    /// Probability that position `i` is accepted if all before it are.
    pub(crate) fn conditional(&self, i: usize) -> f64 {
        let before = if i == 0 { 1.0 } else { self.0.get(i - 1).copied().unwrap_or(0.0) };
        let rate = self.0.get(i).copied().unwrap_or(0.0);
        if before > 0.0 { rate / before } else { 0.0 }
    }
}

impl TryFrom<Vec<f64>> for SynthRates {
    type Error = Error;

    fn try_from(rates: Vec<f64>) -> Result<Self, Error> {
        Self::new(rates)
    }
}

impl From<SynthRates> for Vec<f64> {
    fn from(rates: SynthRates) -> Self {
        rates.0
    }
}

/// Drafts uniformly random tokens at no cost. Under synthetic acceptance only the cost of verification
/// remains.
#[derive(Clone, Debug)]
pub struct RandomProposer {
    vocab: usize,
    len: usize,
    rng: SamplerRng,
}

impl RandomProposer {
    /// Drafts of `len` tokens from a vocabulary of `vocab`.
    pub fn new(vocab: usize, len: usize, seed: u64) -> Self {
        Self { vocab, len, rng: Sampler { seed, ..Sampler::greedy() }.rng(RngStream::Draft) }
    }
}

impl Proposer for RandomProposer {
    type Error = Infallible;

    fn vocab(&self) -> Option<usize> {
        Some(self.vocab)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "below the vocabulary, whose ids are u32"
    )]
    fn propose(&mut self, _context: &[Token], max: usize) -> Result<Draft, Infallible> {
        let vocab = self.vocab as f64;
        let tokens = (0..self.len.min(max)).map(|_| (uniform(&mut self.rng) * vocab) as Token).collect();
        Ok(Draft::chain(tokens, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_checked_and_made_conditional() {
        let rates = SynthRates::new(vec![0.8, 0.4, 0.0]).expect("settings in range");
        assert_eq!([0, 1, 2, 3, 9].map(|i| rates.conditional(i)), [0.8, 0.5, 0.0, 0.0, 0.0]);
        for bad in [vec![1.1], vec![-0.1], vec![f64::NAN], vec![0.4, 0.5]] {
            assert!(matches!(SynthRates::new(bad), Err(Error::Parameter { .. })));
        }
        assert!(serde_json::from_str::<SynthRates>("[0.4, 0.5]").is_err(), "reading checks too");
        assert_eq!(serde_json::to_string(&rates).expect("plain numbers"), "[0.8,0.4,0.0]");
    }

    #[test]
    fn a_length_is_met_by_geometric_rates() {
        // p + p² = 0.75 has the root p = 0.5.
        let rates = SynthRates::for_length(1.75, 2).expect("settings in range");
        assert!((rates.rates()[0] - 0.5).abs() < 1e-9 && (rates.rates()[1] - 0.25).abs() < 1e-9);
        assert!((SynthRates::for_length(4.0, 3).expect("settings in range").rates()[2] - 1.0).abs() < 1e-9);
        assert!(SynthRates::for_length(1.0, 3).expect("settings in range").rates()[0] < 1e-9);
        assert!(SynthRates::for_length(4.1, 3).is_err() && SynthRates::for_length(0.9, 3).is_err());
    }
}
