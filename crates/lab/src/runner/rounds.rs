//! Rounds of visits: what is measured next, with which budget, and when to stop.
//!
//! ```text
//! round 1         every cell once, at its brief first budget
//! rounds 2 and 3  every cell again, at its full budget, scaled down to fit the time
//! refinement      what is left of the time: the cells behind undecided claims, up to MAX_VISITS each
//! ```
//!
//! A machine changes its pace by the minute. Repetitions a second apart do not see that, but visits a round apart do.

use super::{Error, Run, report};
use crate::runner::progress::Progress;
use ridgeline_experiment::matrix::{Cell, VISITS};
use ridgeline_experiment::record::{Record, Status};
use ridgeline_experiment::verdict::Outcome;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Most visits of a cell behind an undecided claim.
const MAX_VISITS: u32 = 8;

/// Time between two reports during a round.
const REPORT_EVERY: Duration = Duration::from_secs(120);

/// Longest time that a visit may take beyond the end of the run.
const OVERTIME: Duration = Duration::from_secs(20);

/// Least share of its budget that a visit gets when the time is short.
const LEAST_BUDGET: f64 = 0.1;

/// Set by Ctrl-C.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Ends the run and its visit in progress. A second call ends the program at once, with the exit code of Ctrl-C.
pub fn interrupt() {
    if INTERRUPTED.swap(true, Ordering::Relaxed) {
        std::process::exit(130);
    }
}

/// Whether [`interrupt`] was called.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// The time of the run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    started: Instant,
    max: Option<Duration>,
    reported: Instant,
    /// When the anchor was measured last.
    pub(super) anchored: Option<Instant>,
    /// Whether the device or the program is gone.
    aborted: bool,
}

impl Clock {
    /// Starts the run.
    pub(super) fn start(max: Option<Duration>) -> Self {
        let now = Instant::now();
        Self { started: now, max, reported: now, anchored: None, aborted: false }
    }

    /// Time left for new visits; `None` without a limit.
    pub(super) fn left(&self) -> Option<Duration> {
        self.max.map(|max| max.saturating_sub(self.started.elapsed()))
    }

    /// Whether no further visit may start.
    pub(super) fn is_over(&self) -> bool {
        self.aborted || interrupted() || self.left() == Some(Duration::ZERO)
    }

    /// Ends the run.
    pub(super) fn abort(&mut self) {
        self.aborted = true;
    }

    /// Whether the run ended early because the device or the program is gone.
    pub(super) const fn is_aborted(&self) -> bool {
        self.aborted
    }

    /// Time after which the visit in progress is given up.
    pub(super) fn last_call(&self) -> Option<Duration> {
        self.left().map(|left| left + OVERTIME)
    }

    /// Whether the report is older than [`REPORT_EVERY`]; if so, its time starts anew.
    pub(super) fn report_is_due(&mut self) -> bool {
        let due = self.reported.elapsed() >= REPORT_EVERY;
        if due {
            self.reported = Instant::now();
        }
        due
    }
}

/// Kinds of rounds, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Round 1, 2 or 3: cells with fewer visits than that.
    Visit(u32),
    /// Cells behind undecided claims.
    Refine,
}

/// Cells to visit next.
#[derive(Clone, Debug)]
pub(super) struct Round {
    pub(super) kind: Kind,
    pub(super) cells: Vec<Cell>,
}

