//! Verdicts from intervals: holds, does not, undecided, cannot be tested.

use ridgeline_experiment::verdict::{Comparison, Outcome, Range, Unit, Verdict, all};
use ridgeline_roofline::Measured;

const fn m(value: f64, lo: f64, hi: f64) -> Measured {
    Measured { value, lo, hi }
}

#[test]
fn an_interval_decides_only_when_it_lies_on_one_side() {
    let above = |lo, hi| Comparison::above("x", m(f64::midpoint(lo, hi), lo, hi), 1.0).outcome();
    assert_eq!(above(1.1, 1.3), Outcome::Holds);
    assert_eq!(above(0.9, 1.3), Outcome::Undecided);
    assert_eq!(above(0.7, 0.9), Outcome::DoesNotHold);
    assert_eq!(above(1.0, 1.2), Outcome::Undecided, "touching the threshold decides nothing");
    assert_eq!(above(f64::NAN, f64::NAN), Outcome::CannotBeTested);
    let below = |lo, hi| Comparison::below("x", m(f64::midpoint(lo, hi), lo, hi), 1.0).outcome();
    assert_eq!((below(0.5, 0.9), below(1.0, 1.1)), (Outcome::Holds, Outcome::DoesNotHold));
    let within = |lo, hi| Comparison::within("x", m(f64::midpoint(lo, hi), lo, hi), 0.2, 0.4).outcome();
    assert_eq!(within(0.2, 0.4), Outcome::Holds);
    assert_eq!(within(0.3, 0.5), Outcome::Undecided);
    assert_eq!(within(0.41, 0.5), Outcome::DoesNotHold);
    assert_eq!(within(0.1, 0.5), Outcome::Undecided, "an interval wider than the range decides nothing");
}

#[test]
fn inclusive_ranges_hold_at_their_ends() {
    let outcome = |range, lo, hi| {
        let value = m(f64::midpoint(lo, hi), lo, hi);
        Comparison { what: "x".to_owned(), value, n: None, range, unit: Unit::Plain }.outcome()
    };
    assert_eq!(outcome(Range::AtLeast(1.0), 1.0, 1.2), Outcome::Holds);
    assert_eq!(outcome(Range::AtMost(1.0), 0.8, 1.0), Outcome::Holds);
    assert_eq!(outcome(Range::AtLeast(1.0), 0.8, 1.0), Outcome::Undecided);
    assert_eq!(outcome(Range::AtMost(1.0), 1.1, 1.2), Outcome::DoesNotHold);
    // An exact value at the threshold is not above it.
    assert_eq!(outcome(Range::Above(1.0), 1.0, 1.0), Outcome::DoesNotHold);
}

#[test]
fn one_failing_comparison_refutes_a_claim() {
    let good = Comparison::above("bw(copy) / bw(matvec)", m(1.4, 1.3, 1.5), 1.0);
    let open = Comparison::above("bw(matvec) / bw(q8)", m(1.0, 0.9, 1.1), 1.0);
    let bad = Comparison::above("bw(matvec) / bw(q8)", m(0.8, 0.7, 0.9), 1.0);
    let decide = |c: &[&Comparison]| all(&c.iter().map(|it| it.outcome()).collect::<Vec<_>>());
    assert_eq!(decide(&[&good]), Outcome::Holds);
    assert_eq!(decide(&[&good, &open]), Outcome::Undecided);
    assert_eq!(decide(&[&open, &bad]), Outcome::DoesNotHold);
    assert_eq!(decide(&[]), Outcome::CannotBeTested, "no evidence is no verdict");
    let nan = Comparison::above("x", m(f64::NAN, 0.0, 1.0), 0.5);
    assert_eq!(decide(&[&good, &nan]), Outcome::CannotBeTested);
    assert_eq!(decide(&[&bad, &nan]), Outcome::DoesNotHold, "what is refuted stays so");
}

