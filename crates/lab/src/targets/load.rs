//! Time to load a model until it is ready to decode.

use super::{REPETITIONS, TargetResult, file_of};
use ridgeline_experiment::stats;
use ridgeline_experiment::verdict::Range;
use ridgeline_measure::MeasureContext;
use ridgeline_measure::timing::timed;
use ridgeline_measure::{Device, Error, models};
use ridgeline_model::{Model, Session, SessionOptions};
use ridgeline_roofline::Machine;
use std::path::Path;
use std::sync::Arc;

/// Loading time, relative to one read of the file from the page cache plus one copy on the device.
pub(crate) fn load(cx: &MeasureContext, model: &str, machine: &Machine) -> Result<TargetResult, Error> {
    let file = file_of(model)?;
    let path = file.path().to_owned();
    let name = path.to_string_lossy().into_owned();
    let (mut reads, mut loads) = (Vec::new(), Vec::new());
    let mut bytes = 0;
    for _ in 0..REPETITIONS {
        let (read, ns) = timed(|| read_once(&path));
        bytes = read.map_err(|source| models::Error::Io { path: path.clone(), source })?;
        reads.push(ns as f64 / 1e9);
        let (ready, ns) = timed(|| ready(cx, &name));
        drop(ready?);
        loads.push(ns as f64 / 1e9);
    }
    // Only now, because it warms caches that the first load finds cold. By its name, random weights are not checked.
    let loaded = models::load(&mut cx.device.borrow_mut(), model, None, cx.tuning.clone())?;
    cx.session(&loaded, SessionOptions::default())?;
    let (read, load) = (stats::median(&reads).unwrap_or(f64::NAN), stats::median(&loads).unwrap_or(f64::NAN));
    let copy = 2.0 * bytes as f64 / machine.bandwidth.copy.at(2 * bytes).value;
    let expected: Vec<f64> = reads.iter().map(|read| read + copy).collect();
    let here = stats::ratio_of_medians(&loads, &expected, cx.seed);
    Ok(TargetResult {
        what: format!("time to load {:.2} GB over one file read plus one device copy", bytes as f64 / 1e9),
        target: Some(Range::AtMost(1.3)),
        here: here.ok_or(ridgeline_measure::probe::Error::NoBlocks)?,
        detail: format!(
            "{load:.2} s, expected {read:.2} + {copy:.2} s; first load {:.2} s, including shader compilation",
            loads[0]
        ),
    })
}

/// Loads a model into a session, until all weights are uploaded and all shaders compiled.
fn ready(cx: &MeasureContext, name: &str) -> Result<Session<Device>, Error> {
    let checkpoint = models::checkpoint(name, None)?;
    let model = Arc::new(Model::load(&checkpoint, &mut *cx.device.borrow_mut())?);
    let mut session = Session::new(model, cx.device.clone(), SessionOptions::default())?;
    session.prepare(&[])?;
    if let Some(gpu) = cx.device.borrow_mut().gpu() {
        gpu.wait_idle()?;
    }
    Ok(session)
}

/// Reads a file to its end and returns its length.
fn read_once(path: &Path) -> std::io::Result<u64> {
    use std::io::Read;
    let mut file = std::fs::File::open(path)?;
    let mut chunk = vec![0; 4 << 20];
    let mut bytes = 0;
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(bytes),
            n => bytes += n as u64,
        }
    }
}
