//! A fault in one cell fails only that cell, and the journal has the reason.

use crate::Test;
use crate::program::{catalogue, ceilings, copies, ending, records, run, settings};
use ridgeline_experiment::record::{SCHEMA, Status};
use ridgeline_lab::runner::folder::Folder;
use ridgeline_lab::runner::{self, Error, Program, RunSummary};
use std::time::Duration;

pub(crate) const TESTS: &[(&str, Test)] = &[
    ("every_fault_fails_one_cell", every_fault_fails_one_cell),
    ("a_cell_that_hangs_is_killed", a_cell_that_hangs_is_killed),
    ("a_check_that_is_demanded_has_to_be_made", a_check_that_is_demanded_has_to_be_made),
    ("the_ceilings_come_first_and_are_passed_on", the_ceilings_come_first_and_are_passed_on),
    ("a_finished_run_measures_nothing_again", a_finished_run_measures_nothing_again),
    ("another_build_is_another_measurement", another_build_is_another_measurement),
    ("two_runs_do_not_share_a_folder", two_runs_do_not_share_a_folder),
    ("fresh_puts_the_old_journal_aside", fresh_puts_the_old_journal_aside),
    ("a_program_that_cannot_answer_is_an_error", a_program_that_cannot_answer_is_an_error),
    #[cfg(unix)]
    ("a_full_disk_loses_no_visit", a_full_disk_loses_no_visit),
];

const MODES: [&str; 8] = ["crash", "exit", "panic", "error", "skip", "floor", "wrong", "well"];

fn every_fault_fails_one_cell() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = settings(folder.path(), &copies(&[1000, 2000], &MODES, 1));
    let summary = run(&settings).expect("it runs");
    let counts = |it: &RunSummary| (it.ok, it.failed, it.skipped, it.earlier, it.unfinished);
    // Three visits of the two good cells; the others are not tried again in this run.
    assert_eq!(counts(&summary), (6, 12, 2, 0, 0));
    let all = records(folder.path());
    assert_eq!(all.len(), 20, "one record per visit");
    assert!(all.iter().all(|r| r.schema == SCHEMA && r.studies == ["GAP-10"]), "{all:?}");
    for (mode, status, words) in [
        ("crash", Status::Failed, "the process that measured it ended with signal: 6"),
        ("exit", Status::Failed, "the driver has had enough"),
        ("panic", Status::Failed, "panicked: an invariant of a kernel is broken"),
        ("error", Status::Failed, "device lost"),
        ("skip", Status::Skipped, "this device cannot copy"),
        ("floor", Status::Failed, "beats its floor"),
        ("wrong", Status::Failed, "check copied failed: byte 3 is 4"),
        ("well", Status::Ok, ""),
    ] {
        let (is, reason) = ending(&all, mode);
        assert!(is == status && reason.contains(words), "{mode}: {is:?}, {reason}");
    }
    let wrong = all.iter().find(|r| r.point["mode"] == "wrong").expect("its record");
    assert!(wrong.row["bytes_per_s"].as_f64().is_some(), "a failed check keeps the row");
    let again = run(&settings).expect("it runs");
    assert_eq!(counts(&again), (0, 12, 2, 6, 0), "only what is not ok is tried");
}

fn a_cell_that_hangs_is_killed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut settings = settings(folder.path(), &copies(&[1000], &["hang", "well"], 1));
    settings.cell_limit = Some(Duration::from_secs(8));
    let summary = run(&settings).expect("it runs");
    assert_eq!((summary.ok, summary.failed), (3, 1), "the next cell is measured");
    let (status, reason) = ending(&records(folder.path()), "hang");
    assert!(status == Status::Failed && reason.contains("still at work after 8 s"), "{reason}");
}

fn a_check_that_is_demanded_has_to_be_made() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let matrix = ceilings() + "check = { kind = \"copied\" }\n";
    assert_eq!(run(&settings(folder.path(), &matrix)).expect("it runs").failed, 1);
    let reason = records(folder.path())[0].reason.clone().unwrap_or_default();
    assert!(reason.contains("demands the check copied"), "{reason}");
}

fn the_ceilings_come_first_and_are_passed_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let copies = copies(&[1000, 2000], &["well"], 1);
    let alone = settings(folder.path(), &copies);
    run(&alone).expect("it runs");
    assert!(records(folder.path()).iter().all(|r| r.row["had_ceilings"] == false), "nothing is known yet");
    let other = tempfile::tempdir().expect("a temporary folder");
    run(&settings(other.path(), &format!("{copies}\n{}", ceilings()))).expect("it runs");
    let all = records(other.path());
    let names: Vec<&str> = all.iter().map(|r| r.measure.as_str()).collect();
    assert_eq!(names, [["ceilings", "copying", "copying"]; 3].concat(), "first in every round");
    let copied = all.iter().filter(|r| r.measure == "copying");
    assert!(copied.clone().all(|r| r.row["had_ceilings"] == true), "{all:?}");
}

