//! Measures a group of cells in child processes; after a crash, a new child continues with the next cell.

use super::child::unmeasured_record;
use super::protocol::{Identity, Job, Reply};
use super::worker::{ChildExit, Worker};
use super::{Error, OPEN_TIMEOUT, Run};
use ridgeline_experiment::matrix::Cell;
use ridgeline_experiment::record::{Record, Status};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The time limit of a cell is this many times its budget, plus [`SETUP_ALLOWANCE`].
const TIMEOUT_FACTOR: f64 = 30.0;

/// Seconds between two measurements of the anchor.
pub(super) const ANCHOR_EVERY_S: f64 = 20.0;

/// Time to generate weights, compile shaders and warm up on a slow device.
const SETUP_ALLOWANCE: Duration = Duration::from_secs(300);

/// Why a child sent no record.
struct Interrupted {
    /// How the child ended.
    exit: ChildExit,
    /// Whether it had started the cell.
    begun: bool,
}

impl Run<'_> {
    /// Measures a group and journals every cell as it ends; returns their statuses.
    pub(super) fn group(&mut self, template: &mut Job, cells: Vec<Cell>) -> Result<Vec<Status>, Error> {
        let mut left = VecDeque::from(cells);
        let mut statuses = Vec::new();
        while let Some(next) = left.front().cloned() {
            if self.clock.is_over() {
                break;
            }
            template.anchor_due_s =
                self.clock.anchored.map_or(0.0, |at| ANCHOR_EVERY_S - at.elapsed().as_secs_f64());
            let job = Job { cells: left.iter().cloned().collect(), ..template.clone() };
            let clock = Instant::now();
            let before = left.len();
            let failure = self.run_child(&job, &mut left, &mut statuses)?;
            if failure.is_none() && left.len() == before {
                // The anchor failed: without it, the next child begins with the cell.
                template.anchor = None;
            }
            if let Some(reason) = failure.filter(|_| !self.clock.is_over()) {
                // The cell in progress is recorded as failed, so that every child advances the group.
                let at = left.pop_front().unwrap_or(next);
                let duration_s = clock.elapsed().as_secs_f64();
                let record = Record {
                    reason: Some(reason),
                    duration_s,
                    ..unmeasured_record(&at, &job, &self.identity)
                };
                statuses.push(record.status);
                self.end(&at, record)?;
            }
        }
        Ok(statuses)
    }

    /// Runs one child until it ends or no cell is left.
    ///
    /// Returns the reason of failure of the first cell left; `None` where that cell did not fail.
    fn run_child(
        &mut self,
        job: &Job,
        left: &mut VecDeque<Cell>,
        statuses: &mut Vec<Status>,
    ) -> Result<Option<String>, Error> {
        let program = &self.settings.program;
        let mut worker = Worker::start(program, job)
            .map_err(|source| Error::Start { path: program.path.clone(), source })?;
        if let Some(first) = left.front() {
            self.begin(first);
        }
        if let Some(reason) = self.identity_mismatch(&mut worker) {
            // No cell is to blame, and none of the others could be measured either.
            self.settings.note(&format!("the run ends: {reason}"));
            self.clock.abort();
            return Ok(None);
        }
        let before = left.len();
        while let Some(cell) = left.front().cloned() {
            if self.clock.is_over() {
                return Ok(None);
            }
            self.begin(&cell);
            match recv(&mut worker, self.limit(&cell)) {
                Ok(record) if record.cell_id != cell.id() => {
                    // The anchor, which the child measures between cells.
                    self.clock.anchored = Some(Instant::now());
                    self.folder.append(*record)?;
                }
                Ok(record) => {
                    left.pop_front();
                    statuses.push(record.status);
                    self.end(&cell, *record)?;
                }
                // It ended between two cells, as it does when it needs a restart.
                Err(Interrupted { begun: false, exit: ChildExit::Ended | ChildExit::Crashed(_) })
                    if left.len() < before =>
                {
                    return Ok(None);
                }
                // It ended in the anchor, before the first cell.
                Err(Interrupted { begun: false, exit: ChildExit::Ended | ChildExit::Crashed(_) })
                    if job.anchor.is_some() =>
                {
                    return Ok(None);
                }
                Err(interrupted) => return Ok(Some(exit_reason(&interrupted.exit))),
            }
        }
        Ok(None)
    }

    /// The reason why a new child must not measure: it does not answer, or has another device or build.
    fn identity_mismatch(&self, worker: &mut Worker) -> Option<String> {
        match worker.next(OPEN_TIMEOUT) {
            Ok(Reply::Identity(identity)) if *identity == self.identity => None,
            Ok(Reply::Identity(identity)) => Some(mismatch_reason(&self.identity, &identity)),
            Ok(Reply::NoDevice(reason)) => Some(format!("the device is gone: {reason}")),
            Ok(Reply::Started | Reply::Done(_)) => {
                Some("the measuring process did not report its device first".into())
            }
            Err(exit) => Some(exit_reason(&exit)),
        }
    }

    /// Time limit of a cell.
    fn limit(&self, cell: &Cell) -> Duration {
        let default =
            || SETUP_ALLOWANCE + Duration::from_secs_f64(TIMEOUT_FACTOR * cell.next_budget().budget_s);
        let limit = self.settings.cell_limit.unwrap_or_else(default);
        self.clock.last_call().map_or(limit, |last| limit.min(last))
    }

    fn begin(&self, cell: &Cell) {
        if let Some(progress) = &self.progress {
            progress.begin(cell);
        }
    }

    /// Journals a record, then shows it.
    fn end(&mut self, cell: &Cell, record: Record) -> Result<(), Error> {
        let failures = self.failures.entry(cell.id()).or_default();
        *failures = if record.status == Status::Ok { 0 } else { *failures + 1 };
        if *failures > 1 || (*failures == 1 && (cell.visit == 0 || record.status == Status::Skipped)) {
            self.given_up.insert(cell.id());
        }
        self.folder.append(record.clone())?;
        if self.clock.report_is_due() {
            self.report();
        }
        if let Some(progress) = &mut self.progress {
            progress.end(cell, &record);
        }
        Ok(())
    }
}

/// The record of the next cell.
fn recv(worker: &mut Worker, limit: Duration) -> Result<Box<Record>, Interrupted> {
    let mut begun = false;
    loop {
        match worker.next(limit) {
            Ok(Reply::Done(record)) => return Ok(record),
            Ok(_) => begun = true,
            Err(exit) => return Err(Interrupted { exit, begun }),
        }
    }
}

fn exit_reason(exit: &ChildExit) -> String {
    match exit {
        ChildExit::Ended => "the process that measured it ended early".to_owned(),
        ChildExit::Crashed(how) => how.clone(),
        ChildExit::TimedOut(limit) => {
            format!(
                "still at work after {} s, its time limit; killed (--cell-limit raises it)",
                limit.as_secs_f64().round()
            )
        }
    }
}

/// Why an identity is not the expected one, such as a software adapter in place of a lost GPU.
fn mismatch_reason(expected: &Identity, found: &Identity) -> String {
    if expected.machine == found.machine {
        "another build of this program measures; do not rebuild during a run".to_owned()
    } else {
        let (is, was) = (&found.machine, &expected.machine);
        format!(
            "the device is gone: {} ({}) was opened in place of {} ({})",
            is.adapter, is.driver, was.adapter, was.driver
        )
    }
}