impl Run<'_> {
    /// The next round; `None` when the run is over.
    pub(super) fn next_round(&mut self, cells: &[Cell], last: Option<Kind>) -> Result<Option<Round>, Error> {
        if self.clock.is_over() {
            return Ok(None);
        }
        let visits = self.visits();
        let count = |cell: &Cell| visits.get(&cell.id()).copied().unwrap_or(0);
        let next = match last {
            None => 1,
            Some(Kind::Visit(n)) => n + 1,
            Some(Kind::Refine) => VISITS + 1,
        };
        let most = if self.settings.quick { 1 } else { VISITS };
        for n in next..=most {
            let wants = |cell: &&Cell| count(cell) < n.min(cell.visits);
            let few = cells.iter().filter(wants).filter(|cell| !self.given_up.contains(&cell.id()));
            let round: Vec<Cell> = few.map(|cell| Cell { visit: count(cell), ..cell.clone() }).collect();
            if !round.is_empty() {
                let rounds = f64::from(most - n + 1);
                return Ok(Some(Round { kind: Kind::Visit(n), cells: self.fitted(round, rounds) }));
            }
        }
        if self.settings.quick {
            return Ok(None);
        }
        let wanted = self.undecided()?;
        let more = cells.iter().filter(|cell| {
            let more = cell.visits > 1 && count(cell) < MAX_VISITS;
            more && wanted.contains(&cell.id()) && !self.given_up.contains(&cell.id())
        });
        let round: Vec<Cell> = more.map(|cell| Cell { visit: count(cell), ..cell.clone() }).collect();
        Ok((!round.is_empty()).then_some(Round { kind: Kind::Refine, cells: round }))
    }

    /// Cells of the selection with fewer visits than a run of this kind makes.
    pub(super) fn unfinished(&mut self, cells: &[Cell]) -> usize {
        let (visits, most) = (self.visits(), if self.settings.quick { 1 } else { VISITS });
        let few = |cell: &&Cell| visits.get(&cell.id()).copied().unwrap_or(0) < most.min(cell.visits);
        cells.iter().filter(few).filter(|cell| !self.given_up.contains(&cell.id())).count()
    }

    /// Prints what a round does, and starts its progress.
    pub(super) fn announce(&mut self, round: &Round) {
        let what = match round.kind {
            Kind::Visit(1) => "round 1: every cell briefly".to_owned(),
            Kind::Visit(n) => format!("round {n} of {VISITS}: every cell"),
            Kind::Refine => "refinement: the cells behind undecided claims".to_owned(),
        };
        self.progress = None;
        self.settings.note(&format!("{what} ({} visits)", round.cells.len()));
        let budgets: HashMap<String, f64> =
            round.cells.iter().map(|c| (c.id(), c.next_budget().budget_s)).collect();
        let past = self.folder.records().iter().filter(|r| r.status == Status::Ok && self.is_own(r));
        let past = past.filter_map(|r| Some((r, *budgets.get(&r.cell_id)?)));
        self.progress = Some(Progress::new(&round.cells, past, self.settings.verbosity));
    }

    /// The cells with budgets scaled down, so that this and the following rounds fit the time left.
    fn fitted(&self, mut cells: Vec<Cell>, rounds: f64) -> Vec<Cell> {
        let Some(left) = self.clock.left() else { return cells };
        let newest: HashMap<&str, &Record> =
            self.folder.records().iter().map(|r| (r.cell_id.as_str(), r)).collect();
        // What the newest visit took beyond its budget: loading, compiling, calibrating.
        let setup = |cell: &Cell| {
            let budget = |r: &Record| if r.visit == 0 { cell.first.budget_s } else { cell.budget.budget_s };
            newest.get(cell.id().as_str()).map_or(0.0, |r| (r.duration_s - budget(r)).max(0.0))
        };
        let fixed: f64 = cells.iter().map(setup).sum();
        let budgets: f64 = cells.iter().map(|cell| cell.next_budget().budget_s).sum();
        let share = left.as_secs_f64() / rounds;
        let scale = ((share - fixed) / budgets.max(f64::MIN_POSITIVE)).clamp(LEAST_BUDGET, 1.0);
        for cell in &mut cells {
            cell.budget.budget_s *= scale;
            cell.first.budget_s *= scale;
        }
        cells
    }

    /// Ids of the cells behind undecided claims of this device, and of those that contradict others.
    fn undecided(&self) -> Result<HashSet<String>, Error> {
        let own: Vec<Record> =
            self.folder.records().iter().filter(|r| r.machine == self.identity.machine).cloned().collect();
        let (conclusions, audit) = report::conclude(&own, self.catalogue)?;
        let open = conclusions.verdicts.into_iter().filter(|it| it.outcome == Outcome::Undecided);
        let faults = audit.faults.into_iter().flat_map(|fault| fault.cells);
        Ok(open.flat_map(|it| it.evidence).chain(faults).collect())
    }
}
