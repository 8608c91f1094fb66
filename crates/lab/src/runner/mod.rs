//! Runs a matrix: plans its cells, measures them in child processes, and journals each as it ends.
//!
//! This process never opens a device. A crash, a lost device or a kill loses only the cell in progress. The next run
//! continues with that cell.

mod child;
mod error;
pub mod folder;
mod groups;
pub mod plan;
mod progress;
mod protocol;
pub mod report;
mod worker;

pub use child::serve;
pub use error::Error;
pub use worker::Program;

/// Experiments whose samples are wall times of blocks.
///
/// Every run calibrates the block length anew, so that the times of two runs are not comparable.
pub const TIMED_IN_BLOCKS: [&str; 2] = [plan::CEILINGS, "kernels"];

use crate::{output, provenance};
use folder::Folder;
use progress::Progress;
use protocol::{Identity, Job, Reply};
use ridgeline_experiment::experiment::DynExperiment;
use ridgeline_experiment::journal::last_ok;
use ridgeline_experiment::matrix::{Cell, Matrix, Pace};
use ridgeline_experiment::record::{Record, Status};
use ridgeline_measure::{MeasureContext, models};
use ridgeline_roofline::Machine;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;
use worker::{ChildExit, Worker};

/// Time limit of a child to open its device.
const OPEN_TIMEOUT: Duration = Duration::from_secs(300);

/// The experiments, and the function that reads the device's ceilings from records.
pub struct Catalogue {
    /// Every experiment.
    pub studies: Vec<Box<dyn DynExperiment<MeasureContext>>>,
    /// The machine model from records of the experiment `ceilings`; `None` where a ceiling is missing.
    pub ceilings: fn(&[&Record]) -> Option<Machine>,
}

impl std::fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.studies.iter().map(|s| s.name())).finish()
    }
}

/// Whether progress is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verbosity {
    /// On standard error.
    #[default]
    Normal,
    /// Not printed.
    Silent,
}

/// Settings of an invocation of `bench-all`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The matrix.
    pub matrix: Matrix,
    /// Full or quick.
    pub pace: Pace,
    /// Only cells whose label matches this regular expression.
    pub filter: Option<String>,
    /// Only this shard `I/N` of the cells.
    pub shard: Option<String>,
    /// Renames an earlier journal instead of continuing it.
    pub fresh: bool,
    /// Folder of the journal and the report; by default `results/<device>` under `root`.
    pub out: Option<PathBuf>,
    /// Folder that holds `results/`.
    pub root: PathBuf,
    /// The device, as in `--device`.
    pub device: Option<String>,
    /// Seed of everything random.
    pub seed: u64,
    /// The measuring program.
    pub program: Program,
    /// The command line, for the records.
    pub argv: Vec<String>,
    /// Time limit of one cell; by default 30 times its budget plus five minutes.
    pub cell_limit: Option<Duration>,
    /// Whether progress is printed.
    pub verbosity: Verbosity,
}

impl Settings {
    /// Prints a line on standard error, unless silent.
    fn note(&self, line: &str) {
        if self.verbosity == Verbosity::Normal {
            output::note(line);
        }
    }
}

/// Result of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSummary {
    /// Folder of the journal.
    pub folder: PathBuf,
    /// Cells that earlier runs measured.
    pub earlier: usize,
    /// Cells that this run measured.
    pub ok: usize,
    /// Cells that failed in this run; the journal has the reasons.
    pub failed: usize,
    /// Cells that cannot run on this device.
    pub skipped: usize,
}

