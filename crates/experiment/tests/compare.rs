//! Comparing journals: real changes are reported, noise is not, and the detectable change is stated.

mod support;

use ridgeline_experiment::compare::{Change, JournalDiff, PointDiff};
use ridgeline_experiment::record::{Record, Status};
use ridgeline_experiment::stats;
use serde_json::json;

/// A cell with one visit.
fn record(model: &str, samples_us: &[u64]) -> Record {
    visit(model, 0, samples_us)
}

fn visit(model: &str, round: u32, samples_us: &[u64]) -> Record {
    support::visit("pass", json!({"model": model, "depth": 0}), round, samples_us)
}

fn compare(before: &[Record], after: &[Record]) -> JournalDiff {
    ridgeline_experiment::compare::compare(before, after, 0.02)
}

const BASE: [u64; 8] = [1000, 1010, 990, 1005, 995, 1002, 998, 1007];

fn scaled(per_mille: u64) -> Vec<u64> {
    BASE.iter().map(|us| us * per_mille / 1000).collect()
}

/// A journal of twelve cells with a visit for each pace, in thousandths of [`BASE`].
fn visited(paces: &[u64], factor: impl Fn(usize) -> u64) -> Vec<Record> {
    let cell = |round: u32, pace: u64, i: usize| {
        let pace = pace * factor(i) * (1000 + i as u64 % 5) / 1_000_000;
        visit(&format!("m{i:02}"), round, &scaled(pace))
    };
    let rounds = (0..).zip(paces);
    rounds
        .flat_map(|(round, &pace)| (0..12).map(move |i| (round, pace, i)))
        .map(|(r, p, i)| cell(r, p, i))
        .collect()
}

fn outcomes(diff: &JournalDiff) -> Vec<Change> {
    diff.changes.iter().map(|it| it.outcome).collect()
}

#[test]
fn one_visit_each_falls_back_to_repetitions() {
    let before = ["slower", "faster", "same", "tiny", "gone"].map(|m| record(m, &BASE));
    let few = record("few", &[1000]);
    let before: Vec<Record> = before.into_iter().chain([few.clone()]).collect();
    let shuffled = [998, 1007, 1000, 1010, 1004, 992, 1001, 996];
    let after = [
        record("new", &BASE),
        record("faster", &scaled(900)),
        record("slower", &scaled(1100)),
        record("same", &shuffled),
        record("tiny", &scaled(1015)),
        few,
    ];
    let c = compare(&before, &after);
    let changes: Vec<(&str, Change)> = c.changes.iter().map(|d| (d.label.as_str(), d.outcome)).collect();
    assert_eq!(
        changes,
        [
            ("pass depth=0 model=slower", Change::Slower),
            ("pass depth=0 model=faster", Change::Faster),
            ("pass depth=0 model=same", Change::Same),
            ("pass depth=0 model=tiny", Change::Same),
            ("pass depth=0 model=few", Change::Untestable),
        ]
    );
    assert!(c.changes[3].p.expect("a test") < 0.05, "significant, but within the margin");
    let ratio = c.changes[0].ratio.expect("eight samples");
    assert!((ratio.value - 1.1).abs() < 0.002 && ratio.lo > 1.08 && ratio.hi < 1.12, "{ratio:?}");
    let floor = c.changes[0].noise_floor.expect("eight samples");
    assert!(floor > 0.005 && floor < 0.015, "{floor}");
    assert_eq!(c.changes[0].visits, [1, 1], "repetitions are not counted as visits");
    assert_eq!(c.only_before, ["pass depth=0 model=gone"]);
    assert_eq!(c.only_after, ["pass depth=0 model=new"]);
    assert!(c.has_regression());
    assert!(!compare(&before, &before).has_regression(), "a journal does not differ from itself");
    let rows = c.table().rows;
    assert_eq!((rows.len(), rows[0][8].as_str(), rows[4][3].as_str()), (5, "slower", "–"));
    assert_eq!(rows[0][5], "1, 1");
}

#[test]
fn many_points_need_more_evidence() {
    let noisy: [u64; 5] = [1000, 1100, 900, 1050, 950];
    let shifted: [u64; 5] = [1120, 1220, 1060, 1150, 1075];
    let alone = compare(&[record("m0", &noisy)], &[record("m0", &shifted)]);
    assert_eq!(alone.changes[0].outcome, Change::Slower, "{:?}", alone.changes[0]);
    let many = |samples: &[u64]| (1..20).map(|i| record(&format!("m{i}"), samples)).collect::<Vec<_>>();
    let before: Vec<Record> = many(&noisy).into_iter().chain([record("m0", &noisy)]).collect();
    let after: Vec<Record> = many(&noisy).into_iter().chain([record("m0", &shifted)]).collect();
    let crowd = compare(&before, &after);
    let last = crowd.changes.last().expect("twenty points");
    assert_eq!(last.outcome, Change::Same, "one of twenty is expected by chance: {last:?}");
}

