//! The matrix: TOML files that list which points of which measures run, for which experiments, and for how long.
//!
//! The axes of a group span its points. A *cell* is one point of one measure: the unit that is measured and journaled.
//! A cell that several groups list is measured once.

mod selection;

pub use selection::{Selection, names};

use crate::{Error, canonical};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Number of repetitions and time limit of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Untimed repetitions before the timed ones.
    pub warmup: u32,
    /// Fewest timed repetitions, even beyond `budget_s`.
    pub min_reps: u32,
    /// Most timed repetitions.
    pub max_reps: u32,
    /// Seconds after which no further repetition starts, once `min_reps` are done.
    pub budget_s: f64,
}

impl Budget {
    /// Whether another repetition should start after `done` of them in `spent_s` seconds.
    #[must_use]
    pub fn continues(&self, done: u32, spent_s: f64) -> bool {
        done < self.min_reps || (done < self.max_reps && spent_s < self.budget_s)
    }
}

/// Values by axis; the points of a group are their Cartesian product.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Axes(BTreeMap<String, Vec<Value>>);

impl Axes {
    /// Axes from names and values.
    #[must_use]
    pub fn new(axes: impl IntoIterator<Item = (String, Vec<Value>)>) -> Self {
        Self(axes.into_iter().collect())
    }

    /// Every combination of values, deserialized as `P`; the alphabetically last axis varies fastest.
    ///
    /// # Errors
    /// [`Error::Json`] where a combination is not a `P`: an axis is missing, unknown or of another type.
    pub fn points<P: DeserializeOwned>(&self) -> Result<Vec<P>, Error> {
        let read = |point: Value| {
            let what = format!("point {}", canonical::canonical(&point));
            serde_json::from_value(point).map_err(Error::json(what))
        };
        self.product().into_iter().map(read).collect()
    }

    /// Every combination of values as a JSON object.
    #[must_use]
    pub fn product(&self) -> Vec<Value> {
        let mut points = vec![Map::new()];
        for (axis, values) in &self.0 {
            let extend = |point: &Map<String, Value>| {
                let with = |value: &Value| {
                    let mut point = point.clone();
                    point.insert(axis.clone(), value.clone());
                    point
                };
                values.iter().map(with).collect::<Vec<_>>()
            };
            points = points.iter().flat_map(extend).collect();
        }
        points.into_iter().map(Value::Object).collect()
    }

    /// The values of one axis; empty for an unknown axis.
    #[must_use]
    pub fn values(&self, axis: &str) -> &[Value] {
        self.0.get(axis).map_or(&[], Vec::as_slice)
    }
}

/// Visits of every cell in a full run.
pub const VISITS: u32 = 3;

/// Budget of a first visit where its group names none.
const FIRST: Budget = Budget { warmup: 0, min_reps: 2, max_reps: 5, budget_s: 0.5 };

/// One entry of a matrix: cells of one measure, with the experiments that want them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Ids of the experiments that want these cells, such as `GAP-4`.
    #[serde(default)]
    pub studies: Vec<String>,
    /// Name of the measure.
    pub measure: String,
    /// A description for readers of the file.
    #[serde(default)]
    pub about: String,
    /// The axes that vary.
    #[serde(default)]
    pub axes: Axes,
    /// Repetitions and time limit of one visit of a cell.
    pub budget: Budget,
    /// Repetitions and time limit of the first visit, which is short; by default half a second.
    pub first: Option<Budget>,
    /// The correctness check that every cell has to pass, as the measure defines it.
    pub check: Option<Value>,
    /// Where the group stands.
    #[serde(skip)]
    place: Place,
}

/// A group's place in its file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Place {
    path: PathBuf,
    /// Line of the first character, counted from 1.
    line: usize,
    text: String,
}

/// The groups of one or several matrix files.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matrix {
    /// The groups, in the order in which they run.
    pub groups: Vec<Group>,
}

/// A matrix file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    cells: Vec<toml::Spanned<Group>>,
}

