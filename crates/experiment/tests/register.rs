//! The register of claims: what decides a claim, and why it is undecided or cannot be tested.

mod support;

use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::measure::Measure;
use ridgeline_experiment::published::Published;
use ridgeline_experiment::record::{Record, Status};
use ridgeline_experiment::register::{self, Conclusions};
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_experiment::verdict::{Outcome, Verdict};
use ridgeline_roofline::Measured;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;

/// A measure whose rows are the values that [`STUDY`] concludes.
struct Given;

#[derive(Serialize, Deserialize)]
struct Point {
    name: String,
    what: String,
}

impl Measure for Given {
    const NAME: &'static str = "given";
    type Point = Point;
    type Row = Measured;
}

/// Values of the claims GAP-C1, GAP-C3, GAP-C4, GAP-C7, GAP-C10, RB-C7, INV-C1 and AG-C13.
const VALUES: [&str; 13] = [
    "copy_over_matvec_f32",
    "matvec_f32_over_matvec_q4",
    "copy_over_matvec_f32_streamed",
    "isolated_over_step",
    "loss_4096",
    "efficiency_larger_over_smaller",
    "t4_over_t1",
    "ridge_batch",
    "intensity_times_bytes_per_weight",
    "slowdown_complete",
    "slowdown_complete_by_precision",
    "slowdown_encode",
    "equal_tokens",
];

const STUDY: Study = Study {
    id: "GAP-4",
    title: "Given values",
    question: "Which values are given?",
    about: "",
    values: &VALUES,
    conclude,
};

/// Every given value, with its cell as evidence.
fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    for entry in &data.rows::<Given>()? {
        let name = VALUES.iter().find(|it| **it == entry.point.name).expect("a value of the list");
        chapter.value(name, entry.point.what.clone(), Some(entry.row), &entry.evidence());
    }
    Ok(chapter)
}

/// A record of a value with its interval.
fn given(name: &str, what: &str, value: f64, lo: f64, hi: f64) -> Record {
    let record = support::record("given", json!({ "name": name, "what": what }));
    Record { row: json!({ "value": value, "lo": lo, "hi": hi }), ..record }
}

fn conclusions(records: &[Record], failures: &[&Record], control: f64) -> Conclusions {
    let published = Published::load().expect("published numbers");
    register::conclude(&[&STUDY], &Data::new(records, None, &published), failures, control)
        .expect("they deserialize")
}

fn verdict(records: &[Record], claim: &str) -> Verdict {
    of(conclusions(records, &[], 0.0), claim)
}

fn of(all: Conclusions, claim: &str) -> Verdict {
    all.verdicts.into_iter().find(|it| it.claim == claim).expect("every claim has a verdict")
}

#[test]
fn every_claim_has_a_verdict_without_any_record() {
    let Conclusions { chapters, verdicts } = conclusions(&[], &[], 0.0);
    assert!(chapters.is_empty(), "a study without records has no chapter");
    let published = Published::load().expect("published numbers");
    let ids: Vec<&str> = published.claims().iter().map(|it| it.id.as_str()).collect();
    assert_eq!(verdicts.iter().map(|it| it.claim.as_str()).collect::<Vec<_>>(), ids, "in order");
    for it in &verdicts {
        assert_eq!((it.outcome, it.here.as_str()), (Outcome::CannotBeTested, "–"), "{}", it.claim);
        // The study of this test produces some values; for the others, the claim's own is named.
        let commands = ["GAP-4", &it.study].map(|study| format!("run `bench-all --study {study}`"));
        let claim = published.claim(&it.claim).expect("a claim");
        match &claim.needs {
            Some(needs) => assert!(it.because.ends_with(needs.as_str()), "{}: {}", it.claim, it.because),
            None => assert!(
                commands.iter().any(|command| it.because.contains(command)),
                "{}: {}",
                it.claim,
                it.because
            ),
        }
        assert!(it.evidence.is_empty() && it.prediction == claim.prediction, "{}", it.claim);
    }
}

