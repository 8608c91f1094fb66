//! Which part of a draft the target accepts, and the token that follows it. Pure: distributions in, verdict out,
//! so that losslessness can be tested as statistics.
//!
//! The stochastic rule is that of Leviathan et al. 2023 (arXiv:2211.17192, algorithm 1) and Chen et al. 2023
//! (arXiv:2302.01318, algorithm 2): a token drawn from q is accepted with probability min(1, p/q), and after a
//! rejection the next token is drawn from max(0, p − q), normalised. In a tree, a rejected sibling leaves that
//! residual as the p of the next one (Miao et al. 2023, arXiv:2305.09781, algorithm 2), which is the same rule
//! when there is one child.

use crate::dist::uniform;
use crate::synthetic::SynthRates;
use crate::{Dist, Draft, Error, Token};
use rand::Rng;

/// The rule by which draft tokens are accepted.
#[derive(Clone, Debug, PartialEq)]
pub enum Acceptance {
    /// Accept what equals the target's most probable token: the output is the target's greedy output.
    Greedy,
    /// Accept at random so that the output follows the target's distribution exactly.
    Stochastic,
    /// Accept at given rates whatever the tokens are. The output is meaningless; the cost of producing it is not.
    Synthetic(SynthRates),
}

/// What the target makes of a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// Indices of the accepted draft tokens, each the child of the one before it. In a chain these are
    /// `0..accepted()`.
    pub path: Vec<usize>,
    /// The token that follows them. It never comes from the draft.
    pub next: Token,
}

impl Verification {
    /// Number of accepted draft tokens.
    pub fn accepted(&self) -> usize {
        self.path.len()
    }
}

/// Holds `draft` against the target. `target[0]` is the target's distribution after the context and
/// `target[i + 1]` the one after draft token `i`, both filtered as in plain sampling.
///
/// # Errors
/// [`Error::RowCount`] unless there is one distribution more than draft tokens, and the errors of
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

/// One level down the draft.
enum Step {
    /// This draft token is accepted.
    Accept(usize),
    /// No draft token is, and this one comes instead.
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
        // Multiplied out: u < p/q. A token with p ≥ q is always accepted, one with p = 0 never.
        if uniform(rng) * q.prob(token) < p.prob(token) {
            return Step::Accept(i);
        }
        // Nothing is left when p and q are equal up to rounding; then p itself is as good.
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
        let verdict =
            verify(rule, target, draft, &mut Sampler::default().rng(RngStream::Target)).expect("well formed");
        (verdict.path, verdict.next)
    }

    #[test]
    fn greedy_accepts_the_agreeing_prefix() {
        let draft = Draft::chain(vec![1, 2, 3], None);
        // Both rules agree where every distribution is a point.
        for rule in [Acceptance::Greedy, Acceptance::Stochastic] {
            assert_eq!(verdict(&rule, &points(&[1, 2, 3, 4]), &draft), (vec![0, 1, 2], 4));
            assert_eq!(verdict(&rule, &points(&[1, 9, 3, 4]), &draft), (vec![0], 9));
            assert_eq!(verdict(&rule, &points(&[9, 2, 3, 4]), &draft), (vec![], 9));
            assert_eq!(
                verdict(&rule, &points(&[7]), &Draft::default()),
                (vec![], 7),
                "an empty draft is a plain step"
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
            let verdict =
                verify(&Acceptance::Stochastic, &vec![p.clone(); 4], &draft, &mut rng).expect("well formed");
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
