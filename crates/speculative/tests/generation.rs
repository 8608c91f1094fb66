//! Plain generation: decoding by the model, any number of tokens at a time, gives the tokens of the host's
//! own loop.

mod common;

use common::{Full, Toy, plain};
use ridgeline_speculative::{
    Error, FinishReason, Generation, LanguageModel, Logits, RngStream, Rows, Sampler, Token, generate,
    generate_after,
};
use std::ops::ControlFlow;

#[test]
fn several_tokens_at_a_time_are_the_same_tokens() {
    let toy = |ahead| {
        let mut toy = Toy::new(11, 0.0, 9, 64);
        toy.ahead = ahead;
        toy
    };
    let samplers = [Sampler::greedy(), Sampler::default(), Sampler::unfiltered(1.3, 5)];
    for sampler in &samplers {
        // The reference: a loop on the host that uses every row of logits.
        let mut rng = sampler.rng(RngStream::Target);
        let mut context = vec![0];
        while context.len() <= 20 {
            let dist = sampler.dist(&toy(1).row(&context), &context).expect("finite logits");
            context.push(dist.sample(&mut rng));
        }
        for ahead in [1, 2, 7, 50] {
            let ours = plain(toy(ahead), sampler, &[0], 20, &[]).expect("the cache has room");
            assert_eq!(ours.tokens, context[1..], "{ahead} {sampler:?}");
        }
    }
    let greedy = Sampler::greedy();
    let whole = plain(toy(1), &greedy, &[0], 20, &[]).expect("the cache has room");
    let stop = whole.tokens[7];
    let stopped = plain(toy(1), &greedy, &[0], 20, &[stop]).expect("the cache has room");
    for ahead in 2..24 {
        assert_eq!(plain(toy(ahead), &greedy, &[0], 20, &[]).expect("the cache has room"), whole, "{ahead}");
        // No tokens remain in the cache after a stop token, or after the caller broke off.
        let mut model = toy(ahead);
        let run = generate(&mut model, &greedy, &[0], 20, &[stop], &mut |_| ControlFlow::Continue(()));
        assert_eq!(run.expect("the cache has room"), stopped, "{ahead}");
        assert!(model.len() <= 1 + stopped.tokens.len(), "{ahead}: {} in the cache", model.len());
        let mut n = 0;
        let run = generate(&mut model, &greedy, &[0], 20, &[], &mut |_| {
            n += 1;
            if n == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let cut = Generation { tokens: whole.tokens[..5].to_vec(), finish: FinishReason::Cancelled };
        assert_eq!((run.expect("the cache has room"), n), (cut, 5), "{ahead}");
        assert!(model.len() <= 6, "{ahead}: {} in the cache", model.len());
        // A cache that fills up inside a batch gives the tokens that fit.
        let mut seen = vec![];
        let mut short = Toy::new(11, 0.0, 9, 10);
        short.ahead = ahead;
        let run = generate(&mut short, &greedy, &[0], 20, &[], &mut |t| {
            seen.push(t);
            ControlFlow::Continue(())
        });
        let full = Generation { tokens: whole.tokens[..10].to_vec(), finish: FinishReason::ContextFull };
        assert_eq!((run.expect("the prompt fits"), seen), (full, whole.tokens[..10].to_vec()), "{ahead}");
    }
}

/// A toy whose rows are NaN once its cache holds this many tokens.
struct Broken(Toy, usize);

impl LanguageModel for Broken {
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
        if self.len() >= self.1 {
            logits.data.fill(f32::NAN);
        }
        Ok(logits)
    }
    fn truncate(&mut self, len: usize) -> Result<(), Full> {
        self.0.truncate(len)
    }
}

#[test]
fn a_row_without_a_distribution_is_an_error() {
    for at in [2, 5, 9] {
        let mut model = Broken(Toy::new(3, 0.0, 9, 64), at);
        let mut seen = 0;
        let run = generate(&mut model, &Sampler::default(), &[0], 20, &[], &mut |_| {
            seen += 1;
            ControlFlow::Continue(())
        });
        assert!(matches!(run, Err(Error::BadLogit { token: 0, .. })), "{run:?}");
        assert_eq!(seen, at - 1, "on_token received the tokens before the bad row");
    }
}

/// A toy that counts the tokens that it evaluates in `extend`.
struct Counting(Toy, usize);

impl LanguageModel for Counting {
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
        self.1 += tokens.len();
        self.0.extend(tokens, want)
    }
    fn truncate(&mut self, len: usize) -> Result<(), Full> {
        self.0.truncate(len)
    }
}

#[test]
fn a_cached_prefix_is_not_evaluated_again_and_changes_no_token() {
    let sampler = Sampler::default();
    let mut model = Counting(Toy::new(5, 0.0, 9, 64), 0);
    let mut go = |_: Token| ControlFlow::Continue(());
    let first = generate(&mut model, &sampler, &[1, 2, 3], 4, &[], &mut go).expect("the cache has room");
    // The next turn has the first one's tokens in front, of which the last is not in the cache.
    let prompt = [&[1, 2, 3], &first.tokens[..], &[4, 0]].concat();
    let alone = plain(Toy::new(5, 0.0, 9, 64), &sampler, &prompt, 6, &[]).expect("the cache has room");
    for cached in [0, 3, 6, 99] {
        model.0.truncate(0).expect("a toy forgets");
        model.extend(&prompt[..6], Rows::None).expect("the cache has room");
        model.1 = 0;
        let run = generate_after(&mut model, cached, &sampler, &prompt, 6, &[], &mut go);
        assert_eq!(run.expect("the cache has room"), alone, "{cached}");
        // Each later token is evaluated once, except the last.
        assert_eq!(model.1, prompt.len() - cached.min(6) + 5, "{cached}");
    }
}
