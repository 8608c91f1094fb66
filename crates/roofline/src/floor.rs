//! The invariant that keeps the instrument honest: no measured time beats its floor.

use serde::{Deserialize, Serialize};

/// How far below its floor a time may lie before it is called impossible: 2 %, for the clock's own error.
pub const FLOOR_TOLERANCE: f64 = 0.02;

/// A measured time lies below what the device's ceilings allow.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error(
    "measured {measured_s:.3e} s beats its floor of {floor_s:.3e} s by {:.1} %: the byte or FLOP count, the ceiling or the clock is wrong",
    self.excess() * 100.0
)]
pub struct BeatsFloor {
    /// The measured time, seconds.
    pub measured_s: f64,
    /// The floor under it, seconds.
    pub floor_s: f64,
}

impl BeatsFloor {
    /// By what share of the floor the time lies below it.
    #[must_use]
    pub fn excess(&self) -> f64 {
        1.0 - self.measured_s / self.floor_s
    }
}

/// Accepts a measured time that is at least 98 % of its floor.
///
/// # Errors
/// [`BeatsFloor`] where it is not; also where the time is not a number, because an impossible clock must not
/// pass either.
pub fn check_floor(measured_s: f64, floor_s: f64) -> Result<(), BeatsFloor> {
    if measured_s >= floor_s * (1.0 - FLOOR_TOLERANCE) {
        return Ok(());
    }
    Err(BeatsFloor { measured_s, floor_s })
}
