//! Plain generation, one token per forward pass, and the output state that speculation shares.

use crate::dist::uniform;
use crate::evaluate::{evaluate, require_room, rewind};
use crate::{Choice, Error, LanguageModel, RngStream, Rows, Sampler, SamplerRng, Token};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;

/// Why generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FinishReason {
    /// The requested number of tokens.
    Length,
    /// A stop token. It is not part of the output.
    Stop(Token),
    /// The model's cache is full. The output has all tokens that fit.
    ContextFull,
    /// The caller broke off. The output includes the token at which it did.
    Cancelled,
}

/// The output of a generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// The new tokens, without prompt and stop token.
    pub tokens: Vec<Token>,
    /// Why generation ended.
    pub finish: FinishReason,
}

/// Continues `prompt` by up to `n` tokens, one per forward pass. The model's cache is cleared first. `on_token` receives
/// each token and may break off; it does not receive a stop token.
///
/// The first token is chosen on the host. For samplers that ignore history, [`LanguageModel::decode`] chooses the rest at
/// the same random numbers, which gives the same tokens up to rounding.
///
/// # Errors
/// - [`Error::EmptyPrompt`] and [`Error::TokenOutOfVocab`] for the prompt.
/// - [`Error::CapacityExhausted`] for a prompt that does not fit the cache. A cache that fills up later ends the text.
/// - [`Error::Target`] when the model fails.
/// - The errors of [`Sampler::check`] and [`Sampler::dist`].
pub fn generate<M: LanguageModel>(
    model: &mut M,
    sampler: &Sampler,
    prompt: &[Token],
    n: usize,
    stop: &[Token],
    on_token: &mut dyn FnMut(Token) -> ControlFlow<()>,
) -> Result<Generation, Error> {
    generate_after(model, 0, sampler, prompt, n, stop, on_token)
}

/// As [`generate`], where the first `cached` tokens of the prompt are in the model's cache already, as in the later turns of
/// a chat. The cache keeps these. The prompt's last token is always evaluated, because its logits choose the next one.
///
/// # Errors
/// As [`generate`].
#[expect(clippy::too_many_arguments, reason = "they are those of `generate` and one more")]
pub fn generate_after<M: LanguageModel>(
    model: &mut M,
    cached: usize,
    sampler: &Sampler,
    prompt: &[Token],
    n: usize,
    stop: &[Token],
    on_token: &mut dyn FnMut(Token) -> ControlFlow<()>,
) -> Result<Generation, Error> {
    sampler.check()?;
    let mut output = Output::new(prompt, model.vocab(), n, stop, on_token)?;
    let mut rng = sampler.rng(RngStream::Target);
    let cached = cached.min(model.len()).min(prompt.len() - 1);
    let mut evaluated = cached;
    // Whether `decode` met a row without a distribution. Evaluating that row here gives the error.
    let mut bad_row = false;
    rewind(model, cached, Error::Target)?;
    while !output.is_finished() {
        if output.ends_before(model.capacity(), evaluated) {
            break;
        }
        if output.len() > 0 && sampler.ignores_history() && !bad_row {
            bad_row = decode_on_device(model, &mut output, sampler, &mut rng)?;
            evaluated = output.context.len() - 1;
            if bad_row {
                rewind(model, evaluated, Error::Target)?;
            }
            continue;
        }
        let new = &output.context[evaluated..];
        require_room(model, evaluated, new.len())?;
        let rows = evaluate(model, new, Rows::Last, sampler.is_argmax(), Error::Target)?;
        evaluated = output.context.len();
        output.push(rows.dist(0, sampler, &output.context)?.sample(&mut rng));
    }
    // Forgets tokens that were decoded after a stop token.
    rewind(model, output.context.len(), Error::Target)?;
    Ok(output.into_generation())
}

