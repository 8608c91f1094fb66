//! The journal: records round-trip, a torn last line is truncated, damage is an error.

mod support;

use proptest::prelude::{ProptestConfig, any, proptest};
use ridgeline_experiment::Error;
use ridgeline_experiment::journal::{self, Journal};
use ridgeline_experiment::record::{Build, Check, ModelId, Record, SCHEMA, Status, utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;

fn record(cell: &str, status: Status, start: u64) -> Record {
    Record {
        cell_id: cell.to_owned(),
        studies: vec!["GAP-4".to_owned()],
        visit: 2,
        status,
        reason: (status != Status::Ok).then(|| "device lost".to_owned()),
        row: json!({"tokens": 64, "tokens_per_s": 12.345_678_901_234_5}),
        samples_ns: vec![1, u64::MAX, 3],
        check: Some(Check { kind: "floor".to_owned(), ok: true, detail: "1.2 × floor".to_owned() }),
        build: Build { git_rev: Some("abc".to_owned()), dirty: Some(false), ..Build::default() },
        model: Some(ModelId { name: "tiny".to_owned(), hash: None, bytes: 7 }),
        argv: vec!["ridgeline".to_owned(), "bench-all".to_owned()],
        seed: 42,
        started_utc: utc(start),
        duration_s: 0.1 + 0.2,
        ..support::record("pass", json!({"model": "tiny-target", "depth": 256, "temperature": 0.7}))
    }
}

fn scratch() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("journal.jsonl");
    (folder, path)
}

#[test]
fn what_is_appended_is_read_back() {
    let (_folder, path) = scratch();
    let mut j = Journal::open(&path).expect("a new journal");
    for (cell, status) in
        [("a", Status::Failed), ("b", Status::Ok), ("a", Status::Ok), ("c", Status::Skipped)]
    {
        j.append(record(cell, status, 5)).expect("appended");
    }
    let expected = j.records().to_vec();
    drop(j);
    assert_eq!(journal::read(&path).expect("readable"), expected);
    let again = Journal::open(&path).expect("an old journal");
    assert_eq!(again.records(), expected);
    let mut again = again;
    again.append(record("a", Status::Failed, 6)).expect("appended");
    drop(again);
}

#[test]
fn a_torn_last_line_is_cut_off_and_the_rest_kept() {
    let (_folder, path) = scratch();
    let mut j = Journal::open(&path).expect("a new journal");
    j.append(record("a", Status::Ok, 1)).expect("appended");
    j.append(record("b", Status::Ok, 2)).expect("appended");
    drop(j);
    let whole = std::fs::read(&path).expect("bytes");
    let first = whole.iter().position(|&b| b == b'\n').expect("a line") + 1;
    for cut in (first..whole.len()).step_by(7).chain([whole.len() - 1]) {
        std::fs::write(&path, &whole[..cut]).expect("written");
        let complete = cut == whole.len() - 1;
        assert_eq!(journal::read(&path).expect("readable").len(), 1 + usize::from(complete), "cut at {cut}");
        let mut j = Journal::open(&path).expect("opens");
        j.append(record("c", Status::Ok, 3)).expect("appended");
        drop(j);
        let cells: Vec<String> =
            journal::read(&path).expect("readable").into_iter().map(|r| r.cell_id).collect();
        let expected: &[&str] = if complete { &["a", "b", "c"] } else { &["a", "c"] };
        assert_eq!(cells, expected, "cut at {cut}");
    }
}

#[test]
fn a_newer_schema_is_a_typed_error() {
    let (_folder, path) = scratch();
    let mut j = Journal::open(&path).expect("a new journal");
    j.append(record("a", Status::Ok, 1)).expect("appended");
    drop(j);
    let sound = std::fs::read(&path).expect("bytes");
    let newer = json!({"schema": "ridgeline.journal/4", "keys": "unknown"});
    // Also without its newline: a line of another schema is not a torn one.
    for end in ["\n", ""] {
        std::fs::write(&path, [&sound[..], format!("{newer}{end}").as_bytes()].concat()).expect("written");
        for error in [Journal::open(&path).expect_err("newer"), journal::read(&path).expect_err("newer")] {
            let Error::JournalSchema { line, found, expected, .. } = &error else { panic!("{error}") };
            assert_eq!((*line, found.as_str(), *expected), (2, "ridgeline.journal/4", SCHEMA));
            assert!(error.to_string().contains("--fresh"), "the remedy is named: {error}");
        }
        let kept = std::fs::read(&path).expect("bytes");
        assert!(kept.starts_with(&sound) && kept.len() > sound.len() + 10, "nothing is cut off");
    }
}

