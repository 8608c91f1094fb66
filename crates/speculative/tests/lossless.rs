//! Speculation gives the distribution of plain sampling: χ² tests of the joint distribution of the first three
//! tokens against the exact one, with fixed seeds. Deliberately broken rules must fail the same test.

mod common;

use common::{Toy, plain};
use rand::Rng;
use ridgeline_speculative::{
    Acceptance, Dist, Draft, DraftOptions, ModelProposer, Proposer, RngStream, Sampler, SamplerRng,
    Speculator, Token, Verification, verify,
};
use statrs::distribution::{ChiSquared, ContinuousCDF};
use std::ops::ControlFlow;

const VOCAB: usize = 6;
const PROMPT: [Token; 2] = [1, 4];
const RUNS: u64 = 40_000;
/// A right rule falls below this once in a thousand choices of the seeds, and these seeds are fixed.
const PLAUSIBLE: f64 = 1e-3;
/// A wrong rule must be this implausible, so that no choice of seeds could have hidden it.
const IMPOSSIBLE: f64 = 1e-12;

fn target() -> Toy {
    Toy::new(7, 0.0, VOCAB, 64)
}

fn draft() -> Toy {
    Toy::new(7, 0.9, VOCAB, 64)
}

fn cell(tokens: &[Token]) -> usize {
    tokens.iter().take(3).fold(0, |cell, &t| cell * VOCAB + t as usize)
}

/// Exact probabilities of the first three tokens.
fn exact(sampler: &Sampler) -> Vec<f64> {
    let toy = target();
    let mut probs = vec![0.0; VOCAB.pow(3)];
    let next = |s: &[Token]| sampler.dist(&toy.row(s), s).expect("good logits");
    let [a, b] = PROMPT;
    for (x, px) in next(&[a, b]).iter() {
        for (y, py) in next(&[a, b, x]).iter() {
            for (z, pz) in next(&[a, b, x, y]).iter() {
                probs[cell(&[x, y, z])] = px * py * pz;
            }
        }
    }
    probs
}

/// The probability of counts at least this far from what is expected. Cells that expect fewer than five are pooled.
fn p_value(counts: &[u64], probs: &[f64]) -> f64 {
    let total = counts.iter().sum::<u64>() as f64;
    let (mut statistic, mut cells) = (0.0, 0.0);
    let mut pooled = (0.0, 0.0);
    for (&count, p) in counts.iter().zip(probs) {
        let (count, expected) = (count as f64, p * total);
        if expected == 0.0 {
            if count > 0.0 {
                return 0.0; // What cannot happen has happened.
            }
        } else if expected < 5.0 {
            pooled = (pooled.0 + count, pooled.1 + expected);
        } else {
            statistic += (count - expected).powi(2) / expected;
            cells += 1.0;
        }
    }
    if pooled.1 >= 5.0 {
        statistic += f64::powi(pooled.0 - pooled.1, 2) / pooled.1;
        cells += 1.0;
    }
    ChiSquared::new(cells - 1.0).expect("several cells").sf(statistic)
}

/// Counts of the first three tokens over many runs of one generation.
fn counts(mut run: impl FnMut(u64) -> Vec<Token>) -> Vec<u64> {
    let mut counts = vec![0; VOCAB.pow(3)];
    for seed in 0..RUNS {
        counts[cell(&run(seed))] += 1;
    }
    counts
}

/// Plausibility of a speculative generation of six tokens, whose rounds end at various places among the first three.
fn plausibility<P: Proposer>(sampler: Sampler, mut proposer: impl FnMut(u64) -> P) -> f64 {
    let counts = counts(|seed| {
        let sampler = Sampler { seed, ..sampler };
        let mut speculator = Speculator::new(target(), proposer(seed), sampler).expect("one vocabulary");
        let run = speculator.generate(&PROMPT, 6, &[], &mut |_| ControlFlow::Continue(()), &mut || 0);
        run.expect("room enough").generation.tokens
    });
    p_value(&counts, &exact(&sampler))
}

