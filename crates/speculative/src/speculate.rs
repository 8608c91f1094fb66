//! The speculation loop (Leviathan et al. 2023; Chen et al. 2023).
//!
//! ```text
//! until finished:
//!     draft   = proposer's tokens after the context
//!     logits  = one forward pass of the target over the context's last token and the draft
//!     context += accepted prefix of the draft + one token of the target; truncate the target's cache
//! ```
//!
//! Between rounds the target's cache holds all of the context except its last token. One forward pass over that token
//! and the draft then gives the distribution at every position to verify.

use crate::evaluate::{Evaluated, evaluate, require_room, rewind};
use crate::generate::{Generation, Output};
use crate::{
    Acceptance, Dist, Draft, Error, LanguageModel, Proposer, RngStream, Rows, Sampler, SamplerRng, Stats,
    SynthRates, Token, verify,
};
use std::ops::ControlFlow;

/// A target model with a proposer of drafts.
#[derive(Debug)]
pub struct Speculator<T, P> {
    target: T,
    proposer: P,
    sampler: Sampler,
    acceptance: Acceptance,
}

/// Output and statistics of a speculative generation.
#[derive(Clone, Debug, PartialEq)]
pub struct Speculation {
    /// The output. A greedy sampler gives exactly the plain output; any other gives the same distribution.
    pub generation: Generation,
    /// Counts and times.
    pub stats: Stats,
}

impl<T: LanguageModel, P: Proposer> Speculator<T, P> {
    /// Lossless speculation. The acceptance rule is greedy if `sampler` is, and stochastic otherwise.
    ///
    /// # Errors
    /// [`Error::VocabMismatch`] if the vocabularies of proposer and target differ, [`Error::Parameter`] if a
    /// setting of the sampler is out of range.
    pub fn new(target: T, proposer: P, sampler: Sampler) -> Result<Self, Error> {
        sampler.check()?;
        match proposer.vocab() {
            Some(draft) if draft != target.vocab() => {
                return Err(Error::VocabMismatch { target: target.vocab(), draft });
            }
            _ => {}
        }
        let acceptance = if sampler.is_greedy() { Acceptance::Greedy } else { Acceptance::Stochastic };
        Ok(Self { target, proposer, sampler, acceptance })
    }

    /// Accepts draft tokens at these rates instead, whatever they are. For measuring cost: the output is
    /// meaningless.
    #[must_use]
    pub fn with_synthetic_acceptance(self, rates: SynthRates) -> Self {
        Self { acceptance: Acceptance::Synthetic(rates), ..self }
    }

    /// Returns target and proposer.
    pub fn into_parts(self) -> (T, P) {
        (self.target, self.proposer)
    }

    /// As [`generate`](crate::generate()), in fewer forward passes. `clock` returns nanoseconds since any
    /// fixed time.
    ///
    /// # Errors
    /// The errors of [`generate`](crate::generate()), [`Error::Proposer`] if the proposer fails, and errors
    /// for invalid drafts.
    pub fn generate(
        &mut self,
        prompt: &[Token],
        n: usize,
        stop: &[Token],
        on_token: &mut dyn FnMut(Token) -> ControlFlow<()>,
        clock: &mut dyn FnMut() -> u64,
    ) -> Result<Speculation, Error> {
        let mut output = Output::new(prompt, self.target.vocab(), n, stop, on_token)?;
        let synthetic = matches!(self.acceptance, Acceptance::Synthetic(_));
        let mut stats = Stats { prompt_tokens: prompt.len() as u64, synthetic, ..Stats::default() };
        let mut rng = self.sampler.rng(RngStream::Target);
        let mut timer = Stopwatch::start(clock);
        rewind(&mut self.target, 0, Error::Target)?;
        if !output.is_finished() {
            self.prefill(prompt, &mut stats, &mut timer)?;
        }
        while !output.is_finished() {
            let evaluated = output.context.len() - 1;
            if output.ends_before(self.target.capacity(), evaluated) {
                break;
            }
            self.round(&mut output, &mut rng, &mut stats, &mut timer)?;
        }
        // A stop token inside a draft leaves later draft tokens in the cache.
        rewind(&mut self.target, output.context.len(), Error::Target)?;
        stats.generated = output.len() as u64;
        Ok(Speculation { generation: output.into_generation(), stats })
    }

