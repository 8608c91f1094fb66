//! Drafting with a smaller model that shares the target's vocabulary.

use crate::evaluate::{Evaluated, evaluate, rewind};
use crate::{Dist, Draft, Error, LanguageModel, Proposer, RngStream, Rows, Sampler, SamplerRng, Token};
use serde::{Deserialize, Serialize};

/// How long drafts are. The names and defaults are those of llama.cpp's `--spec-draft-*` options.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DraftOptions {
    /// Most tokens in a draft.
    pub n_max: usize,
    /// Fewest tokens in a draft. A greedy draft that `p_min` ends sooner is dropped. Dropping a sampled draft would bias
    /// the output, so `p_min` applies to it only from `n_min` tokens on. Without room for `n_min` tokens, the draft is
    /// empty.
    pub n_min: usize,
    /// Stop drafting when the most probable token has less than this probability. A greedy draft uses the
    /// unfiltered distribution, a sampled draft the filtered one.
    pub p_min: f64,
}

impl Default for DraftOptions {
    fn default() -> Self {
        Self { n_max: 3, n_min: 0, p_min: 0.0 }
    }
}

/// Proposes continuations by a draft model.
#[derive(Debug)]
pub struct ModelProposer<M> {
    model: M,
    sampler: Sampler,
    options: DraftOptions,
    rng: SamplerRng,
    /// Tokens in the model's cache. `propose` truncates them to the common prefix with the context, so
    /// rejected tokens need no bookkeeping.
    cached: Vec<Token>,
}

impl<M: LanguageModel> ModelProposer<M> {
    /// A proposer with `model`, whose cache is cleared. A greedy `sampler` suits a greedy target. For a
    /// sampling target, the target's own settings give the highest acceptance.
    ///
    /// # Errors
    /// [`Error::Parameter`] for settings out of range; [`Error::DraftModel`] if the cache cannot be cleared.
    pub fn new(mut model: M, sampler: Sampler, options: DraftOptions) -> Result<Self, Error> {
        sampler.check()?;
        if !(0.0..=1.0).contains(&options.p_min) {
            return Err(Error::Parameter {
                name: "p_min",
                value: options.p_min,
                requirement: "between 0 and 1",
            });
        }
        if options.n_min > options.n_max {
            let value = options.n_min as f64;
            return Err(Error::Parameter { name: "n_min", value, requirement: "no larger than n_max" });
        }
        rewind(&mut model, 0, Error::DraftModel)?;
        Ok(Self { model, sampler, options, rng: sampler.rng(RngStream::Draft), cached: Vec::new() })
    }

    /// The draft model.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// Gives the draft model back.
    pub fn into_model(self) -> M {
        self.model
    }

    /// Evaluates the tokens of `sequence` beyond the cache.
    fn evaluate_new_tokens(&mut self, sequence: &[Token], want: Rows) -> Result<Evaluated, Error> {
        let new = &sequence[self.cached.len()..];
        let picks = self.greedy_only();
        let evaluated = evaluate(&mut self.model, new, want, picks, Error::DraftModel)?;
        self.cached.extend_from_slice(new);
        Ok(evaluated)
    }

    /// Whether drafting needs only greedy choices and no probabilities.
    fn greedy_only(&self) -> bool {
        self.sampler.is_argmax() && self.options.p_min <= 0.0
    }

    /// A greedy draft of `max` tokens, decoded on the device.
    fn propose_greedy(&mut self, context: &[Token], max: usize) -> Result<Draft, Error> {
        let Evaluated::GreedyTokens(mut tokens) = self.evaluate_new_tokens(context, Rows::Last)? else {
            return Ok(Draft::default());
        };
        let wrap = |error: M::Error| Error::DraftModel(Box::new(error));
        let more = self.model.decode_greedy(tokens[0], max - 1).map_err(wrap)?;
        if more.len() != max - 1 {
            return Err(Error::RowCount { expected: max - 1, got: more.len() });
        }
        tokens.extend(more);
        let vocab = self.model.vocab();
        if let Some(&token) = tokens.iter().find(|&&token| token as usize >= vocab) {
            return Err(Error::TokenOutOfVocab { token, vocab });
        }
        self.cached.extend_from_slice(&tokens[..max - 1]);
        Ok(Draft::chain(tokens, None))
    }

    /// The next draft token and its distribution, or `None` to stop drafting. The decision to stop precedes
    /// the sampling: a stop that depended on the sampled token would bias the output.
    fn choose(
        &mut self,
        evaluated: &Evaluated,
        sequence: &[Token],
        drafted: usize,
    ) -> Result<Option<(Token, Dist)>, Error> {
        if self.sampler.is_greedy() {
            let (token, confidence) = match evaluated {
                Evaluated::GreedyTokens(picks) => (picks[0], 1.0),
                Evaluated::Rows(logits) => self.sampler.pick(logits.row(0), sequence)?,
            };
            return Ok((confidence >= self.options.p_min).then(|| (token, Dist::point(token))));
        }
        let dist = evaluated.dist(0, &self.sampler, sequence)?;
        if drafted >= self.options.n_min && dist.mode().1 < self.options.p_min {
            return Ok(None);
        }
        Ok(Some((dist.sample(&mut self.rng), dist)))
    }
}

impl<M: LanguageModel> Proposer for ModelProposer<M> {
    type Error = Error;

    fn vocab(&self) -> Option<usize> {
        Some(self.model.vocab())
    }

    fn begin(&mut self, prompt: &[Token]) -> Result<(), Error> {
        self.rng = self.sampler.rng(RngStream::Draft);
        self.cached.clear();
        rewind(&mut self.model, 0, Error::DraftModel)?;
        let head = &prompt[..prompt.len().saturating_sub(1)];
        if !head.is_empty() && head.len() <= self.model.capacity() {
            self.evaluate_new_tokens(head, Rows::None)?;
        }
        Ok(())
    }

    /// Returns an empty draft when the context exceeds the draft model's cache: the target continues alone.
    fn propose(&mut self, context: &[Token], max: usize) -> Result<Draft, Error> {
        // The last draft token is not evaluated, so one more fits than there are free positions.
        let room = (self.model.capacity() + 1).saturating_sub(context.len());
        let max = max.min(self.options.n_max).min(room);
        if context.is_empty() || max == 0 || max < self.options.n_min {
            return Ok(Draft::default());
        }
        // The last token is always evaluated again, because its logits are needed.
        let shared =
            self.cached.iter().zip(context).take_while(|(a, b)| a == b).count().min(context.len() - 1);
        rewind(&mut self.model, shared, Error::DraftModel)?;
        self.cached.truncate(shared);
        if self.greedy_only() {
            return self.propose_greedy(context, max);
        }
        let mut sequence = context.to_vec();
        let mut probs = Vec::new();
        while probs.len() < max {
            let evaluated = self.evaluate_new_tokens(&sequence, Rows::Last)?;
            let Some((token, dist)) = self.choose(&evaluated, &sequence, probs.len())? else { break };
            sequence.push(token);
            probs.push(dist);
        }
        if probs.len() < self.options.n_min {
            return Ok(Draft::default());
        }
        let tokens = sequence.split_off(context.len());
        Ok(Draft::chain(tokens, (!self.sampler.is_greedy()).then_some(probs)))
    }
}
