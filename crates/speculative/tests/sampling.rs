//! The filters against a direct reference: whole rows in f64, sorted once, with probabilities recomputed for
//! each filter.

use proptest::prelude::*;
use ridgeline_speculative::{Sampler, Token};

/// Logits with ties and masked tokens.
fn logits() -> impl Strategy<Value = Vec<f32>> {
    let logit = prop_oneof![
        8 => -8.0_f32..8.0,
        4 => (-8_i8..8).prop_map(|l| f32::from(l) / 2.0),
        1 => Just(f32::NEG_INFINITY),
    ];
    let some_finite = |row: &Vec<f32>| row.iter().any(|l| l.is_finite());
    proptest::collection::vec(logit, 1..40).prop_filter("a finite logit", some_finite)
}

fn sampler() -> impl Strategy<Value = Sampler> {
    let penalty = prop_oneof![Just(1.0_f32), 1.0_f32..3.0, 0.5_f32..1.0];
    let filters =
        (0_usize..50, prop_oneof![Just(1.0_f32), 0.0_f32..1.0], prop_oneof![Just(0.0_f32), 0.0_f32..1.0]);
    (filters, 0.1_f32..3.0, penalty, -1_i32..8).prop_map(
        |((top_k, top_p, min_p), temperature, penalty, last_n)| Sampler {
            temperature,
            top_k,
            top_p,
            min_p,
            repetition_penalty: penalty,
            penalty_last_n: last_n,
            seed: 0,
        },
    )
}

fn softmax(logits: &[(usize, f64)], temperature: f64) -> Vec<f64> {
    let max = logits.iter().map(|l| l.1).fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logits.iter().map(|l| ((l.1 - max) / temperature).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|w| w / sum).collect()
}

/// The remaining tokens with their probabilities, and the smallest distance of a token from a threshold.
fn reference(s: &Sampler, logits: &[f32], history: &[Token]) -> (Vec<(usize, f64)>, f64) {
    let window = if s.penalty_last_n < 0 { history.len() } else { s.penalty_last_n as usize };
    let recent: Vec<Token> = history.iter().rev().take(window).copied().collect();
    let mut row: Vec<(usize, f64)> = Vec::new();
    for (t, &l) in logits.iter().enumerate() {
        let seen = recent.iter().any(|&r| r as usize == t);
        let penalized = if !seen {
            l
        } else if l > 0.0 {
            l / s.repetition_penalty
        } else {
            l * s.repetition_penalty
        };
        if penalized.is_finite() {
            row.push((t, f64::from(penalized)));
        }
    }
    row.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    if s.top_k > 0 {
        row.truncate(s.top_k);
    }
    let mut margin = f64::INFINITY;
    if s.top_p < 1.0 {
        let probs = softmax(&row, 1.0);
        let mut keep = 0;
        let mut sum = 0.0;
        for p in probs {
            keep += 1;
            sum += p;
            margin = margin.min((sum - f64::from(s.top_p)).abs());
            if sum >= f64::from(s.top_p) {
                break;
            }
        }
        row.truncate(keep);
    }
    let best = softmax(&row, 1.0)[0];
    let probs = softmax(&row, 1.0);
    for p in &probs[1..] {
        margin = margin.min((p / best - f64::from(s.min_p)).abs());
    }
    let kept = row.iter().zip(probs).filter(|(_, p)| p / best >= f64::from(s.min_p)).map(|(l, _)| *l);
    let row: Vec<(usize, f64)> = kept.collect();
    let probs = softmax(&row, f64::from(s.temperature));
    let mut result: Vec<(usize, f64)> = row.iter().zip(probs).map(|(l, p)| (l.0, p)).collect();
    result.sort_by_key(|r| r.0);
    (result, margin)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn filters_match_the_reference(s in sampler(), row in logits(), history in proptest::collection::vec(0_u32..40, 0..12)) {
        s.check().expect("settings in range");
        let (expected, margin) = reference(&s, &row, &history);
        // Within rounding of a threshold, either result is correct.
        prop_assume!(margin > 1e-5);
        let got: Vec<_> = s.dist(&row, &history).expect("finite logits").iter().collect();
        prop_assert_eq!(got.len(), expected.len(), "{:?} against {:?}", got, expected);
        for ((token, p), (t, e)) in got.into_iter().zip(expected) {
            prop_assert_eq!(token as usize, t);
            prop_assert!((p - e).abs() < 1e-5, "token {}: {} against {}", t, p, e);
        }
    }

    #[test]
    fn greedy_is_the_limit_of_low_temperature(s in sampler(), row in logits(), history in proptest::collection::vec(0_u32..40, 0..12)) {
        let greedy = Sampler { temperature: 0.0, ..s }.dist(&row, &history).expect("finite logits");
        let cold = Sampler { temperature: 1e-6, ..s }.dist(&row, &history).expect("finite logits");
        prop_assert_eq!(greedy.iter().count(), 1);
        prop_assert_eq!(greedy.mode().0, cold.mode().0);
    }
}
