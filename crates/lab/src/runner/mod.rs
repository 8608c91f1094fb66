//! Runs a matrix: plans its cells, visits them in rounds in child processes, and journals each visit as it ends.
//!
//! This process never opens a device. A crash, a lost device or a kill loses only the visit in progress. The next run
//! continues with that visit.

mod child;
mod error;
pub mod folder;
mod groups;
pub mod plan;
mod progress;
mod protocol;
pub mod report;
mod rounds;
mod worker;

pub use child::serve;
pub(crate) use child::visit;
pub use error::Error;
pub use rounds::{interrupt, interrupted};
pub use worker::Program;

use crate::{output, provenance};
use folder::Folder;
use progress::Progress;
use protocol::Reply;
pub(crate) use protocol::{Identity, Job};
use ridgeline_experiment::audit::Audit;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::journal::{last_ok, visits};
use ridgeline_experiment::matrix::{Cell, Matrix};
use ridgeline_experiment::measure::DynMeasure;
use ridgeline_experiment::record::{Record, Status};
use ridgeline_experiment::report::Section;
use ridgeline_experiment::study::Study;
use ridgeline_measure::{MeasureContext, models};
use ridgeline_roofline::Machine;
use rounds::Clock;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;
use worker::{ChildExit, Worker};

/// Time limit of a child to open its device.
const OPEN_TIMEOUT: Duration = Duration::from_secs(300);

/// The measures and studies, and what the runner has to know of them.
pub struct Catalogue {
    /// Every measure.
    pub measures: Vec<Box<dyn DynMeasure<MeasureContext>>>,
    /// Every study.
    pub studies: Vec<&'static Study>,
    /// The machine model from all records of one device; `None` where a ceiling is missing.
    pub ceilings: fn(&[Record]) -> Option<Machine>,
    /// The checks of a run against itself, from all records of one device and the id of the anchor.
    pub audit: fn(&Data<'_>, Option<&str>) -> Result<Audit, ridgeline_experiment::Error>,
    /// The first section of the report, from the same records.
    pub answer: fn(&Data<'_>, &Audit) -> Result<Option<Section>, ridgeline_experiment::Error>,
    /// A cheap cell that is measured again every 20 seconds, to watch the pace of the machine.
    pub anchor: Option<Cell>,
}

impl std::fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.measures.iter().map(|m| m.name())).finish()
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
    /// Visit every cell once and briefly.
    pub quick: bool,
    /// Time after which no further visit starts.
    pub max_time: Option<Duration>,
    /// Only cells whose label matches this regular expression.
    pub filter: Option<String>,
    /// Only this shard `I/N` of the cells.
    pub shard: Option<String>,
    /// Only cells of these experiments or studies; all where empty.
    pub studies: Vec<String>,
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
    /// Visits that earlier runs made.
    pub earlier: usize,
    /// Visits that this run made.
    pub ok: usize,
    /// Visits that failed in this run; the journal has the reasons.
    pub failed: usize,
    /// Cells that cannot run on this device.
    pub skipped: usize,
    /// Cells with fewer visits than wanted, because the time was up or the run was interrupted.
    pub unfinished: usize,
    /// Whether the run was interrupted by the user.
    pub interrupted: bool,
    /// Whether the run ended because the device or the program is gone.
    pub aborted: bool,
}

/// What is called with the records so far and the folder, to write a report.
pub type OnReport<'a> = &'a mut dyn FnMut(&[Record], &std::path::Path);

/// Visits every selected cell as often as this machine and build have not yet.
///
/// Round 1 visits every cell briefly, rounds 2 and 3 with their full budgets. What is left of the time goes to the cells
/// behind undecided claims. `on_report` is called after each round and every two minutes.
///
/// # Errors
/// Where the run cannot start: a bad selection, no device, a folder that is in use or damaged. A failed cell is not an
/// error.
pub fn bench_all(
    settings: &Settings,
    catalogue: &Catalogue,
    on_report: OnReport<'_>,
) -> Result<RunSummary, Error> {
    let cells = select(settings, catalogue)?;
    let mut job = Job {
        device: settings.device.clone(),
        seed: settings.seed,
        run_id: provenance::run_id(),
        argv: settings.argv.clone(),
        ceilings: None,
        longest_s: settings.max_time.map(|max| max.as_secs_f64() / 10.0),
        anchor: catalogue.anchor.clone(),
        anchor_due_s: 0.0,
        cells: Vec::new(),
    };
    let clock = Clock::start(settings.max_time);
    let identity = handshake(&settings.program, &job)?;
    let default = || settings.root.join("results").join(provenance::slug(&identity.machine.adapter));
    let path = settings.out.clone().unwrap_or_else(default);
    let mut folder = Folder::open(&path)?;
    if settings.fresh
        && let Some(aside) = folder.put_aside()?
    {
        settings.note(&format!("the earlier journal is now {}", aside.display()));
    }
    let mut run = Run::new(settings, catalogue, &mut folder, (identity, clock), on_report)?;
    let mut summary = run.start(&cells);
    let mut last = None;
    while let Some(round) = run.next_round(&cells, last)? {
        run.announce(&round);
        for group in plan::groups(round.cells) {
            job.ceilings = run.ceilings();
            run.warn_missing_ceilings(&group, job.ceilings.is_some());
            for status in run.group(&mut job, group)? {
                match status {
                    Status::Ok => summary.ok += 1,
                    Status::Failed => summary.failed += 1,
                    Status::Skipped => summary.skipped += 1,
                }
            }
        }
        run.report();
        last = Some(round.kind);
    }
    run.progress = None;
    summary.unfinished = run.unfinished(&cells);
    summary.interrupted = rounds::interrupted();
    summary.aborted = run.clock.is_aborted();
    Ok(summary)
}