fn a_finished_run_measures_nothing_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = settings(folder.path(), &copies(&[1000, 2000, 3000], &["well"], 2));
    assert_eq!(run(&settings).expect("it runs").ok, 9);
    let before = std::fs::read(folder.path().join("journal.jsonl")).expect("a journal");
    let summary = run(&settings).expect("it runs");
    assert_eq!((summary.ok, summary.earlier), (0, 9));
    assert_eq!(std::fs::read(folder.path().join("journal.jsonl")).expect("a journal"), before);
    let record = &records(folder.path())[0];
    assert_eq!((record.samples_ns.len(), record.seed, record.argv[1].as_str()), (2, 7, "bench-all"));
    assert_eq!((record.machine.adapter.as_str(), record.build.rustc.is_empty()), ("CPU twins", false));
    assert!(record.duration_s > 0.0 && record.started_utc.ends_with('Z'), "{record:?}");
}

fn another_build_is_another_measurement() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = settings(folder.path(), &copies(&[1000, 2000], &["well"], 1));
    run(&settings).expect("it runs");
    let mut old = records(folder.path());
    old[0].build.git_rev = Some("an older revision".to_owned());
    ridgeline_experiment::journal::write(&folder.path().join("journal.jsonl"), &old).expect("written");
    let summary = run(&settings).expect("it runs");
    assert_eq!((summary.ok, summary.earlier), (1, 5), "one visit is missing");
    assert_eq!(records(folder.path()).len(), 7, "the old record stays");
}

fn two_runs_do_not_share_a_folder() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let held = Folder::open(folder.path()).expect("it is free");
    let settings = settings(folder.path(), &copies(&[1000], &["well"], 1));
    let error = run(&settings).expect_err("it is taken");
    assert!(error.to_string().contains("is being written by another run"), "{error}");
    drop(held);
    assert_eq!(run(&settings).expect("it is free again").ok, 3);
}

fn fresh_puts_the_old_journal_aside() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut settings = settings(folder.path(), &copies(&[1000], &["well"], 1));
    run(&settings).expect("it runs");
    let old = std::fs::read(folder.path().join("journal.jsonl")).expect("a journal");
    settings.fresh = true;
    let summary = run(&settings).expect("it runs");
    assert_eq!((summary.ok, summary.earlier), (3, 0));
    let files = std::fs::read_dir(folder.path()).expect("a folder").map(|f| f.expect("a file").path());
    let aside: Vec<_> = files.filter(|f| f.to_string_lossy().contains("journal-until-")).collect();
    assert_eq!(aside.len(), 1);
    assert_eq!(std::fs::read(&aside[0]).expect("the old journal"), old, "nothing of it is lost");
}

fn a_program_that_cannot_answer_is_an_error() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut settings = settings(folder.path(), &copies(&[1000], &["well"], 1));
    settings.device = Some("no adapter is called so".to_owned());
    let error = runner::bench_all(&settings, &catalogue(), &mut |_, _| {}).expect_err("no such device");
    assert!(matches!(error, Error::NoDevice { .. }), "{error:?}");
    settings.program = Program { path: "no/such/program".into(), arguments: Vec::new() };
    let error = runner::bench_all(&settings, &catalogue(), &mut |_, _| {}).expect_err("no such program");
    assert!(error.to_string().starts_with("no/such/program cannot be started"), "{error}");
    assert!(!folder.path().join("journal.jsonl").exists(), "nothing was begun");
}

/// A limit on the size of files takes the place of a full disk.
#[cfg(unix)]
fn a_full_disk_loses_no_visit() {
    use crate::program::{CANNOT_WRITE, start, start_with_file_limit};
    let folder = tempfile::tempdir().expect("a temporary folder");
    let matrix = copies(&[1000, 2000, 3000, 4000], &["well"], 1);
    let status = start_with_file_limit(folder.path(), &matrix, 8).wait().expect("it ends");
    assert_eq!(status.code(), Some(i32::from(CANNOT_WRITE)), "the journal is named: {status}");
    let whole = records(folder.path());
    assert!(!whole.is_empty() && whole.len() < 12, "{} visits fit the limit", whole.len());
    let bytes = std::fs::read(folder.path().join("journal.jsonl")).expect("a journal");
    assert!(!bytes.ends_with(b"\n"), "the last line is torn, which the next run removes");
    assert!(start(folder.path(), &matrix, &[]).wait().expect("it ends").success());
    let all = records(folder.path());
    assert_eq!((all.len(), &all[..whole.len()]), (12, &whole[..]), "nothing is lost, and nothing repeated");
}
