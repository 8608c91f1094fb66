//! What the host pays for a decode step of a real session: on wgpu's do-nothing backend, where nothing but the host works, and
//! on the device in use, whose driver's own cost is in the figures.

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

/// Decode steps in the longer of two recordings; the other has one.
const MANY: u32 = 9;

/// Turns on the do-nothing backend, where one takes a millisecond.
const ROUNDS: u32 = 201;

/// Launches of decode steps at most 2 us each and 60 us for all else.
pub(crate) fn host(cx: &mut MeasureContext, model: &str) -> Result<Vec<TargetResult>, Error> {
    let mut idle = MeasureContext::new(Device::noop()?, None, ridgeline_kernels::Tuning::default(), cx.seed);
    let mut nothing = Side::new(&mut idle, model)?;
    let targets = [Some(Range::AtMost(2.0)), Some(Range::AtMost(60.0))];
    let mut findings = nothing.costs("wgpu's do-nothing backend", ROUNDS, targets, Timing::total_ns)?;
    findings.extend([nothing.recording()?, nothing.wgpu()?]);
    let mut side = Side::new(cx, model)?;
    let (_, adapter) = cx.names();
    // Here the wait is the device's.
    let host = |timing: &Timing| timing.encode_ns + timing.submit_ns;
    findings.extend(side.costs(&adapter, 2 * REPETITIONS, [None; 2], host)?);
    Ok(findings)
}

/// A session, and its decode step as recordings.
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
        // The first runs make bind groups.
        for recording in [&one, &many] {
            session.executor().borrow_mut().run(recording)?;
        }
        Ok(Self { model: model.to_owned(), session, one, many })
    }

    /// Launches of a step.
    fn launches(&self) -> f64 {
        self.one.launches().len() as f64
    }

    /// Microseconds of a launch, and of what a run costs without any: the slope between one step and many, and its
    /// intercept, turn by turn.
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
            "{:.1} us for a step of {n} launches, {:.1} us for {MANY} in one",
            one?.value, many?.value
        );
        let finding = |what: &str, target, here| {
            let what = format!("{}: us of the host {what}, {on}", self.model);
            TargetResult { what, target, here, detail: detail.clone() }
        };
        Ok(vec![finding("per launch", each, launch?), finding("per run besides", rest, fixed?)])
    }

    /// Microseconds of putting a launch into a recording.
    fn recording(&mut self) -> Result<TargetResult, Error> {
        let mut samples = Vec::new();
        for _ in 0..ROUNDS {
            let (recorded, ns) =
                timed(|| self.session.record(&[0], Rows::Last).map(|it| it.launches().len()));
            samples.push(ns as f64 / 1e3 / recorded? as f64);
        }
        Ok(TargetResult {
            what: format!("{}: us of recording a launch, not in the above", self.model),
            target: None,
            here: median(&samples)?,
            detail: format!("a step of {} launches by its session", self.one.launches().len()),
        })
    }

    /// Share of a launch's cost that is wgpu's own: the same commands, with nothing to look up.
    fn wgpu(&mut self) -> Result<TargetResult, Error> {
        let mut device = self.session.executor().borrow_mut();
        let Some(gpu) = device.gpu() else { return Err(probe::Error::NoClock.into()) };
        let (one, many) = (gpu.raw_launches(&self.one)?, gpu.raw_launches(&self.many)?);
        let (mut ours, mut raw_launches) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let mut us = |of: &Recording| gpu.run(of).map(|it| it.timing.total_ns() as f64 / 1e3);
            let few = us(&self.one)?;
            ours.push((us(&self.many)? - few) / f64::from(MANY - 1) / self.launches());
            let few = gpu.run_raw(&one)? as f64;
            raw_launches
                .push((gpu.run_raw(&many)? as f64 - few) / 1e3 / f64::from(MANY - 1) / self.launches());
        }
        Ok(TargetResult {
            what: format!("{}: share of a launch there that is wgpu's own", self.model),
            target: None,
            here: stats::ratio_of_medians(&raw_launches, &ours, 0).ok_or(probe::Error::NoBlocks)?,
            detail: format!("{:.2} of {:.2} us", median(&raw_launches)?.value, median(&ours)?.value),
        })
    }
}

fn median(samples: &[f64]) -> Result<Measured, Error> {
    Ok(stats::median_interval(samples).ok_or(probe::Error::NoBlocks)?)
}

/// The launches of a pass `n` times over, with what it sends and fetches once: as tokens share a submission.
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
