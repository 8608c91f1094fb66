//! Rounds of visits: three of every cell, the end of the time, refinement, and the anchor.

use crate::Test;
use crate::list::{FOREVER, UNTIL_FIVE};
use crate::program::{catalogue, ceilings, copies, records, run, settings};
use ridgeline_experiment::matrix::{Budget, Cell};
use ridgeline_experiment::record::Record;
use ridgeline_lab::runner::{self, Catalogue, report};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

pub(crate) const TESTS: &[(&str, Test)] = &[
    ("every_cell_is_visited_once_a_round", every_cell_is_visited_once_a_round),
    ("a_quick_run_visits_once_and_a_full_run_continues", a_quick_run_visits_once_and_a_full_run_continues),
    ("the_first_visit_has_its_own_budget", the_first_visit_has_its_own_budget),
    ("the_time_ends_the_run_and_the_next_continues", the_time_ends_the_run_and_the_next_continues),
    ("budgets_shrink_to_fit_the_time", budgets_shrink_to_fit_the_time),
    ("only_cells_behind_undecided_claims_are_refined", only_cells_behind_undecided_claims_are_refined),
    ("old_records_do_not_stop_the_refinement", old_records_do_not_stop_the_refinement),
    ("the_report_follows_every_round", the_report_follows_every_round),
    ("the_anchor_is_journaled_and_is_no_cell", the_anchor_is_journaled_and_is_no_cell),
];

/// Sizes in the order measured.
fn sizes(records: &[Record]) -> Vec<u64> {
    records.iter().filter_map(|r| r.point["bytes"].as_u64()).collect()
}

/// Visits by size of the copies.
fn visits(folder: &Path) -> BTreeMap<u64, Vec<u32>> {
    let mut visits: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    for record in records(folder).iter().filter(|r| r.measure == "copying") {
        visits.entry(record.point["bytes"].as_u64().expect("a size")).or_default().push(record.visit);
    }
    visits
}

fn every_cell_is_visited_once_a_round() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let summary = run(&settings(folder.path(), &copies(&[3, 1, 2], &["well"], 1))).expect("it runs");
    assert_eq!((summary.ok, summary.unfinished, summary.interrupted), (9, 0, false));
    let all = records(folder.path());
    assert_eq!(sizes(&all), [3, 1, 2, 3, 1, 2, 3, 1, 2], "visits of a cell are a round apart");
    assert_eq!(all.iter().map(|r| r.visit).collect::<Vec<_>>(), [0, 0, 0, 1, 1, 1, 2, 2, 2]);
    assert!(all.iter().all(|r| r.run_id == all[0].run_id));
}

fn a_quick_run_visits_once_and_a_full_run_continues() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut settings = settings(folder.path(), &copies(&[1, 2, UNTIL_FIVE], &["well"], 1));
    settings.quick = true;
    let quick = run(&settings).expect("it runs");
    assert_eq!((quick.ok, quick.earlier, quick.unfinished), (3, 0, 0), "also of an undecided claim");
    let again = run(&settings).expect("it runs");
    assert_eq!((again.ok, again.earlier), (0, 3), "one visit is enough");
    settings.quick = false;
    let full = run(&settings).expect("it runs");
    assert_eq!((full.ok, full.earlier), (8, 3), "two more visits of each, and two of the undecided");
    assert_eq!(visits(folder.path())[&1], [0, 1, 2]);
}

fn the_first_visit_has_its_own_budget() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let budget =
        |reps: u32| format!("{{ warmup = 0, min_reps = {reps}, max_reps = {reps}, budget_s = 1.0 }}");
    let cells = "[[cells]]\nmeasure = \"copying\"\naxes = { bytes = [1], mode = [\"well\"] }";
    let text = format!("{cells}\nbudget = {}\nfirst = {}\n", budget(3), budget(2));
    run(&settings(folder.path(), &text)).expect("it runs");
    let repetitions: Vec<usize> = records(folder.path()).iter().map(|r| r.samples_ns.len()).collect();
    assert_eq!(repetitions, [2, 3, 3]);
}

/// Forty cells with three visits of at least 0.2 s each take 24 s.
fn the_time_ends_the_run_and_the_next_continues() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let all_sizes: Vec<u64> = (1..=40).collect();
    let mut settings = settings(folder.path(), &copies(&all_sizes, &["well"], 50));
    settings.max_time = Some(Duration::from_secs(4));
    let clock = Instant::now();
    let summary = run(&settings).expect("it runs");
    let taken = clock.elapsed();
    // Starting the processes comes on top, which takes longer on a busy machine.
    assert!(taken < Duration::from_secs(16), "{taken:?}");
    assert!(summary.ok > 0 && summary.ok <= 20, "{summary:?}");
    assert_eq!(
        (summary.failed, summary.unfinished, summary.interrupted),
        (0, 40, false),
        "the visit in progress is no failure"
    );
    let early = records(folder.path());
    assert_eq!(early.len(), summary.ok);
    settings.max_time = None;
    settings.filter = Some("bytes=[1-3] ".to_owned());
    let rest = run(&settings).expect("it runs");
    let before = early.iter().filter(|r| r.point["bytes"].as_u64() <= Some(3)).count();
    assert_eq!((rest.earlier, rest.ok, rest.unfinished), (before, 9 - before, 0));
    let later = records(folder.path());
    assert_eq!(later[..early.len()], early, "nothing is lost");
    let visits = visits(folder.path());
    assert!((1..=3).all(|bytes| visits[&bytes] == [0, 1, 2]), "{visits:?}");
}

