//! Roofline arithmetic: cost, machine, bound, waterfall. Pure: no clock, no device, no files.
//!
//! A [`Cost`] says what work needs, a [`Machine`] says what a device was measured to deliver, and a
//! [`Prediction`] is the one held against the other. Every measured time is checked against its floor
//! ([`check_floor`]): a time below it is a bug in the cost, in the ceiling or in the clock.

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
