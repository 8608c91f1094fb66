//! Greedy speculation equals plain greedy generation on random toy models. Also: statistics, edge cases,
//! errors.

mod common;

use common::{Full, Toy, plain};
use proptest::prelude::*;
use ridgeline_speculative::{
    Dist, Draft, DraftOptions, Error, FinishReason, Generation, LanguageModel, Logits, ModelProposer,
    Proposer, RandomProposer, Rows, Sampler, Speculation, Speculator, Stats, SynthRates, Token, generate,
};
use std::convert::Infallible;
use std::ops::ControlFlow;

/// A clock that advances by one per reading.
fn ticks() -> impl FnMut() -> u64 {
    let mut now = 0;
    move || {
        now += 1;
        now
    }
}

fn speculate<P: Proposer>(
    target: impl LanguageModel,
    proposer: P,
    sampler: Sampler,
    prompt: &[Token],
    n: usize,
    stop: &[Token],
) -> Result<Speculation, Error> {
    let mut speculator = Speculator::new(target, proposer, sampler)?;
    speculator.generate(prompt, n, stop, &mut |_| ControlFlow::Continue(()), &mut ticks())
}

fn drafting(model: Toy, n_max: usize) -> ModelProposer<Toy> {
    ModelProposer::new(model, Sampler::greedy(), DraftOptions { n_max, ..DraftOptions::default() })
        .expect("settings in range")
}

/// A proposer that always returns the same draft.
struct Fixed(Draft);

impl Proposer for Fixed {
    type Error = Infallible;

    fn propose(&mut self, _context: &[Token], _max: usize) -> Result<Draft, Infallible> {
        Ok(self.0.clone())
    }
}

proptest! {
    #[test]
    fn greedy_speculation_equals_plain_greedy(
        seed in any::<u32>(),
        noise in prop_oneof![Just(0.0_f32), 0.1_f32..2.0],
        vocab in 2_usize..12,
        n in 0_usize..40,
        n_max in 0_usize..8,
        (n_min, p_min) in (0_usize..3, prop_oneof![Just(0.0), 0.0..0.9]),
        penalty in prop_oneof![Just(1.0_f32), 1.1_f32..2.0],
        draft_capacity in 1_usize..60,
        (sampled_draft, stop) in (any::<bool>(), 0_u32..40),
    ) {
        let seed = u64::from(seed);
        let target = Toy::new(seed, 0.0, vocab, 64);
        let sampler = Sampler { repetition_penalty: penalty, penalty_last_n: 5, ..Sampler::greedy() };
        let drafting = if sampled_draft { Sampler::unfiltered(0.7, seed) } else { sampler };
        let options = DraftOptions { n_max, n_min: n_min.min(n_max), p_min };
        let proposer = ModelProposer::new(Toy::new(seed, noise, vocab, draft_capacity), drafting, options).expect("settings in range");
        // Often beyond the vocabulary, so that long outputs occur too.
        let stop = [stop];
        let prompt = [0, 0, 1];
        let expected = plain(target.clone(), &sampler, &prompt, n, &stop).expect("the cache has room");
        let got = speculate(target, proposer, sampler, &prompt, n, &stop).expect("the cache has room");
        prop_assert_eq!(&got.generation, &expected);
        let stats = got.stats;
        prop_assert_eq!(stats.generated, expected.tokens.len() as u64);
        prop_assert!(stats.generated <= stats.accepted + stats.rounds);
        prop_assert_eq!(stats.tokens_per_round.iter().sum::<u64>(), stats.rounds);
        prop_assert_eq!(stats.drafted_at.iter().sum::<u64>(), stats.drafted);
        prop_assert_eq!(stats.accepted_at.iter().sum::<u64>(), stats.accepted);
    }

    #[test]
    fn truncation_leaves_no_trace(seed in any::<u32>(), n in 1_usize..30, n_max in 1_usize..6) {
        let seed = u64::from(seed);
        let mut target = Toy::new(seed, 0.0, 5, 64);
        let mut proposer = drafting(Toy::new(seed, 1.0, 5, 64), n_max);
        let run = speculate(&mut target, &mut proposer, Sampler::greedy(), &[2], n, &[3]).expect("the cache has room");
        // The used target continues exactly like a fresh one with the same context.
        let mut context = vec![2];
        context.extend(&run.generation.tokens);
        prop_assert!(target.len() <= context.len());
        let rest = context[target.len()..].to_vec();
        let used = target.extend(&rest, Rows::Last);
        let mut fresh = Toy::new(seed, 0.0, 5, 64);
        fresh.extend(&context, Rows::None).expect("the cache has room");
        if !rest.is_empty() {
            prop_assert_eq!(used.expect("the cache has room").data, fresh.row(&context));
        }
        prop_assert_eq!(target.extend(&[4], Rows::All), fresh.extend(&[4], Rows::All));
        // The used pair repeats its own output.
        let again = speculate(&mut target, &mut proposer, Sampler::greedy(), &[2], n, &[3]).expect("the cache has room");
        prop_assert_eq!(again, run);
    }
}

