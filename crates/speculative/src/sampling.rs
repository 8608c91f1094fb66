//! Sampling: from a row of logits to a distribution. The filters and their order are llama.cpp's default sampler chain:
//! repetition penalty, top-k, top-p, min-p, temperature.
//!
//! See `common/common.h` and `src/llama-sampler.cpp` in <https://github.com/ggml-org/llama.cpp>. A [`Sampler`] has no
//! state: the history for the penalty is an argument, so that one sampler serves every position of a draft.

use crate::{Dist, Error, Token};
use rand::SeedableRng;
use serde::{Deserialize, Serialize};

/// The random generator of all sampling. It is named, so that a recorded seed gives the same tokens later.
pub type SamplerRng = rand_xoshiro::Xoshiro256PlusPlus;

/// The independent random streams of a seed. Draft and verifier need separate ones: a shared stream would
/// correlate acceptance with the tested tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RngStream {
    /// Plain sampling and verification.
    Target,
    /// Sampling of draft tokens.
    Draft,
}

/// Settings of sampling. The defaults are llama.cpp's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sampler {
    /// Divides the logits after the other filters. At 0 or below, the largest logit is chosen.
    pub temperature: f32,
    /// Keep this many of the largest logits. 0 keeps all.
    pub top_k: usize,
    /// Keep the fewest most probable tokens that reach this probability together. 1 and above keeps all.
    pub top_p: f32,
    /// Keep tokens at least this probable relative to the most probable one. 0 keeps all.
    pub min_p: f32,
    /// Divides positive and multiplies negative logits of recent tokens. 1 changes nothing.
    pub repetition_penalty: f32,
    /// Number of recent tokens that the penalty applies to: 0 none, −1 all.
    pub penalty_last_n: i32,
    /// Seed of the random generator.
    pub seed: u64,
}

impl Default for Sampler {
    fn default() -> Self {
        Self {
            temperature: 0.8,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.05,
            repetition_penalty: 1.0,
            penalty_last_n: 64,
            seed: 0,
        }
    }
}

/// A token that the filters have kept, with its logit.
type Candidate = (Token, f32);

impl Sampler {
    /// Greedy sampling: always the largest logit.
    pub fn greedy() -> Self {
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, min_p: 0.0, ..Self::default() }
    }

    /// Samples from the model's own distribution, without filters.
    pub fn unfiltered(temperature: f32, seed: u64) -> Self {
        Self { temperature, seed, ..Self::greedy() }
    }

    /// Whether sampling is deterministic.
    pub fn is_greedy(&self) -> bool {
        self.temperature <= 0.0
    }

    /// Whether the choice is the largest logit of the unmodified row, as [`LanguageModel::extend_greedy`]
    /// computes it.
    ///
    /// [`LanguageModel::extend_greedy`]: crate::LanguageModel::extend_greedy
    pub fn is_argmax(&self) -> bool {
        self.is_greedy() && !self.penalizes()
    }

    /// Whether the choice depends on one row of logits only, not on earlier tokens.
    pub fn ignores_history(&self) -> bool {
        !self.penalizes()
    }

    fn penalizes(&self) -> bool {
        self.repetition_penalty != 1.0 && self.penalty_last_n != 0
    }

    /// The random generator of one stream.
    pub fn rng(&self, stream: RngStream) -> SamplerRng {
        let mut rng = SamplerRng::seed_from_u64(self.seed);
        match stream {
            RngStream::Target => {}
            // 2^128 numbers ahead, so that the streams do not overlap.
            RngStream::Draft => rng.jump(),
        }
        rng
    }

    /// Checks every setting against its range.
    ///
    /// # Errors
    /// [`Error::Parameter`] names the first setting that is out of range.
    pub fn check(&self) -> Result<(), Error> {
        let fail = |name, value: f32, requirement| {
            Err(Error::Parameter { name, value: f64::from(value), requirement })
        };
        if !self.temperature.is_finite() {
            return fail("temperature", self.temperature, "a finite number");
        }
        if self.top_p.is_nan() {
            return fail("top_p", self.top_p, "a number");
        }
        if !(0.0..=1.0).contains(&self.min_p) {
            return fail("min_p", self.min_p, "between 0 and 1");
        }
        if !(self.repetition_penalty > 0.0 && self.repetition_penalty.is_finite()) {
            return fail("repetition_penalty", self.repetition_penalty, "positive and finite");
        }
        Ok(())
    }

    /// The distribution of the next token after `history`. A greedy sampler gives a point mass.
    ///
    /// # Errors
    /// [`Error::BadLogit`] for NaN or +infinity, [`Error::NoCandidate`] when no logit is finite.
    pub fn dist(&self, logits: &[f32], history: &[Token]) -> Result<Dist, Error> {
        let mut candidates = self.candidates(logits, history)?;
        if self.is_greedy() {
            return Ok(Dist::point(largest(&candidates).0));
        }
        top_k(&mut candidates, self.top_k);
        top_p(&mut candidates, self.top_p);
        min_p(&mut candidates, self.min_p);
        let max = largest(&candidates).1;
        // Subtracting the maximum first keeps a small temperature from overflowing.
        let weight = |logit: f32| (f64::from(logit - max) / f64::from(self.temperature)).exp();
        Dist::from_weights(candidates.iter().map(|&(token, logit)| (token, weight(logit))))
            .ok_or(Error::NoCandidate)
    }

    /// The choice of a greedy sampler and its probability before filtering, the confidence of a draft.
    ///
    /// # Errors
    /// As [`dist`](Self::dist).
    pub(crate) fn pick(&self, logits: &[f32], history: &[Token]) -> Result<(Token, f64), Error> {
        let candidates = self.candidates(logits, history)?;
        let (token, max) = largest(&candidates);
        Ok((token, 1.0 / candidates.iter().map(|&(_, l)| f64::from(l - max).exp()).sum::<f64>()))
    }

    /// Every token with a finite logit, after the penalty. Never empty.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a row is as long as the vocabulary, whose ids are u32"
    )]
    fn candidates(&self, logits: &[f32], history: &[Token]) -> Result<Vec<Candidate>, Error> {
        if let Some(i) = logits.iter().position(|l| l.is_nan() || *l == f32::INFINITY) {
            return Err(Error::BadLogit { token: i as Token, value: logits[i] });
        }
        let mut logits: Vec<Candidate> = (0..).zip(logits.iter().copied()).collect();
        self.penalize(&mut logits, history);
        logits.retain(|&(_, l)| l > f32::NEG_INFINITY);
        if logits.is_empty() { Err(Error::NoCandidate) } else { Ok(logits) }
    }

    /// Applies the repetition penalty. `logits` holds every token at its own index.
    fn penalize(&self, logits: &mut [Candidate], history: &[Token]) {
        if !self.penalizes() {
            return;
        }
        // A negative length means the whole history.
        let window = usize::try_from(self.penalty_last_n).unwrap_or(history.len()).min(history.len());
        let mut recent = history[history.len() - window..].to_vec();
        recent.sort_unstable();
        recent.dedup();
        for token in recent {
            if let Some((_, l)) = logits.get_mut(token as usize) {
                // Dividing a negative logit would make the token more probable. (CTRL, arXiv:1909.05858,
                // always divides.)
                *l = if *l <= 0.0 { *l * self.repetition_penalty } else { *l / self.repetition_penalty };
            }
        }
    }
}