#[test]
fn visits_of_one_build_are_pooled() {
    let visit = |cell: &str, start, build: &str| {
        let mut it = record(cell, Status::Ok, start);
        it.point = json!({ "model": cell });
        it.build.version = build.to_owned();
        it
    };
    let starts = |all: &[Record]| -> Vec<(String, Vec<String>)> {
        let cell = |cell: Vec<&Record>| {
            (cell[0].cell_id.clone(), cell.iter().map(|r| r.started_utc.clone()).collect())
        };
        journal::visits(all).into_iter().map(cell).collect()
    };
    let cell =
        |name: &str, starts: &[u64]| (name.to_owned(), starts.iter().map(|&s| utc(s)).collect::<Vec<_>>());
    let all = [visit("a", 3, "1"), visit("b", 2, "1"), visit("a", 1, "1"), visit("a", 5, "1")];
    assert_eq!(starts(&all), [cell("a", &[1, 3, 5]), cell("b", &[2])], "in order of time");
    // A newer build replaces only what it measured.
    let mixed = [&all[..], &[visit("a", 7, "2"), visit("a", 8, "2")]].concat();
    assert_eq!(starts(&mixed), [cell("a", &[7, 8]), cell("b", &[2])]);
    // The build of the last record counts, even where an older one measured the cell later by its clock.
    let back = [&mixed[..], &[visit("b", 9, "1")]].concat();
    assert_eq!(starts(&back), [cell("a", &[1, 3, 5]), cell("b", &[2, 9])]);
}

#[test]
fn a_cell_that_failed_twice_in_a_row_has_no_visits() {
    let of =
        |cell: &str, status, start| Record { point: json!({ "model": cell }), ..record(cell, status, start) };
    let mut all = vec![of("a", Status::Ok, 1), of("b", Status::Ok, 2), of("a", Status::Ok, 3)];
    let mut newer = of("a", Status::Failed, 4);
    newer.build.version = "newer".to_owned();
    let with_newer = [&all[..], &[newer]].concat();
    all.push(of("a", Status::Failed, 4));
    let visits = |all: &[Record]| -> Vec<(String, usize)> {
        journal::visits(all).iter().map(|cell| (cell[0].cell_id.clone(), cell.len())).collect()
    };
    assert_eq!(visits(&all), [("a".to_owned(), 2), ("b".to_owned(), 1)], "one failure is an accident");
    assert_eq!(visits(&with_newer), [("b".to_owned(), 1)], "a newer build has only failed");
    all.push(of("a", Status::Failed, 5));
    assert_eq!(visits(&all), [("b".to_owned(), 1)]);
    all.push(of("a", Status::Ok, 5));
    assert_eq!(visits(&all), [("a".to_owned(), 3), ("b".to_owned(), 1)], "a later success lifts the bar");
    all.extend([of("b", Status::Skipped, 6), of("b", Status::Skipped, 7)]);
    assert_eq!(visits(&all), [("a".to_owned(), 3)]);
    let mut other = of("a", Status::Ok, 8);
    other.model = Some(ModelId { name: "m".to_owned(), hash: Some("changed".to_owned()), bytes: 1 });
    all.push(other);
    assert_eq!(visits(&all), [("a".to_owned(), 1)], "visits of another model file do not count");
}

#[test]
fn visits_of_two_machines_stand_apart() {
    let on = |adapter: &str, status, start| {
        let mut it = record("a", status, start);
        it.machine.adapter = adapter.to_owned();
        it
    };
    let mut all = vec![on("x", Status::Ok, 1), on("y", Status::Ok, 2), on("x", Status::Ok, 3)];
    let lengths = |all: &[Record]| journal::visits(all).iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(lengths(&all), [2, 1]);
    all.extend([on("x", Status::Failed, 4), on("x", Status::Failed, 5)]);
    let visits = journal::visits(&all);
    assert_eq!(visits.len(), 1, "a failure on one machine bars nothing on another");
    assert_eq!(visits[0][0].machine.adapter, "y");
}

/// A visit takes less than the second to which starts are written.
#[test]
fn visits_of_one_second_are_merged_once_each() {
    let visits: Vec<Record> = (0..3).map(|visit| Record { visit, ..record("a", Status::Ok, 5) }).collect();
    assert_eq!(journal::merge(vec![visits.clone(), visits[1..].to_vec()]), visits);
}

