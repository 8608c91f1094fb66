//! Comparing journals: real changes are reported, noise is not, and the detectable change is stated.

use ridgeline_experiment::compare::{Change, JournalDiff};
use ridgeline_experiment::record::{Build, MachineId, Record, SCHEMA, Status};
use serde_json::json;

fn record(model: &str, samples_us: &[u64]) -> Record {
    Record {
        schema: SCHEMA.to_owned(),
        run_id: String::new(),
        cell_id: model.to_owned(),
        experiment: "bench".to_owned(),
        point: json!({"model": model, "depth": 0}),
        status: Status::Ok,
        reason: None,
        row: json!(null),
        samples_ns: samples_us.iter().map(|us| us * 1000).collect(),
        check: None,
        machine: MachineId::default(),
        build: Build::default(),
        model: None,
        argv: vec![],
        seed: 0,
        started_utc: String::new(),
        duration_s: 0.0,
    }
}

fn compare(before: &[Record], after: &[Record]) -> JournalDiff {
    ridgeline_experiment::compare::compare(before, after, 0.02, &[])
}

const BASE: [u64; 8] = [1000, 1010, 990, 1005, 995, 1002, 998, 1007];

fn scaled(per_mille: u64) -> Vec<u64> {
    BASE.iter().map(|us| us * per_mille / 1000).collect()
}

#[test]
fn changes_are_distinguished_from_noise() {
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
            ("bench depth=0 model=slower", Change::Slower),
            ("bench depth=0 model=faster", Change::Faster),
            ("bench depth=0 model=same", Change::Same),
            ("bench depth=0 model=tiny", Change::Same),
            ("bench depth=0 model=few", Change::Untestable),
        ]
    );
    assert!(c.changes[3].welch_p.expect("a test") < 0.05, "significant, but within the margin");
    let ratio = c.changes[0].ratio.expect("eight samples");
    assert!((ratio.value - 1.1).abs() < 0.002 && ratio.lo > 1.08 && ratio.hi < 1.12, "{ratio:?}");
    let floor = c.changes[0].noise_floor.expect("eight samples");
    assert!(floor > 0.005 && floor < 0.015, "{floor}");
    assert_eq!(c.only_before, ["bench depth=0 model=gone"]);
    assert_eq!(c.only_after, ["bench depth=0 model=new"]);
    assert!(c.has_regression());
    assert!(!compare(&before, &before).has_regression(), "a journal does not differ from itself");
    let rows = c.table().rows;
    assert_eq!((rows.len(), rows[0][8].as_str(), rows[4][3].as_str()), (5, "slower", "–"));
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
