//! `ridgeline bench-all`: runs the experiment matrix, and writes a journal and a report.

use super::flags::{MODELS, Weights};
use crate::globals::{FAILED, Globals, NO_DEVICE, UsageError};
use crate::runner::{Error, Program, RunSummary, Settings, Verbosity, bench_all, interrupt, report, select};
use crate::{hub, install, output, studies};
use anyhow::Context;
use ridgeline_experiment::matrix::{Cell, Matrix};
use ridgeline_experiment::published::Published;
use ridgeline_experiment::record::Record;
use ridgeline_experiment::register;
use ridgeline_measure::models;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Names and texts of the shipped matrix files, for programs outside the checkout.
const MATRIX: [(&str, &str); 4] = [
    ("gap.toml", include_str!("../../../../matrix/gap.toml")),
    ("ag.toml", include_str!("../../../../matrix/ag.toml")),
    ("rb.toml", include_str!("../../../../matrix/rb.toml")),
    ("inv.toml", include_str!("../../../../matrix/inv.toml")),
];
/// The shipped matrix file for `-m`.
const OF_MODEL: [(&str, &str); 1] = [("model.toml", include_str!("../../../../matrix/model.toml"))];

/// Exit code after Ctrl-C: 128 and the number of the signal, as shells have it.
const INTERRUPTED: u8 = 130;

/// Default time of a run. `--quick` has no limit, because it makes one brief round.
const MAX_TIME: Duration = Duration::from_secs(30 * 60);

/// Re-run the published studies on this machine: measure a grid of models and settings, and write a report
///
/// The matrix files list the values; each combination is a cell. Every cell is visited three times, spread over the run:
/// briefly in the first round, and a report follows; then in full. What is left of --max-time goes to undecided claims. The
/// results go to the journal (journal.jsonl), so an interrupted run resumes where it stopped.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(short, long, help = format!("{MODELS} [default: the models in the matrix file]"), value_delimiter = ',')]
    model: Vec<String>,
    /// Weights of the published shapes of -m, such as smollm2-135m
    #[arg(long, value_enum, default_value_t, requires = "model")]
    weights: Weights,
    /// Matrix file, which lists cells; repeatable [default: the shipped matrix/*.toml of the studies, or model.toml with -m]
    #[arg(long, value_name = "FILE")]
    matrix: Vec<PathBuf>,
    /// Run only the cells of this study or experiment, such as gap or GAP-4; repeatable
    #[arg(long, value_name = "STUDY", value_delimiter = ',')]
    study: Vec<String>,
    /// Run only the cells whose line in --list contains a match of this regular expression
    #[arg(long, value_name = "REGEX")]
    filter: Option<String>,
    /// Visit every cell once and briefly: minutes instead of up to half an hour on a slow device
    #[arg(long)]
    quick: bool,
    /// Start no further measurement after this time, such as 5m or 2h [default: 30m; none with --quick]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    max_time: Option<Duration>,
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

impl Args {
    /// Whether cells are only listed.
    pub(super) const fn lists(&self) -> bool {
        self.list
    }

    /// The output folder given.
    pub(super) fn out(&self) -> Option<&Path> {
        self.out.as_deref()
    }

    /// The same run into another folder.
    pub(super) fn with_out(&self, out: &Path) -> Self {
        Self { out: Some(out.to_owned()), ..self.clone() }
    }
}

pub(crate) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let catalogue = studies::catalogue();
    register::check(&catalogue.studies, &Published::load()?)?;
    let (list, settings) = (args.list, settings(args, globals)?);
    if list {
        let cells = select(&settings, &catalogue).map_err(usage)?;
        print_cells(&cells, globals.json)?;
        return Ok(ExitCode::SUCCESS);
    }
    // Where no handler can be set, Ctrl-C ends the program at once.
    let _ = ctrlc::set_handler(interrupt);
    let mut on_report = |records: &[Record], folder: &Path| {
        let written = report::make(records, &catalogue).and_then(|made| report::save(&made, folder));
        match written {
            Ok([page, _]) => output::note(&format!("report so far: {}", page.display())),
            Err(error) => output::note(&format!("warning: the report cannot be written: {error}")),
        }
    };
    let mut outcome = bench_all(&settings, &catalogue, &mut on_report);
    if matches!(outcome, Err(Error::NoDevice { .. })) {
        install::ensure_adapter(globals)?;
        outcome = bench_all(&settings, &catalogue, &mut on_report);
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
    Ok(match summary {
        RunSummary { interrupted: true, .. } => ExitCode::from(INTERRUPTED),
        RunSummary { failed: 0, aborted: false, .. } => ExitCode::SUCCESS,
        _ => ExitCode::from(FAILED),
    })
}