fn budgets_shrink_to_fit_the_time() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // A visit takes at most 30 s; four of them in three rounds have to fit into 6 s.
    let text = copies(&[1, 2, 3, 4], &["well"], 1)
        .replace("max_reps = 1, budget_s = 1.0", "max_reps = 9999, budget_s = 30.0");
    let mut settings = settings(folder.path(), &text);
    settings.quick = true;
    settings.max_time = Some(Duration::from_secs(6));
    let clock = Instant::now();
    let summary = run(&settings).expect("it runs");
    assert!(clock.elapsed() < Duration::from_secs(25), "{:?}", clock.elapsed());
    assert!(summary.failed == 0 && summary.ok >= 2, "no cell takes the time of all: {summary:?}");
}

fn only_cells_behind_undecided_claims_are_refined() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = settings(folder.path(), &copies(&[1000, UNTIL_FIVE, 2000], &["well"], 1));
    let summary = run(&settings).expect("it runs");
    assert_eq!((summary.ok, summary.unfinished), (11, 0));
    let all = visits(folder.path());
    assert_eq!(all[&UNTIL_FIVE], [0, 1, 2, 3, 4], "until the claim is decided");
    assert_eq!((&all[&1000], &all[&2000]), (&vec![0, 1, 2], &vec![0, 1, 2]));
    let again = run(&settings).expect("it runs");
    assert_eq!((again.ok, again.earlier), (0, 11));

    let folder = tempfile::tempdir().expect("a temporary folder");
    let summary =
        run(&self::settings(folder.path(), &copies(&[FOREVER, 1000], &["well"], 1))).expect("it runs");
    assert_eq!(summary.ok, 8 + 3, "a claim that stays undecided gets eight visits");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let summary =
        run(&self::settings(folder.path(), &copies(&[FOREVER], &["well", "panic"], 1))).expect("it runs");
    assert_eq!((summary.ok, summary.failed), (8, 1), "what failed is not tried again");
}

fn old_records_do_not_stop_the_refinement() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = settings(folder.path(), &copies(&[1000, UNTIL_FIVE], &["well"], 1));
    run(&settings).expect("it runs");
    let mut old = records(folder.path()).into_iter().take(1).collect::<Vec<_>>();
    (old[0].row, old[0].build.version) = (serde_json::json!({ "speed": 3 }), "older".to_owned());
    old[0].started_utc = "2000-01-01T00:00:00Z".to_owned();
    // A cell that this run does not measure again.
    old[0].point["bytes"] = 7.into();
    old[0].cell_id = "of an older form".to_owned();
    ridgeline_experiment::journal::write(&folder.path().join("journal.jsonl"), &old).expect("written");
    let summary = run(&settings).expect("rows of another build need not be readable");
    assert_eq!((summary.ok, summary.earlier), (8, 0));
}

fn the_report_follows_every_round() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut counts = Vec::new();
    let mut on_report = |records: &[Record], path: &Path| {
        assert_eq!(path, folder.path());
        counts.push(records.len());
    };
    let settings = settings(folder.path(), &copies(&[1000, UNTIL_FIVE], &["well"], 1));
    runner::bench_all(&settings, &catalogue(), &mut on_report).expect("it runs");
    assert_eq!(counts, [2, 4, 6, 7, 8], "three rounds, and two of refinement");
}

fn the_anchor_is_journaled_and_is_no_cell() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let budget = Budget { warmup: 0, min_reps: 1, max_reps: 1, budget_s: 0.1 };
    let point = serde_json::json!({ "bytes": 77, "mode": "well" });
    let (measure, studies) = ("copying".to_owned(), Vec::new());
    let anchor =
        Cell { measure, studies, point, budget, first: budget, check: None, visit: 0, visits: u32::MAX };
    let catalogue = Catalogue { anchor: Some(anchor.clone()), ..catalogue() };
    let mut settings = settings(folder.path(), &format!("{}\n{}", copies(&[1, 2], &["well"], 1), ceilings()));
    settings.quick = true;
    let run = || runner::bench_all(&settings, &catalogue, &mut |_, _| {}).expect("it runs");
    let summary = run();
    assert_eq!((summary.ok, summary.earlier, summary.unfinished), (3, 0, 0), "the anchor is not counted");
    let all = records(folder.path());
    let anchors: Vec<&Record> = all.iter().filter(|r| r.cell_id == anchor.id()).collect();
    assert_eq!((anchors.len(), all.len()), (1, 4), "once a minute, and this run is shorter");
    assert!(anchors[0].studies.is_empty() && !anchors[0].samples_ns.is_empty());
    assert_eq!(all[0].cell_id, anchor.id(), "it is due at once");
    let [_, text] = report::write(folder.path(), &catalogue).expect("a report");
    let text = std::fs::read_to_string(text).expect("Markdown");
    assert!(text.contains("Cells: 3 ok."), "{text}");
    assert!(text.contains("|     1 |") && !text.contains("|    77 |"), "no table holds it: {text}");
    assert_eq!(run().ok, 0);
    assert_eq!(records(folder.path()).len(), 4, "without a visit there is no anchor");
}