fn model_proposer(sampler: Sampler, options: DraftOptions, seed: u64) -> ModelProposer<Toy> {
    ModelProposer::new(draft(), Sampler { seed, ..sampler }, options).expect("in range")
}

fn all_filters() -> Sampler {
    Sampler {
        temperature: 0.8,
        top_k: 5,
        top_p: 0.9,
        min_p: 0.05,
        repetition_penalty: 1.4,
        penalty_last_n: 3,
        ..Sampler::default()
    }
}

#[test]
fn plain_sampling_is_exact() {
    for sampler in [Sampler::unfiltered(1.0, 0), all_filters()] {
        let counts = counts(|seed| {
            let sampler = Sampler { seed, ..sampler };
            plain(target(), &sampler, &PROMPT, 3, &[]).expect("room enough").tokens
        });
        let p = p_value(&counts, &exact(&sampler));
        assert!(p > PLAUSIBLE, "{sampler:?}: p = {p}");
    }
}

#[test]
fn speculation_is_lossless() {
    let flat = Sampler::unfiltered(1.0, 0);
    let options = |n_max, n_min, p_min| DraftOptions { n_max, n_min, p_min };
    let cases = [
        ("same settings", flat, flat, options(3, 0, 0.0)),
        ("all filters on both", all_filters(), all_filters(), options(4, 0, 0.0)),
        ("filters on the target only", all_filters(), flat, options(3, 0, 0.0)),
        ("filters on the draft only", flat, all_filters(), options(3, 0, 0.0)),
        ("greedy draft", flat, Sampler::greedy(), options(3, 0, 0.0)),
        ("greedy draft, dropped when short", all_filters(), Sampler::greedy(), options(3, 2, 0.3)),
        ("confidence stop", flat, flat, options(4, 0, 0.35)),
        ("confidence stop after two", flat, flat, options(4, 2, 0.35)),
        ("hotter draft", flat, Sampler::unfiltered(3.0, 0), options(2, 0, 0.0)),
    ];
    for (name, sampler, drafting, options) in cases {
        let p = plausibility(sampler, |seed| model_proposer(drafting, options, seed));
        assert!(p > PLAUSIBLE, "{name}: p = {p}");
    }
}

/// A proposer that claims its tokens were drawn uniformly.
struct Liar(ModelProposer<Toy>);

impl Proposer for Liar {
    type Error = ridgeline_speculative::Error;

    fn propose(&mut self, context: &[Token], max: usize) -> Result<Draft, Self::Error> {
        let mut draft = self.0.propose(context, max)?;
        let uniform = Dist::from_weights((0..).zip([1.0; VOCAB])).expect("positive");
        draft.probs = Some(vec![uniform; draft.len()]);
        Ok(draft)
    }
}

/// A proposer that withholds drafts by the value of their sampled first token.
struct Picky(ModelProposer<Toy>);

impl Proposer for Picky {
    type Error = ridgeline_speculative::Error;

    fn propose(&mut self, context: &[Token], max: usize) -> Result<Draft, Self::Error> {
        let draft = self.0.propose(context, max)?;
        Ok(if draft.tokens.first().is_some_and(|t| t % 2 == 0) { Draft::default() } else { draft })
    }
}

#[test]
fn a_proposer_that_breaks_the_rule_is_found_out() {
    let flat = Sampler::unfiltered(1.0, 0);
    let options = DraftOptions::default();
    let lying = plausibility(flat, |seed| Liar(model_proposer(flat, options, seed)));
    assert!(lying < IMPOSSIBLE, "p = {lying}");
    let picky = plausibility(flat, |seed| Picky(model_proposer(flat, options, seed)));
    assert!(picky < IMPOSSIBLE, "p = {picky}");
}

