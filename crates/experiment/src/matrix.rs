//! The matrix: which points of which experiments run, for how long, and the answer each has to give.
//!
//! A file lists experiments; the axes of each span its points. `[experiment.quick]` replaces axes and budget
//! for a quick run. What to vary is data; how to measure is code.

use crate::{Error, canonical};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;

/// How often and how long a cell is measured; the runner enforces it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Repetitions that are never timed.
    pub warmup: u32,
    /// Fewest timed repetitions, whatever they cost.
    pub min_reps: u32,
    /// Most timed repetitions.
    pub max_reps: u32,
    /// Seconds after which no further repetition starts, once there are `min_reps`.
    pub budget_s: f64,
}

impl Budget {
    /// Whether another repetition should start after `done` of them in `spent_s` seconds.
    #[must_use]
    pub fn continues(&self, done: u32, spent_s: f64) -> bool {
        done < self.min_reps || (done < self.max_reps && spent_s < self.budget_s)
    }
}

/// Values by axis; the points of an experiment are their cartesian product.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Axes(BTreeMap<String, Vec<Value>>);

impl Axes {
    /// Axes from names and values.
    #[must_use]
    pub fn new(axes: impl IntoIterator<Item = (String, Vec<Value>)>) -> Self {
        Self(axes.into_iter().collect())
    }

    /// Every combination of values, each read as `P`; the last axis by name varies fastest.
    ///
    /// # Errors
    /// [`Error::Json`] where a combination is not a `P`: an axis is missing, unknown to it, or of another type.
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

    /// The values of one axis; empty where there is no such axis.
    #[must_use]
    pub fn values(&self, axis: &str) -> &[Value] {
        self.0.get(axis).map_or(&[], Vec::as_slice)
    }

    /// These axes with some of them replaced.
    fn replaced(&self, by: &Self) -> Self {
        let mut axes = self.0.clone();
        axes.extend(by.0.clone());
        Self(axes)
    }
}

/// What changes in a quick run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quick {
    /// Left out altogether.
    #[serde(default)]
    pub skip: bool,
    /// Axes that are replaced; the others stay.
    #[serde(default)]
    pub axes: Axes,
    /// The budget that replaces the full one.
    pub budget: Option<Budget>,
}

/// One experiment of a matrix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Name in the list of experiments.
    pub name: String,
    /// Why it is in the matrix, for a reader.
    #[serde(default)]
    pub about: String,
    /// What varies.
    #[serde(default)]
    pub axes: Axes,
    /// How long.
    pub budget: Budget,
    /// What a quick run changes.
    pub quick: Option<Quick>,
    /// The answer every cell has to give, in the experiment's own terms.
    pub check: Option<Value>,
}

/// A matrix file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matrix {
    /// The experiments, in the order in which they run.
    #[serde(rename = "experiment")]
    pub groups: Vec<Group>,
}

/// Full or quick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pace {
    /// Axes and budgets as given.
    #[default]
    Full,
    /// Axes and budgets as `[experiment.quick]` changes them.
    Quick,
}

impl Matrix {
    /// Reads a matrix from text; `path` is only named in errors.
    ///
    /// # Errors
    /// [`Error::Toml`], [`Error::EmptyAxis`] or [`Error::BadBudget`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let toml = |source| Error::Toml { path: path.to_owned(), source: Box::new(source) };
        let matrix: Self = toml::from_str(text).map_err(toml)?;
        for group in &matrix.groups {
            group.validate(path)?;
        }
        Ok(matrix)
    }

    /// Reads a matrix file.
    ///
    /// # Errors
    /// [`Error::Io`], and as [`Matrix::parse`].
    pub fn load(path: &Path) -> Result<Self, Error> {
        Self::parse(path, &std::fs::read_to_string(path).map_err(Error::io(path))?)
    }

    /// The same of other models: they take the place of the values of every axis that is called `model`.
    #[must_use]
    pub fn of_models(mut self, names: &[String]) -> Self {
        for group in &mut self.groups {
            let quick = group.quick.as_mut().map(|quick| &mut quick.axes);
            for Axes(axes) in [Some(&mut group.axes), quick].into_iter().flatten() {
                if let Some(values) = axes.get_mut("model") {
                    *values = names.iter().map(|name| Value::from(name.as_str())).collect();
                }
            }
        }
        self
    }

    /// The groups that run at a pace, with axes and budget settled.
    #[must_use]
    pub fn at(&self, pace: Pace) -> Vec<Group> {
        self.groups.iter().filter_map(|g| g.at(pace)).collect()
    }
}

