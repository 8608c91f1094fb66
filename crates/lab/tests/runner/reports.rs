//! Journals: the report, the comparison of two journals, and merged shards.

use crate::Test;
use crate::program::{catalogue, ceilings, copies, records, run, settings};
use ridgeline_experiment::compare::{Change, JournalDiff};
use ridgeline_experiment::record::{Record, SCHEMA, Status};
use ridgeline_experiment::report::Block;
use ridgeline_experiment::report::markdown::markdown;
use ridgeline_lab::runner::report;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

pub(crate) const TESTS: &[(&str, Test)] = &[
    ("failures_are_listed_and_enter_no_table", failures_are_listed_and_enter_no_table),
    ("a_newer_failure_bars_an_older_success", a_newer_failure_bars_an_older_success),
    ("one_roofline_holds_every_dot", one_roofline_holds_every_dot),
    ("a_repeated_point_counts_once", a_repeated_point_counts_once),
    ("records_of_an_older_form_are_left_out", records_of_an_older_form_are_left_out),
    ("journals_of_earlier_schemas_still_open", journals_of_earlier_schemas_still_open),
    ("a_journal_of_a_newer_schema_is_refused", a_journal_of_a_newer_schema_is_refused),
    ("devices_have_sections_of_their_own", devices_have_sections_of_their_own),
    ("slower_faster_and_neither_are_told_apart", slower_faster_and_neither_are_told_apart),
    ("the_command_exits_with_4_on_a_regression", the_command_exits_with_4_on_a_regression),
    ("shards_merge_into_one_journal", shards_merge_into_one_journal),
];

fn compare(before: &[Record], after: &[Record]) -> JournalDiff {
    ridgeline_experiment::compare::compare(before, after, 0.02)
}

/// The records of a quick run over these sizes and modes.
fn measured(sizes: &[u64], modes: &[&str], more: &str) -> Vec<Record> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut settings = settings(folder.path(), &format!("{more}\n{}", copies(sizes, modes, 2)));
    settings.quick = true;
    run(&settings).expect("it runs");
    records(folder.path())
}

fn failures_are_listed_and_enter_no_table() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    run(&settings(folder.path(), &copies(&[1001, 2002], &["well", "floor", "skip", "wrong"], 1)))
        .expect("it runs");
    let all = records(folder.path());
    assert!(all.iter().all(|r| r.schema == SCHEMA && r.studies == ["GAP-10"]), "{all:?}");
    let [page, text] = report::write(folder.path(), &catalogue()).expect("a report");
    let text = std::fs::read_to_string(text).expect("Markdown");
    let (tables, failures) = text.split_once("Failed cells").expect("a list of failures");
    assert_eq!(tables.matches("|  1001 |").count(), 1, "the wrong answer's row is in no table:\n{text}");
    assert!(tables.contains("|  2002 |"), "{text}");
    assert!(failures.contains("beats its floor") && failures.contains("check copied failed"), "{text}");
    assert!(failures.contains("Skipped cells") && failures.contains("this device cannot copy"), "{text}");
    assert!(tables.contains("4 failed, 2 ok, 2 skipped"), "{text}");
    for words in ["CPU twins", "rustc ", "bench-all", "wgpu "] {
        assert!(text.contains(words), "{words} is missing from the provenance");
    }
    let page = std::fs::read_to_string(page).expect("HTML");
    assert!(page.starts_with("<!doctype html>") && page.contains("this device cannot copy"));
}

fn a_newer_failure_bars_an_older_success() {
    let mut all = measured(&[1001, 2002], &["well"], "");
    let mut failed = all[0].clone();
    (failed.status, failed.reason) = (Status::Failed, Some("the driver broke".to_owned()));
    failed.build.version = "newer".to_owned();
    all.push(failed);
    let text = |records: &[Record]| markdown(&report::make(records, &catalogue()).expect("a report"));
    let broken = text(&all);
    let (tables, failures) = broken.split_once("Failed cells").expect("a list of failures");
    assert!(!tables.contains("|  1001 |") && tables.contains("|  2002 |"), "{broken}");
    assert!(failures.contains("the driver broke") && tables.contains("1 failed, 1 ok"), "{broken}");
    all.push(all[0].clone());
    let mended = text(&all);
    assert!(mended.contains("|  1001 |") && !mended.contains("Failed cells"), "{mended}");
}

