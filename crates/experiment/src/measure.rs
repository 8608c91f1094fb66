//! Measures: kinds of measurement with typed points and rows.
//!
//! The type parameter `Lab` is the measuring context (a device, loaded models), opaque to this crate. The list of
//! measures holds [`DynMeasure`]s, which carry points and rows as JSON. Conclusions are drawn by
//! [studies](crate::study), which use no device.

use crate::Error;
use crate::matrix::{Axes, Budget};
use crate::record::{Check, ModelId, Status};
use ridgeline_roofline::BeatsFloor;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::marker::PhantomData;

/// The result of measuring one cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement<Row> {
    /// The measure's own figures.
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

/// What a kind of measurement varies and what it yields.
pub trait Measure {
    /// Its name in matrices, journals and filters.
    const NAME: &'static str;
    /// One point: what varies.
    type Point: Serialize + DeserializeOwned;
    /// One row: what is measured.
    type Row: Serialize + DeserializeOwned;
    /// Whether every visit gives the same row, so that one is enough.
    const DETERMINISTIC: bool = false;
}

/// A measure that runs in a measuring context.
pub trait Run<Lab: ?Sized>: Measure {
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
}

/// Object-safe form of [`Run`], with points and rows as JSON.
pub trait DynMeasure<Lab: ?Sized>: Send + Sync {
    /// See [`Measure::NAME`].
    fn name(&self) -> &'static str;

    /// See [`Measure::DETERMINISTIC`].
    fn deterministic(&self) -> bool;

    /// See [`Run::plan`].
    ///
    /// # Errors
    /// Where the axes do not fit the point.
    fn plan(&self, axes: &Axes) -> Result<Vec<Value>, Error>;

    /// Whether a point and a row deserialize to the measure's types.
    fn reads(&self, point: &Value, row: &Value) -> bool;

    /// See [`Run::run`].
    ///
    /// # Errors
    /// The reason why there is no row.
    fn run(&self, lab: &mut Lab, point: &Value, budget: &Budget) -> Result<Measurement<Value>, RunError>;
}

/// Adapter from [`Run`] to [`DynMeasure`].
#[derive(Debug)]
pub struct Erased<M>(PhantomData<fn() -> M>);

impl<M> Erased<M> {
    /// The erased form of `M`.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<M> Default for Erased<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<Lab: ?Sized, M: Run<Lab>> DynMeasure<Lab> for Erased<M> {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn deterministic(&self) -> bool {
        M::DETERMINISTIC
    }

    fn plan(&self, axes: &Axes) -> Result<Vec<Value>, Error> {
        let write = |point| serde_json::to_value(point).map_err(Error::json(format!("{} point", M::NAME)));
        M::plan(axes)?.into_iter().map(write).collect()
    }

    fn reads(&self, point: &Value, row: &Value) -> bool {
        read::<M::Point>(M::NAME, "point", point).is_ok() && read::<M::Row>(M::NAME, "row", row).is_ok()
    }

    fn run(&self, lab: &mut Lab, point: &Value, budget: &Budget) -> Result<Measurement<Value>, RunError> {
        let Measurement { row, samples_ns, check, model } =
            M::run(lab, &read(M::NAME, "point", point)?, budget)?;
        let row = serde_json::to_value(row).map_err(Error::json(format!("{} row", M::NAME)))?;
        Ok(Measurement { row, samples_ns, check, model })
    }
}

/// Reads a point or row of a measure.
pub(crate) fn read<T: DeserializeOwned>(name: &str, what: &str, value: &Value) -> Result<T, Error> {
    serde_json::from_value(value.clone()).map_err(Error::json(format!("{name} {what}")))
}

/// Finds a measure by name.
///
/// # Errors
/// [`Error::UnknownMeasure`], which lists the known names.
pub fn find<'a, Lab: ?Sized>(
    list: &'a [Box<dyn DynMeasure<Lab>>],
    name: &str,
) -> Result<&'a dyn DynMeasure<Lab>, Error> {
    let unknown = || Error::UnknownMeasure {
        name: name.to_owned(),
        known: list.iter().map(|m| m.name()).collect::<Vec<_>>().join(", "),
    };
    list.iter().find(|m| m.name() == name).map(AsRef::as_ref).ok_or_else(unknown)
}

/// Declares the list of measures.
///
/// `measures! { Lab: ceilings, pass }` declares the modules `ceilings` and `pass` beside the call and a
/// function `measures()` that lists them. Each module exports its measure as the type `Kind`.
/// Formatters do not expand macros, so a tidy check has to pass them these files by name.
#[macro_export]
macro_rules! measures {
    ($lab:ty: $($module:ident),+ $(,)?) => {
        $(pub(crate) mod $module;)+

        /// Every measure, in the order of the list.
        #[must_use]
        pub fn measures() -> Vec<Box<dyn $crate::measure::DynMeasure<$lab>>> {
            vec![$(Box::new($crate::measure::Erased::<$module::Kind>::new())),+]
        }
    };
}
