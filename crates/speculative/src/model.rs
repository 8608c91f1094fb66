//! What this crate asks of a language model: logits for appended tokens, and forgetting the newest ones.

use crate::Sampler;
use std::ops::ControlFlow;

/// A token id.
pub type Token = u32;

/// Which of the appended positions' logits are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rows {
    /// None: the tokens only fill the cache.
    None,
    /// Those of the last appended token (no row when nothing was appended).
    Last,
    /// Those of every appended token, in order.
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

/// Logits of some positions, row by row.
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

/// How a model chooses tokens by itself, one after the other.
#[derive(Clone, Copy, Debug)]
pub enum Choice<'a> {
    /// The most probable one, so many times.
    Greedy(usize),
    /// Drawn by a sampler that [looks at no history](Sampler::ignores_history), at these numbers in [0, 1).
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

/// Is handed choices as they come, and may break off.
pub type OnTokens<'a> = dyn FnMut(&[Token]) -> ControlFlow<()> + 'a;

/// A language model with one sequence in its cache.
///
/// The cache holds [`len`](Self::len) tokens. Row `i` of the logits that `extend` returns predicts the token
/// that follows the `i`-th appended one.
pub trait LanguageModel {
    /// What the model's own failures look like.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Size of the vocabulary; every token is smaller.
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
    /// When the model cannot evaluate the tokens. What the cache then holds beyond its former length is
    /// unspecified; `truncate` to that length makes it good again.
    fn extend(&mut self, tokens: &[Token], want: Rows) -> Result<Logits, Self::Error>;

    /// Forgets every token from position `len` on, leaving no trace; nothing happens when there are none.
    fn truncate(&mut self, len: usize);

    /// Appends `tokens` and returns the most probable next token at the positions that `want` names; the lowest
    /// id wins a tie. A device model overrides this so that ids are read back and not whole rows.
    ///
    /// # Errors
    /// As [`extend`](Self::extend).
    fn extend_greedy(&mut self, tokens: &[Token], want: Rows) -> Result<Vec<Token>, Self::Error> {
        let logits = self.extend(tokens, want)?;
        Ok((0..logits.rows()).map(|i| argmax(logits.row(i))).collect())
    }

    /// Appends `token`, makes a choice, appends it, and so on, one evaluation per choice; `on_tokens` is handed the choices in
    /// order, in pieces of whatever size suits the model. The last choice is not appended. Where `on_tokens` breaks off, the
    /// cache may hold choices that it was not handed, in order behind those it was. A row that nothing can be drawn from
    /// gives [`Token::MAX`]. A device model overrides this so that the device does not wait for the host in between.
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

    /// Appends `token` and then the most probable next token again and again, `n` tokens in all; returns the choice
    /// after each, of which the last is not appended.
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

/// What [`LanguageModel::decode`] means, in terms of [`LanguageModel::extend`]: every choice is the host's.
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

    fn truncate(&mut self, len: usize) {
        (**self).truncate(len);
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

/// Index of the largest value; the lowest index wins a tie, NaN never wins, and an empty row gives 0.
#[expect(clippy::cast_possible_truncation, reason = "a row is as long as the vocabulary, whose ids are u32")]
pub fn argmax(row: &[f32]) -> Token {
    let mut best = 0;
    for (i, &x) in row.iter().enumerate() {
        // A NaN in the first place must lose to the first number that follows it.
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
