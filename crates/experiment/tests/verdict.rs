//! Verdicts from intervals: holds, does not, undecided, cannot be tested.

use ridgeline_experiment::published::Published;
use ridgeline_experiment::verdict::{Comparison, Outcome, Verdict};
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
fn one_failing_comparison_refutes_a_claim() {
    let all = Published::load().expect("built-in files parse");
    let claim = all.claim("GAP-C1").expect("a claim");
    let good = Comparison::above("bw(copy) / bw(matvec)", m(1.4, 1.3, 1.5), 1.0);
    let open = Comparison::above("bw(matvec) / bw(q8)", m(1.0, 0.9, 1.1), 1.0);
    let bad = Comparison::above("bw(matvec) / bw(q8)", m(0.8, 0.7, 0.9), 1.0);
    let decide = |c: &[Comparison]| Verdict::decide(claim, "9 > 8 GB/s", c);
    assert_eq!(decide(std::slice::from_ref(&good)).outcome, Outcome::Holds);
    assert_eq!(decide(&[good.clone(), open.clone()]).outcome, Outcome::Undecided);
    assert_eq!(decide(&[open, bad]).outcome, Outcome::DoesNotHold);
    assert_eq!(decide(&[]).outcome, Outcome::CannotBeTested, "no evidence is no verdict");
    let v = decide(&[good]).recomputed("0.84 of copy net of the fixed cost");
    assert_eq!(v.claim, "GAP-C1");
    assert_eq!(v.published, "669 > 464 > 179 GB/s");
    assert_eq!(v.statistics, "bw(copy) / bw(matvec) = 1.400 [1.300, 1.500], has to be > 1");
    let counted = |n| decide(&[Comparison::above("x", m(1.4, 1.3, 1.5), 1.0).of(n)]).statistics;
    assert_eq!(counted(6), "x = 1.400 [1.300, 1.500] (n = 6), has to be > 1");
    assert_eq!(counted(5), "x = 1.400 [1.300, 1.500] (n = 5, full range), has to be > 1");
    assert_eq!(v.recomputed.as_deref(), Some("0.84 of copy net of the fixed cost"));
}

#[test]
fn a_claim_without_means_says_why() {
    let all = Published::load().expect("built-in files parse");
    let v = Verdict::cannot(all.claim("RB-C5").expect("a claim"), "one device only");
    assert_eq!((v.outcome, v.statistics.as_str()), (Outcome::CannotBeTested, "one device only"));
    let text = serde_json::to_string(&v).expect("plain data");
    assert_eq!(serde_json::from_str::<Verdict>(&text).expect("readable"), v);
}
