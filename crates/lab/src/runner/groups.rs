//! Measuring a group of cells: a child process for as many of them as it survives, then another.

use super::child::blank;
use super::protocol::{Hello, Job, Reply};
use super::worker::{Silence, Worker};
use super::{Error, OPENING, Run};
use ridgeline_experiment::matrix::Cell;
use ridgeline_experiment::record::{Record, Status};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A cell may take this many times its budget, and [`SETTING_UP`] besides.
const PATIENCE: f64 = 30.0;

/// Making weights, compiling shaders and warming up on a slow device.
const SETTING_UP: Duration = Duration::from_secs(300);

/// Why a child brought no record.
struct Loss {
    /// What happened.
    silence: Silence,
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
            if let Some(reason) = self.shift(&job, &mut left, &mut statuses)? {
                // The cell in progress takes the blame, so that every child gets the group further.
                let at = left.pop_front().unwrap_or(next);
                let duration_s = clock.elapsed().as_secs_f64();
                let record = Record { reason: Some(reason), duration_s, ..blank(&at, &job, &self.hello) };
                statuses.push(record.status);
                self.end(&at, record)?;
            }
        }
        Ok(statuses)
    }

    /// One child at work until the cells or it end; why the first cell left has no record, if it is to blame.
    fn shift(
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
        if let Some(reason) = self.stranger(&mut worker) {
            return Ok(Some(reason));
        }
        let before = left.len();
        while let Some(cell) = left.front().cloned() {
            self.begin(&cell);
            match hear(&mut worker, self.limit(&cell)) {
                Ok(record) => {
                    left.pop_front();
                    statuses.push(record.status);
                    self.end(&cell, *record)?;
                }
                // It ended between two cells, as it does after one that may have broken the device.
                Err(Loss { begun: false, silence: Silence::Ended | Silence::Died(_) })
                    if left.len() < before =>
                {
                    return Ok(None);
                }
                Err(loss) => return Ok(Some(in_words(&loss.silence))),
            }
        }
        Ok(None)
    }

    /// Why a child that has just started must not measure: nothing answers, or another device does.
    fn stranger(&self, worker: &mut Worker) -> Option<String> {
        match worker.next(OPENING) {
            Ok(Reply::Hello(hello)) if *hello == self.hello => None,
            Ok(Reply::Hello(hello)) => Some(other(&self.hello, &hello)),
            Ok(Reply::NoDevice(reason)) => Some(format!("the device is gone: {reason}")),
            Ok(Reply::Started | Reply::Done(_)) => {
                Some("the process that measures did not introduce itself".into())
            }
            Err(silence) => Some(in_words(&silence)),
        }
    }

    /// Longest that a cell may take.
    fn limit(&self, cell: &Cell) -> Duration {
        let generous = || SETTING_UP + Duration::from_secs_f64(PATIENCE * cell.budget.budget_s);
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
fn hear(worker: &mut Worker, limit: Duration) -> Result<Box<Record>, Loss> {
    let mut begun = false;
    loop {
        match worker.next(limit) {
            Ok(Reply::Done(record)) => return Ok(record),
            Ok(_) => begun = true,
            Err(silence) => return Err(Loss { silence, begun }),
        }
    }
}

fn in_words(silence: &Silence) -> String {
    match silence {
        Silence::Ended => "the process that measured it ended early".to_owned(),
        Silence::Died(how) => how.clone(),
        Silence::Overran(limit) => {
            format!("still at work after {} s, its limit; killed", limit.as_secs_f64().round())
        }
    }
}

/// A device that comes back as another, such as a software adapter in place of a lost GPU, measures something else.
fn other(expected: &Hello, found: &Hello) -> String {
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
