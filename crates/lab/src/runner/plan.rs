//! Selects and orders the cells of a run, and groups those that share a process.

use ridgeline_experiment::Error;
use ridgeline_experiment::matrix::{Cell, Group, Matrix, Selection};
use ridgeline_experiment::measure::{DynMeasure, find};
use ridgeline_experiment::study::Study;
use ridgeline_measure::{MeasureContext, models};
use serde_json::Value;
use std::collections::HashMap;

/// The measure that runs first: all others are compared with its results.
pub(crate) const CEILINGS: &str = "ceilings";

/// Axes that name a model. Cells of one model share a process, so that it is loaded once.
const MODEL_AXES: [&str; 2] = ["model", "target"];

/// The part of a matrix that an invocation runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Only cells whose label matches this regular expression.
    pub filter: Option<&'a str>,
    /// Only this shard `I/N` of the cells.
    pub shard: Option<&'a str>,
    /// Only cells of these experiments or studies; all where empty.
    pub studies: &'a [String],
}

/// The selected cells of a matrix, ceilings first, each once.
///
/// Every shard and study measures the ceilings, because all predictions need them. All other cells belong to exactly
/// one shard.
///
/// # Errors
/// An unknown measure, experiment or model, axes that do not fit a measure, an invalid filter or shard. The whole matrix
/// is checked, whatever the selection.
pub fn plan(
    matrix: &Matrix,
    measures: &[Box<dyn DynMeasure<MeasureContext>>],
    studies: &[&'static Study],
    wanted: Wanted<'_>,
) -> Result<Vec<Cell>, Error> {
    let everywhere = wanted.filter.map_or(Ok(Selection::all()), |f| Selection::all().filter(f))?;
    let here = wanted.shard.map_or(Ok(everywhere.clone()), |s| everywhere.clone().shard(s))?;
    let here = here.studies(wanted.studies);
    known_studies(wanted.studies, studies)?;
    let (mut cells, mut index) = (Vec::<Cell>::new(), HashMap::<String, usize>::new());
    for group in &matrix.groups {
        for id in &group.studies {
            known_studies(std::slice::from_ref(id), studies).map_err(|e| group.error(id, e))?;
        }
        known_models(group)?;
        let measure = find(measures, &group.measure).map_err(|e| group.error(&group.measure, e))?;
        let points = measure.plan(&group.axes).map_err(|e| group.error("axes", e))?;
        for point in points {
            let mut cell = group.cell(point);
            if measure.deterministic() {
                cell.visits = 1;
            }
            match index.get(&cell.id()) {
                Some(&at) => merge(&mut cells[at], cell),
                None => {
                    index.insert(cell.id(), cells.len());
                    cells.push(cell);
                }
            }
        }
    }
    cells.retain(|cell| if cell.measure == CEILINGS { everywhere.takes(cell) } else { here.takes(cell) });
    // Stable, so that the order of the matrix is kept otherwise.
    cells.sort_by_key(|cell| cell.measure != CEILINGS);
    Ok(cells)
}

/// Checks that every model that a group names exists, before anything is measured.
fn known_models(group: &Group) -> Result<(), Error> {
    for axis in ["model", "target", "draft"] {
        for name in group.axes.values(axis).iter().filter_map(Value::as_str) {
            let unknown = |e: models::Error| {
                let reason = e.to_string();
                group.error(name, Error::UnknownModel { name: name.to_owned(), reason })
            };
            models::path(name).map_err(unknown)?;
        }
    }
    Ok(())
}

/// Adds the wishes of an equal cell of another group: its experiments, and the larger budget.
fn merge(cell: &mut Cell, other: Cell) {
    cell.studies
        .extend(other.studies.into_iter().filter(|id| !cell.studies.contains(id)).collect::<Vec<_>>());
    if other.budget.budget_s > cell.budget.budget_s {
        cell.budget = other.budget;
    }
}

/// Checks that every name is an experiment or a study of the list.
fn known_studies(names: &[String], studies: &[&'static Study]) -> Result<(), Error> {
    let is = |name: &String| studies.iter().any(|it| ridgeline_experiment::matrix::names(name, it.id));
    match names.iter().find(|name| !is(name)) {
        Some(unknown) => {
            let known = studies.iter().map(|it| it.id).collect::<Vec<_>>().join(", ");
            Err(Error::UnknownStudy { id: unknown.clone(), known })
        }
        None => Ok(()),
    }
}

/// Groups cells by model, in order of first appearance. Cells without a model are grouped by measure.
#[must_use]
pub fn groups(cells: Vec<Cell>) -> Vec<Vec<Cell>> {
    let model = |cell: &Cell| MODEL_AXES.iter().find_map(|axis| cell.point.get(axis)).map(Value::to_string);
    let (mut keys, mut groups) = (Vec::new(), Vec::<Vec<Cell>>::new());
    for cell in cells {
        let key = model(&cell).unwrap_or_else(|| cell.measure.clone());
        let at = keys.iter().position(|k| *k == key).unwrap_or(groups.len());
        if at == groups.len() {
            keys.push(key);
            groups.push(Vec::new());
        }
        groups[at].push(cell);
    }
    groups
}