#[test]
fn damage_before_the_end_and_unknown_schemas_are_refused() {
    let (_folder, path) = scratch();
    let mut j = Journal::open(&path).expect("a new journal");
    j.append(record("a", Status::Ok, 1)).expect("appended");
    let mut foreign = record("b", Status::Ok, 1);
    foreign.schema = "ridgeline.journal/0".to_owned();
    assert!(matches!(j.append(foreign.clone()), Err(Error::JournalSchema { .. })));
    drop(j);
    let sound = std::fs::read(&path).expect("bytes");
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("opens");
    file.write_all(b"{\"schema\": oops}\n").expect("written");
    file.write_all(&sound).expect("written");
    assert!(matches!(Journal::open(&path), Err(Error::JournalLine { line: 2, .. })));
    std::fs::write(&path, format!("{}\n", serde_json::to_string(&foreign).expect("json"))).expect("written");
    let error = Journal::open(&path).expect_err("another schema");
    assert!(matches!(&error, Error::JournalSchema { line: 1, .. }), "{error}");
    assert!(error.to_string().contains("--fresh"), "the remedy is named");
    assert!(matches!(journal::read(&path.with_extension("none")), Err(Error::Io { .. })));
}

#[test]
fn a_second_writer_is_refused() {
    let (_folder, path) = scratch();
    let first = Journal::open(&path).expect("a new journal");
    assert!(matches!(Journal::open(&path), Err(Error::JournalBusy { .. })));
    drop(first);
    Journal::open(&path).expect("free again");
}

#[test]
fn the_newest_record_of_a_cell_counts() {
    let mut all = vec![
        record("a", Status::Ok, 1),
        record("b", Status::Failed, 2),
        record("c", Status::Ok, 3),
        record("a", Status::Ok, 4),
        record("a", Status::Failed, 5),
        record("b", Status::Failed, 6),
    ];
    let kept = journal::last_ok(&all);
    assert_eq!(
        kept.iter().map(|r| (r.cell_id.as_str(), &r.started_utc)).collect::<Vec<_>>(),
        [("c", &utc(3))],
        "the newer failure of a bars its older success"
    );
    let failed: Vec<_> = journal::not_ok(&all).iter().map(|r| r.started_utc.clone()).collect();
    assert_eq!(failed, [utc(5), utc(6)], "the newest failure of a and of b");
    let mut elsewhere = record("a", Status::Ok, 7);
    elsewhere.machine.adapter = "another".to_owned();
    let both: Vec<Record> = all.iter().cloned().chain([elsewhere]).collect();
    assert_eq!((journal::last_ok(&both).len(), journal::not_ok(&both).len()), (2, 2), "machines stand apart");
    let mended: Vec<Record> = all.iter().cloned().chain([record("a", Status::Ok, 8)]).collect();
    assert_eq!((journal::last_ok(&mended).len(), journal::not_ok(&mended).len()), (2, 1));
    let (left, right) = (all.split_off(3), all.clone());
    let merged = journal::merge(vec![left.clone(), right, left]);
    assert_eq!(
        merged.iter().map(|r| r.started_utc.clone()).collect::<Vec<_>>(),
        (1..=6).map(utc).collect::<Vec<_>>()
    );
    let (_folder, path) = scratch();
    journal::write(&path, &merged).expect("written");
    assert_eq!(journal::read(&path).expect("readable"), merged);
    assert_eq!(
        journal::point_key(&merged[0]),
        r#"pass {"depth":256,"model":"tiny-target","temperature":0.7}"#
    );
}

#[test]
fn times_are_written_as_utc() {
    assert_eq!(utc(0), "1970-01-01T00:00:00Z");
    assert_eq!(utc(951_782_400), "2000-02-29T00:00:00Z");
    assert_eq!(utc(1_795_242_896), "2026-11-21T06:34:56Z");
    assert_eq!(utc(4_107_542_399), "2100-02-28T23:59:59Z");
    assert_eq!(utc(4_107_542_400), "2100-03-01T00:00:00Z", "2100 is no leap year");
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Row {
    rate: f64,
    maybe: Option<f64>,
    many: Vec<f64>,
    count: u64,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    /// Floats round-trip through the journal bit for bit, also with `serde_json`'s `arbitrary_precision`.
    #[test]
    fn floats_survive_the_journal(bits in any::<u64>(), count in any::<u64>(), small in any::<f32>()) {
        let rate = f64::from_bits(bits);
        let rate = if rate.is_finite() { rate } else { 1.5e300 };
        let small = if small.is_finite() { f64::from(small) } else { -0.0 };
        let row = Row { rate, maybe: Some(small), many: vec![rate, 0.1, 1e-310, 3.0], count };
        let mut r = record("a", Status::Ok, 0);
        r.row = serde_json::to_value(&row).expect("plain data");
        r.duration_s = rate.abs();
        let line = serde_json::to_string(&r).expect("plain data");
        let back: Record = serde_json::from_str(&line).expect("readable");
        assert_eq!(back.duration_s.to_bits(), rate.abs().to_bits());
        let read: Row = serde_json::from_value(back.row).expect("readable");
        assert_eq!(read, row);
        assert_eq!(read.rate.to_bits(), rate.to_bits());
    }
}