#[test]
fn a_perfect_draft_fills_every_round() {
    let target = Toy::new(3, 0.0, 8, 64);
    let run = speculate(target.clone(), drafting(target, 3), Sampler::greedy(), &[5, 6], 12, &[])
        .expect("the cache has room");
    let stats = &run.stats;
    assert_eq!((stats.rounds, stats.drafted, stats.accepted, stats.generated), (3, 9, 9, 12));
    assert_eq!(stats.tokens_per_round, [0, 0, 0, 0, 3]);
    assert_eq!(
        (stats.tau(), stats.acceptance_rate(), stats.block_efficiency(3)),
        (Some(4.0), Some(1.0), Some(1.0))
    );
    // Each part is one clock reading. Drafting has a second one per round, for `observe`.
    assert_eq!((stats.prefill_ns, stats.draft_prefill_ns), (1, 1));
    assert_eq!((stats.draft_ns, stats.verify_ns, stats.sample_ns, stats.decode_ns()), (6, 3, 3, 12));
}

#[test]
fn one_token_needs_no_draft() {
    let target = Toy::new(3, 0.0, 8, 64);
    let run = speculate(target.clone(), drafting(target.clone(), 4), Sampler::greedy(), &[5], 1, &[])
        .expect("the cache has room");
    assert_eq!((run.stats.rounds, run.stats.drafted, run.generation.tokens.len()), (1, 0, 1));
    let run = speculate(target.clone(), drafting(target, 4), Sampler::greedy(), &[5], 0, &[])
        .expect("the cache has room");
    assert_eq!(run.generation, Generation { tokens: vec![], finish: FinishReason::Length });
    assert_eq!(run.stats, Stats { prompt_tokens: 1, ..Stats::default() });
}

#[test]
fn a_stop_token_inside_a_draft_ends_the_output() {
    let target = Toy::new(11, 0.0, 9, 64);
    let free = plain(target.clone(), &Sampler::greedy(), &[0], 10, &[]).expect("the cache has room").tokens;
    // A token whose first occurrence is in the middle of the first draft of seven.
    let at = (2..5).find(|&i| !free[..i].contains(&free[i])).expect("the toy repeats no token that soon");
    let run = speculate(target.clone(), drafting(target, 7), Sampler::greedy(), &[0], 10, &[free[at]])
        .expect("the cache has room");
    assert_eq!(
        run.generation,
        Generation { tokens: free[..at].to_vec(), finish: FinishReason::Stop(free[at]) }
    );
    assert_eq!((run.stats.rounds, run.stats.accepted, run.stats.generated), (1, 7, at as u64));
}