/// Runs every selected cell that this machine and build have not measured yet.
///
/// # Errors
/// Where the run cannot start: a bad selection, no device, a folder that is in use or damaged. A failed cell is not an
/// error.
pub fn bench_all(settings: &Settings, catalogue: &Catalogue) -> Result<RunSummary, Error> {
    let cells = select(settings, catalogue)?;
    let mut job = Job {
        device: settings.device.clone(),
        seed: settings.seed,
        run_id: provenance::run_id(),
        argv: settings.argv.clone(),
        ceilings: None,
        cells: Vec::new(),
    };
    let identity = handshake(&settings.program, &job)?;
    let default = || settings.root.join("results").join(provenance::slug(&identity.machine.adapter));
    let path = settings.out.clone().unwrap_or_else(default);
    let mut folder = Folder::open(&path)?;
    if settings.fresh
        && let Some(aside) = folder.put_aside()?
    {
        settings.note(&format!("the earlier journal is now {}", aside.display()));
    }
    let mut run = Run::new(settings, catalogue, &mut folder, identity)?;
    let todo = run.todo(&cells);
    let mut summary =
        RunSummary { folder: path, earlier: cells.len() - todo.len(), ok: 0, failed: 0, skipped: 0 };
    run.progress = Some(run.start(&cells, &todo, summary.earlier));
    for group in plan::groups(todo) {
        job.ceilings = run.ceilings();
        run.warn_missing_ceilings(&group, job.ceilings.is_some());
        for status in run.group(&job, group)? {
            match status {
                Status::Ok => summary.ok += 1,
                Status::Failed => summary.failed += 1,
                Status::Skipped => summary.skipped += 1,
            }
        }
    }
    Ok(summary)
}

/// The selected cells.
///
/// # Errors
/// As [`plan::plan`], and [`Error::NothingSelected`].
pub fn select(settings: &Settings, catalogue: &Catalogue) -> Result<Vec<Cell>, Error> {
    let (filter, shard) = (settings.filter.as_deref(), settings.shard.as_deref());
    let cells = plan::plan(&settings.matrix, settings.pace, &catalogue.studies, filter, shard)?;
    if cells.is_empty() {
        return Err(Error::NothingSelected {
            filter: settings.filter.clone(),
            shard: settings.shard.clone(),
        });
    }
    Ok(cells)
}

/// Starts a child without cells, and returns its device and build.
fn handshake(program: &Program, job: &Job) -> Result<Identity, Error> {
    let start = |source| Error::Start { path: program.path.clone(), source };
    let mut worker = Worker::start(program, job).map_err(start)?;
    match worker.next(OPEN_TIMEOUT) {
        Ok(Reply::Identity(identity)) => Ok(*identity),
        Ok(Reply::NoDevice(reason)) => Err(Error::NoDevice { reason }),
        Ok(Reply::Started | Reply::Done(_)) | Err(ChildExit::Ended) => {
            Err(Error::NoAnswer { reason: "the measuring process ended without a reply".to_owned() })
        }
        Err(ChildExit::Crashed(reason)) => Err(Error::NoAnswer { reason }),
        Err(ChildExit::TimedOut(limit)) => Err(Error::NoAnswer {
            reason: format!("the measuring process did not reply within {} s", limit.as_secs()),
        }),
    }
}

/// Current hashes of model files, by name of the model.
#[derive(Default)]
struct Files(HashMap<String, Option<String>>);

impl Files {
    /// Whether the model file of a record is unchanged.
    ///
    /// Only cells with the format `stored` name files of the user, which can change.
    fn unchanged_since(&mut self, record: &Record) -> bool {
        let (Some(model), Some(id)) = (record.point["model"].as_str(), &record.model) else { return true };
        if record.point["format"] != models::STORED {
            return true;
        }
        let hash = || models::open(model, None).ok().and_then(|it| it.id.hash);
        *self.0.entry(model.to_owned()).or_insert_with(hash) == id.hash
    }
}

/// One invocation in progress.
struct Run<'a> {
    settings: &'a Settings,
    catalogue: &'a Catalogue,
    folder: &'a mut Folder,
    identity: Identity,
    progress: Option<Progress>,
    warned: bool,
}