    /// Evaluates the prompt except its last token, which belongs to the first round.
    fn prefill(
        &mut self,
        prompt: &[Token],
        stats: &mut Stats,
        timer: &mut Stopwatch<'_>,
    ) -> Result<(), Error> {
        let head = &prompt[..prompt.len() - 1];
        require_room(&self.target, 0, prompt.len())?;
        if !head.is_empty() {
            evaluate(&mut self.target, head, Rows::None, self.sampler.is_argmax(), Error::Target)?;
        }
        stats.prefill_ns += timer.lap();
        self.proposer.begin(prompt).map_err(|e| Error::Proposer(Box::new(e)))?;
        stats.draft_prefill_ns += timer.lap();
        Ok(())
    }

    /// One round: draft, forward pass of the target, verification, rollback.
    fn round(
        &mut self,
        output: &mut Output<'_>,
        rng: &mut SamplerRng,
        stats: &mut Stats,
        timer: &mut Stopwatch<'_>,
    ) -> Result<(), Error> {
        let evaluated = output.context.len() - 1;
        require_room(&self.target, evaluated, 1)?;
        // A round adds one token more than it accepts.
        let max = (self.target.capacity() - evaluated - 1).min(output.remaining() - 1);
        let draft = self.draft(&output.context, max)?;
        stats.draft_ns += timer.lap();

        let mut tokens = vec![output.context[evaluated]];
        tokens.extend_from_slice(&draft.tokens);
        let rows = evaluate(&mut self.target, &tokens, Rows::All, self.sampler.is_argmax(), Error::Target)?;
        stats.verify_ns += timer.lap();

        let target = self.distributions(&rows, &mut output.context, &draft)?;
        let verdict = verify(&self.acceptance, &target, &draft, rng)?;
        let accepted = verdict.accepted();
        stats.record(draft.len(), accepted);
        rewind(&mut self.target, evaluated + 1 + accepted, Error::Target)?;
        for token in draft.tokens[..accepted].iter().copied().chain([verdict.next]) {
            if !output.is_finished() {
                output.push(token);
            }
        }
        stats.sample_ns += timer.lap();
        self.proposer.observe(&output.context[evaluated + 1..]);
        stats.draft_ns += timer.lap();
        Ok(())
    }

    /// A valid chain of at most `max` tokens from the proposer.
    fn draft(&mut self, context: &[Token], max: usize) -> Result<Draft, Error> {
        if max == 0 {
            return Ok(Draft::default());
        }
        let draft = self.proposer.propose(context, max).map_err(|e| Error::Proposer(Box::new(e)))?;
        draft.check()?;
        if draft.len() > max {
            return Err(Error::DraftTooLong { got: draft.len(), max });
        }
        if let Some(index) = draft.branch() {
            return Err(Error::BranchingDraft { index });
        }
        let vocab = self.target.vocab();
        match draft.tokens.iter().find(|&&t| t as usize >= vocab) {
            Some(&token) => Err(Error::TokenOutOfVocab { token, vocab }),
            None => Ok(draft),
        }
    }

    /// The target's filtered distribution after the context and after each draft token.
    ///
    /// The draft is appended to `context` meanwhile, because the penalty depends on it. `context` is
    /// unchanged on return.
    fn distributions(
        &self,
        rows: &Evaluated,
        context: &mut Vec<Token>,
        draft: &Draft,
    ) -> Result<Vec<Dist>, Error> {
        let len = context.len();
        context.extend_from_slice(&draft.tokens);
        let dists = (0..=draft.len()).map(|i| rows.dist(i, &self.sampler, &context[..len + i])).collect();
        context.truncate(len);
        dists
    }
}

/// Splits the caller's time into consecutive laps.
struct Stopwatch<'a> {
    clock: &'a mut dyn FnMut() -> u64,
    last: u64,
}

impl<'a> Stopwatch<'a> {
    fn start(clock: &'a mut dyn FnMut() -> u64) -> Self {
        let last = clock();
        Self { clock, last }
    }

    /// Time since the start or the last lap, in nanoseconds.
    fn lap(&mut self) -> u64 {
        let now = (self.clock)();
        now.saturating_sub(std::mem::replace(&mut self.last, now))
    }
}