fn settings(mut args: Args, globals: &Globals) -> anyhow::Result<Settings> {
    let root = models::root();
    args.model = args.weights.of(&args.model, globals)?;
    // Report an unreadable model now. Otherwise its cells would fail one by one, after the ceilings are measured.
    args.model.iter().try_for_each(|name| models::checkpoint(name, None).map(drop))?;
    let matrix = matrix(&args.matrix, &args.model, &root).map_err(|e| usage(e.into()))?;
    if !args.model.is_empty() && matrix.groups.iter().all(|group| group.axes.values("model").is_empty()) {
        return Err(UsageError(
            "-m: no cells of the matrix have an axis named model; use another --matrix".to_owned(),
        )
        .into());
    }
    Ok(Settings {
        matrix,
        max_time: args.max_time.or((!args.quick).then_some(MAX_TIME)),
        quick: args.quick,
        filter: args.filter,
        shard: args.shard,
        studies: args.study,
        fresh: args.fresh,
        out: args.out,
        root,
        device: globals.device.clone(),
        seed: args.seed,
        program: Program {
            path: std::env::current_exe().context("the path of this program is unknown")?,
            arguments: vec!["run-cells".to_owned()],
        },
        argv: hub::recorded(std::env::args_os()),
        cell_limit: args.cell_limit.map(Duration::from_secs),
        verbosity: Verbosity::Normal,
    })
}

/// The matrix of `--matrix`, of the checkout, or the built-in one, with its models replaced by those of `-m`.
fn matrix(named: &[PathBuf], models: &[String], root: &Path) -> Result<Matrix, ridgeline_experiment::Error> {
    let shipped = if models.is_empty() { &MATRIX[..] } else { &OF_MODEL[..] };
    let mut matrix = Matrix::default();
    for path in named {
        matrix = matrix.with(Matrix::load(path)?);
    }
    for (file, built_in) in shipped.iter().filter(|_| named.is_empty()) {
        let path = root.join("matrix").join(file);
        matrix = matrix.with(if path.exists() {
            Matrix::load(&path)?
        } else {
            Matrix::parse(&Path::new("built-in matrix").join(file), built_in)?
        });
    }
    Ok(if models.is_empty() { matrix } else { matrix.of_models(models, of_same_kind) })
}

/// A model's name, or that of random weights in its shape where the axis has such.
fn of_same_kind(values: &[serde_json::Value], name: &str) -> String {
    let is_shape = |it: &serde_json::Value| it.as_str().is_some_and(|it| it.starts_with(models::SHAPE));
    if values.iter().any(is_shape) { models::shape_of(name) } else { name.to_owned() }
}

fn print_cells(cells: &[Cell], as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let cell = |c: &Cell| json!({ "id": c.id(), "label": c.label(), "measure": c.measure, "studies": c.studies, "point": c.point, "budget": c.budget });
        output::json(&cells.iter().map(cell).collect::<Vec<_>>())?;
    } else {
        output::text(&cells.iter().map(|c| c.label() + "\n").collect::<String>())?;
    }
    Ok(())
}

/// Prints the counts of a run and the paths of its report.
fn print_summary(summary: &RunSummary, page: &Path, text: &Path, as_json: bool) -> anyhow::Result<()> {
    let RunSummary { folder, earlier, ok, failed, skipped, unfinished, interrupted, aborted } = summary;
    let before = if *earlier > 0 { format!(", {earlier} made before") } else { String::new() };
    output::note(&format!("visits: {ok} ok, {failed} failed, {skipped} skipped{before}"));
    if *unfinished > 0 {
        let why = match (*interrupted, *aborted) {
            (true, _) => "the run was interrupted",
            (_, true) => "the device or the program is gone",
            _ => "the time was up",
        };
        output::note(&format!(
            "{unfinished} cells have fewer visits than planned: {why}; run again to continue"
        ));
    }
    if as_json {
        output::json(&json!({
            "folder": folder, "earlier": earlier, "ok": ok, "failed": failed, "skipped": skipped, "unfinished": unfinished, "interrupted": interrupted, "aborted": aborted,
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
            let built_in = matrix(&[], named, elsewhere.path()).expect("it parses");
            let checkout = matrix(&[], named, &models::root()).expect("the checkout's parses");
            // Without their places, which differ.
            let [a, b] =
                [&built_in, &checkout].map(|it| serde_json::to_value(&it.groups).expect("plain data"));
            assert!(a == b, "rebuild: the files of the checkout have changed");
            assert!(built_in.groups.iter().any(|g| g.measure == "pass"));
        }
        let error = matrix(&["no/such.toml".into()], &[], elsewhere.path()).expect_err("no such file");
        assert!(error.to_string().contains("no/such.toml"), "{error}");
    }
}
