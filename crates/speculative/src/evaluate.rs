//! One forward pass of a model. It returns greedy choices where those suffice, and logits otherwise.

use crate::{Dist, Error, LanguageModel, Logits, Rows, Sampler, Token};

/// Result of a forward pass: one entry per wanted row.
pub(crate) enum Evaluated {
    /// Greedy choices.
    GreedyTokens(Vec<Token>),
    /// Rows of logits.
    Rows(Logits),
}

impl Evaluated {
    /// The distribution that `sampler` makes of row `i`, given the tokens before the predicted one.
    pub(crate) fn dist(&self, i: usize, sampler: &Sampler, history: &[Token]) -> Result<Dist, Error> {
        match self {
            Self::GreedyTokens(picks) => Ok(Dist::point(picks[i])),
            Self::Rows(logits) => sampler.dist(logits.row(i), history),
        }
    }
}

/// Appends `tokens` and returns the rows that `want` names, as greedy choices if `greedy_only`. `wrap`
/// converts the model's error.
pub(crate) fn evaluate<M: LanguageModel>(
    model: &mut M,
    tokens: &[Token],
    want: Rows,
    greedy_only: bool,
    wrap: fn(crate::error::Source) -> Error,
) -> Result<Evaluated, Error> {
    let vocab = model.vocab();
    let expected = want.count(tokens.len());
    let (evaluated, got) = if greedy_only {
        let picks = model.extend_greedy(tokens, want).map_err(|e| wrap(Box::new(e)))?;
        if let Some(&token) = picks.iter().find(|&&t| t as usize >= vocab) {
            return Err(Error::TokenOutOfVocab { token, vocab });
        }
        let got = picks.len();
        (Evaluated::GreedyTokens(picks), got)
    } else {
        let logits = model.extend(tokens, want).map_err(|e| wrap(Box::new(e)))?;
        let got = logits.rows();
        (Evaluated::Rows(logits), got)
    };
    if got == expected { Ok(evaluated) } else { Err(Error::RowCount { expected, got }) }
}

/// Forgets the tokens from position `len` on. `wrap` converts the model's error.
pub(crate) fn rewind<M: LanguageModel>(
    model: &mut M,
    len: usize,
    wrap: fn(crate::error::Source) -> Error,
) -> Result<(), Error> {
    model.truncate(len).map_err(|e| wrap(Box::new(e)))
}

/// Checks that a cache of `len` tokens has room for `needed` more.
pub(crate) fn require_room(model: &impl LanguageModel, len: usize, needed: usize) -> Result<(), Error> {
    let capacity = model.capacity();
    if needed > capacity.saturating_sub(len) {
        Err(Error::CapacityExhausted { len, capacity, needed })
    } else {
        Ok(())
    }
}