#[test]
fn the_caller_may_break_off() {
    let target = Toy::new(3, 0.0, 8, 64);
    let mut seen = vec![];
    let mut on_token = |t| {
        seen.push(t);
        if seen.len() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let mut speculator =
        Speculator::new(target.clone(), drafting(target, 5), Sampler::greedy()).expect("equal vocabularies");
    let run = speculator.generate(&[5], 12, &[], &mut on_token, &mut ticks()).expect("the cache has room");
    assert_eq!(run.generation, Generation { tokens: seen, finish: FinishReason::Cancelled });
    assert_eq!(run.generation.tokens.len(), 2);
}

#[test]
fn drafts_are_cut_to_the_room_left() {
    let target = |capacity| Toy::new(5, 0.0, 8, capacity);
    let expected = plain(target(64), &Sampler::greedy(), &[1, 2], 7, &[]).expect("the cache has room");
    // Seven tokens after two need eight positions: the last one is not evaluated.
    assert_eq!(
        plain(target(8), &Sampler::greedy(), &[1, 2], 7, &[]).expect("the cache has just enough room"),
        expected
    );
    let run = speculate(target(8), drafting(target(64), 20), Sampler::greedy(), &[1, 2], 7, &[])
        .expect("the cache has just enough room");
    assert_eq!(run.generation, expected);
    // With one position fewer, both return the tokens that fit.
    let full = Generation { tokens: expected.tokens[..6].to_vec(), finish: FinishReason::ContextFull };
    let mut seen = vec![];
    let mut model = target(7);
    let result = generate(&mut model, &Sampler::greedy(), &[1, 2], 7, &[], &mut |t| {
        seen.push(t);
        ControlFlow::Continue(())
    });
    assert_eq!((result.expect("the prompt fits"), &seen[..]), (full.clone(), &expected.tokens[..6]));
    let mut seen = vec![];
    let mut speculator =
        Speculator::new(target(7), drafting(target(64), 20), Sampler::greedy()).expect("equal vocabularies");
    let result = speculator.generate(
        &[1, 2],
        7,
        &[],
        &mut |t| {
            seen.push(t);
            ControlFlow::Continue(())
        },
        &mut ticks(),
    );
    assert_eq!((result.expect("the prompt fits").generation, &seen[..]), (full, &expected.tokens[..6]));
    // A prompt that does not fit is an error before anything is evaluated.
    let result = speculate(target(2), drafting(target(64), 2), Sampler::greedy(), &[1, 2, 3], 1, &[]);
    assert!(matches!(result, Err(Error::CapacityExhausted { len: 0, capacity: 2, needed: 3 })), "{result:?}");
}

#[test]
fn bad_input_is_a_typed_error() {
    let toy = |vocab| Toy::new(5, 0.0, vocab, 16);
    let greedy = Sampler::greedy();
    let result = Speculator::new(toy(8), drafting(toy(9), 2), greedy).map(|_| ());
    assert!(matches!(result, Err(Error::VocabMismatch { target: 8, draft: 9 })), "{result:?}");
    assert!(matches!(plain(toy(8), &greedy, &[], 1, &[]), Err(Error::EmptyPrompt)));
    assert!(matches!(
        plain(toy(8), &greedy, &[8], 1, &[]),
        Err(Error::TokenOutOfVocab { token: 8, vocab: 8 })
    ));
    let result = plain(toy(8), &Sampler { min_p: 2.0, ..greedy }, &[1], 1, &[]);
    assert!(matches!(result, Err(Error::Parameter { name: "min_p", .. })));
    let bad = |options| ModelProposer::new(toy(8), greedy, options).map(|_| ());
    let result = bad(DraftOptions { n_max: 1, n_min: 2, p_min: 0.0 });
    assert!(matches!(result, Err(Error::Parameter { name: "n_min", .. })));
    let result = bad(DraftOptions { p_min: -1.0, ..DraftOptions::default() });
    assert!(matches!(result, Err(Error::Parameter { name: "p_min", .. })));
}

#[test]
fn bad_drafts_are_typed_errors() {
    let run =
        |draft| speculate(Toy::new(5, 0.0, 8, 64), Fixed(draft), Sampler::greedy(), &[1], 4, &[]).map(|_| ());
    let chain = |tokens: &[Token]| Draft::chain(tokens.to_vec(), None);
    assert!(matches!(run(chain(&[1, 2, 3, 4])), Err(Error::DraftTooLong { got: 4, max: 3 })));
    assert!(matches!(run(chain(&[1, 8])), Err(Error::TokenOutOfVocab { token: 8, vocab: 8 })));
    let branching = Draft { tokens: vec![1, 2], parents: vec![Draft::ROOT; 2], probs: None };
    assert!(matches!(run(branching), Err(Error::BranchingDraft { index: 1 })));
    let impossible = Draft::chain(vec![1], Some(vec![Dist::point(2)]));
    assert!(matches!(run(impossible), Err(Error::ImpossibleDraft { index: 0, token: 1 })));
}

/// A model that fails, or returns too few rows, after its prompt.
struct Faulty(Toy, Result<usize, Full>);

impl LanguageModel for Faulty {
    type Error = Full;

    fn vocab(&self) -> usize {
        self.0.vocab()
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }

    fn extend(&mut self, tokens: &[Token], want: Rows) -> Result<Logits, Full> {
        let mut logits = self.0.extend(tokens, want)?;
        if want == Rows::All {
            let rows = *self.1.as_ref().map_err(|_| Full)?;
            logits.data.truncate(rows * logits.vocab);
        }
        Ok(logits)
    }

    fn truncate(&mut self, len: usize) -> Result<(), Full> {
        self.0.truncate(len)
    }
}

/// A model without logits: it returns greedy choices only.
struct GreedyOnly(Toy);

impl LanguageModel for GreedyOnly {
    type Error = Full;

    fn vocab(&self) -> usize {
        self.0.vocab()
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }

    fn extend(&mut self, _tokens: &[Token], _want: Rows) -> Result<Logits, Full> {
        Err(Full)
    }

    fn truncate(&mut self, len: usize) -> Result<(), Full> {
        self.0.truncate(len)
    }

    fn extend_greedy(&mut self, tokens: &[Token], want: Rows) -> Result<Vec<Token>, Full> {
        self.0.extend_greedy(tokens, want)
    }
}

#[test]
fn greedy_reads_no_logits_back() {
    let toy = |noise| Toy::new(5, noise, 8, 64);
    let expected = plain(toy(0.0), &Sampler::greedy(), &[1], 20, &[]).expect("the cache has room");
    let proposer = ModelProposer::new(GreedyOnly(toy(0.5)), Sampler::greedy(), DraftOptions::default())
        .expect("settings in range");
    let run = speculate(GreedyOnly(toy(0.0)), proposer, Sampler::greedy(), &[1], 20, &[])
        .expect("no logits needed");
    assert_eq!(run.generation, expected);
    assert!(run.stats.accepted > 0 && run.stats.accepted < run.stats.drafted, "both outcomes are tried");
    let result = speculate(GreedyOnly(toy(0.0)), drafting(toy(0.0), 2), Sampler::default(), &[1, 2], 4, &[]);
    assert!(matches!(result, Err(Error::Target(_))), "sampling needs logits");
}

#[test]
fn failures_of_a_model_keep_their_cause() {
    let toy = || Toy::new(5, 0.0, 8, 64);
    let run = |fault| {
        speculate(Faulty(toy(), fault), drafting(toy(), 2), Sampler::greedy(), &[1], 4, &[]).map(|_| ())
    };
    match run(Err(Full)) {
        Err(Error::Target(source)) => assert_eq!(source.downcast_ref(), Some(&Full)),
        other => panic!("{other:?}"),
    }
    assert!(matches!(run(Ok(2)), Err(Error::RowCount { expected: 3, got: 2 })));
}

#[test]
fn synthetic_acceptance_meets_its_rates() {
    let rates = SynthRates::new(vec![0.8, 0.6, 0.2]).expect("settings in range");
    let (target, proposer) = (Toy::new(5, 0.0, 8, 8000), RandomProposer::new(8, 3, 1));
    let speculator = Speculator::new(target, proposer, Sampler::greedy()).expect("equal vocabularies");
    let mut speculator = speculator.with_synthetic_acceptance(rates.clone());
    let run = speculator.generate(&[1], 7000, &[], &mut |_| ControlFlow::Continue(()), &mut ticks());
    let stats = run.expect("the cache has room").stats;
    assert!(stats.synthetic);
    assert_eq!(stats.generated, 7000);
    for (i, rate) in rates.rates().iter().enumerate() {
        // About 2700 rounds: the standard deviation of a share is below 0.01.
        let got = stats.rate_at(i).expect("drafted");
        assert!((got - rate).abs() < 0.04, "position {i}: {got}");
    }
    assert!((stats.tau().expect("rounds") - 2.6).abs() < 0.08);
}
