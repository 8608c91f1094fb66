//! Decode steps of the throughput-gap study: time, bytes and launches of one token.

use crate::measures::pass::{self, Row};
pub(super) use crate::measures::pass::{Column, Pass};
use crate::measures::title;
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::rows::Rows;
use ridgeline_measure::profile::TimedLaunch;
use ridgeline_model::Part;
use ridgeline_roofline::Measured;

/// Cells of plain generation: with the default switches, whatever their model, format and depth.
pub(super) fn generation<'a>(data: &Data<'a>) -> Result<Rows<'a, pass::Point, Row>, Error> {
    Ok(data.rows::<pass::Kind>()?.filter(|p| p.work.generated().is_some() && p.is_default()))
}

/// Depth of the cells that compare sizes.
const AT: usize = 64;

/// Cells of one token after another by models of several sizes, the smallest first.
pub(super) fn sizes<'a>(data: &Data<'a>) -> Result<Rows<'a, pass::Point, Row>, Error> {
    // Models with fewer layers than published are no sizes of their own.
    let whole = |p: &pass::Point| !p.model.contains('@');
    let rows = generation(data)?.filter(|p| p.depth == AT && p.format.starts_with("mlx") && whole(p));
    Ok(rows.sorted(|e| (e.point.format.clone(), e.row.pass.weight_bytes)))
}

/// The cells of the model with the most weights, which claims about large models compare.
pub(super) fn largest<'r, 'a>(rows: &'r Rows<'a, pass::Point, Row>) -> impl Iterator<Item = &'r Pass<'a>> {
    let most = rows.iter().max_by_key(|e| e.row.pass.params).map(|e| e.point.model.clone());
    rows.iter().filter(move |e| Some(&e.point.model) == most.as_ref())
}

/// Whether all modules that share a launch belong to these parts. Equal launches of several modules are one kind.
pub(super) fn belongs(launch: &TimedLaunch, parts: &[Part]) -> bool {
    launch.module.split(", ").all(|module| Part::of(module).is_some_and(|part| parts.contains(&part)))
}

/// Model and format of a cell.
pub(super) fn name(entry: &Pass<'_>) -> String {
    title(&entry.point.model, &entry.point.format)
}

/// Tokens of one repetition.
fn tokens(row: &Row) -> f64 {
    row.test.generate as f64
}

/// Seconds of one token, with the interval of visits.
pub(super) fn step(entry: &Pass<'_>) -> Option<Measured> {
    entry.seconds().map(|s| s.map(|s| s / tokens(&entry.row)))
}

/// Tokens per second.
pub(super) fn rate(entry: &Pass<'_>) -> Option<Measured> {
    step(entry).map(|s| s.map(f64::recip))
}

/// Bytes of weights that one token reads.
pub(super) fn weights(row: &Row) -> f64 {
    row.pass.cost.weights as f64 / tokens(row)
}

/// Bytes of the KV cache that one token reads and writes.
pub(super) fn kv(row: &Row) -> f64 {
    (row.pass.cost.kv_read + row.pass.cost.kv_write) as f64 / tokens(row)
}

/// Launches of one token.
pub(super) fn launches(row: &Row) -> f64 {
    row.pass.cost.launches as f64 / tokens(row)
}

/// Delivered bandwidth of one visit in bytes/s, where a token moves `bytes`.
pub(super) fn bandwidth(row: &Row, bytes: f64) -> Option<f64> {
    Some(bytes * tokens(row) / row.median_s()?)
}
