//! A toy language model. Its logits depend on the last two tokens of its cache, so that a wrong rollback
//! changes the output.

use ridgeline_speculative::{
    Choice, Error, Generation, LanguageModel, Logits, OnTokens, Rows, Sampler, Token, decode_on_host,
    generate,
};
use std::ops::ControlFlow;

/// The toy. Toys with one `seed` have similar logits if their `noise` is small.
#[derive(Clone, Debug)]
pub(crate) struct Toy {
    vocab: usize,
    capacity: usize,
    seed: u64,
    noise: f32,
    cache: Vec<Token>,
    /// Tokens decoded per call of `on_tokens`.
    pub(crate) ahead: usize,
}

/// The only error of the toy.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the toy's cache is full")]
pub(crate) struct Full;

/// A hash of `words`: a number in [-2, 2] in steps of 1/8.
fn hashed(words: [u64; 4]) -> f32 {
    let mixed = words.iter().fold(0x9E37_79B9_7F4A_7C15_u64, |h, w| {
        let h = (h ^ w).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        h ^ (h >> 29)
    });
    let step = u8::try_from(mixed >> 40 & 31).unwrap_or(0);
    (f32::from(step) - 16.0) / 8.0
}

impl Toy {
    /// A toy with the logits of `seed` plus `noise` times other logits.
    pub(crate) fn new(seed: u64, noise: f32, vocab: usize, capacity: usize) -> Self {
        Self { vocab, capacity, seed, noise, cache: Vec::new(), ahead: 1 }
    }

    /// Logits after `sequence`.
    pub(crate) fn row(&self, sequence: &[Token]) -> Vec<f32> {
        let back = |n: usize| sequence.len().checked_sub(n).map_or(99, |i| u64::from(sequence[i]));
        let logit = |t| {
            let own = if self.noise == 0.0 {
                0.0
            } else {
                self.noise * hashed([self.seed + 1, back(1), back(2), t])
            };
            hashed([self.seed, back(1), back(2), t]) + own
        };
        (0..self.vocab as u64).map(logit).collect()
    }
}

impl LanguageModel for Toy {
    type Error = Full;

    fn vocab(&self) -> usize {
        self.vocab
    }

    fn len(&self) -> usize {
        self.cache.len()
    }

    fn capacity(&self) -> usize {
        self.capacity
    }

    fn extend(&mut self, tokens: &[Token], want: Rows) -> Result<Logits, Full> {
        if self.cache.len() + tokens.len() > self.capacity {
            return Err(Full);
        }
        let mut data = Vec::new();
        for (i, &token) in tokens.iter().enumerate() {
            self.cache.push(token);
            if i + want.count(tokens.len()) >= tokens.len() {
                data.extend(self.row(&self.cache));
            }
        }
        Ok(Logits { vocab: self.vocab, data })
    }

    fn truncate(&mut self, len: usize) -> Result<(), Full> {
        self.cache.truncate(len);
        Ok(())
    }

    fn decode(&mut self, token: Token, choice: Choice<'_>, on_tokens: &mut OnTokens<'_>) -> Result<(), Full> {
        let (ahead, mut left, mut pending) = (self.ahead, choice.count(), Vec::new());
        decode_on_host(self, token, choice, &mut |more| {
            pending.extend_from_slice(more);
            left -= more.len();
            if pending.len() < ahead && left > 0 {
                return ControlFlow::Continue(());
            }
            on_tokens(&std::mem::take(&mut pending))
        })
    }
}

/// Plain generation without a callback.
pub(crate) fn plain(
    mut model: Toy,
    sampler: &Sampler,
    prompt: &[Token],
    n: usize,
    stop: &[Token],
) -> Result<Generation, Error> {
    generate(&mut model, sampler, prompt, n, stop, &mut |_| ControlFlow::Continue(()))
}
