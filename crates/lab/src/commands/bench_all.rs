//! `ridgeline bench-all`: runs the experiment matrix, and writes a journal and a report.

use super::flags::MODELS;
use crate::globals::{FAILED, Globals, NO_DEVICE, UsageError};
use crate::runner::{Verbosity, Error, Program, Settings, RunSummary, bench_all, report, select};
use crate::{experiments, install, output};
use ridgeline_measure::models;
use anyhow::Context;
use ridgeline_experiment::matrix::{Cell, Matrix, Pace};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// The built-in matrix, for programs outside the checkout.
const MATRIX: &str = include_str!("../../../../matrix/default.toml");
/// The built-in matrix for `-m`.
const OF_MODEL: &str = include_str!("../../../../matrix/model.toml");

/// Measure a grid of models, lengths and settings, and write a report in HTML and Markdown
///
/// The matrix file lists the values; each combination is a cell. The results go to the journal (journal.jsonl), so an
/// interrupted run resumes where it stopped. A cell is measured once per device and build of ridgeline.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(short, long, help = format!("{MODELS} [default: the models in the matrix file]"), value_delimiter = ',')]
    model: Vec<String>,
    /// Matrix file, which lists the cells [default: the shipped matrix/default.toml, or matrix/model.toml with -m]
    #[arg(long, value_name = "FILE")]
    matrix: Option<PathBuf>,
    /// Run only the cells whose line in --list contains a match of this regular expression
    #[arg(long, value_name = "REGEX")]
    filter: Option<String>,
    /// Run fewer cells and repetitions: minutes instead of up to half an hour on a slow device
    #[arg(long)]
    quick: bool,
    /// Resume an earlier run: the default, for scripts that say so
    #[arg(long, conflicts_with = "fresh")]
    resume: bool,
    /// Rename an earlier journal to journal-until-<TIME>.jsonl, and measure all cells again
    #[arg(long)]
    fresh: bool,
    /// Run only part I of N, with I from 1. Give each part its own --out, and join the folders with `merge`
    #[arg(long, value_name = "I/N")]
    shard: Option<String>,
    /// Output folder for the journal and the report [default: results/<device>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print the cells without running them
    #[arg(long)]
    list: bool,
    /// Seed of all random numbers, such as those of prompts
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Stop a cell after this many seconds [default: 300, plus 30 times the cell's `budget_s` in the matrix file]
    #[arg(long, value_name = "SECONDS")]
    cell_limit: Option<u64>,
}

pub(crate) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let catalogue = experiments::catalogue();
    let (list, settings) = (args.list, settings(args, globals)?);
    if list {
        let cells = select(&settings, &catalogue).map_err(usage)?;
        print_cells(&cells, globals.json)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut outcome = bench_all(&settings, &catalogue);
    if matches!(outcome, Err(Error::NoDevice { .. })) {
        install::ensure_adapter(globals)?;
        outcome = bench_all(&settings, &catalogue);
    }
    let summary = match outcome {
        Ok(summary) => summary,
        Err(Error::NoDevice { reason }) => {
            output::note(&format!("error: {reason}"));
            return Ok(ExitCode::from(NO_DEVICE));
        }
        Err(error) => return Err(usage(error)),
    };
    let [page, text] = report::write(&summary.folder, &catalogue).context("the report cannot be written")?;
    print_summary(&summary, &page, &text, globals.json)?;
    Ok(if summary.failed > 0 { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}

fn settings(args: Args, globals: &Globals) -> anyhow::Result<Settings> {
    let root = models::root();
    // Report an unreadable model now. Otherwise its cells would fail one by one, after the ceilings are measured.
    args.model.iter().try_for_each(|name| models::checkpoint(name, None).map(drop))?;
    let matrix = matrix(args.matrix.as_deref(), &args.model, &root).map_err(|e| usage(e.into()))?;
    if !args.model.is_empty() && matrix.groups.iter().all(|group| group.axes.values("model").is_empty()) {
        return Err(UsageError("-m: no experiment of the matrix has an axis named model; use another --matrix".to_owned()).into());
    }
    Ok(Settings {
        matrix,
        pace: if args.quick { Pace::Quick } else { Pace::Full },
        filter: args.filter,
        shard: args.shard,
        fresh: args.fresh,
        out: args.out,
        root,
        device: globals.device.clone(),
        seed: args.seed,
        program: Program {
            path: std::env::current_exe().context("the path of this program is unknown")?,
            arguments: vec!["run-cells".to_owned()],
        },
        argv: std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect(),
        cell_limit: args.cell_limit.map(Duration::from_secs),
        verbosity: Verbosity::Normal,
    })
}

/// The matrix of `--matrix`, of the checkout, or the built-in one, with its models replaced by those of `-m`.
fn matrix(named: Option<&Path>, models: &[String], root: &Path) -> Result<Matrix, ridgeline_experiment::Error> {
    let (file, built_in) = if models.is_empty() { ("default.toml", MATRIX) } else { ("model.toml", OF_MODEL) };
    let default = root.join("matrix").join(file);
    let matrix = match named {
        Some(path) => Matrix::load(path),
        None if default.exists() => Matrix::load(&default),
        None => Matrix::parse(Path::new("the built-in matrix"), built_in),
    }?;
    Ok(if models.is_empty() { matrix } else { matrix.of_models(models) })
}

fn print_cells(cells: &[Cell], as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let cell = |c: &Cell| json!({ "id": c.id(), "label": c.label(), "experiment": c.experiment, "point": c.point, "budget": c.budget });
        output::json(&cells.iter().map(cell).collect::<Vec<_>>())?;
    } else {
        output::text(&cells.iter().map(|c| c.label() + "\n").collect::<String>())?;
    }
    Ok(())
}

/// Prints the counts of a run and the paths of its report.
fn print_summary(summary: &RunSummary, page: &Path, text: &Path, as_json: bool) -> anyhow::Result<()> {
    let RunSummary { folder, earlier, ok, failed, skipped } = summary;
    let before = if *earlier > 0 { format!(", {earlier} measured before") } else { String::new() };
    output::note(&format!("{ok} ok, {failed} failed, {skipped} skipped{before}"));
    if as_json {
        output::json(&json!({
            "folder": folder, "earlier": earlier, "ok": ok, "failed": failed, "skipped": skipped,
            "html": page, "markdown": text,
        }))?;
    } else {
        output::text(&format!("{}\n{}\n", page.display(), text.display()))?;
    }
    Ok(())
}

/// The runner's error, as [`UsageError`] if the command line caused it.
pub(super) fn usage(error: Error) -> anyhow::Error {
    if error.is_usage() { UsageError(error.to_string()).into() } else { error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_matrix_is_that_of_the_checkout() {
        let elsewhere = tempfile::tempdir().expect("a temporary folder");
        for named in [&[][..], &["a.gguf".to_owned()]] {
            let built_in = matrix(None, named, elsewhere.path()).expect("it parses");
            assert_eq!(built_in, matrix(None, named, &models::root()).expect("the checkout's parses"));
            assert!(built_in.groups.iter().any(|g| g.name == "bench"));
        }
        let error = matrix(Some(Path::new("no/such.toml")), &[], elsewhere.path()).expect_err("no such file");
        assert!(error.to_string().contains("no/such.toml"), "{error}");
    }
}