impl Matrix {
    /// Parses a matrix file; errors name `path` and the line.
    ///
    /// # Errors
    /// [`Error::Toml`], or [`Error::EmptyAxis`] or [`Error::BadBudget`] in [`Error::InMatrix`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let toml = |source| Error::Toml { path: path.to_owned(), source: Box::new(source) };
        let file: File = toml::from_str(text).map_err(toml)?;
        let starts: Vec<usize> = file.cells.iter().map(|it| it.span().start).collect();
        let ends = starts.iter().skip(1).copied().chain([text.len()]);
        let mut groups = Vec::new();
        for ((group, &start), end) in file.cells.into_iter().zip(&starts).zip(ends) {
            let mut group = group.into_inner();
            let line = 1 + text[..start].matches('\n').count();
            group.place = Place { path: path.to_owned(), line, text: text[start..end].to_owned() };
            group.validate()?;
            groups.push(group);
        }
        Ok(Self { groups })
    }

    /// Reads a matrix file.
    ///
    /// # Errors
    /// [`Error::Io`], and as [`Matrix::parse`].
    pub fn load(path: &Path) -> Result<Self, Error> {
        Self::parse(path, &std::fs::read_to_string(path).map_err(Error::io(path))?)
    }

    /// This matrix with the groups of another appended.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.groups.extend(other.groups);
        self
    }

    /// This matrix with other models: `names` replace the values of every axis `model`.
    ///
    /// `renamed` turns a name into one of the kind of the axis's values, such as `shape:NAME`.
    #[must_use]
    pub fn of_models(mut self, names: &[String], renamed: impl Fn(&[Value], &str) -> String) -> Self {
        for Group { axes: Axes(axes), .. } in &mut self.groups {
            if let Some(values) = axes.get_mut("model") {
                *values = names.iter().map(|name| Value::from(renamed(values, name))).collect();
            }
        }
        self
    }
}

impl Group {
    /// The cell of one point of this group.
    #[must_use]
    pub fn cell(&self, point: Value) -> Cell {
        Cell {
            measure: self.measure.clone(),
            studies: self.studies.clone(),
            point,
            budget: self.budget,
            first: self.first.unwrap_or(FIRST),
            check: self.check.clone(),
            visit: 0,
            visits: VISITS,
        }
    }

    /// An error about this group, with file and line. The line is that of `words`, or the group's first.
    #[must_use]
    pub fn error(&self, words: &str, source: Error) -> Error {
        let Place { path, line, text } = &self.place;
        let below = text.find(words).map_or(0, |at| text[..at].matches('\n').count());
        Error::InMatrix { path: path.clone(), line: line + below, source: Box::new(source) }
    }

    fn validate(&self) -> Result<(), Error> {
        for (axis, values) in &self.axes.0 {
            if values.is_empty() {
                let (measure, axis) = (self.measure.clone(), axis.clone());
                return Err(self.error(&axis.clone(), Error::EmptyAxis { measure, axis }));
            }
        }
        for (key, budget) in [("budget", Some(self.budget)), ("first", self.first)] {
            let Some(Budget { min_reps, max_reps, budget_s, .. }) = budget else { continue };
            if min_reps == 0 || max_reps < min_reps || !budget_s.is_finite() || budget_s <= 0.0 {
                let measure = self.measure.clone();
                return Err(self.error(key, Error::BadBudget { measure, min_reps, max_reps, budget_s }));
            }
        }
        Ok(())
    }
}

/// One point of one measure with its budget and check; the journal keys its records by cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Name of the measure.
    pub measure: String,
    /// Ids of the experiments that want it.
    pub studies: Vec<String>,
    /// The point.
    pub point: Value,
    /// Repetitions and time limit of a visit.
    pub budget: Budget,
    /// Those of the first visit.
    pub first: Budget,
    /// The correctness check that it has to pass.
    pub check: Option<Value>,
    /// Number of earlier visits.
    pub visit: u32,
    /// Visits of a full run: 1 where every visit gives the same row.
    pub visits: u32,
}

impl Cell {
    /// Hash of the measure, point and check; independent of the order of keys. Visits with any budget count.
    #[must_use]
    pub fn id(&self) -> String {
        canonical::hash(&serde_json::json!({
            "measure": self.measure,
            "point": self.point,
            "check": self.check,
        }))
    }

    /// Repetitions and time limit of the next visit.
    #[must_use]
    pub const fn next_budget(&self) -> &Budget {
        if self.visit == 0 { &self.first } else { &self.budget }
    }

    /// One-line label of the cell, such as `pass depth=256 model=tiny-target`; filters match against it.
    #[must_use]
    pub fn label(&self) -> String {
        label(&self.measure, &self.point)
    }
}

/// Measure and point in one line.
#[must_use]
pub fn label(measure: &str, point: &Value) -> String {
    let mut label = measure.to_owned();
    if let Value::Object(point) = point {
        let mut axes: Vec<_> = point.iter().collect();
        axes.sort_by_key(|(axis, _)| *axis);
        for (axis, value) in axes {
            let text = value.as_str().map_or_else(|| canonical::canonical(value), str::to_owned);
            label += &format!(" {axis}={text}");
        }
    }
    label
}
