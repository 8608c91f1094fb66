//! Host (CPU) time of a decode step of a real session.
//!
//! It is measured on wgpu's no-op backend, where only the host works, and on the device in use, driver included.

use super::{REPETITIONS, TargetResult};
use ridgeline_compute::{Executor, Recording, Timing};
use ridgeline_experiment::stats;
use ridgeline_experiment::verdict::Range;
use ridgeline_measure::MeasureContext;
use ridgeline_measure::timing::timed;
use ridgeline_measure::{Device, Error, probe};
use ridgeline_model::{Session, SessionOptions};
use ridgeline_roofline::Measured;
use ridgeline_speculative::Rows;

/// Decode steps in the longer of the two recordings; the shorter has one.
const MANY: u32 = 9;

/// Repetitions on the no-op backend, where one takes a millisecond.
const ROUNDS: u32 = 201;

/// Host time per launch and per run; the targets are at most 2 us and 60 us on the no-op backend.
pub(crate) fn host(cx: &mut MeasureContext, model: &str) -> Result<Vec<TargetResult>, Error> {
    let mut idle = MeasureContext::new(Device::noop()?, None, ridgeline_kernels::Tuning::default(), cx.seed);
    let mut noop = Side::new(&mut idle, model)?;
    let targets = [Some(Range::AtMost(2.0)), Some(Range::AtMost(60.0))];
    let mut findings = noop.costs("wgpu's no-op backend", ROUNDS, targets, Timing::total_ns)?;
    findings.extend([noop.recording()?, noop.wgpu()?]);
    let mut side = Side::new(cx, model)?;
    let (_, adapter) = cx.names();
    // The wait is excluded: on a device it is GPU time.
    let host = |timing: &Timing| timing.encode_ns + timing.submit_ns;
    findings.extend(side.costs(&adapter, 2 * REPETITIONS, [None; 2], host)?);
    Ok(findings)
}

/// A session, and recordings of one and of [`MANY`] decode steps.
struct Side {
    model: String,
    session: Session<Device>,
    one: Recording,
    many: Recording,
}

impl Side {
    fn new(cx: &mut MeasureContext, model: &str) -> Result<Self, Error> {
        let loaded = cx.load(model, None)?;
        let mut session = cx.session(&loaded, SessionOptions::default())?;
        session.prepare(&[])?;
        let one = session.record(&[0], Rows::Last)?.clone();
        let many = repeated(&one, MANY);
        // The first runs create bind groups.
        for recording in [&one, &many] {
            session.executor().borrow_mut().run(recording)?;
        }
        Ok(Self { model: model.to_owned(), session, one, many })
    }

    /// Launches of one decode step.
    fn launches(&self) -> f64 {
        self.one.launches().len() as f64
    }

    /// Microseconds per launch and per run without launches: slope and intercept between the two recordings.
    fn costs(
        &mut self,
        on: &str,
        turns: u32,
        [each, rest]: [Option<Range>; 2],
        of: impl Fn(&Timing) -> u64,
    ) -> Result<Vec<TargetResult>, Error> {
        let device = self.session.executor().clone();
        let us = |recording: &Recording| -> Result<f64, Error> {
            Ok(of(&device.borrow_mut().run(recording)?.timing) as f64 / 1e3)
        };
        let mut samples: [Vec<f64>; 4] = Default::default();
        for _ in 0..turns {
            let (one, many) = (us(&self.one)?, us(&self.many)?);
            let step = (many - one) / f64::from(MANY - 1);
            let figures = [step / self.launches(), one - step, one, many];
            samples.iter_mut().zip(figures).for_each(|(samples, it)| samples.push(it));
        }
        let [launch, fixed, one, many] = [0, 1, 2, 3].map(|i| median(&samples[i]));
        let n = self.one.launches().len();
        let detail = format!(
            "{:.1} us for a decode step of {n} launches, {:.1} us for {MANY} steps in one run",
            one?.value, many?.value
        );
        let finding = |what: &str, target, here| {
            let what = format!("{}: host time {what}, us, {on}", self.model);
            TargetResult { what, target, here, detail: detail.clone() }
        };
        Ok(vec![finding("per launch", each, launch?), finding("per run without launches", rest, fixed?)])
    }

    /// Microseconds to append a launch to a recording.
    fn recording(&mut self) -> Result<TargetResult, Error> {
        let mut samples = Vec::new();
        for _ in 0..ROUNDS {
            let (recorded, ns) =
                timed(|| self.session.record(&[0], Rows::Last).map(|it| it.launches().len()));
            samples.push(ns as f64 / 1e3 / recorded? as f64);
        }
        Ok(TargetResult {
            what: format!("{}: time to record a launch, us, not included above", self.model),
            target: None,
            here: median(&samples)?,
            detail: format!(
                "a decode step of {} launches, recorded by its session",
                self.one.launches().len()
            ),
        })
    }

    /// Share of wgpu in the host time of a launch: the same commands, encoded directly without this engine's lookups.
    fn wgpu(&mut self) -> Result<TargetResult, Error> {
        let mut device = self.session.executor().borrow_mut();
        let Some(gpu) = device.gpu() else { return Err(probe::Error::NoClock.into()) };
        let (one, many) = (gpu.raw_launches(&self.one)?, gpu.raw_launches(&self.many)?);
        let (mut ours, mut raw_launches) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let mut us = |of: &Recording| gpu.run(of).map(|it| it.timing.total_ns() as f64 / 1e3);
            let one_us = us(&self.one)?;
            ours.push((us(&self.many)? - one_us) / f64::from(MANY - 1) / self.launches());
            let one_ns = gpu.run_raw(&one)? as f64;
            raw_launches
                .push((gpu.run_raw(&many)? as f64 - one_ns) / 1e3 / f64::from(MANY - 1) / self.launches());
        }
        Ok(TargetResult {
            what: format!("{}: share of wgpu in the host time per launch, no-op backend", self.model),
            target: None,
            here: stats::ratio_of_medians(&raw_launches, &ours, 0).ok_or(probe::Error::NoBlocks)?,
            detail: format!("{:.2} of {:.2} us", median(&raw_launches)?.value, median(&ours)?.value),
        })
    }
}

fn median(samples: &[f64]) -> Result<Measured, Error> {
    Ok(stats::median_interval(samples).ok_or(probe::Error::NoBlocks)?)
}

/// The launches of a forward pass `n` times, with its uploads and readbacks once, as in a submission of several tokens.
fn repeated(pass: &Recording, n: u32) -> Recording {
    let mut all = Recording::new();
    for (to, data) in pass.uploads() {
        all.upload(to, data);
    }
    for step in (0..n).flat_map(|_| pass.launches()) {
        all.run_erased(pass.kernel(step), pass.params(step), pass.slices(step));
    }
    for &from in pass.reads() {
        all.read_back(from);
    }
    all
}
