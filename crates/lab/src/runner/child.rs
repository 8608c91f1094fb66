//! The child process: opens the device, measures the cells of its job, and sends a record after each.
//!
//! If the child crashes, only the cell in progress is lost. The child exits when its parent does.

use super::protocol::{Identity, Job, Reply};
use crate::provenance;
use ridgeline_experiment::matrix::Cell;
use ridgeline_experiment::measure::{DynMeasure, Measurement, RunError, find};
use ridgeline_experiment::record::{Record, SCHEMA, Status};
use ridgeline_measure::{Device, MeasureContext};
use serde_json::Value;
use std::io::{self, BufRead, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Longest time that exit handlers of a graphics driver may delay an orphan's exit.
const GRACE: Duration = Duration::from_secs(2);

/// Reads one job from standard input and measures its cells.
///
/// # Errors
/// Where the job cannot be read or a reply cannot be written.
pub fn serve(measures: &[Box<dyn DynMeasure<MeasureContext>>]) -> io::Result<ExitCode> {
    let job = receive()?;
    let device = match Device::open(job.device.as_deref()) {
        Ok(device) => device,
        Err(error) => {
            send(&Reply::NoDevice(error.to_string()))?;
            return Ok(ExitCode::from(crate::globals::NO_DEVICE));
        }
    };
    let mut device = device;
    let identity =
        Identity { machine: provenance::machine_id(&mut device), build: provenance::build_for(&mut device) };
    let tuning = ridgeline_measure::tune::stored(&mut device);
    let mut cx = MeasureContext::new(device, job.ceilings.clone(), tuning, job.seed);
    cx.longest_s = job.longest_s;
    send(&Reply::Identity(Box::new(identity.clone())))?;
    let due = Instant::now() + Duration::from_secs_f64(job.anchor_due_s.max(0.0));
    let mut anchored = Anchored { due, kept: false };
    for cell in &job.cells {
        if !anchored.measure(measures, &mut cx, (&job, &identity))? {
            // The parent starts a new process for the cell.
            return Ok(ExitCode::SUCCESS);
        }
        send(&Reply::Started)?;
        let (started_utc, clock) = (provenance::now_utc(), Instant::now());
        let outcome = measure(measures, &mut cx, cell);
        let needs_restart = outcome.needs_restart;
        let mut record = outcome.into_record(cell, &job, &identity);
        (record.started_utc, record.duration_s) = (started_utc, clock.elapsed().as_secs_f64());
        send(&Reply::Done(Box::new(record)))?;
        if needs_restart {
            // The parent starts a new process, with a newly opened device, for the remaining cells.
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Visits a cell in this process: its record, whatever the outcome. Only a program that measures nothing else does this.
pub(crate) fn visit(
    measures: &[Box<dyn DynMeasure<MeasureContext>>],
    cx: &mut MeasureContext,
    cell: &Cell,
    (job, identity): (&Job, &Identity),
) -> Record {
    let (started_utc, clock) = (provenance::now_utc(), Instant::now());
    let mut record = measure(measures, cx, cell).into_record(cell, job, identity);
    (record.started_utc, record.duration_s) = (started_utc, clock.elapsed().as_secs_f64());
    record
}

/// When the anchor is measured next.
struct Anchored {
    due: Instant,
    /// Whether its model stays loaded.
    kept: bool,
}

impl Anchored {
    /// Measures and sends the anchor where it is due. Returns false if the device may be in a bad state.
    fn measure(
        &mut self,
        measures: &[Box<dyn DynMeasure<MeasureContext>>],
        cx: &mut MeasureContext,
        (job, identity): (&Job, &Identity),
    ) -> io::Result<bool> {
        let Some(anchor) = job.anchor.as_ref().filter(|_| self.due <= Instant::now()) else {
            return Ok(true);
        };
        let (started_utc, clock) = (provenance::now_utc(), Instant::now());
        let outcome = measure(measures, cx, anchor);
        if !self.kept {
            // Its first load has evicted unused models. From now on it evicts none, and none evicts it.
            cx.keep_loaded();
            self.kept = true;
        }
        self.due = Instant::now() + Duration::from_secs_f64(super::groups::ANCHOR_EVERY_S);
        let usable = !outcome.needs_restart;
        if outcome.status == Status::Ok {
            let mut record = outcome.into_record(anchor, job, identity);
            (record.started_utc, record.duration_s) = (started_utc, clock.elapsed().as_secs_f64());
            send(&Reply::Done(Box::new(record)))?;
        }
        Ok(usable)
    }
}

/// Receives the job. The reading thread then waits for the end of standard input and exits with the parent.
fn receive() -> io::Result<Job> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        let mut line = String::new();
        let read = input.read_line(&mut line).map(|_| line);
        let _ = sender.send(read);
        let mut rest = [0; 64];
        while !matches!(input.read(&mut rest), Ok(0) | Err(_)) {}
        exit_orphan();
    });
    let line = receiver.recv().map_err(io::Error::other)??;
    serde_json::from_str(&line).map_err(io::Error::other)
}

/// Exits; aborts if an exit handler of a driver hangs.
fn exit_orphan() -> ! {
    std::thread::spawn(|| {
        std::thread::sleep(GRACE);
        std::process::abort();
    });
    std::process::exit(1)
}

/// Writes one reply as a line and flushes it. The newline before it ends a partial line that a driver may have printed.
fn send(reply: &Reply) -> io::Result<()> {
    let line = serde_json::to_string(reply).map_err(io::Error::other)?;
    let mut out = io::stdout().lock();
    writeln!(out, "\n{line}")?;
    out.flush()
}

/// The result of measuring a cell.
struct CellOutcome {
    status: Status,
    reason: Option<String>,
    measurement: Option<Measurement<Value>>,
    /// Whether the device or the process may be in a bad state.
    needs_restart: bool,
}

impl CellOutcome {
    fn failed(reason: String, needs_restart: bool) -> Self {
        Self { status: Status::Failed, reason: Some(reason), measurement: None, needs_restart }
    }

    /// The record; the caller sets start and duration.
    fn into_record(self, cell: &Cell, job: &Job, identity: &Identity) -> Record {
        let m = self.measurement.unwrap_or_else(|| Measurement::new(Value::Null, Vec::new()));
        Record {
            status: self.status,
            reason: self.reason,
            row: m.row,
            samples_ns: m.samples_ns,
            check: m.check,
            model: m.model,
            ..unmeasured_record(cell, job, identity)
        }
    }
}

/// The record of a failed cell, with everything that is known before the measurement.
pub(crate) fn unmeasured_record(cell: &Cell, job: &Job, identity: &Identity) -> Record {
    Record {
        schema: SCHEMA.to_owned(),
        run_id: job.run_id.clone(),
        cell_id: cell.id(),
        measure: cell.measure.clone(),
        studies: cell.studies.clone(),
        visit: cell.visit,
        point: cell.point.clone(),
        status: Status::Failed,
        reason: None,
        row: Value::Null,
        samples_ns: Vec::new(),
        check: None,
        machine: identity.machine.clone(),
        build: identity.build.clone(),
        model: None,
        argv: job.argv.clone(),
        seed: job.seed,
        started_utc: provenance::now_utc(),
        duration_s: 0.0,
    }
}

/// Measures one cell and catches panics.
fn measure(
    measures: &[Box<dyn DynMeasure<MeasureContext>>],
    cx: &mut MeasureContext,
    cell: &Cell,
) -> CellOutcome {
    let measure = match find(measures, &cell.measure) {
        Ok(measure) => measure,
        Err(error) => return CellOutcome::failed(error.to_string(), false),
    };
    // `AssertUnwindSafe`: after a panic `cx` is not used again, because the process ends.
    let run = catch_unwind(AssertUnwindSafe(|| measure.run(cx, &cell.point, cell.next_budget())));
    match run {
        Ok(Ok(measurement)) => checked(cell, measurement),
        Ok(Err(error)) => CellOutcome {
            status: error.status(),
            needs_restart: matches!(error, RunError::Failed(_)),
            reason: Some(with_causes(&error)),
            measurement: None,
        },
        Err(payload) => {
            let message = payload.downcast_ref::<String>().map(String::as_str);
            let message = message.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message");
            CellOutcome::failed(format!("panicked: {message}"), true)
        }
    }
}

/// Applies a measurement's own check, and requires the check that the matrix demands.
///
/// A failed check keeps the row, but its status excludes it from every table.
fn checked(cell: &Cell, measurement: Measurement<Value>) -> CellOutcome {
    let demanded = cell.check.as_ref().and_then(|c| c.get("kind")).and_then(Value::as_str);
    let reason = match (&measurement.check, demanded) {
        (Some(check), _) if !check.ok => Some(format!("check {} failed: {}", check.kind, check.detail)),
        (None, Some(kind)) => {
            Some(format!("the matrix demands the check {kind}, which the measure did not make"))
        }
        _ => None,
    };
    let status = if reason.is_some() { Status::Failed } else { Status::Ok };
    CellOutcome { status, reason, measurement: Some(measurement), needs_restart: false }
}

/// An error with its causes, without repetitions.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let message = inner.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = inner.source();
    }
    text
}
