//! The experiment trait: a plan, a measurement and a summary, with typed points and rows.
//!
//! The type parameter `Lab` is the measuring context (a device, loaded models), opaque to this crate. The list of
//! experiments holds [`DynExperiment`]s, which carry points and rows as JSON.

use crate::Error;
use crate::matrix::{Axes, Budget};
use crate::published::Published;
use crate::record::{Check, ModelId, Record, Status};
use crate::report::Section;
use ridgeline_roofline::{BeatsFloor, Machine};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::marker::PhantomData;

/// The result of measuring one cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement<Row> {
    /// The experiment's own figures.
    pub row: Row,
    /// Every timed repetition in order, nanoseconds.
    pub samples_ns: Vec<u64>,
    /// The correctness check of the cell; a row whose check failed enters no table.
    pub check: Option<Check>,
    /// The model measured, where there is one.
    pub model: Option<ModelId>,
}

impl<Row> Measurement<Row> {
    /// A row and its samples, without check or model.
    #[must_use]
    pub const fn new(row: Row, samples_ns: Vec<u64>) -> Self {
        Self { row, samples_ns, check: None, model: None }
    }
}

/// Why a cell has no row.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The cell cannot run on this device; this is not a failure.
    #[error("{reason}")]
    Skipped {
        /// The missing feature or file.
        reason: String,
    },
    /// The measured time is below the physical lower bound.
    #[error(transparent)]
    BeatsFloor(#[from] BeatsFloor),
    /// A point or row could not be converted to or from JSON.
    #[error(transparent)]
    Shape(#[from] Error),
    /// Any other error.
    #[error(transparent)]
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

impl RunError {
    /// The cell cannot run here, for this reason.
    #[must_use]
    pub fn skip(reason: impl Into<String>) -> Self {
        Self::Skipped { reason: reason.into() }
    }

    /// The cell failed with this error.
    #[must_use]
    pub fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Failed(Box::new(error))
    }

    /// The status in the journal.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::Skipped { .. } => Status::Skipped,
            Self::BeatsFloor(_) | Self::Shape(_) | Self::Failed(_) => Status::Failed,
        }
    }
}

/// One ok record with its point and row deserialized.
#[derive(Clone, Debug)]
pub struct Entry<'a, Point, Row> {
    /// The point.
    pub point: Point,
    /// The row.
    pub row: Row,
    /// The record they come from, with the raw samples.
    pub record: &'a Record,
}

/// Inputs of a summary besides the records of its experiment.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// The ceilings of the device, where they were measured.
    pub machine: Option<&'a Machine>,
    /// The published numbers.
    pub published: &'a Published,
    /// Seed of every resampling in the report.
    pub seed: u64,
}

/// An experiment: its points, how one point is measured, and how the rows are summarized.
pub trait Experiment<Lab: ?Sized> {
    /// Its name in matrices, journals and filters.
    const NAME: &'static str;
    /// One point: what varies.
    type Point: Serialize + DeserializeOwned;
    /// One row: what is measured.
    type Row: Serialize + DeserializeOwned;

    /// The points that the axes span: by default, their Cartesian product.
    ///
    /// # Errors
    /// Where the axes do not fit the point.
    fn plan(axes: &Axes) -> Result<Vec<Self::Point>, Error> {
        axes.points()
    }

    /// Measures one point within a budget.
    ///
    /// # Errors
    /// The reason why there is no row; the run continues with the next cell.
    fn run(lab: &mut Lab, point: &Self::Point, budget: &Budget) -> Result<Measurement<Self::Row>, RunError>;

    /// The report sections made from the ok records.
    fn summarise(entries: &[Entry<'_, Self::Point, Self::Row>], context: &Context<'_>) -> Vec<Section>;
}

/// Object-safe form of [`Experiment`], with points and rows as JSON.
pub trait DynExperiment<Lab: ?Sized>: Send + Sync {
    /// See [`Experiment::NAME`].
    fn name(&self) -> &'static str;