/// The machine is 10 % slower in one round of the first journal and in another of the second.
#[test]
fn a_pace_that_changes_between_rounds_is_no_difference() {
    let (before, after) = (visited(&[1000, 1100, 1000], |_| 1000), visited(&[1100, 1000, 1000], |_| 1000));
    let c = compare(&before, &after);
    assert_eq!(outcomes(&c), [Change::Same; 12]);
    assert!(c.changes.iter().all(|it| it.visits == [3, 3]), "{:?}", c.changes[0]);
    let floor = c.changes[0].noise_floor.expect("three visits");
    assert!(floor > 0.1, "a change of {floor} could not be seen");
    // The two first visits alone differ by 10 %, and repetitions, 1 % apart, call it certain.
    let alone = compare(&before[..12], &after[..12]);
    assert_eq!(outcomes(&alone), [Change::Slower; 12], "why repetitions are not enough");
}

#[test]
fn a_real_change_is_found_with_three_visits() {
    let paces = [1000, 1030, 985];
    let before = visited(&paces, |_| 1000);
    let after = visited(&[1010, 990, 1025], |i| if i == 7 { 1300 } else { 1000 });
    let c = compare(&before, &after);
    let expected: Vec<Change> = (0..12).map(|i| if i == 7 { Change::Slower } else { Change::Same }).collect();
    assert_eq!(outcomes(&c), expected);
    let ratio = c.changes[7].ratio.expect("three visits each");
    assert!(ratio.lo > 1.1 && ratio.lo < 1.3 && ratio.hi > 1.3 && ratio.hi < 1.5, "{ratio:?}");
    assert_eq!(outcomes(&compare(&after, &before))[7], Change::Faster);
    assert!(c.has_regression() && !compare(&before, &visited(&paces, |_| 1000)).has_regression());
}

/// Cells of two journals share no rounds, so their visits are not paired.
#[test]
fn visits_of_two_journals_are_not_paired() {
    let (before, after) = (visited(&[1000, 1100, 1050], |_| 1000), visited(&[1050, 1000, 1100], |_| 1000));
    let PointDiff { ratio, p, .. } = compare(&before, &after).changes[0].clone();
    let seconds = |records: &[Record]| -> Vec<Vec<f64>> {
        records.iter().step_by(12).map(|r| stats::seconds(&r.samples_ns)).collect()
    };
    let variances: Vec<_> = (0..12)
        .flat_map(|i| {
            [&before[i..], &after[i..]].map(|r| stats::visit_variance(&seconds(r)).expect("three visits"))
        })
        .collect();
    let prior = stats::VariancePrior::fit(&variances);
    let expected = stats::unpaired_log_ratio(&seconds(&after), &seconds(&before), prior).expect("a test");
    assert_eq!((ratio, p), (Some(expected.interval), Some(expected.p)));
}

#[test]
fn failed_cells_are_not_compared() {
    let before = visited(&[1000, 1000, 1010], |_| 1000);
    let mut after = visited(&[1000, 1010, 1000], |_| 1000);
    let mut failed = after[3].clone();
    (failed.status, failed.samples_ns) = (Status::Failed, Vec::new());
    after.extend([failed.clone(), failed]);
    let c = compare(&before, &after);
    assert_eq!((c.changes.len(), c.only_before.as_slice()), (11, &["pass depth=0 model=m03".to_owned()][..]));
    assert!(!c.has_regression());
}

/// Merged journals hold the same points of two devices. Each device is compared with itself.
#[test]
fn devices_of_merged_journals_are_kept_apart() {
    let on = |adapter: &str, paces: &[u64]| {
        let mut records = visited(paces, |_| 1000);
        for record in &mut records {
            record.machine.adapter = adapter.to_owned();
        }
        records
    };
    let before = [on("slow", &[2000, 2010, 1990]), on("fast", &[1000, 1005, 995])].concat();
    let after = [on("fast", &[1001, 1004, 996]), on("slow", &[1500, 1510, 1490])].concat();
    let diff = compare(&before, &after);
    assert_eq!((diff.changes.len(), diff.only_before.len(), diff.only_after.len()), (24, 0, 0));
    for change in &diff.changes {
        let expected = if change.label.starts_with("slow (") { Change::Faster } else { Change::Same };
        assert_eq!(change.outcome, expected, "{change:?}");
    }
    let one = compare(&on("slow", &[2000, 2010, 1990]), &on("fast", &[1000, 1005, 995]));
    assert_eq!(one.changes.len(), 12, "two journals of one device each are compared");
    assert!(outcomes(&one).iter().all(|it| *it == Change::Faster), "{one:?}");
}