#[test]
fn an_interval_on_one_side_decides() {
    // GAP-C4: the loss at 4096 tokens is below 0.1.
    let loss = |lo, hi| verdict(&[given("loss_4096", "tiny", f64::midpoint(lo, hi), lo, hi)], "GAP-C4");
    let holds = loss(0.03, 0.05);
    assert_eq!(holds.outcome, Outcome::Holds);
    assert_eq!(holds.because, "loss_4096 (tiny) = 4.00 % [3.00, 5.00], 1 visit; required less than 10 %");
    assert_eq!(holds.here, "tiny 4.00 % [3.00, 5.00]");
    assert_eq!(holds.evidence, [r#"given {"name":"loss_4096","what":"tiny"}"#]);
    assert_eq!((holds.published.as_str(), holds.study.as_str()), ("4.6 %", "GAP-4"));
    assert_eq!(loss(0.2, 0.3).outcome, Outcome::DoesNotHold);
    let open = loss(0.05, 0.15);
    assert_eq!(open.outcome, Outcome::Undecided);
    assert!(!open.evidence.is_empty(), "more visits of these cells could decide");
}

#[test]
fn every_value_of_a_name_has_to_lie_in_the_range() {
    let small = given("loss_4096", "small", 0.04, 0.03, 0.05);
    let both =
        |value, lo, hi| verdict(&[small.clone(), given("loss_4096", "large", value, lo, hi)], "GAP-C4");
    let holds = both(0.02, 0.01, 0.03);
    assert_eq!((holds.outcome, holds.evidence.len()), (Outcome::Holds, 2));
    assert_eq!(holds.because.matches("required less than 10 %").count(), 2);
    assert_eq!(both(0.3, 0.28, 0.32).outcome, Outcome::DoesNotHold, "one model refutes it");
    assert_eq!(both(0.1, 0.05, 0.15).outcome, Outcome::Undecided);
}

/// With many values, one of them lies outside by chance.
#[test]
fn a_refutation_counts_the_comparisons() {
    // The distance from the threshold is 2.03 standard errors, p = 0.042.
    let outside = given("loss_4096", "m0", 0.114, 0.1005, 0.1275);
    assert_eq!(verdict(std::slice::from_ref(&outside), "GAP-C4").outcome, Outcome::DoesNotHold);
    let inside = given("loss_4096", "m1", 0.04, 0.03, 0.05);
    let two = verdict(&[outside, inside], "GAP-C4");
    assert_eq!(two.outcome, Outcome::Undecided, "{}", two.because);
    assert!(two.because.contains("p = 0.084"), "{}", two.because);
}

#[test]
fn a_claim_lacks_a_value_with_a_reason() {
    // GAP-C1 compares two values, and only the first is there. The study of this test, GAP-4, produces both.
    let first = [given("copy_over_matvec_f32", "", 1.4, 1.3, 1.5)];
    let it = verdict(&first, "GAP-C1");
    assert_eq!(it.outcome, Outcome::CannotBeTested);
    let expected = "the cells of GAP-4 are not measured yet; run `bench-all --study GAP-4`";
    assert_eq!((it.because.as_str(), it.here.as_str()), (expected, "1.40× [1.30, 1.50]"));
    let wanted = [Record { studies: vec!["GAP-4".to_owned()], ..first[0].clone() }];
    let reason = verdict(&wanted, "GAP-C1").because;
    assert!(reason.ends_with("too few for what the claim compares: matvec f32 over matvec q4"), "{reason}");
    let failure = |studies: &[&str], status, reason: &str| Record {
        studies: studies.iter().map(|it| (*it).to_owned()).collect(),
        status,
        reason: Some(reason.to_owned()),
        ..support::record("ceilings", json!({ "quantity": reason }))
    };
    let failed = failure(&["GAP-4", "RB-1"], Status::Failed, "device lost");
    let other = failure(&["GAP-10"], Status::Failed, "of another experiment");
    let skipped = failure(&["GAP-4"], Status::Skipped, "no f16");
    let because = |failures: &[&Record]| of(conclusions(&first, failures, 0.0), "GAP-C1").because;
    assert!(because(&[&other]).ends_with("run `bench-all --study GAP-4`"), "{}", because(&[&other]));
    let reason = because(&[&other, &failed, &skipped]);
    assert_eq!(reason, "2 cells of GAP-4 failed: device lost");
    let reason = because(&[&skipped]);
    assert_eq!(reason, "1 cell of GAP-4 cannot run here: no f16");
}

#[test]
fn values_beside_a_verdict_are_shown_and_decide_nothing() {
    let mut records = vec![
        given("copy_over_matvec_f32", "", 1.4, 1.3, 1.5),
        given("matvec_f32_over_matvec_q4", "", 1.4, 1.3, 1.5),
    ];
    assert!(verdict(&records, "GAP-C1").beside.is_empty());
    records.push(given("copy_over_matvec_f32_streamed", "", 0.8, 0.7, 0.9));
    let it = verdict(&records, "GAP-C1");
    assert_eq!((it.outcome, it.beside.len()), (Outcome::Holds, 1));
    assert!(
        it.beside[0].contains("back to back") && it.beside[0].ends_with("0.800× [0.700, 0.900]"),
        "{:?}",
        it.beside
    );
    assert!(it.reason().ends_with(&it.beside[0]));
}

/// INV-C1 is decided by the completion clock. The encode clock, an artefact, has an outcome of its own beside it.
#[test]
fn an_artefact_beside_a_verdict_has_its_own_outcome() {
    let truth = [
        given("slowdown_complete", "bf16", -0.9, -0.92, -0.88),
        given("slowdown_complete_by_precision", "f16", -0.9, -0.92, -0.88),
    ];
    let beside = |artefact: &[Record], control: f64| {
        let it = of(conclusions(&[&truth, artefact].concat(), &[], control), "INV-C1");
        assert_eq!(it.outcome, Outcome::DoesNotHold, "{}", it.because);
        assert!(it.beside.len() < 2, "{:?}", it.beside);
        it.beside.first().cloned().unwrap_or_default()
    };
    let short = given("slowdown_encode", "10 tokens", 0.2, 0.1, 0.3);
    let holds = beside(std::slice::from_ref(&short), 0.0);
    assert!(
        holds.contains(": holds (as predicted), required more than 0 %: 10 tokens 20.0 % [10.0, 30.0]"),
        "{holds}"
    );
    let open = beside(std::slice::from_ref(&short), 0.6);
    assert!(open.contains(": undecided (predicted: holds)"), "the error of controls widens it: {open}");
    let both = beside(&[short, given("slowdown_encode", "20 tokens", -0.2, -0.3, -0.1)], 0.0);
    assert!(
        both.contains(": does not hold (predicted: holds)") && both.contains("; 20 tokens -20.0 %"),
        "{both}"
    );
    assert!(beside(&[], 0.0).is_empty());
}

/// An interval that just excludes its threshold has p below 0.05 alone, and above it among several claims.
#[test]
fn holm_turns_a_borderline_decision_undecided() {
    // GAP-C10: t4_over_t1 below 1.15. The distance from the threshold is 2.1 standard errors, p = 0.036.
    let borderline = given("t4_over_t1", "", 1.0, 0.86, 1.14);
    let alone = verdict(std::slice::from_ref(&borderline), "GAP-C10");
    assert_eq!(alone.outcome, Outcome::Holds, "one decision of the study: {}", alone.because);
    let clear = given("loss_4096", "", 0.04, 0.03, 0.05);
    let both = conclusions(&[borderline.clone(), clear.clone()], &[], 0.0);
    assert_eq!(of(both.clone(), "GAP-C4").outcome, Outcome::Holds, "what is clear stays decided");
    let open = of(both, "GAP-C10");
    // The smaller p is tested first at twice its size; the larger is then the last, at its own.
    assert_eq!(open.outcome, Outcome::Holds, "{}", open.because);
    let second = given("isolated_over_step", "", 2.5, 2.04, 2.96);
    let three = conclusions(&[borderline.clone(), second.clone(), clear], &[], 0.0);
    for (claim, doubled) in [("GAP-C10", "p = 0.066"), ("GAP-C3", "p = 0.066")] {
        let it = of(three.clone(), claim);
        assert_eq!(it.outcome, Outcome::Undecided, "{claim}: {}", it.because);
        assert!(
            it.because.ends_with(&format!("; {doubled} after Holm's correction over the claims of GAP")),
            "{}",
            it.because
        );
        assert!(!it.evidence.is_empty());
    }
    // A claim of another study does not count.
    let elsewhere = given("intensity_times_bytes_per_weight", "", 2.0, 1.8, 2.2);
    let apart = conclusions(&[borderline, elsewhere], &[], 0.0);
    assert_eq!(of(apart, "GAP-C10").outcome, Outcome::Holds);
}

#[test]
fn an_exact_value_decides_at_the_end_of_its_range() {
    // AG-C13: equal_tokens within 1 and 1.
    let outcome = |share| verdict(&[given("equal_tokens", "", share, share, share)], "AG-C13").outcome;
    assert_eq!([1.0, 0.99].map(outcome), [Outcome::Holds, Outcome::DoesNotHold]);
}

#[test]
fn the_error_of_controls_widens_intervals() {
    let records = [given("loss_4096", "", 0.08, 0.07, 0.09), given("ridge_batch", "", 4.0, 3.0, 5.0)];
    let with = |control| of(conclusions(&records, &[], control), "GAP-C4");
    assert_eq!(with(0.0).outcome, Outcome::Holds);
    assert_eq!(with(0.05).outcome, Outcome::Holds, "0.094 is still below 0.1");
    let wide = with(0.2);
    assert_eq!(wide.outcome, Outcome::Undecided);
    assert!(wide.because.contains("[5.40, 10.6]"), "{}", wide.because);
    assert!(wide.here.contains("[7.00, 9.00]"), "what was measured stays as it is: {}", wide.here);
}

#[test]
fn claims_name_known_values() {
    let published = Published::load().expect("published numbers");
    let names = |it: &ridgeline_experiment::published::Claim| {
        let compared = it.compare.iter().map(|it| it.value.clone());
        compared.chain(it.beside.iter().map(|it| it.value.clone())).collect::<Vec<_>>()
    };
    let all: BTreeSet<String> = published.claims().iter().flat_map(names).collect();
    let known = |without: &str| -> &'static Study {
        let names = all.iter().filter(|it| *it != without).map(|it| &*it.clone().leak());
        Box::leak(Box::new(Study { values: names.collect::<Vec<_>>().leak(), ..STUDY }))
    };
    register::check(&[known("")], &published).expect("every value has a study");
    for missing in ["loss_4096", "ridge_batch"] {
        let error = register::check(&[known(missing)], &published).expect_err("no study produces it");
        let Error::UnknownValue { claim, value, study } = &error else { panic!("{error}") };
        assert_eq!(value, missing, "also where it is only shown beside a verdict");
        assert!(error.to_string().contains(claim) && error.to_string().contains(study), "{error}");
    }
    assert!(matches!(register::check(&[], &published), Err(Error::UnknownValue { .. })));
}

#[test]
fn a_row_that_does_not_deserialize_is_an_error() {
    let mut bad = given("loss_4096", "", 0.08, 0.07, 0.09);
    bad.row = json!({ "value": "much" });
    let published = Published::load().expect("published numbers");
    let records = [bad];
    let error = register::conclude(&[&STUDY], &Data::new(&records, None, &published), &[], 0.0);
    let error = error.expect_err("a row of another shape").to_string();
    assert!(error.starts_with("given row: "), "{error}");
}
