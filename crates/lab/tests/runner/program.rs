//! This program as `bench-all` and as its worker, and helpers that start both.

use crate::list;
use ridgeline_experiment::audit::Audit;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::journal;
use ridgeline_experiment::matrix::Matrix;
use ridgeline_experiment::record::{Record, Status};
use ridgeline_lab::runner::{self, Catalogue, Error, Program, RunSummary, Settings, Verbosity};
use ridgeline_roofline::Machine;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Exit code of `bench-all` after an interrupt.
pub(crate) const INTERRUPTED: u8 = 8;

/// Exit code of `bench-all` where the journal cannot be written.
pub(crate) const CANNOT_WRITE: u8 = 9;

/// Runs `run-cells` or `bench-all OUT MATRIX`; `None` for other arguments, which run the tests.
pub(crate) fn main(arguments: &[String]) -> Option<ExitCode> {
    match arguments {
        [word] if word == "run-cells" => Some(runner::serve(&list::measures()).expect("the parent is there")),
        [word, out, matrix] if word == "bench-all" => Some(bench_all(Path::new(out), matrix)),
        _ => None,
    }
}

fn bench_all(out: &Path, matrix: &str) -> ExitCode {
    ctrlc::set_handler(runner::interrupt).expect("the first handler");
    match run(&settings(out, matrix)) {
        Ok(RunSummary { failed: 0, interrupted: false, .. }) => ExitCode::SUCCESS,
        Ok(RunSummary { failed: 0, .. }) => ExitCode::from(INTERRUPTED),
        Ok(_) => ExitCode::FAILURE,
        Err(Error::Experiment(ridgeline_experiment::Error::Io { path, source })) => {
            eprintln!("{}: {source}", path.display());
            ExitCode::from(CANNOT_WRITE)
        }
        Err(error) => panic!("it runs: {error}"),
    }
}

pub(crate) fn catalogue() -> Catalogue {
    Catalogue {
        measures: list::measures(),
        studies: list::STUDIES.to_vec(),
        ceilings: flat,
        audit: unchecked,
        answer: |_, _| Ok(None),
        anchor: None,
    }
}

/// No checks: the ceilings are unchanged.
fn unchecked(data: &Data<'_>, _: Option<&str>) -> Result<Audit, ridgeline_experiment::Error> {
    Ok(Audit { machine: data.machine().cloned(), ..Audit::default() })
}

/// A machine with the bandwidth of the last ceiling measured.
fn flat(records: &[Record]) -> Option<Machine> {
    let last = records.iter().rfind(|r| r.measure == "ceilings")?;
    Machine::flat("this computer", last.row.get("bytes_per_s")?.as_f64()?, 1e9).ok()
}

pub(crate) fn settings(out: &Path, matrix: &str) -> Settings {
    Settings {
        matrix: Matrix::parse(Path::new("test.toml"), matrix).expect("a matrix"),
        quick: false,
        max_time: None,
        filter: None,
        shard: None,
        studies: Vec::new(),
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
    runner::bench_all(settings, &catalogue(), &mut |_, _| {})
}

/// `bench-all` in a child process.
pub(crate) fn start(out: &Path, matrix: &str, variables: &[(&str, &Path)]) -> Child {
    let mut command = Command::new(executable());
    silent(command.arg("bench-all").arg(out).arg(matrix).envs(variables.iter().copied()))
}

/// As [`start`] where no file can grow beyond so many blocks of 512 or 1024 bytes.
#[cfg(unix)]
pub(crate) fn start_with_file_limit(out: &Path, matrix: &str, blocks: u32) -> Child {
    // Without the signal, a write beyond the limit is an error, as on a full disk.
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sh"]).arg(executable());
    silent(command.arg("bench-all").arg(out).arg(matrix))
}

/// Starts a program without input and output, in a process group of its own.
fn silent(command: &mut Command) -> Child {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("this program starts")
}

fn executable() -> PathBuf {
    std::env::current_exe().expect("the path of this program")
}

/// A matrix of copies of these sizes in these modes, with the same budget in every visit.
pub(crate) fn copies(bytes: &[u64], modes: &[&str], reps: u32) -> String {
    format!(
        "[[cells]]\nstudies = [\"GAP-10\"]\nmeasure = \"copying\"\naxes = {{ bytes = {bytes:?}, mode = {modes:?} }}\n{}",
        budget(reps)
    )
}

fn budget(reps: u32) -> String {
    let budget = format!("{{ warmup = 0, min_reps = {reps}, max_reps = {reps}, budget_s = 1.0 }}");
    format!("budget = {budget}\nfirst = {budget}\n")
}

/// A matrix of one ceiling, which no study wants.
pub(crate) fn ceilings() -> String {
    format!("[[cells]]\nmeasure = \"ceilings\"\naxes = {{ bytes = [1000] }}\n{}", budget(1))
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