    /// See [`Experiment::plan`].
    ///
    /// # Errors
    /// Where the axes do not fit the point.
    fn plan(&self, axes: &Axes) -> Result<Vec<Value>, Error>;

    /// See [`Experiment::run`].
    ///
    /// # Errors
    /// The reason why there is no row.
    fn run(&self, lab: &mut Lab, point: &Value, budget: &Budget) -> Result<Measurement<Value>, RunError>;

    /// See [`Experiment::summarise`]; records of other experiments are skipped.
    ///
    /// # Errors
    /// Where a record's point or row does not deserialize to the experiment's types.
    fn summarise(&self, records: &[&Record], context: &Context<'_>) -> Result<Vec<Section>, Error>;
}

/// Adapter from [`Experiment`] to [`DynExperiment`].
#[derive(Debug)]
pub struct Erased<E>(PhantomData<fn() -> E>);

impl<E> Erased<E> {
    /// The erased form of `E`.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<E> Default for Erased<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<Lab: ?Sized, E: Experiment<Lab>> DynExperiment<Lab> for Erased<E> {
    fn name(&self) -> &'static str {
        E::NAME
    }

    fn plan(&self, axes: &Axes) -> Result<Vec<Value>, Error> {
        let write = |point| serde_json::to_value(point).map_err(Error::json(format!("{} point", E::NAME)));
        E::plan(axes)?.into_iter().map(write).collect()
    }

    fn run(&self, lab: &mut Lab, point: &Value, budget: &Budget) -> Result<Measurement<Value>, RunError> {
        let Measurement { row, samples_ns, check, model } =
            E::run(lab, &read(E::NAME, "point", point)?, budget)?;
        let row = serde_json::to_value(row).map_err(Error::json(format!("{} row", E::NAME)))?;
        Ok(Measurement { row, samples_ns, check, model })
    }

    fn summarise(&self, records: &[&Record], context: &Context<'_>) -> Result<Vec<Section>, Error> {
        let own = records.iter().filter(|r| r.experiment == E::NAME);
        let entry = |record: &&'_ Record| -> Result<_, Error> {
            let (point, row) = (read(E::NAME, "point", &record.point)?, read(E::NAME, "row", &record.row)?);
            Ok((point, row))
        };
        let mut entries = Vec::new();
        for record in own {
            let (point, row) = entry(record)?;
            entries.push(Entry { point, row, record });
        }
        Ok(E::summarise(&entries, context))
    }
}

/// Reads a point or row of an experiment.
fn read<T: DeserializeOwned>(name: &str, what: &str, value: &Value) -> Result<T, Error> {
    serde_json::from_value(value.clone()).map_err(Error::json(format!("{name} {what}")))
}

/// Finds an experiment by name.
///
/// # Errors
/// [`Error::UnknownExperiment`], which lists the known names.
pub fn find<'a, Lab: ?Sized>(
    list: &'a [Box<dyn DynExperiment<Lab>>],
    name: &str,
) -> Result<&'a dyn DynExperiment<Lab>, Error> {
    let unknown = || Error::UnknownExperiment {
        name: name.to_owned(),
        known: list.iter().map(|e| e.name()).collect::<Vec<_>>().join(", "),
    };
    list.iter().find(|e| e.name() == name).map(AsRef::as_ref).ok_or_else(unknown)
}

/// Declares the list of experiments.
///
/// `experiments! { Lab: ceilings, bench }` declares the modules `ceilings` and `bench` beside the call and a
/// function `experiments()` that lists them. Each module exports its experiment as the type `Study`.
/// Formatters do not expand macros, so a tidy check has to pass them these files by name.
#[macro_export]
macro_rules! experiments {
    ($lab:ty: $($module:ident),+ $(,)?) => {
        $(mod $module;)+

        /// Every experiment, in the order of the list.
        #[must_use]
        pub fn experiments() -> Vec<Box<dyn $crate::experiment::DynExperiment<$lab>>> {
            vec![$(Box::new($crate::experiment::Erased::<$module::Study>::new())),+]
        }
    };
}