fn one_roofline_holds_every_dot() {
    let all = measured(&[1000, 2000, 3000], &["well"], &ceilings());
    let made = report::make(&all, &catalogue()).expect("a report");
    let blocks = made.sections.iter().flat_map(|s| &s.blocks);
    let figures: Vec<_> =
        blocks.filter_map(|b| if let Block::Roofline(f) = b { Some(f) } else { None }).collect();
    assert_eq!(figures.len(), 1);
    assert_eq!((figures[0].dots.len(), figures[0].bandwidths.len(), figures[0].peaks.len()), (3, 1, 1));
    let rate = all[0].row["bytes_per_s"].as_f64().expect("the measured ceiling");
    assert_eq!(figures[0].bandwidths[0].bytes_per_s.to_bits(), rate.to_bits());
}

/// The rows of the table of copies.
fn rows(records: &[Record]) -> Vec<Vec<String>> {
    let made = report::make(records, &catalogue()).expect("a report");
    let section = made.sections.into_iter().find(|s| s.id == "gap-10").expect("its section");
    let mut tables =
        section.blocks.into_iter().filter_map(|b| if let Block::Table(it) = b { Some(it) } else { None });
    let table = tables.next().expect("a table");
    table.rows
}

fn a_repeated_point_counts_once() {
    let mut all = measured(&[1000], &["well"], "");
    let mut second = all[0].clone();
    (second.visit, second.started_utc) = (1, "2100-01-01T00:00:00Z".to_owned());
    second.row["bytes_per_s"] = serde_json::json!(1.5);
    all.push(second);
    assert_eq!(rows(&all), [["1000", "1.5", "2"]], "two visits of one cell");
    all[1].build.version = "newer".to_owned();
    assert_eq!(rows(&all), [["1000", "1.5", "1"]], "the newest build's visits count");
}

fn records_of_an_older_form_are_left_out() {
    let mut all = measured(&[1000, 2000], &["well"], "");
    all[0].row = serde_json::json!({ "speed": 3 });
    assert!(report::make(&all, &catalogue()).is_err(), "this build's own records have to be readable");
    all[0].build.version = "older".to_owned();
    all[0].started_utc = "2000-01-01T00:00:00Z".to_owned();
    let made = report::make(&all, &catalogue()).expect("a report");
    let note = made.sections.iter().find(|s| s.title == "Left out").expect("a note");
    assert!(note.intro.starts_with("1 records of older builds"), "{}", note.intro);
    assert_eq!(rows(&all).len(), 1, "the others are there");
}

/// Journals with the keys of schema 1 and of schema 2.
const OLD: [&str; 2] = [include_str!("../data/journal-1.jsonl"), include_str!("../data/journal-2.jsonl")];

fn journals_of_earlier_schemas_still_open() {
    for (text, schema) in OLD.iter().zip(["ridgeline.journal/1", "ridgeline.journal/2"]) {
        assert!(text.lines().all(|line| line.contains(schema)), "{schema}");
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("journal.jsonl"), text).expect("written");
        let path = folder.path().to_str().expect("a plain path");
        assert_eq!(command(&["report", path]).0, Some(0), "{schema}");
        let report = std::fs::read_to_string(folder.path().join("report.md")).expect("a report");
        assert!(!report.contains("Left out"), "{schema}: every row is read");
        for id in ["GAP-SUM", "GAP-1", "GAP-3", "GAP-10", "AG-2", "AG-6", "RB-1"] {
            assert!(report.lines().any(|l| l.starts_with(&format!("### {id}: "))), "{schema}: {id}");
        }
        let records = records(folder.path());
        // The row of the sweep becomes one of quality and two of speed.
        assert_eq!(records.len(), text.lines().count() + 2, "{schema}");
        assert!(records.iter().all(|r| r.schema == SCHEMA));
        let quality = records.iter().find(|it| it.measure == "quality").expect("the sweep");
        assert_eq!(quality.point["format"].as_str(), Some("mix:f16"));
        assert_eq!(number(&quality.row["vs_reference"]["top1_agreement"]["value"]), 1.0);
        let limits = &quality.machine.limits;
        assert!(limits.contains_key("max_storage_buffers"), "{schema}: {limits:?}");
        let (status, text) = command(&["compare", path, path, "--fail-on-regression"]);
        assert!(status == Some(0) && text.contains("no difference"), "{schema}: {status:?} {text}");
    }
}