/// First three tokens of a speculation written out here, so that the rule can be exchanged.
fn by_rule(seed: u64, rule: impl Fn(&[Dist], &Draft, &mut SamplerRng) -> Verification) -> Vec<Token> {
    let sampler = Sampler::unfiltered(1.0, seed);
    let (mut rng, mut draft_rng) = (sampler.rng(RngStream::Target), sampler.rng(RngStream::Draft));
    let dist = |toy: &Toy, s: &[Token]| sampler.dist(&toy.row(s), s).expect("good logits");
    let mut context = PROMPT.to_vec();
    while context.len() < PROMPT.len() + 3 {
        let start = context.len();
        let mut sequence = context.clone();
        let (mut p, mut q) = (vec![dist(&target(), &context)], vec![]);
        for _ in 0..2 {
            q.push(dist(&draft(), &sequence));
            sequence.push(q[q.len() - 1].sample(&mut draft_rng));
            p.push(dist(&target(), &sequence));
        }
        let drafted = Draft::chain(sequence[start..].to_vec(), Some(q));
        let verdict = rule(&p, &drafted, &mut rng);
        context.extend(verdict.path.iter().map(|&i| drafted.tokens[i]));
        context.push(verdict.next);
    }
    context[PROMPT.len()..].to_vec()
}

/// Accepts by min(1, p/q) as is right, but draws what replaces a rejected token from p.
fn no_residual(p: &[Dist], draft: &Draft, rng: &mut SamplerRng) -> Verification {
    let q = draft.probs.as_ref().expect("sampled");
    let mut path = Vec::new();
    for (i, &token) in draft.tokens.iter().enumerate() {
        let u = (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        if u * q[i].prob(token) >= p[i].prob(token) {
            break;
        }
        path.push(i);
    }
    let next = p[path.len()].sample(rng);
    Verification { path, next }
}

#[test]
fn the_residual_matters() {
    let flat = Sampler::unfiltered(1.0, 0);
    let right = |p: &[Dist], draft: &Draft, rng: &mut SamplerRng| {
        verify(&Acceptance::Stochastic, p, draft, rng).expect("well formed")
    };
    let p = p_value(&counts(|seed| by_rule(seed, right)), &exact(&flat));
    assert!(p > PLAUSIBLE, "p = {p}");
    let p = p_value(&counts(|seed| by_rule(seed, no_residual)), &exact(&flat));
    assert!(p < IMPOSSIBLE, "p = {p}");
}

#[test]
fn siblings_of_a_tree_are_lossless() {
    let flat = Sampler::unfiltered(1.0, 0);
    let p = flat.dist(&target().row(&PROMPT), &PROMPT).expect("good logits");
    let q = flat.dist(&draft().row(&PROMPT), &PROMPT).expect("good logits");
    let mut counts = [[0; VOCAB]; 2];
    for seed in 0..RUNS {
        let sampler = Sampler { seed, ..flat };
        let (mut rng, mut draft_rng) = (sampler.rng(RngStream::Target), sampler.rng(RngStream::Draft));
        let tokens = (0..3).map(|_| q.sample(&mut draft_rng)).collect();
        let draft = Draft { tokens, parents: vec![Draft::ROOT; 3], probs: Some(vec![q.clone(); 3]) };
        let verdict =
            verify(&Acceptance::Stochastic, &vec![p.clone(); 4], &draft, &mut rng).expect("well formed");
        let first = verdict.path.first().map_or(verdict.next, |&i| draft.tokens[i]);
        counts[0][first as usize] += 1;
        // Taking the first sibling's verdict for all of them, as if it had been drawn from p, is not lossless.
        counts[1][draft.tokens[0] as usize] += 1;
    }
    let probs: Vec<f64> = (0..).take(VOCAB).map(|t| p.prob(t)).collect();
    assert!(p_value(&counts[0], &probs) > PLAUSIBLE);
    assert!(p_value(&counts[1], &probs) < IMPOSSIBLE);
}
