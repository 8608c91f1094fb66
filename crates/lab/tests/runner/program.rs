//! This program as `bench-all` and as its worker, and helpers that start both.

use crate::list;
use ridgeline_experiment::experiment::DynExperiment;
use ridgeline_experiment::journal;
use ridgeline_experiment::matrix::{Matrix, Pace};
use ridgeline_experiment::record::{Record, Status};
use ridgeline_lab::runner::{self, Catalogue, Error, Program, RunSummary, Settings, Verbosity};
use ridgeline_measure::MeasureContext;
use ridgeline_roofline::Machine;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Runs `run-cells` or `bench-all OUT MATRIX`; `None` for other arguments, which run the tests.
pub(crate) fn main(arguments: &[String]) -> Option<ExitCode> {
    match arguments {
        [word] if word == "run-cells" => {
            Some(runner::serve(&list::experiments()).expect("the parent is there"))
        }
        [word, out, matrix] if word == "bench-all" => {
            let settings = settings(Path::new(out), matrix);
            let summary = runner::bench_all(&settings, &catalogue()).expect("it runs");
            Some(if summary.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        _ => None,
    }
}

pub(crate) fn studies() -> Vec<Box<dyn DynExperiment<MeasureContext>>> {
    list::experiments()
}

pub(crate) fn catalogue() -> Catalogue {
    Catalogue { studies: studies(), ceilings: flat }
}

/// A machine with the bandwidth of the last ceiling measured.
fn flat(records: &[&Record]) -> Option<Machine> {
    let rate = records.last()?.row.get("bytes_per_s")?.as_f64()?;
    Machine::flat("this computer", rate, 1e9).ok()
}

pub(crate) fn settings(out: &Path, matrix: &str) -> Settings {
    Settings {
        matrix: Matrix::parse(Path::new("test.toml"), matrix).expect("a matrix"),
        pace: Pace::Full,
        filter: None,
        shard: None,
        fresh: false,
        out: Some(out.to_owned()),
        root: PathBuf::from("unused"),
        device: Some("cpu".to_owned()),
        seed: 7,
        program: Program { path: executable(), arguments: vec!["run-cells".to_owned()] },
        argv: vec!["ridgeline".to_owned(), "bench-all".to_owned()],
        cell_limit: None,
        verbosity: Verbosity::Silent,
    }
}

pub(crate) fn run(settings: &Settings) -> Result<RunSummary, Error> {
    runner::bench_all(settings, &catalogue())
}

/// `bench-all` in a child process.
pub(crate) fn start(out: &Path, matrix: &str, variables: &[(&str, &Path)]) -> Child {
    Command::new(executable())
        .arg("bench-all")
        .arg(out)
        .arg(matrix)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("this program starts")
}

fn executable() -> PathBuf {
    std::env::current_exe().expect("the path of this program")
}

/// A matrix of copies of these sizes in these modes.
pub(crate) fn copies(bytes: &[u64], modes: &[&str], reps: u32) -> String {
    format!(
        "[[experiment]]\nname = \"copying\"\naxes = {{ bytes = {bytes:?}, mode = {modes:?} }}\n\
         budget = {{ warmup = 0, min_reps = {reps}, max_reps = {reps}, budget_s = 1.0 }}\n"
    )
}

pub(crate) fn records(out: &Path) -> Vec<Record> {
    journal::read(&out.join("journal.jsonl")).expect("a sound journal")
}

/// Status and reason of the last record of a mode.
pub(crate) fn ending(records: &[Record], mode: &str) -> (Status, String) {
    let record = records.iter().rev().find(|r| r.point["mode"] == mode).expect("a record of the mode");
    (record.status, record.reason.clone().unwrap_or_default())
}

/// Waits until a condition is true. Fails after five minutes, which is enough on a busy machine.
pub(crate) fn wait(what: &str, mut is: impl FnMut() -> bool) {
    let clock = Instant::now();
    while !is() {
        assert!(clock.elapsed() < Duration::from_secs(300), "waited five minutes for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