/// Lets the model decode from the newest token on, the only one not yet in its cache. Returns true at a row
/// without a distribution.
fn decode_on_device<M: LanguageModel>(
    model: &mut M,
    output: &mut Output<'_>,
    sampler: &Sampler,
    rng: &mut SamplerRng,
) -> Result<bool, Error> {
    let evaluated = output.context.len() - 1;
    require_room(model, evaluated, 1)?;
    let (vocab, newest) = (model.vocab(), output.context[evaluated]);
    let n = output.remaining().min(model.capacity() - evaluated);
    let at: Vec<f64>;
    let choice = if sampler.is_argmax() {
        Choice::Greedy(n)
    } else {
        at = (0..n).map(|_| uniform(rng)).collect();
        Choice::Sampled(sampler, &at)
    };
    let (mut got, mut wrong) = (0, None);
    let mut on_tokens = |picks: &[Token]| {
        for &pick in picks {
            if pick as usize >= vocab {
                wrong = Some(pick);
                return ControlFlow::Break(());
            }
            got += 1;
            output.push(pick);
            if output.is_finished() {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    };
    model.decode(newest, choice, &mut on_tokens).map_err(|e| Error::Target(Box::new(e)))?;
    match wrong {
        Some(Token::MAX) => Ok(true),
        Some(token) => Err(Error::TokenOutOfVocab { token, vocab }),
        None if got < n && !output.is_finished() => Err(Error::RowCount { expected: n, got }),
        None => Ok(false),
    }
}

/// State of the output during generation.
pub(crate) struct Output<'a> {
    /// Prompt and output.
    pub(crate) context: Vec<Token>,
    prompt_len: usize,
    n: usize,
    stop: &'a [Token],
    on_token: &'a mut dyn FnMut(Token) -> ControlFlow<()>,
    finish: Option<FinishReason>,
}

impl<'a> Output<'a> {
    pub(crate) fn new(
        prompt: &[Token],
        vocab: usize,
        n: usize,
        stop: &'a [Token],
        on_token: &'a mut dyn FnMut(Token) -> ControlFlow<()>,
    ) -> Result<Self, Error> {
        if prompt.is_empty() {
            return Err(Error::EmptyPrompt);
        }
        if let Some(&token) = prompt.iter().find(|&&t| t as usize >= vocab) {
            return Err(Error::TokenOutOfVocab { token, vocab });
        }
        let finish = (n == 0).then_some(FinishReason::Length);
        Ok(Self { context: prompt.to_vec(), prompt_len: prompt.len(), n, stop, on_token, finish })
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// Ends the output if the next token needs a position that the cache of `capacity` does not have. Of the context,
    /// `evaluated` tokens are in the cache. A prompt that does not fit ends nothing.
    pub(crate) fn ends_before(&mut self, capacity: usize, evaluated: usize) -> bool {
        let full = self.len() > 0 && self.context.len() > capacity.max(evaluated);
        if full {
            self.finish = Some(FinishReason::ContextFull);
        }
        full
    }

    /// Number of generated tokens.
    pub(crate) fn len(&self) -> usize {
        self.context.len() - self.prompt_len
    }

    /// Number of tokens still to generate.
    pub(crate) fn remaining(&self) -> usize {
        self.n - self.len()
    }

    /// Appends a token and calls `on_token`, unless it is a stop token. Must not be called once finished.
    pub(crate) fn push(&mut self, token: Token) {
        if self.stop.contains(&token) {
            self.finish = Some(FinishReason::Stop(token));
            return;
        }
        self.context.push(token);
        if (self.on_token)(token).is_break() {
            self.finish = Some(FinishReason::Cancelled);
        } else if self.remaining() == 0 {
            self.finish = Some(FinishReason::Length);
        }
    }

    pub(crate) fn into_generation(mut self) -> Generation {
        let tokens = self.context.split_off(self.prompt_len);
        // Callers only convert finished output. Otherwise its length is the best guess.
        Generation { tokens, finish: self.finish.unwrap_or(FinishReason::Length) }
    }
}
