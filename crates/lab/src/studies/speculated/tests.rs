//! Studies of speculation on synthetic settings.

use crate::studies::studies;
use crate::synthetic::visit;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::published::Published;
use ridgeline_experiment::record::Record;
use ridgeline_roofline::Measured;
use ridgeline_speculative::Stats;
use serde_json::json;

/// Three visits of a setting whose target takes a millisecond a token, and each round of which drafts four tokens.
struct Setting {
    draft: &'static str,
    /// Accepted tokens of ten rounds.
    accepted: u64,
    draft_us_per_token: u64,
    verify_us: u64,
}

impl Setting {
    fn records(&self, study: &str, by_prompt: &[(&str, f64)]) -> Vec<Record> {
        let stats = Stats {
            rounds: 10,
            drafted: 40,
            accepted: self.accepted,
            draft_ns: 40_000 * self.draft_us_per_token,
            verify_ns: 10_000 * self.verify_us,
            ..Stats::default()
        };
        let (tokens, spent_ns) = (10 + self.accepted, stats.draft_ns + stats.verify_ns);
        let row = json!({
            "stats": stats,
            "baseline_ns": [1_000_000 * tokens],
            "speculating_ns": [spent_ns],
            "acceptance_by_prompt": by_prompt,
            "generated": [tokens, tokens],
        });
        let point = json!({
            "target": "target", "draft": self.draft, "draft_max": 4, "temperature": 0.0, "tokens": 64,
        });
        let one = |round| {
            let record = visit("speculation", &point, row.clone(), round, &[spent_ns as f64 * 1e-9]);
            Record { studies: vec![study.to_owned()], ..record }
        };
        (0..3).map(one).collect()
    }
}

const FAST: Setting = Setting { draft: "fast", accepted: 20, draft_us_per_token: 250, verify_us: 1_000 };
const SLOW: Setting = Setting { draft: "slow", accepted: 20, draft_us_per_token: 500, verify_us: 2_000 };

fn values(study: &str, records: &[Record]) -> Vec<(&'static str, Measured)> {
    let all = studies();
    let study = all.iter().find(|it| it.id == study).expect("a study");
    let published = Published::default();
    let chapter = (study.conclude)(&Data::new(records, None, &published)).expect("they deserialize");
    assert!(!chapter.blocks.is_empty());
    chapter.values.iter().map(|it| (it.name, it.value)).collect()
}

fn assert_near(values: &[(&'static str, Measured)], expected: &[(&str, f64)]) {
    assert_eq!(values.len(), expected.len(), "{values:?}");
    for ((name, value), (wanted, x)) in values.iter().zip(expected) {
        assert!(name == wanted && (value.value - x).abs() < 1e-6, "{name}: {value:?}, not {wanted}: {x}");
    }
}

#[test]
fn a_draft_is_compared_with_its_target() {
    let own = Setting { draft: "target", accepted: 40, draft_us_per_token: 1_000, verify_us: 2_000 };
    let records = [FAST.records("INV-6", &[]), own.records("INV-6", &[])].concat();
    // Three tokens take 3 ms without and 4 · 0.25 + 1 ms with the fast draft. The study counts four for the same time.
    let expected = [
        ("speedup_without_acceptance", 2.0),
        ("sequential_speedup", 1.5),
        ("draft_over_target", 0.25),
        ("speedup_without_acceptance", 4.0 / 6.0),
        ("same_model_speedup", 5.0 / 6.0),
    ];
    assert_near(&values("INV-6", &records), &expected);
    assert_near(&values("AG-8", &SLOW.records("AG-8", &[])), &[("self_speculation_speedup", 0.75)]);
}

#[test]
fn a_ratio_of_speeds_is_tested_by_gains_and_losses() {
    // The fast draft has the ratio 4 and gains; the slow one has 2 and loses; break-even is at 2 and 4.
    let both = [FAST.records("AG-6", &[]), SLOW.records("AG-6", &[])].concat();
    let right = [("runs_decided_by_the_ratio", 1.0), ("runs_decided_by_the_formula", 1.0)];
    assert_near(&values("AG-11", &both), &right);
    // A fast draft that is never accepted contradicts the study's ratio and not the formula.
    let refused = Setting { draft: "refused", accepted: 0, ..FAST };
    let three = [both, refused.records("AG-6", &[])].concat();
    let wrong = [("runs_decided_by_the_ratio", 2.0 / 3.0), ("runs_decided_by_the_formula", 1.0)];
    assert_near(&values("AG-11", &three), &wrong);
    // Losses of slow drafts alone do not test it.
    let names: Vec<_> = values("AG-11", &SLOW.records("AG-6", &[])).iter().map(|it| it.0).collect();
    assert_eq!(names, ["runs_decided_by_the_formula"]);
}

#[test]
fn rates_of_a_kind_have_the_interval_of_its_prompts() {
    let rates =
        [("code", 0.5), ("code", 0.7), ("maths", 0.3), ("maths", 0.3), ("prose", 0.1), ("prose", 0.4)];
    let values = values("AG-7", &FAST.records("AG-7", &rates));
    // Prose may be zero, so that nothing is a multiple of it.
    assert_near(&values, &[("accept_code_over_maths", 2.0)]);
    assert!(values[0].1.lo < 1.0 && values[0].1.hi > 3.0, "two prompts decide nothing: {values:?}");
}
