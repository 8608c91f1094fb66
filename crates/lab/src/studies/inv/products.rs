//! Products of an `n × n` matrix with `m` vectors: work, time and prediction.

use crate::measures::operation::{Kind, Point};
use ridgeline_experiment::Error;
use ridgeline_experiment::data::{Data, Entry};
use ridgeline_experiment::rows::{Col, Rows};
use ridgeline_measure::probe::ProductTime;
use ridgeline_roofline::{Cost, Machine, Measured, Prediction, Regime};

/// A cell of the measure `operation`.
pub(super) type Product<'a> = Entry<'a, Point, ProductTime>;
/// A column of a table of such cells.
pub(super) type Column<'c> = Col<'c, Point, ProductTime>;

/// The products that an experiment wants, by width and then by vectors.
pub(super) fn products<'a>(data: &Data<'a>, study: &str) -> Result<Rows<'a, Point, ProductTime>, Error> {
    let rows = data.rows::<Kind>()?.wanted_by(study);
    Ok(rows.sorted(|e| (e.point.shape.cols, e.point.vectors)))
}

/// `vectors × rows × columns`.
pub(super) fn name(entry: &Product<'_>) -> String {
    let Point { shape, vectors, .. } = &entry.point;
    format!("{vectors} × {} × {}", shape.rows, shape.cols)
}

/// FLOP per second, with the interval of visits. A multiply-add is two operations.
pub(super) fn performance(entry: &Product<'_>) -> Option<Measured> {
    Some(entry.seconds()?.map(|s| entry.row.flops as f64 / s))
}

/// Counted work and traffic. Each vector is read and each result is written once, in F32.
pub(super) fn cost(entry: &Product<'_>) -> Cost {
    let (Point { shape, vectors, .. }, row) = (&entry.point, &entry.row);
    let f32s = |n: u32| 4 * u64::from(n) * u64::from(*vectors);
    Cost {
        weights: row.weight_bytes,
        activation_read: f32s(shape.cols),
        activation_write: f32s(shape.rows),
        flops: row.flops,
        launches: 1,
        ..Cost::ZERO
    }
}

/// The predicted time by this device's ceilings. Times are slopes, without submission and wait.
pub(super) fn prediction(entry: &Product<'_>, machine: &Machine) -> Prediction {
    let cost = cost(entry);
    machine.predict(&cost, Regime::new(cost.bytes()).submissions(0))
}