impl<'a> Run<'a> {
    fn new(
        settings: &'a Settings,
        catalogue: &'a Catalogue,
        folder: &'a mut Folder,
        identity: Identity,
    ) -> Result<Self, Error> {
        folder.start_journal()?;
        Ok(Self { settings, catalogue, folder, identity, progress: None, warned: false })
    }

    /// Whether a record is of this machine and build.
    fn is_own(&self, record: &Record) -> bool {
        record.machine == self.identity.machine && record.build == self.identity.build
    }

    /// The cells left to measure: without an ok newest record of this machine, build and model file.
    fn todo(&self, cells: &[Cell]) -> Vec<Cell> {
        let key = |id: &str, r: Option<&Record>| {
            let (machine, build) =
                r.map_or((&self.identity.machine, &self.identity.build), |r| (&r.machine, &r.build));
            provenance::measurement_key(id, machine, build)
        };
        let records = self.folder.records().iter();
        let last: HashMap<String, &Record> = records.map(|r| (key(&r.cell_id, Some(r)), r)).collect();
        let mut files = Files::default();
        let mut done = |cell: &Cell| {
            let record = last.get(&key(&cell.id(), None));
            record.is_some_and(|record| record.status == Status::Ok && files.unchanged_since(record))
        };
        cells.iter().filter(|cell| !done(cell)).cloned().collect()
    }

    /// Prints the device and the number of cells, and starts the progress.
    fn start(&self, cells: &[Cell], todo: &[Cell], earlier: usize) -> Progress {
        let MachineName { adapter, backend, driver } = MachineName::of(&self.identity);
        self.settings.note(&format!("{adapter} ({backend}, {driver}) → {}", self.folder.path().display()));
        if earlier > 0 {
            self.settings.note(&format!("{earlier} of {} cells are already measured", cells.len()));
        }
        let ids: HashMap<String, f64> = cells.iter().map(|c| (c.id(), c.budget.budget_s)).collect();
        let ok = || self.folder.records().iter().filter(|r| r.status == Status::Ok);
        let foreign = ok().filter(|r| !self.is_own(r) && ids.contains_key(&r.cell_id)).count();
        if foreign > 0 {
            self.settings.note(&format!(
                "{foreign} records of these cells are of another device or build and do not count"
            ));
        }
        let past = ok().filter(|r| r.machine == self.identity.machine);
        let past = past.filter_map(|r| Some((r, *ids.get(&r.cell_id)?)));
        Progress::new(todo, past, self.settings.verbosity)
    }

    /// The ceilings of this machine, measured by any build; newer records win.
    fn ceilings(&self) -> Option<Machine> {
        let mut newest: Vec<&Record> = Vec::new();
        let mut ok = last_ok(self.folder.records());
        ok.sort_by(|a, b| a.started_utc.cmp(&b.started_utc));
        for record in ok {
            if record.experiment == plan::CEILINGS && record.machine == self.identity.machine {
                newest.retain(|r| r.point != record.point);
                newest.push(record);
            }
        }
        (self.catalogue.ceilings)(&newest)
    }

    /// Warns once that results cannot be compared with ceilings.
    fn warn_missing_ceilings(&mut self, group: &[Cell], known: bool) {
        let ceilings = group.first().is_none_or(|cell| cell.experiment == plan::CEILINGS);
        if !known && !ceilings && !self.warned {
            self.warned = true;
            let text = "the ceilings of this device are not measured: times are not checked against a lower bound, and \
                        % of roof stays empty; run the cells of the experiment `ceilings`, too";
            if let Some(progress) = &self.progress {
                progress.print_line(text);
            }
        }
    }
}

/// The names of the device for the user.
struct MachineName<'a> {
    adapter: &'a str,
    backend: &'a str,
    driver: &'a str,
}

impl<'a> MachineName<'a> {
    fn of(identity: &'a Identity) -> Self {
        let m = &identity.machine;
        Self { adapter: &m.adapter, backend: &m.backend, driver: &m.driver }
    }
}