/// The selected cells.
///
/// # Errors
/// As [`plan::plan`], and [`Error::NothingSelected`].
pub fn select(settings: &Settings, catalogue: &Catalogue) -> Result<Vec<Cell>, Error> {
    let (filter, shard) = (settings.filter.as_deref(), settings.shard.as_deref());
    let wanted = plan::Wanted { filter, shard, studies: &settings.studies };
    let cells = plan::plan(&settings.matrix, &catalogue.measures, &catalogue.studies, wanted)?;
    if cells.is_empty() {
        return Err(Error::NothingSelected {
            filter: settings.filter.clone(),
            shard: settings.shard.clone(),
            studies: settings.studies.clone(),
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
    clock: Clock,
    on_report: OnReport<'a>,
    files: Files,
    /// Failures in a row of each cell in this invocation.
    failures: HashMap<String, u32>,
    /// Cells that are not tried again in this invocation: they cannot run, failed twice in a row or on the first visit.
    given_up: HashSet<String>,
}

impl<'a> Run<'a> {
    fn new(
        settings: &'a Settings,
        catalogue: &'a Catalogue,
        folder: &'a mut Folder,
        (identity, clock): (Identity, Clock),
        on_report: OnReport<'a>,
    ) -> Result<Self, Error> {
        folder.start_journal()?;
        let (files, failures, given_up) = (Files::default(), HashMap::new(), HashSet::new());
        Ok(Self {
            settings,
            catalogue,
            folder,
            identity,
            progress: None,
            warned: false,
            clock,
            on_report,
            files,
            failures,
            given_up,
        })
    }

    /// Writes a report of the records so far.
    fn report(&mut self) {
        (self.on_report)(self.folder.records(), self.folder.path());
    }

    /// Whether a record is of this machine and build.
    fn is_own(&self, record: &Record) -> bool {
        record.machine == self.identity.machine && record.build == self.identity.build
    }

    /// Number of visits of every cell by this machine and build, with an unchanged model file; see [`visits`].
    fn visits(&mut self) -> HashMap<String, u32> {
        let Self { folder, identity, files, .. } = self;
        let own =
            folder.records().iter().filter(|r| r.machine == identity.machine && r.build == identity.build);
        let own: Vec<&Record> = own.filter(|r| files.unchanged_since(r)).collect();
        let count = |cell: Vec<&Record>| {
            let first = cell.first()?;
            Some((first.cell_id.clone(), u32::try_from(cell.len()).unwrap_or(u32::MAX)))
        };
        visits(own).into_iter().filter_map(count).collect()
    }

    /// Prints the device, and what is already measured.
    fn start(&mut self, cells: &[Cell]) -> RunSummary {
        let MachineName { adapter, backend, driver } = MachineName::of(&self.identity);
        let folder = self.folder.path().to_owned();
        self.settings.note(&format!("{adapter} ({backend}, {driver}) → {}", folder.display()));
        let visits = self.visits();
        let known: Vec<u32> = cells.iter().filter_map(|cell| visits.get(&cell.id()).copied()).collect();
        let earlier: u32 = known.iter().sum();
        if earlier > 0 {
            let n = known.iter().filter(|&&n| n > 0).count();
            self.settings
                .note(&format!("{n} of {} cells are already measured, in {earlier} visits", cells.len()));
        }
        let ids: HashSet<String> = cells.iter().map(Cell::id).collect();
        let ok = self.folder.records().iter().filter(|r| r.status == Status::Ok);
        let foreign = ok.filter(|r| !self.is_own(r) && ids.contains(&r.cell_id)).count();
        if foreign > 0 {
            self.settings.note(&format!(
                "{foreign} records of these cells are of another device or build and do not count"
            ));
        }
        let earlier = usize::try_from(earlier).unwrap_or(usize::MAX);
        RunSummary {
            folder,
            earlier,
            ok: 0,
            failed: 0,
            skipped: 0,
            unfinished: 0,
            interrupted: false,
            aborted: false,
        }
    }

    /// The ceilings of this machine, measured by any build.
    fn ceilings(&self) -> Option<Machine> {
        let ok = last_ok(self.folder.records());
        let own = |r: &&&Record| r.measure == plan::CEILINGS && r.machine == self.identity.machine;
        let cells: HashSet<&str> = ok.iter().filter(own).map(|r| r.cell_id.as_str()).collect();
        let all =
            self.folder.records().iter().filter(|r| r.status == Status::Ok && cells.contains(&*r.cell_id));
        (self.catalogue.ceilings)(&all.cloned().collect::<Vec<_>>())
    }

    /// Warns once that results cannot be compared with ceilings.
    fn warn_missing_ceilings(&mut self, group: &[Cell], known: bool) {
        let ceilings = group.first().is_none_or(|cell| cell.measure == plan::CEILINGS);
        if !known && !ceilings && !self.warned {
            self.warned = true;
            let text = "the ceilings of this device are not measured: times are not checked against a lower bound, and \
                        % of roof stays empty; run the cells of the measure `ceilings`, too";
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