#[test]
fn a_comparison_is_one_sentence() {
    let it = Comparison::above("bw(copy) / bw(matvec)", m(1.4, 1.3, 1.5), 1.0);
    assert_eq!(it.sentence(), "bw(copy) / bw(matvec) = 1.40 [1.30, 1.50]; required more than 1");
    let one = it.clone().of(1).sentence();
    assert_eq!(one, "bw(copy) / bw(matvec) = 1.40 [1.30, 1.50], 1 visit; required more than 1");
    let within = Comparison::within("loss", m(0.3, 0.2, 0.4), 0.25, 0.45).of(3);
    assert_eq!(within.sentence(), "loss = 0.300 [0.200, 0.400], 3 visits; required between 0.25 and 0.45");
    let share = Comparison { unit: Unit::Share, ..within };
    assert_eq!(share.sentence(), "loss = 30.0 % [20.0, 40.0], 3 visits; required between 25 % and 45 %");
}

#[test]
fn a_verdict_gives_its_reason_and_the_values_beside_it() {
    let verdict = Verdict {
        because: "x = 1.4; required > 1".to_owned(),
        beside: vec!["back to back: 0.9".to_owned()],
        outcome: Outcome::Holds,
        ..sample()
    };
    assert_eq!(verdict.reason(), "x = 1.4; required > 1; back to back: 0.9");
    let text = serde_json::to_string(&verdict).expect("plain data");
    assert_eq!(serde_json::from_str::<Verdict>(&text).expect("readable"), verdict);
    let labels = [Outcome::Holds, Outcome::DoesNotHold, Outcome::Undecided, Outcome::CannotBeTested];
    assert_eq!(labels.map(Outcome::label), ["holds", "does not hold", "undecided", "cannot be tested here"]);
}

fn sample() -> Verdict {
    let text = || "text".to_owned();
    let why = ridgeline_experiment::published::Prediction { outcome: Outcome::Undecided, why: text() };
    Verdict {
        claim: text(),
        study: text(),
        text: text(),
        published: text(),
        recomputed: None,
        here: text(),
        beside: Vec::new(),
        outcome: Outcome::CannotBeTested,
        prediction: why,
        test: text(),
        because: text(),
        comparisons: Vec::new(),
        holm_p: None,
        caveats: Vec::new(),
        evidence: vec!["0123".to_owned()],
    }
}

#[test]
fn the_reason_is_one_plain_sentence() {
    let of = |outcome, comparisons: &[Comparison]| Verdict {
        outcome,
        comparisons: comparisons.to_vec(),
        ..sample()
    };
    let low = Comparison::above("loss_4096 (qwen3 mlx4_g64)", m(0.4, 0.3, 0.5), 0.6);
    let high = Comparison::above("t4_over_t1", m(1.4, 1.3, 1.5), 1.0);
    let open = Comparison::within("t4_over_t1", m(1.4, 1.3, 1.5), 1.4, 2.0);
    assert_eq!(
        of(Outcome::DoesNotHold, &[high.clone(), low]).sentence(),
        "loss 4096 (qwen3 mlx4_g64) is 0.400 [0.300, 0.500], where the claim requires more than 0.6."
    );
    assert_eq!(
        of(Outcome::Undecided, &[high.clone(), open]).sentence(),
        "the interval of t4 over t1 reaches from 1.30 to 1.50, and the claim requires between 1.4 and 2."
    );
    let both = of(Outcome::Holds, &[high.clone(), high.clone()]);
    assert!(
        both.sentence().ends_with("(more than 1), and 1 more value fits as well."),
        "{}",
        both.sentence()
    );
    assert_eq!(both.short(), "1.40 [1.30, 1.50] and 1 more");
    let corrected = Verdict { holm_p: Some(0.079), ..of(Outcome::Undecided, &[high]) };
    assert!(corrected.sentence().contains("p = 0.079 after Holm's correction"), "{}", corrected.sentence());
    let untested = Verdict { because: "no device has it".to_owned(), ..of(Outcome::CannotBeTested, &[]) };
    assert_eq!(untested.sentence(), "no device has it.");
    assert_eq!(untested.short(), "–");
}

#[test]
fn a_poor_test_contradicts_nothing() {
    let poor = || vec!["it rests on 1 visit".to_owned()];
    let of = |outcome, caveats| Verdict { outcome, caveats, ..sample() }.standing();
    assert_eq!(of(Outcome::DoesNotHold, Vec::new()), Some("contradicted"));
    assert_eq!(of(Outcome::DoesNotHold, poor()), Some("poor test"));
    assert_eq!((of(Outcome::Holds, poor()), of(Outcome::Holds, Vec::new())), (Some("poor test"), None));
    assert_eq!(of(Outcome::CannotBeTested, poor()), None);
}