fn a_journal_of_a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("journal.jsonl"), OLD[1].replace("journal/2", "journal/4"))
        .expect("written");
    let error = run(&settings(folder.path(), &copies(&[1], &["well"], 1))).expect_err("a newer schema");
    let text = error.to_string();
    assert!(
        text.contains("schema ridgeline.journal/4 is not supported") && text.contains("--fresh"),
        "{text}"
    );
    assert_eq!(command(&["report", folder.path().to_str().expect("a plain path")]).0, Some(1));
}

fn number(value: &serde_json::Value) -> f64 {
    value.as_f64().expect("a number")
}

fn devices_have_sections_of_their_own() {
    let mut all = measured(&[1000, 2000], &["well"], "");
    all[1].machine.adapter = "Another device".to_owned();
    let made = report::make(&all, &catalogue()).expect("a report");
    let titles: Vec<&str> = made.sections.iter().map(|s| s.title.as_str()).collect();
    assert!(
        titles.contains(&"CPU twins: GAP-10: Copying") && titles.contains(&"Another device: GAP-10: Copying"),
        "{titles:?}"
    );
    let ids: BTreeSet<&str> = made.sections.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(ids.len(), made.sections.len(), "every anchor is one section's: {ids:?}");
    assert!(ids.contains("gap-10") && ids.contains("gap-10-device-2"), "{ids:?}");
    let page = ridgeline_experiment::report::html(&made).expect("a page");
    for id in ["gap-c10", "gap-c10-device-2"] {
        assert_eq!(page.matches(&format!("id=\"{id}\"")).count(), 1, "{id}");
        assert!(page.contains(&format!("href=\"#{id}\"")), "{id}");
    }
}

/// The same records with every sample scaled.
fn scaled(records: &[Record], factor: impl Fn(u64) -> f64) -> Vec<Record> {
    let mut records = records.to_vec();
    for record in &mut records {
        let factor = factor(record.point["bytes"].as_u64().expect("a size"));
        // Ten repetitions, 1 % apart at most, so that 5 % is a difference and 1 % is none.
        let sample = |i: u32| f64::from(1_000_000 + 1_000 * (i * 7 % 10)) * factor;
        record.samples_ns =
            (0..10).map(|i| format!("{:.0}", sample(i)).parse().expect("a whole number")).collect();
    }
    records
}

fn slower_faster_and_neither_are_told_apart() {
    let before = scaled(&measured(&[1, 2, 3, 4], &["well"], ""), |_| 1.0);
    let mut after =
        scaled(&before, |bytes| [1.0, 1.05, 0.9, 1.01][usize::try_from(bytes).expect("small") - 1]);
    let comparison = compare(&before, &after);
    let outcomes: Vec<_> = comparison.changes.iter().map(|c| c.outcome).collect();
    // The last is certain and below the margin.
    assert_eq!(outcomes, [Change::Same, Change::Slower, Change::Faster, Change::Same]);
    assert!(comparison.has_regression());
    let slower = &comparison.changes[1];
    let ratio = slower.ratio.expect("two samples");
    assert!(
        (ratio.value - 1.05).abs() < 1e-3 && ratio.lo <= ratio.value && ratio.value <= ratio.hi,
        "{ratio:?}"
    );
    let (raw, adjusted) = (slower.p.expect("tested"), slower.adjusted_p.expect("tested"));
    assert!(raw < adjusted && adjusted < 0.05, "Holm's correction makes it larger: {raw} {adjusted}");
    assert!(!compare(&before, &before).has_regression(), "nothing differs from itself");
    after[0].samples_ns.truncate(1);
    after.pop();
    let fewer = compare(&before, &after);
    assert_eq!((fewer.changes[0].outcome, fewer.only_before.len()), (Change::Untestable, 1));
    assert_eq!(fewer.only_before[0], "copying bytes=4 mode=well");
}