/// Largest logits first. The lowest id wins a tie.
fn by_rank(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// The largest logit. `candidates` is in any order and not empty.
fn largest(candidates: &[Candidate]) -> Candidate {
    let mut best = candidates[0];
    for &candidate in candidates {
        // Compared as numbers: `total_cmp` orders −0 below +0, although both are equally probable.
        if candidate.1 > best.1 || (candidate.1 == best.1 && candidate.0 < best.0) {
            best = candidate;
        }
    }
    best
}

fn top_k(candidates: &mut Vec<Candidate>, k: usize) {
    if k > 0 && k < candidates.len() {
        candidates.select_nth_unstable_by(k - 1, by_rank);
        candidates.truncate(k);
    }
}

/// Top-p (nucleus sampling). The cumulative probabilities are those at temperature 1 of the remaining tokens.
fn top_p(candidates: &mut Vec<Candidate>, p: f32) {
    if p >= 1.0 {
        return;
    }
    candidates.sort_unstable_by(by_rank);
    let max = candidates[0].1;
    let weights: Vec<f64> = candidates.iter().map(|&(_, l)| f64::from(l - max).exp()).collect();
    let enough = f64::from(p) * weights.iter().sum::<f64>();
    let mut sum = 0.0;
    let below = weights.iter().take_while(|&&w| {
        sum += w;
        sum < enough
    });
    // The token that reaches the threshold is kept, so at least one remains.
    let keep = below.count() + 1;
    candidates.truncate(keep);
}

fn min_p(candidates: &mut Vec<Candidate>, p: f32) {
    if p > 0.0 {
        let floor = largest(candidates).1 + p.ln();
        candidates.retain(|&(_, l)| l >= floor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logits whose softmax is 0.5, 0.25, 0.125, 0.125.
    fn halves() -> [f32; 4] {
        [0.5_f32.ln(), 0.25_f32.ln(), 0.125_f32.ln(), 0.125_f32.ln()]
    }

    fn support(sampler: &Sampler, logits: &[f32], history: &[Token]) -> Vec<Token> {
        sampler.dist(logits, history).expect("finite logits").iter().map(|(t, _)| t).collect()
    }

    #[test]
    fn each_filter_cuts_where_it_should() {
        let all = Sampler::unfiltered(1.0, 0);
        assert_eq!(support(&all, &halves(), &[]), [0, 1, 2, 3]);
        assert_eq!(
            support(&Sampler { top_k: 3, ..all }, &halves(), &[]),
            [0, 1, 2],
            "ties go to the lowest id"
        );
        assert_eq!(support(&Sampler { top_p: 0.49, ..all }, &halves(), &[]), [0]);
        assert_eq!(support(&Sampler { top_p: 0.51, ..all }, &halves(), &[]), [0, 1]);
        assert_eq!(support(&Sampler { top_p: 0.0, ..all }, &halves(), &[]), [0], "one token is always kept");
        assert_eq!(support(&Sampler { min_p: 0.4, ..all }, &halves(), &[]), [0, 1]);
        assert_eq!(support(&Sampler { min_p: 1.0, ..all }, &halves(), &[]), [0]);
        assert_eq!(support(&all, &[0.0, f32::NEG_INFINITY, 0.0], &[]), [0, 2], "masked tokens are dropped");
    }

    #[test]
    fn temperature_comes_after_the_cuts() {
        // At temperature 4 the row is nearly flat. A top-p after the temperature would keep three tokens.
        let hot = Sampler { top_p: 0.6, ..Sampler::unfiltered(4.0, 0) };
        assert_eq!(support(&hot, &halves(), &[]), [0, 1]);
        // 0.5 : 0.25 at temperature 0.5 becomes 4 : 1.
        let cold = Sampler { top_k: 2, ..Sampler::unfiltered(0.5, 0) };
        assert!((cold.dist(&halves(), &[]).expect("finite logits").prob(0) - 0.8).abs() < 1e-6);
    }

    #[test]
    fn penalty_counts_a_token_once_and_looks_back_n() {
        let sampler = Sampler { repetition_penalty: 2.0, penalty_last_n: 2, ..Sampler::greedy() };
        assert!(sampler.is_greedy() && !sampler.is_argmax() && Sampler::greedy().is_argmax());
        let pick =
            |history: &[Token]| sampler.dist(&[3.0, 2.0, -1.0], history).expect("finite logits").mode().0;
        assert_eq!(pick(&[0]), 1, "3 / 2 < 2");
        assert_eq!(pick(&[0, 0]), 1);
        assert_eq!(pick(&[0, 2, 2]), 0, "out of the window");
        assert_eq!(pick(&[0, 1]), 0, "3 / 2 > 2 / 2");
        assert_eq!(pick(&[77]), 0, "an id beyond the row is ignored");
        let whole = Sampler { penalty_last_n: -1, ..sampler };
        assert_eq!(whole.dist(&[3.0, 2.0, -1.0], &[0, 2, 2]).expect("finite logits").mode().0, 1);
        // A negative logit becomes more negative.
        assert_eq!(sampler.dist(&[-1.0, -1.5], &[0]).expect("finite logits").mode().0, 1);
    }

    #[test]
    fn bad_rows_and_settings_are_named() {
        let sampler = Sampler::default();
        assert!(matches!(sampler.dist(&[0.0, f32::NAN], &[]), Err(Error::BadLogit { token: 1, .. })));
        assert!(matches!(sampler.dist(&[f32::INFINITY], &[]), Err(Error::BadLogit { token: 0, .. })));
        assert!(matches!(sampler.dist(&[f32::NEG_INFINITY], &[]), Err(Error::NoCandidate)));
        assert!(matches!(sampler.dist(&[], &[]), Err(Error::NoCandidate)));
        sampler.check().expect("the default is in range");
        let bad = [
            ("temperature", Sampler { temperature: f32::NAN, ..sampler }),
            ("top_p", Sampler { top_p: f32::NAN, ..sampler }),
            ("min_p", Sampler { min_p: 1.5, ..sampler }),
            ("repetition_penalty", Sampler { repetition_penalty: 0.0, ..sampler }),
        ];
        for (wanted, sampler) in bad {
            assert!(matches!(sampler.check(), Err(Error::Parameter { name, .. }) if name == wanted));
        }
    }

    #[test]
    fn confidence_is_the_unfiltered_probability() {
        let (token, confidence) = Sampler::greedy().pick(&halves(), &[]).expect("finite logits");
        assert_eq!(token, 0);
        assert!((confidence - 0.5).abs() < 1e-6);
    }

    #[test]
    fn streams_of_a_seed_differ_and_repeat() {
        use rand::Rng;
        let draw = |stream| Sampler::default().rng(stream).next_u64();
        assert_eq!(draw(RngStream::Target), draw(RngStream::Target));
        assert_ne!(draw(RngStream::Target), draw(RngStream::Draft));
    }
}
