//! Runs a matrix: plans its cells, has child processes measure them, and journals each as it ends.
//!
//! This process never opens a device. A crash or a lost device costs the cell in progress; a kill of everything costs
//! that cell too, and the next run goes on with it.

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

/// Experiments whose samples are wall times of blocks: a block's length is calibrated anew in every run, so times of
/// two runs say nothing about the device.
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

/// Longest that a child may take to open its device.
const OPEN_TIMEOUT: Duration = Duration::from_secs(300);

/// The experiments, and how the device's ceilings are read from their records.
pub struct Catalogue {
    /// Every experiment there is.
    pub studies: Vec<Box<dyn DynExperiment<MeasureContext>>>,
    /// The ceilings that records of the experiment `ceilings` make; `None` where some are missing.
    pub ceilings: fn(&[&Record]) -> Option<Machine>,
}

impl std::fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.studies.iter().map(|s| s.name())).finish()
    }
}

/// Whether anybody is told how far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verbosity {
    /// On standard error.
    #[default]
    Normal,
    /// Nowhere; the journal has it all.
    Silent,
}

/// What an invocation of `bench-all` was asked to do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The matrix.
    pub matrix: Matrix,
    /// Full or quick.
    pub pace: Pace,
    /// Only cells whose label this regular expression finds.
    pub filter: Option<String>,
    /// Only this share `I/N` of the cells.
    pub shard: Option<String>,
    /// Puts an earlier journal aside instead of going on with it.
    pub fresh: bool,
    /// Where the journal and the report go; `results/<device>` under `root` where nothing is said.
    pub out: Option<PathBuf>,
    /// Folder of the default results.
    pub root: PathBuf,
    /// As `--device`.
    pub device: Option<String>,
    /// Seed of everything random.
    pub seed: u64,
    /// What measures.
    pub program: Program,
    /// The command line, for the records.
    pub argv: Vec<String>,
    /// Longest that one cell may take; a generous multiple of its budget where nothing is said.
    pub cell_limit: Option<Duration>,
    /// Whether progress is told.
    pub verbosity: Verbosity,
}

impl Settings {
    /// A sentence on standard error, where anybody is told anything.
    fn note(&self, line: &str) {
        if self.verbosity == Verbosity::Normal {
            output::note(line);
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Where the journal is.
    pub folder: PathBuf,
    /// Cells that an earlier run had measured.
    pub earlier: usize,
    /// Cells measured now.
    pub ok: usize,
    /// Cells that failed now, with reasons in the journal.
    pub failed: usize,
    /// Cells that cannot run here.
    pub skipped: usize,
}

/// Runs every selected cell that this machine and build have not measured yet.
///
/// # Errors
/// Where nothing could be started: bad selection, no device, a folder that is in use or damaged. A cell that fails
/// is no error here.
pub fn bench_all(settings: &Settings, catalogue: &Catalogue) -> Result<Summary, Error> {
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
        Summary { folder: path, earlier: cells.len() - todo.len(), ok: 0, failed: 0, skipped: 0 };
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

/// The cells asked for.
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

/// Asks a child which device and build it would measure with.
fn handshake(program: &Program, job: &Job) -> Result<Identity, Error> {
    let start = |source| Error::Start { path: program.path.clone(), source };
    let mut worker = Worker::start(program, job).map_err(start)?;
    match worker.next(OPEN_TIMEOUT) {
        Ok(Reply::Identity(identity)) => Ok(*identity),
        Ok(Reply::NoDevice(reason)) => Err(Error::NoDevice { reason }),
        Ok(Reply::Started | Reply::Done(_)) | Err(ChildExit::Ended) => {
            Err(Error::NoAnswer { reason: "it ended without a word".to_owned() })
        }
        Err(ChildExit::Crashed(reason)) => Err(Error::NoAnswer { reason }),
        Err(ChildExit::TimedOut(limit)) => {
            Err(Error::NoAnswer { reason: format!("no answer within {} s", limit.as_secs()) })
        }
    }
}

/// What files hold now, by the name of the model.
#[derive(Default)]
struct Files(HashMap<String, Option<String>>);

impl Files {
    /// Whether a record is of what its model's file holds now. Only cells that measure weights as they are stored name files
    /// of the user's, which change under a name that stays.
    fn are_of(&mut self, record: &Record) -> bool {
        let (Some(model), Some(id)) = (record.point["model"].as_str(), &record.model) else { return true };
        if record.point["format"] != models::STORED {
            return true;
        }
        let hash = || models::open(model, None).ok().and_then(|it| it.id.hash);
        *self.0.entry(model.to_owned()).or_insert_with(hash) == id.hash
    }
}

/// One invocation at work.
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

    /// Whether a record was made by this machine and build.
    fn is_own(&self, record: &Record) -> bool {
        record.machine == self.identity.machine && record.build == self.identity.build
    }

    /// The cells of which this machine and build have no record, or a newest one that is not ok or of another file.
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
            record.is_some_and(|record| record.status == Status::Ok && files.are_of(record))
        };
        cells.iter().filter(|cell| !done(cell)).cloned().collect()
    }

    /// Says what is about to happen and starts counting.
    fn start(&self, cells: &[Cell], todo: &[Cell], earlier: usize) -> Progress {
        let MachineName { adapter, backend, driver } = MachineName::of(&self.identity);
        self.settings.note(&format!("{adapter} ({backend}, {driver}) → {}", self.folder.path().display()));
        if earlier > 0 {
            self.settings.note(&format!("{earlier} of {} cells are measured already", cells.len()));
        }
        let ids: HashMap<String, f64> = cells.iter().map(|c| (c.id(), c.budget.budget_s)).collect();
        let ok = || self.folder.records().iter().filter(|r| r.status == Status::Ok);
        let foreign = ok().filter(|r| !self.is_own(r) && ids.contains_key(&r.cell_id)).count();
        if foreign > 0 {
            self.settings.note(&format!(
                "{foreign} records of these cells are of another device or build and do not count as measured"
            ));
        }
        let past = ok().filter(|r| r.machine == self.identity.machine);
        let past = past.filter_map(|r| Some((r, *ids.get(&r.cell_id)?)));
        Progress::new(todo, past, self.settings.verbosity)
    }

    /// The ceilings measured on this machine, by whichever build, newest records last.
    fn ceilings(&self) -> Option<Machine> {
        let mut newest: Vec<&Record> = Vec::new();
        let mut standing = last_ok(self.folder.records());
        standing.sort_by(|a, b| a.started_utc.cmp(&b.started_utc));
        for record in standing {
            if record.experiment == plan::CEILINGS && record.machine == self.identity.machine {
                newest.retain(|r| r.point != record.point);
                newest.push(record);
            }
        }
        (self.catalogue.ceilings)(&newest)
    }

    /// Warns once that rows cannot be held against ceilings.
    fn warn_missing_ceilings(&mut self, group: &[Cell], there: bool) {
        let ceilings = group.first().is_none_or(|cell| cell.experiment == plan::CEILINGS);
        if !there && !ceilings && !self.warned {
            self.warned = true;
            let text = "the ceilings of this device are not measured: times are not held to a floor, and shares of \
                        the roof stay empty; run the cells `ceilings`, too";
            if let Some(progress) = &self.progress {
                progress.print_line(text);
            }
        }
    }
}

/// The names that a person knows the device by.
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
