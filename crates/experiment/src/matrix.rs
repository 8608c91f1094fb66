//! The matrix of experiments: a TOML file that lists which points of which experiments run, and for how long.
//!
//! The axes of an experiment span its points. A *cell* is one point with its budget and check: the unit that is
//! measured and journaled. `[experiment.quick]` replaces axes and budget for a quick run.

use crate::{Error, canonical};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;

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

/// Values by axis; the points of an experiment are their Cartesian product.
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

    /// These axes with those in `by` replaced or added.
    fn replaced(&self, by: &Self) -> Self {
        let mut axes = self.0.clone();
        axes.extend(by.0.clone());
        Self(axes)
    }
}

/// Overrides for a quick run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quick {
    /// Whether a quick run omits the experiment.
    #[serde(default)]
    pub skip: bool,
    /// Axes that are replaced; the others are kept.
    #[serde(default)]
    pub axes: Axes,
    /// The budget, if it differs.
    pub budget: Option<Budget>,
}

/// One entry of a matrix: an experiment with its axes. An experiment may have several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Name in the list of experiments.
    pub name: String,
    /// A description for readers of the file.
    #[serde(default)]
    pub about: String,
    /// The axes that vary.
    #[serde(default)]
    pub axes: Axes,
    /// Repetitions and time limit of each cell.
    pub budget: Budget,
    /// Overrides for a quick run.
    pub quick: Option<Quick>,
    /// The correctness check that every cell has to pass, as the experiment defines it.
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

/// Whether a run is full or quick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pace {
    /// Axes and budgets as given.
    #[default]
    Full,
    /// Axes and budgets as `[experiment.quick]` changes them.
    Quick,
}

impl Matrix {
    /// Parses a matrix; errors name `path`.
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

    /// This matrix with other models: `names` replace the values of every axis `model`.
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

    /// The groups that run at a pace, with the overrides of a quick run applied.
    #[must_use]
    pub fn at(&self, pace: Pace) -> Vec<Group> {
        self.groups.iter().filter_map(|g| g.at(pace)).collect()
    }
}

impl Group {
    /// This group at a pace; `None` where a quick run omits it.
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

/// One point of one experiment with its budget and check; the journal keys its records by cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Name of the experiment.
    pub experiment: String,
    /// The point.
    pub point: Value,
    /// Repetitions and time limit.
    pub budget: Budget,
    /// The correctness check that it has to pass.
    pub check: Option<Value>,
}

impl Cell {
    /// Hash of the experiment, point, budget and check; independent of the order of keys.
    ///
    /// The budget is included, so that a quick run's two repetitions do not complete a cell of a full run.
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

    /// One-line label of the cell, such as `bench depth=256 model=tiny-target`; filters match against it.
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

/// Selects the cells of a matrix that this invocation runs.
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

    /// Only cells whose label matches the regular expression.
    ///
    /// # Errors
    /// [`Error::Filter`].
    pub fn filter(mut self, pattern: &str) -> Result<Self, Error> {
        let bad = |source| Error::Filter { pattern: pattern.to_owned(), source };
        self.filter = Some(regex::Regex::new(pattern).map_err(bad)?);
        Ok(self)
    }

    /// Only shard `I/N` of the cells. The cell's hash decides its shard, so that shards never overlap.
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

    /// Whether the cell is selected.
    #[must_use]
    pub fn takes(&self, cell: &Cell) -> bool {
        let here = self.shard.is_none_or(|(index, count)| {
            let head = u64::from_str_radix(&cell.id()[..16], 16).unwrap_or(0);
            head % count == index - 1
        });
        here && self.filter.as_ref().is_none_or(|f| f.is_match(&cell.label()))
    }
}
