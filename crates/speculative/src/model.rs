//! The interface of a language model: append tokens, get logits, forget the newest tokens.

use crate::Sampler;
use std::ops::ControlFlow;

/// A token id.
pub type Token = u32;

/// The appended positions whose logits are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rows {
    /// None: the tokens only fill the cache.
    None,
    /// The last appended token. No row if nothing was appended.
    Last,
    /// Every appended token, in order.
    All,
}

impl Rows {
    /// Number of rows wanted when `tokens` tokens are appended.
    pub fn count(self, tokens: usize) -> usize {
        match self {
            Self::None => 0,
            Self::Last => tokens.min(1),
            Self::All => tokens,
        }
    }
}

/// Logits, one row per position.
#[derive(Clone, Debug, PartialEq)]
pub struct Logits {
    /// Length of a row.
    pub vocab: usize,
    /// `[rows, vocab]`, row-major.
    pub data: Vec<f32>,
}

impl Logits {
    /// Number of complete rows.
    pub fn rows(&self) -> usize {
        self.data.len().checked_div(self.vocab).unwrap_or(0)
    }

    /// Row `i`, `vocab` logits long.
    ///
    /// # Panics
    /// If there is no row `i`.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.data[i * self.vocab..][..self.vocab]
    }
}

/// The rule by which [`LanguageModel::decode`] chooses tokens, and how many.
#[derive(Clone, Copy, Debug)]
pub enum Choice<'a> {
    /// The most probable token, this many times.
    Greedy(usize),
    /// Sampled at these numbers in [0, 1), one per token, by a sampler that [ignores
    /// history](Sampler::ignores_history).
    Sampled(&'a Sampler, &'a [f64]),
}

impl Choice<'_> {
    /// Number of tokens chosen.
    pub const fn count(self) -> usize {
        match self {
            Self::Greedy(n) => n,
            Self::Sampled(_, at) => at.len(),
        }
    }
}

/// Callback for new tokens. It receives one or more at a time, in order, and `Break` ends the decoding.
pub type OnTokens<'a> = dyn FnMut(&[Token]) -> ControlFlow<()> + 'a;

/// A language model with one sequence in its cache.
///
/// The cache holds [`len`](Self::len) tokens. Row `i` of the logits that `extend` returns predicts the token
/// that follows the `i`-th appended one.
pub trait LanguageModel {
    /// Error of the model.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Size of the vocabulary. Every token id is smaller.
    fn vocab(&self) -> usize;

    /// Number of tokens in the cache.
    fn len(&self) -> usize;

    /// Whether the cache is empty.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of tokens that the cache can hold.
    fn capacity(&self) -> usize;

    /// Appends `tokens` and returns the logits of the positions that `want` names.
    ///
    /// # Errors
    /// When the model cannot evaluate the tokens. The cache beyond its former length is then unspecified; `truncate` to
    /// that length restores it.
    fn extend(&mut self, tokens: &[Token], want: Rows) -> Result<Logits, Self::Error>;

    /// Forgets every token from position `len` on, as if it had never been appended. Does nothing if the
    /// cache holds no more than `len` tokens.
    ///
    /// # Errors
    /// When the model cannot return to its state after `len` tokens, which a recurrent layer overwrites. Until
    /// a truncation to zero, the model must then refuse to go on.
    fn truncate(&mut self, len: usize) -> Result<(), Self::Error>;

    /// Appends `tokens` and returns the most probable next token at the positions that `want` names. The
    /// lowest id wins a tie.
    ///
    /// A device model overrides this to read back ids instead of whole rows.
    ///
    /// # Errors
    /// As [`extend`](Self::extend).
    fn extend_greedy(&mut self, tokens: &[Token], want: Rows) -> Result<Vec<Token>, Self::Error> {
        let logits = self.extend(tokens, want)?;
        Ok((0..logits.rows()).map(|i| argmax(logits.row(i))).collect())
    }

    /// Autoregressive decoding: appends `token`, chooses the next token, appends that, and so on. `choice`
    /// gives the rule and the number of tokens.
    ///
    /// The last chosen token is not appended. [`Token::MAX`] stands for a row without a valid distribution.
    /// If `on_tokens` breaks, the cache may hold further chosen tokens after those that `on_tokens` received.
    /// `truncate` removes them.
    ///
    /// A device model overrides this so that the device does not wait for the host between tokens.
    ///
    /// # Errors
    /// As [`extend`](Self::extend).
    fn decode(
        &mut self,
        token: Token,
        choice: Choice<'_>,
        on_tokens: &mut OnTokens<'_>,
    ) -> Result<(), Self::Error> {
        decode_on_host(self, token, choice, on_tokens)
    }

