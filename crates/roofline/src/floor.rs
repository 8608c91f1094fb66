//! The floor check: no measured time may lie below the least time that the ceilings allow.

use serde::{Deserialize, Serialize};

/// How far below its floor a time may lie, as a share of the floor.
///
/// The ceilings are measured minutes before, and shared machines change their pace by a fifth and more. A count that is
/// wrong by more than this fails its cell. Less is reported as a contradiction between the run's own numbers.
pub const FLOOR_TOLERANCE: f64 = 1.0 / 3.0;

/// A measured time lies below its floor, so the cost, a ceiling or the clock is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error(
    "measured {measured_s:.3e} s beats its floor of {floor_s:.3e} s by {:.1} %: the byte or FLOP count, the ceiling or the clock is wrong",
    self.excess() * 100.0
)]
pub struct BeatsFloor {
    /// The measured time, seconds.
    pub measured_s: f64,
    /// Its floor, seconds.
    pub floor_s: f64,
}

impl BeatsFloor {
    /// How far the time lies below its floor, as a share of the floor.
    #[must_use]
    pub fn excess(&self) -> f64 {
        1.0 - self.measured_s / self.floor_s
    }
}

/// Accepts a measured time that is at least two thirds of its floor.
///
/// # Errors
/// [`BeatsFloor`] for a smaller time, and for a NaN, which a broken clock may produce.
pub fn check_floor(measured_s: f64, floor_s: f64) -> Result<(), BeatsFloor> {
    if measured_s >= floor_s * (1.0 - FLOOR_TOLERANCE) {
        return Ok(());
    }
    Err(BeatsFloor { measured_s, floor_s })
}
