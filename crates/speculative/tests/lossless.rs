//! Speculation is lossless: χ² tests of the joint distribution of the first three tokens against the exact
//! one. Seeds are fixed. Deliberately broken rules must fail the same test.

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
/// Smallest p-value of a correct rule. One choice of seeds in a thousand would fall below it.
const PLAUSIBLE: f64 = 1e-3;
/// Largest p-value of a broken rule, too small for any choice of seeds to hide it.
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
    let next = |s: &[Token]| sampler.dist(&toy.row(s), s).expect("finite logits");
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

/// p-value of the χ² test. Cells with fewer than five expected counts are pooled.
fn p_value(counts: &[u64], probs: &[f64]) -> f64 {
    let total = counts.iter().sum::<u64>() as f64;
    let (mut statistic, mut cells) = (0.0, 0.0);
    let mut pooled = (0.0, 0.0);
    for (&count, p) in counts.iter().zip(probs) {
        let (count, expected) = (count as f64, p * total);
        if expected == 0.0 {
            if count > 0.0 {
                return 0.0; // An impossible outcome occurred.
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

/// p-value of a speculative generation of six tokens. Its rounds end at various places among the first three.
fn speculation_p_value<P: Proposer>(sampler: Sampler, mut proposer: impl FnMut(u64) -> P) -> f64 {
    let counts = counts(|seed| {
        let sampler = Sampler { seed, ..sampler };
        let mut speculator = Speculator::new(target(), proposer(seed), sampler).expect("equal vocabularies");
        let run = speculator.generate(&PROMPT, 6, &[], &mut |_| ControlFlow::Continue(()), &mut || 0);
        run.expect("the cache has room").generation.tokens
    });
    p_value(&counts, &exact(&sampler))
}

fn model_proposer(sampler: Sampler, options: DraftOptions, seed: u64) -> ModelProposer<Toy> {
    ModelProposer::new(draft(), Sampler { seed, ..sampler }, options).expect("settings in range")
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
            plain(target(), &sampler, &PROMPT, 3, &[]).expect("the cache has room").tokens
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
        let p = speculation_p_value(sampler, |seed| model_proposer(drafting, options, seed));
        assert!(p > PLAUSIBLE, "{name}: p = {p}");
    }
}

/// A proposer that states a uniform distribution for its tokens, which is false.
struct WrongProbs(ModelProposer<Toy>);

impl Proposer for WrongProbs {
    type Error = ridgeline_speculative::Error;

    fn propose(&mut self, context: &[Token], max: usize) -> Result<Draft, Self::Error> {
        let mut draft = self.0.propose(context, max)?;
        let uniform = Dist::from_weights((0..).zip([1.0; VOCAB])).expect("positive");
        draft.probs = Some(vec![uniform; draft.len()]);
        Ok(draft)
    }
}

/// A proposer that withholds drafts depending on the value of their first sampled token.
struct Withholding(ModelProposer<Toy>);

impl Proposer for Withholding {
    type Error = ridgeline_speculative::Error;

    fn propose(&mut self, context: &[Token], max: usize) -> Result<Draft, Self::Error> {
        let draft = self.0.propose(context, max)?;
        Ok(if draft.tokens.first().is_some_and(|t| t % 2 == 0) { Draft::default() } else { draft })
    }
}

#[test]
fn broken_proposers_fail_the_test() {
    let flat = Sampler::unfiltered(1.0, 0);
    let options = DraftOptions::default();
    let wrong = speculation_p_value(flat, |seed| WrongProbs(model_proposer(flat, options, seed)));
    assert!(wrong < IMPOSSIBLE, "p = {wrong}");
    let withholding = speculation_p_value(flat, |seed| Withholding(model_proposer(flat, options, seed)));
    assert!(withholding < IMPOSSIBLE, "p = {withholding}");
}

/// First three tokens of a speculation loop with an exchangeable verification rule.
fn by_rule(seed: u64, rule: impl Fn(&[Dist], &Draft, &mut SamplerRng) -> Verification) -> Vec<Token> {
    let sampler = Sampler::unfiltered(1.0, seed);
    let (mut rng, mut draft_rng) = (sampler.rng(RngStream::Target), sampler.rng(RngStream::Draft));
    let dist = |toy: &Toy, s: &[Token]| sampler.dist(&toy.row(s), s).expect("finite logits");
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

/// Accepts with probability min(1, p/q), which is correct, but samples the replacement from p instead of the
/// residual.
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
        verify(&Acceptance::Stochastic, p, draft, rng).expect("a well-formed draft")
    };
    let p = p_value(&counts(|seed| by_rule(seed, right)), &exact(&flat));
    assert!(p > PLAUSIBLE, "p = {p}");
    let p = p_value(&counts(|seed| by_rule(seed, no_residual)), &exact(&flat));
    assert!(p < IMPOSSIBLE, "p = {p}");
}

#[test]
fn siblings_of_a_tree_are_lossless() {
    let flat = Sampler::unfiltered(1.0, 0);
    let p = flat.dist(&target().row(&PROMPT), &PROMPT).expect("finite logits");
    let q = flat.dist(&draft().row(&PROMPT), &PROMPT).expect("finite logits");
    let mut counts = [[0; VOCAB]; 2];
    for seed in 0..RUNS {
        let sampler = Sampler { seed, ..flat };
        let (mut rng, mut draft_rng) = (sampler.rng(RngStream::Target), sampler.rng(RngStream::Draft));
        let tokens = (0..3).map(|_| q.sample(&mut draft_rng)).collect();
        let draft = Draft { tokens, parents: vec![Draft::ROOT; 3], probs: Some(vec![q.clone(); 3]) };
        let verdict = verify(&Acceptance::Stochastic, &vec![p.clone(); 4], &draft, &mut rng)
            .expect("a well-formed draft");
        let first = verdict.path.first().map_or(verdict.next, |&i| draft.tokens[i]);
        counts[0][first as usize] += 1;
        // Always accepting the first sibling, as if it were sampled from p, is not lossless.
        counts[1][draft.tokens[0] as usize] += 1;
    }
    let probs: Vec<f64> = (0..).take(VOCAB).map(|t| p.prob(t)).collect();
    assert!(p_value(&counts[0], &probs) > PLAUSIBLE);
    assert!(p_value(&counts[1], &probs) < IMPOSSIBLE);
}
