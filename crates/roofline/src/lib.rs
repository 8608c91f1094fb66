//! The roofline model: costs, machines, predictions and waterfalls. It uses no clock, no device and no files.
//!
//! The roofline model bounds the time of work that moves `Q` bytes and does `W` operations.
//! It is by Williams, Waterman and Patterson (CACM 2009), "Roofline: An Insightful Visual Performance Model for
//! Multicore Architectures".
//! With bandwidth `BW` and peak `P`, the *roof* is `max(Q/BW, W/P)`. The *ridge* is the intensity `P/BW`, where
//! both are equal.
//!
//! A [`Cost`] holds the bytes and operations of work, and a [`Machine`] the measured ceilings of a device.
//! A [`Prediction`] combines the two. A [`Waterfall`] splits a measured time into named parts.
//! [`check_floor`] rejects a time below its floor, which shows a bug in the cost, the ceiling or the clock.

mod cost;
mod curve;
mod error;
mod floor;
mod machine;
mod metrics;
mod predict;
mod published;
mod waterfall;

pub use cost::Cost;
pub use curve::{Bandwidth, Curve, Measured, Sample};
pub use error::Error;
pub use floor::{BeatsFloor, FLOOR_TOLERANCE, check_floor};
pub use machine::{Machine, Overheads, Precision};
pub use metrics::{Potential, RooflinePoint, Side};
pub use predict::{Bound, Prediction, Regime};
pub use published::{PeakKind, PeakQuantity, PublishedMachine, PublishedPeak};
pub use waterfall::{Part, Waterfall};