    /// Greedy [`decode`](Self::decode) of `n` tokens, returned at once.
    ///
    /// # Errors
    /// As [`extend`](Self::extend).
    fn decode_greedy(&mut self, token: Token, n: usize) -> Result<Vec<Token>, Self::Error> {
        let mut picks = Vec::with_capacity(n);
        self.decode(token, Choice::Greedy(n), &mut |more| {
            picks.extend_from_slice(more);
            ControlFlow::Continue(())
        })?;
        Ok(picks)
    }
}

/// Reference implementation of [`LanguageModel::decode`]: the host chooses every token from the logits of
/// [`LanguageModel::extend`].
///
/// # Errors
/// As [`LanguageModel::extend`].
pub fn decode_on_host<M: LanguageModel + ?Sized>(
    model: &mut M,
    token: Token,
    choice: Choice<'_>,
    on_tokens: &mut OnTokens<'_>,
) -> Result<(), M::Error> {
    let mut token = token;
    for i in 0..choice.count() {
        token = match choice {
            Choice::Greedy(_) => model.extend_greedy(&[token], Rows::Last)?[0],
            Choice::Sampled(sampler, at) => {
                let logits = model.extend(&[token], Rows::Last)?;
                sampler.dist(logits.row(0), &[]).map_or(Token::MAX, |dist| dist.at(at[i]))
            }
        };
        if on_tokens(&[token]).is_break() {
            break;
        }
    }
    Ok(())
}

impl<M: LanguageModel + ?Sized> LanguageModel for &mut M {
    type Error = M::Error;

    fn vocab(&self) -> usize {
        (**self).vocab()
    }

    fn len(&self) -> usize {
        (**self).len()
    }

    fn capacity(&self) -> usize {
        (**self).capacity()
    }

    fn extend(&mut self, tokens: &[Token], want: Rows) -> Result<Logits, Self::Error> {
        (**self).extend(tokens, want)
    }

    fn truncate(&mut self, len: usize) -> Result<(), Self::Error> {
        (**self).truncate(len)
    }

    fn extend_greedy(&mut self, tokens: &[Token], want: Rows) -> Result<Vec<Token>, Self::Error> {
        (**self).extend_greedy(tokens, want)
    }

    fn decode(
        &mut self,
        token: Token,
        choice: Choice<'_>,
        on_tokens: &mut OnTokens<'_>,
    ) -> Result<(), Self::Error> {
        (**self).decode(token, choice, on_tokens)
    }
}

/// Index of the largest value. The lowest index wins a tie, NaN never wins, and an empty row gives 0.
#[expect(clippy::cast_possible_truncation, reason = "a row is as long as the vocabulary, whose ids are u32")]
pub fn argmax(row: &[f32]) -> Token {
    let mut best = 0;
    for (i, &x) in row.iter().enumerate() {
        // A NaN at the first index must lose to any later number.
        if x > row[best] || (row[best].is_nan() && !x.is_nan()) {
            best = i;
        }
    }
    best as Token
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argmax_prefers_the_lowest_index_and_skips_nan() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0, 2.0]), 1);
        assert_eq!(argmax(&[f32::NAN, -5.0, f32::NAN, -4.0]), 3);
        assert_eq!(argmax(&[f32::NEG_INFINITY, f32::NEG_INFINITY]), 0);
        assert_eq!(argmax(&[]), 0);
    }

    #[test]
    fn rows_are_counted_and_cut() {
        assert_eq!([Rows::None, Rows::Last, Rows::All].map(|r| r.count(5)), [0, 1, 5]);
        assert_eq!([Rows::None, Rows::Last, Rows::All].map(|r| r.count(0)), [0, 0, 0]);
        let logits = Logits { vocab: 2, data: vec![1.0, 2.0, 3.0, 4.0] };
        assert_eq!(logits.rows(), 2);
        assert_eq!(logits.row(1), [3.0, 4.0]);
        assert_eq!(Logits { vocab: 0, data: vec![] }.rows(), 0);
    }
}
