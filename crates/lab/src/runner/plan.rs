//! Selects and orders the cells of a run, and groups those that share a process.

use ridgeline_experiment::Error;
use ridgeline_experiment::experiment::{DynExperiment, find};
use ridgeline_experiment::matrix::{Cell, Matrix, Pace, Selection};
use ridgeline_measure::MeasureContext;
use serde_json::Value;
use std::collections::HashSet;

/// The experiment that runs first: all others are compared with its results.
pub(crate) const CEILINGS: &str = "ceilings";

/// Axes that name a model. Cells of one model share a process, so that it is loaded once.
const MODEL_AXES: [&str; 2] = ["model", "target"];

/// The selected cells of a matrix, ceilings first, without duplicates.
///
/// Every shard measures the ceilings, because shards may run on different machines. All other cells belong to exactly one
/// shard.
///
/// # Errors
/// An unknown experiment, axes that do not fit it, an invalid filter or shard. The whole matrix is checked, whatever
/// the selection.
pub fn plan(
    matrix: &Matrix,
    pace: Pace,
    studies: &[Box<dyn DynExperiment<MeasureContext>>],
    filter: Option<&str>,
    shard: Option<&str>,
) -> Result<Vec<Cell>, Error> {
    let everywhere = filter.map_or(Ok(Selection::all()), |f| Selection::all().filter(f))?;
    let here = shard.map_or(Ok(everywhere.clone()), |s| everywhere.clone().shard(s))?;
    let (mut first, mut then, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for group in matrix.at(pace) {
        for point in find(studies, &group.name)?.plan(&group.axes)? {
            let cell = group.cell(point);
            let (selection, list) =
                if cell.experiment == CEILINGS { (&everywhere, &mut first) } else { (&here, &mut then) };
            if selection.takes(&cell) && seen.insert(cell.id()) {
                list.push(cell);
            }
        }
    }
    first.append(&mut then);
    Ok(first)
}

/// Groups cells by experiment and model, in order of first appearance.
#[must_use]
pub fn groups(cells: Vec<Cell>) -> Vec<Vec<Cell>> {
    let model = |cell: &Cell| MODEL_AXES.iter().find_map(|axis| cell.point.get(axis)).map(Value::to_string);
    let (mut keys, mut groups) = (Vec::new(), Vec::<Vec<Cell>>::new());
    for cell in cells {
        let key = (cell.experiment.clone(), model(&cell));
        let at = keys.iter().position(|k| *k == key).unwrap_or(groups.len());
        if at == groups.len() {
            keys.push(key);
            groups.push(Vec::new());
        }
        groups[at].push(cell);
    }
    groups
}
