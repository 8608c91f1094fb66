//! Verification: the accepted path of a draft, and the token after it. A pure function of distributions, so that
//! statistical tests can check that it is lossless.
//!
//! The stochastic rule is speculative sampling: Leviathan et al. 2023 (arXiv:2211.17192, algorithm 1) and Chen et al.
//! 2023 (arXiv:2302.01318, algorithm 2).
//!
//! ```text
//! for each draft token x, sampled from q, with target distribution p:
//!     accept x with probability min(1, p(x) / q(x))
//!     otherwise sample the next token from max(0, p − q), normalized, and stop
//! ```
//!
//! In a tree, the residual of a rejected token is the p of its next sibling (Miao et al. 2023, arXiv:2305.09781,
//! algorithm 2). With one child this is the same rule.

use crate::dist::uniform;
use crate::synthetic::SynthRates;
use crate::{Dist, Draft, Error, Token};
use rand::Rng;

/// The acceptance rule for draft tokens.
#[derive(Clone, Debug, PartialEq)]
pub enum Acceptance {
    /// Accept a token that equals the target's most probable one. The output is the target's greedy output.
    Greedy,
    /// Speculative sampling: the output follows the target's distribution exactly.
    Stochastic,
    /// Accept at given rates, whatever the tokens are. For measuring cost: the output is meaningless.
    Synthetic(SynthRates),
}

/// Result of verifying a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// Indices of the accepted draft tokens, each a child of the one before. In a chain: `0..accepted()`.
    pub path: Vec<usize>,
    /// The token that follows them, chosen by the target.
    pub next: Token,
}

impl Verification {
    /// Number of accepted draft tokens.
    pub fn accepted(&self) -> usize {
        self.path.len()
    }
}

/// Verifies `draft`. `target[0]` is the target's distribution after the context, and `target[i + 1]` the one after draft
/// token `i`, both filtered as in plain sampling.
///
/// # Errors
/// [`Error::RowCount`] unless `target` has one distribution more than `draft` has tokens, and the errors of
/// [`Draft::check`].
pub fn verify(
    rule: &Acceptance,
    target: &[Dist],
    draft: &Draft,
    rng: &mut impl Rng,
) -> Result<Verification, Error> {
    draft.check()?;
    if target.len() != draft.len() + 1 {
        return Err(Error::RowCount { expected: draft.len() + 1, got: target.len() });
    }
    let mut path: Vec<usize> = Vec::new();
    loop {
        let parent = path.last().copied();
        let row = &target[parent.map_or(0, |i| i + 1)];
        let step = match rule {
            Acceptance::Greedy => greedy_step(row, draft, parent),
            Acceptance::Stochastic => stochastic_step(row, draft, parent, rng),
            Acceptance::Synthetic(rates) => {
                synthetic_step(rates.conditional(path.len()), row, draft, parent, rng)
            }
        };
        match step {
            Step::Accept(index) => path.push(index),
            Step::Stop(next) => return Ok(Verification { path, next }),
        }
    }
}

/// Verdict on one level of the draft.
enum Step {
    /// This draft token is accepted.
    Accept(usize),
    /// No draft token is accepted, and this token follows.
    Stop(Token),
}

fn greedy_step(target: &Dist, draft: &Draft, parent: Option<usize>) -> Step {
    let (wanted, _) = target.mode();
    draft.children(parent).find(|&i| draft.tokens[i] == wanted).map_or(Step::Stop(wanted), Step::Accept)
}

fn stochastic_step(target: &Dist, draft: &Draft, parent: Option<usize>, rng: &mut impl Rng) -> Step {
    let mut residual: Option<Dist> = None;
    for i in draft.children(parent) {
        let token = draft.tokens[i];
        let point;
        let q = match &draft.probs {
            Some(probs) => &probs[i],
            None => {
                point = Dist::point(token);
                &point
            }
        };
        let p = residual.as_ref().unwrap_or(target);
        // u < p/q, multiplied out. A token with p ≥ q is always accepted, one with p = 0 never.
        if uniform(rng) * q.prob(token) < p.prob(token) {
            return Step::Accept(i);
        }
        // There is no residual when p and q are equal up to rounding. Then p is as good.
        residual = p.residual(q).or(residual);
    }
    Step::Stop(residual.as_ref().unwrap_or(target).sample(rng))
}

fn synthetic_step(
    rate: f64,
    target: &Dist,
    draft: &Draft,
    parent: Option<usize>,
    rng: &mut impl Rng,
) -> Step {
    match draft.children(parent).next() {
        Some(i) if uniform(rng) < rate => Step::Accept(i),
        _ => Step::Stop(target.sample(rng)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RngStream, Sampler};

    fn points(tokens: &[Token]) -> Vec<Dist> {
        tokens.iter().map(|&t| Dist::point(t)).collect()
    }

    fn verdict(rule: &Acceptance, target: &[Dist], draft: &Draft) -> (Vec<usize>, Token) {
        let verdict = verify(rule, target, draft, &mut Sampler::default().rng(RngStream::Target))
            .expect("a well-formed draft");
        (verdict.path, verdict.next)
    }

    #[test]
    fn greedy_accepts_the_agreeing_prefix() {
        let draft = Draft::chain(vec![1, 2, 3], None);
        // Both rules agree on point masses.
        for rule in [Acceptance::Greedy, Acceptance::Stochastic] {
            assert_eq!(verdict(&rule, &points(&[1, 2, 3, 4]), &draft), (vec![0, 1, 2], 4));
            assert_eq!(verdict(&rule, &points(&[1, 9, 3, 4]), &draft), (vec![0], 9));
            assert_eq!(verdict(&rule, &points(&[9, 2, 3, 4]), &draft), (vec![], 9));
            assert_eq!(
                verdict(&rule, &points(&[7]), &Draft::default()),
                (vec![], 7),
                "an empty draft gives one plain token"
            );
        }
    }

    #[test]
    fn greedy_finds_its_way_through_a_tree() {
        // 1 -> {2, 3 -> 4}, and 5.
        let draft = Draft {
            tokens: vec![1, 2, 3, 4, 5],
            parents: vec![Draft::ROOT, 0, 0, 2, Draft::ROOT],
            probs: None,
        };
        for rule in [Acceptance::Greedy, Acceptance::Stochastic] {
            assert_eq!(verdict(&rule, &points(&[1, 3, 0, 4, 8, 0]), &draft), (vec![0, 2, 3], 8));
            assert_eq!(verdict(&rule, &points(&[5, 0, 0, 0, 0, 6]), &draft), (vec![4], 6));
        }
    }

    #[test]
    fn a_draft_from_the_target_itself_is_always_accepted() {
        let p = Dist::from_weights([(0, 0.3), (1, 0.7)]).expect("weights");
        let draft = Draft::chain(vec![0, 1, 0], Some(vec![p.clone(); 3]));
        for seed in 0..100 {
            let mut rng = Sampler { seed, ..Sampler::default() }.rng(RngStream::Target);
            let verdict = verify(&Acceptance::Stochastic, &vec![p.clone(); 4], &draft, &mut rng)
                .expect("a well-formed draft");
            assert_eq!(verdict.accepted(), 3);
        }
    }

    #[test]
    fn rows_must_match_the_draft() {
        let mut rng = Sampler::default().rng(RngStream::Target);
        let result = verify(&Acceptance::Greedy, &points(&[1]), &Draft::chain(vec![1], None), &mut rng);
        assert!(matches!(result, Err(Error::RowCount { expected: 2, got: 1 })));
    }
}
