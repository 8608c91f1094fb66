//! Measuring a group of cells: a child process for as many of them as it survives, then another.

use super::child::unmeasured_record;
use super::protocol::{Identity, Job, Reply};
use super::worker::{ChildExit, Worker};
use super::{Error, OPEN_TIMEOUT, Run};
use ridgeline_experiment::matrix::Cell;
use ridgeline_experiment::record::{Record, Status};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A cell may take this many times its budget, and [`SETUP_ALLOWANCE`] besides.
const TIMEOUT_FACTOR: f64 = 30.0;

/// Making weights, compiling shaders and warming up on a slow device.
const SETUP_ALLOWANCE: Duration = Duration::from_secs(300);

/// Why a child brought no record.
struct Interrupted {
    /// What happened.
    exit: ChildExit,
    /// Whether it had begun the cell.
    begun: bool,
}

impl Run<'_> {
    /// Measures a group and journals every cell as it ends; how each ended.
    pub(super) fn group(&mut self, template: &Job, cells: Vec<Cell>) -> Result<Vec<Status>, Error> {
        let mut left = VecDeque::from(cells);
        let mut statuses = Vec::new();
        while let Some(next) = left.front().cloned() {
            let job = Job { cells: left.iter().cloned().collect(), ..template.clone() };
            let clock = Instant::now();
            if let Some(reason) = self.run_child(&job, &mut left, &mut statuses)? {
                // The cell in progress takes the blame, so that every child gets the group further.
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

    /// One child at work until the cells or it end; why the first cell left has no record, if it is to blame.
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
            return Ok(Some(reason));
        }
        let before = left.len();
        while let Some(cell) = left.front().cloned() {
            self.begin(&cell);
            match recv(&mut worker, self.limit(&cell)) {
                Ok(record) => {
                    left.pop_front();
                    statuses.push(record.status);
                    self.end(&cell, *record)?;
                }
                // It ended between two cells, as it does after one that may have broken the device.
                Err(Interrupted { begun: false, exit: ChildExit::Ended | ChildExit::Crashed(_) })
                    if left.len() < before =>
                {
                    return Ok(None);
                }
                Err(loss) => return Ok(Some(in_words(&loss.exit))),
            }
        }
        Ok(None)
    }

    /// Why a child that has just started must not measure: nothing answers, or another device does.
    fn identity_mismatch(&self, worker: &mut Worker) -> Option<String> {
        match worker.next(OPEN_TIMEOUT) {
            Ok(Reply::Identity(identity)) if *identity == self.identity => None,
            Ok(Reply::Identity(identity)) => Some(other(&self.identity, &identity)),
            Ok(Reply::NoDevice(reason)) => Some(format!("the device is gone: {reason}")),
            Ok(Reply::Started | Reply::Done(_)) => {
                Some("the process that measures did not introduce itself".into())
            }
            Err(exit) => Some(in_words(&exit)),
        }
    }

    /// Longest that a cell may take.
    fn limit(&self, cell: &Cell) -> Duration {
        let generous = || SETUP_ALLOWANCE + Duration::from_secs_f64(TIMEOUT_FACTOR * cell.budget.budget_s);
        self.settings.cell_limit.unwrap_or_else(generous)
    }

    fn begin(&self, cell: &Cell) {
        if let Some(progress) = &self.progress {
            progress.begin(cell);
        }
    }

    /// Journals a record, then shows it.
    fn end(&mut self, cell: &Cell, record: Record) -> Result<(), Error> {
        self.folder.append(record.clone())?;
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

fn in_words(exit: &ChildExit) -> String {
    match exit {
        ChildExit::Ended => "the process that measured it ended early".to_owned(),
        ChildExit::Crashed(how) => how.clone(),
        ChildExit::TimedOut(limit) => {
            format!("still at work after {} s, its limit; killed", limit.as_secs_f64().round())
        }
    }
}

/// A device that comes back as another, such as a software adapter in place of a lost GPU, measures something else.
fn other(expected: &Identity, found: &Identity) -> String {
    if expected.machine == found.machine {
        "another build of this program answered".to_owned()
    } else {
        let (is, was) = (&found.machine, &expected.machine);
        format!(
            "the device is gone: {} ({}) answered in place of {} ({})",
            is.adapter, is.driver, was.adapter, was.driver
        )
    }
}
