//! A sparse probability distribution over tokens, as left by the filters of a sampler.

use crate::Token;
use rand::Rng;

/// Probabilities of some tokens, in ascending order of id. They are positive and sum to 1. Every other token
/// has probability 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Dist {
    tokens: Vec<Token>,
    probs: Vec<f64>,
}

impl Dist {
    /// Normalizes non-negative weights. Tokens of weight zero are dropped; no token may appear twice. `None`
    /// if the weights have no positive, finite sum.
    pub fn from_weights(weights: impl IntoIterator<Item = (Token, f64)>) -> Option<Self> {
        let mut kept: Vec<(Token, f64)> = weights.into_iter().filter(|&(_, w)| w > 0.0).collect();
        let sum: f64 = kept.iter().map(|&(_, w)| w).sum();
        if !(sum > 0.0 && sum.is_finite()) {
            return None;
        }
        kept.sort_unstable_by_key(|&(token, _)| token);
        let (tokens, probs) = kept.into_iter().map(|(token, w)| (token, w / sum)).unzip();
        Some(Self { tokens, probs })
    }

    /// All probability on one token: a greedy choice, or a draft token that was not sampled.
    pub fn point(token: Token) -> Self {
        Self { tokens: vec![token], probs: vec![1.0] }
    }

    /// Probability of `token`.
    pub fn prob(&self, token: Token) -> f64 {
        self.tokens.binary_search(&token).map_or(0.0, |i| self.probs[i])
    }

    /// The tokens of positive probability with their probabilities, in ascending order of id.
    pub fn iter(&self) -> impl Iterator<Item = (Token, f64)> + '_ {
        self.tokens.iter().copied().zip(self.probs.iter().copied())
    }

    /// The most probable token (the lowest id wins a tie) and its probability.
    pub fn mode(&self) -> (Token, f64) {
        let first = (self.tokens[0], self.probs[0]);
        self.iter().fold(first, |best, entry| if entry.1 > best.1 { entry } else { best })
    }

    /// Samples a token: inverse transform sampling at one uniform number.
    pub fn sample(&self, rng: &mut impl Rng) -> Token {
        self.at(uniform(rng))
    }

    /// The token at `number` in [0, 1) of the cumulative distribution.
    pub fn at(&self, number: f64) -> Token {
        let mut left = number;
        for (token, p) in self.iter() {
            if left < p {
                return token;
            }
            left -= p;
        }
        // The probabilities sum to 1 only up to rounding, and `number` lies in the gap.
        self.tokens[self.tokens.len() - 1]
    }

    /// The residual distribution, from which the replacement of a rejected draft token is sampled: `max(0,
    /// self − draft)`, normalized.
    ///
    /// Leviathan et al. 2023 (arXiv:2211.17192, §2.3); Chen et al. 2023 (arXiv:2302.01318, eq. 2). `None` if
    /// the two are equal; a rejection then has probability zero.
    pub fn residual(&self, draft: &Self) -> Option<Self> {
        let mut theirs = draft.iter().peekable();
        Self::from_weights(self.iter().map(|(token, p)| {
            while theirs.next_if(|&(t, _)| t < token).is_some() {}
            let q = theirs.next_if(|&(t, _)| t == token).map_or(0.0, |(_, q)| q);
            (token, p - q)
        }))
    }
}

/// A number in [0, 1) from the upper 53 bits of a random `u64`. Written out so that a recorded seed gives the
/// same tokens with later versions of `rand`.
pub(crate) fn uniform(rng: &mut impl Rng) -> f64 {
    const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
    (rng.next_u64() >> 11) as f64 * STEP
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_xoshiro::Xoshiro256PlusPlus;

    fn dist(weights: &[f64]) -> Dist {
        Dist::from_weights((0..).zip(weights.iter().copied())).expect("positive weights")
    }

    #[test]
    fn weights_are_normalized_and_zeros_dropped() {
        let d = dist(&[1.0, 0.0, 3.0]);
        assert_eq!(d.iter().collect::<Vec<_>>(), [(0, 0.25), (2, 0.75)]);
        assert_eq!((d.prob(1), d.prob(2), d.prob(9)), (0.0, 0.75, 0.0));
        assert_eq!(d.mode(), (2, 0.75));
        assert_eq!(dist(&[2.0, 2.0]).mode().0, 0, "the lowest id wins a tie");
        assert_eq!(Dist::from_weights([(0, 0.0)]), None);
        assert_eq!(Dist::from_weights([(0, f64::INFINITY)]), None);
    }

    #[test]
    fn residual_is_the_positive_part() {
        // p - q = [0.3, -0.2, -0.1], so only token 0 is left.
        let p = dist(&[0.5, 0.3, 0.2]);
        let q = dist(&[0.2, 0.5, 0.3]);
        assert_eq!(p.residual(&q), Some(Dist::point(0)));
        // q - p = [-0.3, 0.2, 0.1], normalized to thirds.
        let back = q.residual(&p).expect("a residual");
        assert!((back.prob(1) - 2.0 / 3.0).abs() < 1e-12 && (back.prob(2) - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(p.residual(&p), None);
        // A draft token outside the support of p removes no probability.
        assert_eq!(p.residual(&Dist::point(7)), Some(p.clone()));
        // Against a point mass, the other tokens of p remain.
        assert_eq!(p.residual(&Dist::point(0)).map(|d| d.prob(1)), Some(0.6));
    }

    #[test]
    fn draws_follow_the_probabilities() {
        let d = dist(&[0.1, 0.6, 0.0, 0.3]);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut counts = [0_u32; 4];
        for _ in 0..100_000 {
            counts[d.sample(&mut rng) as usize] += 1;
        }
        assert_eq!(counts[2], 0);
        for (count, p) in counts.iter().zip([0.1, 0.6, 0.0, 0.3]) {
            // Five standard deviations of a binomial count are below 800 here.
            assert!((f64::from(*count) - p * 1e5).abs() < 800.0, "{counts:?}");
        }
    }
}