fn journal(folder: &Path, name: &str, records: &[Record]) -> String {
    let folder = folder.join(name);
    std::fs::create_dir(&folder).expect("a folder");
    ridgeline_experiment::journal::write(&folder.join("journal.jsonl"), records).expect("written");
    folder.to_str().expect("a plain path").to_owned()
}

/// Exit code and standard output of `ridgeline`.
fn command(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ridgeline")).args(arguments).output().expect("it starts");
    (output.status.code(), String::from_utf8(output.stdout).expect("text"))
}

fn the_command_exits_with_4_on_a_regression() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let before = scaled(&measured(&[1, 2], &["well"], ""), |_| 1.0);
    let a = journal(folder.path(), "a", &before);
    let b = journal(folder.path(), "b", &scaled(&before, |_| 1.2));
    let (status, text) = command(&["compare", &a, &b, "--fail-on-regression"]);
    assert!(status == Some(4) && text.matches("slower").count() >= 2, "{status:?} {text}");
    assert_eq!(command(&["compare", &a, &b]).0, Some(0), "only where it is asked for");
    assert_eq!(command(&["compare", &b, &a, "--fail-on-regression"]).0, Some(0), "faster is no regression");
    assert_eq!(command(&["compare", &a, &b, "--fail-on-regression", "--margin", "30"]).0, Some(0));
    let (_, json) = command(&["compare", &a, &b, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["changes"][0]["outcome"], "slower");
}

fn shards_merge_into_one_journal() {
    let sizes: Vec<u64> = (1..=12).collect();
    let text = copies(&sizes, &["well"], 1);
    let folders = [1, 2].map(|i| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut settings = settings(folder.path(), &text);
        settings.shard = Some(format!("{i}/2"));
        run(&settings).expect("it runs");
        folder
    });
    let [a, b] = folders.each_ref().map(|f| records(f.path()));
    assert!(!a.is_empty() && !b.is_empty() && a.len() + b.len() == 36, "{} and {}", a.len(), b.len());
    let out = tempfile::tempdir().expect("a temporary folder");
    let [first, second, target] =
        [folders[0].path(), folders[1].path(), out.path()].map(|p| p.to_str().expect("a plain path"));
    // The first shard is named twice: the union holds every visit once, also those of the same second.
    let merge = ["merge", first, second, first, "--out", target];
    assert_eq!(command(&merge).0, Some(0));
    assert_eq!(records(out.path()).len(), 36);
    assert!(out.path().join("report.html").exists() && out.path().join("report.md").exists());
    assert_eq!(command(&merge).0, Some(2), "a journal is never overwritten");
    let copy = out.path().join("copy.md");
    let (status, made) = command(&["report", target, "--json", "-o", copy.to_str().expect("a plain path")]);
    let made: serde_json::Value = serde_json::from_str(&made).expect("JSON");
    assert_eq!((status, made["sections"][0]["title"].as_str()), (Some(0), Some("Claims of the studies")));
    assert!(std::fs::read_to_string(copy).expect("Markdown").starts_with("# Ridgeline"));
    let (status, sections) = command(&["report", target, "--sections", "methods,claims-of-the-studies"]);
    let titles: Vec<&str> = sections.lines().filter(|it| it.starts_with("## ")).collect();
    assert_eq!((status, &titles[..]), (Some(0), &["## Methods", "## Claims of the studies"][..]));
    assert_eq!(command(&["report", target, "--sections", "no-such-anchor"]).0, Some(2));
    let summary = run(&settings(out.path(), &text)).expect("it runs");
    assert_eq!((summary.ok, summary.earlier), (0, 36), "a merged journal is as good as one made in one go");
}