impl Group {
    /// This group at a pace; `None` where a quick run leaves it out.
    #[must_use]
    pub fn at(&self, pace: Pace) -> Option<Self> {
        let mut group = self.clone();
        if let (Pace::Quick, Some(quick)) = (pace, group.quick.take()) {
            if quick.skip {
                return None;
            }
            group.axes = group.axes.replaced(&quick.axes);
            group.budget = quick.budget.unwrap_or(group.budget);
        }
        Some(group)
    }

    /// The cell of one point of this group.
    #[must_use]
    pub fn cell(&self, point: Value) -> Cell {
        Cell { experiment: self.name.clone(), point, budget: self.budget, check: self.check.clone() }
    }

    fn validate(&self, path: &Path) -> Result<(), Error> {
        let quick = self.quick.iter().flat_map(|q| q.axes.0.iter());
        for (axis, values) in self.axes.0.iter().chain(quick) {
            if values.is_empty() {
                let (experiment, axis) = (self.name.clone(), axis.clone());
                return Err(Error::EmptyAxis { path: path.to_owned(), experiment, axis });
            }
        }
        for b in [Some(self.budget), self.quick.as_ref().and_then(|q| q.budget)].into_iter().flatten() {
            if b.min_reps == 0 || b.max_reps < b.min_reps || !b.budget_s.is_finite() || b.budget_s <= 0.0 {
                return Err(Error::BadBudget {
                    path: path.to_owned(),
                    experiment: self.name.clone(),
                    min_reps: b.min_reps,
                    max_reps: b.max_reps,
                    budget_s: b.budget_s,
                });
            }
        }
        Ok(())
    }
}

/// One point of one experiment and how long to measure it: what the journal keys its records by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Name of the experiment.
    pub experiment: String,
    /// The point.
    pub point: Value,
    /// How long.
    pub budget: Budget,
    /// The answer it has to give.
    pub check: Option<Value>,
}

impl Cell {
    /// Hash of the experiment, point, budget and check, whatever the order of their keys.
    ///
    /// The budget is in it, so that a full run does not take a quick run's two repetitions for done.
    #[must_use]
    pub fn id(&self) -> String {
        let budget = &self.budget;
        canonical::hash(&serde_json::json!({
            "experiment": self.experiment,
            "point": self.point,
            "budget": [budget.warmup, budget.min_reps, budget.max_reps, budget.budget_s],
            "check": self.check,
        }))
    }

    /// One line that names the cell, such as `bench depth=256 model=tiny-target`; filters match against it.
    #[must_use]
    pub fn label(&self) -> String {
        let mut label = self.experiment.clone();
        if let Value::Object(point) = &self.point {
            let mut axes: Vec<_> = point.iter().collect();
            axes.sort_by_key(|(axis, _)| *axis);
            for (axis, value) in axes {
                let text = value.as_str().map_or_else(|| canonical::canonical(value), str::to_owned);
                label += &format!(" {axis}={text}");
            }
        }
        label
    }
}

/// Which cells of a matrix this invocation runs.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    filter: Option<regex::Regex>,
    shard: Option<(u64, u64)>,
}

impl Selection {
    /// Every cell.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Only cells whose label the regular expression finds.
    ///
    /// # Errors
    /// [`Error::Filter`].
    pub fn filter(mut self, pattern: &str) -> Result<Self, Error> {
        let bad = |source| Error::Filter { pattern: pattern.to_owned(), source };
        self.filter = Some(regex::Regex::new(pattern).map_err(bad)?);
        Ok(self)
    }

    /// Only the share `I/N` of the cells, decided by each cell's hash, so that shards never overlap.
    ///
    /// # Errors
    /// [`Error::Shard`] where the text is not `I/N` with `1 ≤ I ≤ N`.
    pub fn shard(mut self, text: &str) -> Result<Self, Error> {
        let bad = || Error::Shard { text: text.to_owned() };
        let (index, count) = text.split_once('/').ok_or_else(bad)?;
        let (index, count): (u64, u64) =
            (index.parse().map_err(|_| bad())?, count.parse().map_err(|_| bad())?);
        if index == 0 || index > count {
            return Err(bad());
        }
        self.shard = Some((index, count));
        Ok(self)
    }

    /// Whether this invocation runs the cell.
    #[must_use]
    pub fn takes(&self, cell: &Cell) -> bool {
        let here = self.shard.is_none_or(|(index, count)| {
            let head = u64::from_str_radix(&cell.id()[..16], 16).unwrap_or(0);
            head % count == index - 1
        });
        here && self.filter.as_ref().is_none_or(|f| f.is_match(&cell.label()))
    }
}
