//! Loading a model.

use super::{Finding, REPETITIONS, Target, file_of};
use crate::lab::Lab;
use crate::measure::timed;
use crate::{Error, models};
use ridgeline_experiment::stats;
use ridgeline_roofline::Machine;
use std::path::Path;

/// Loading a file over reading it once from the page cache and copying it once on the device.
pub(crate) fn load(lab: &mut Lab, model: &str, machine: &Machine) -> Result<Finding, Error> {
    let file = file_of(model)?;
    let path = file.path().to_owned();
    let name = path.to_string_lossy().into_owned();
    let (mut reads, mut loads) = (Vec::new(), Vec::new());
    let mut bytes = 0;
    for _ in 0..REPETITIONS {
        let (read, ns) = timed(|| read_once(&path));
        bytes = read.map_err(|source| models::Error::Io { path: path.clone(), source })?;
        reads.push(ns as f64 / 1e9);
        let (loaded, ns) = timed(|| -> Result<_, Error> {
            let checkpoint = models::checkpoint(&name, None)?;
            let mut device = lab.device.borrow_mut();
            let model = ridgeline_model::Model::load(&checkpoint, &mut *device)?;
            if let Some(gpu) = device.gpu() {
                gpu.settle()?;
            }
            Ok(model)
        });
        drop(loaded?);
        loads.push(ns as f64 / 1e9);
    }
    let (read, load) = (stats::median(&reads).unwrap_or(f64::NAN), stats::median(&loads).unwrap_or(f64::NAN));
    let copy = 2.0 * bytes as f64 / machine.bandwidth.copy.at(2 * bytes).value;
    let expected: Vec<f64> = reads.iter().map(|read| read + copy).collect();
    let here = stats::ratio_of_medians(&loads, &expected, lab.seed);
    Ok(Finding {
        what: format!("loading {:.2} GB over one read and one copy", bytes as f64 / 1e9),
        target: Target::AtMost(1.3),
        here: here.ok_or(crate::probe::Error::NoBlocks)?,
        detail: format!("{load:.2} s against {read:.2} + {copy:.2} s"),
    })
}

/// Reads a file to its end; gives its length.
fn read_once(path: &Path) -> std::io::Result<u64> {
    use std::io::Read;
    let mut file = std::fs::File::open(path)?;
    let mut piece = vec![0; 4 << 20];
    let mut bytes = 0;
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(bytes),
            n => bytes += n as u64,
        }
    }
}
