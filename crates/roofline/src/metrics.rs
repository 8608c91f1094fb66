//! Metrics of a point under the roofline: the distance to the ridge (Φ), its unit-free form, and the headroom.

use serde::{Deserialize, Serialize};

/// The side of the ridge that a point lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Intensity below the ridge.
    MemoryBound,
    /// Intensity at or above the ridge.
    ComputeBound,
}

/// One measurement under the roofline, with its two ceilings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RooflinePoint {
    /// Operational intensity, FLOP/byte.
    pub intensity: f64,
    /// Achieved FLOP/s.
    pub flops_per_s: f64,
    /// Peak FLOP/s at the precision used.
    pub peak_flops_per_s: f64,
    /// Bandwidth at the working set, bytes/s.
    pub bytes_per_s: f64,
}

/// Relative inference potential of one point. A smaller Φ is nearer to the ridge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Potential {
    /// The side of the ridge. Potentials on different sides are not comparable.
    pub side: Side,
    /// Φ as defined in `RooflineBench` (arXiv 2602.11506, section 3), with performance in GFLOP/s.
    ///
    /// Φ adds FLOP/byte to GFLOP/s, so its value depends on the unit.
    pub phi_gflops: f64,
    /// The unit-free form `sqrt(ln²(ridge/OI) + ln²(peak/Perf))`, or `ln(peak/Perf)` on the compute-bound side.
    pub phi_log: f64,
    /// The possible speedup of the same work: `min(peak, OI·BW) / Perf`.
    pub headroom: f64,
}

impl RooflinePoint {
    /// The ridge of its two ceilings, FLOP/byte.
    #[must_use]
    pub fn ridge(&self) -> f64 {
        self.peak_flops_per_s / self.bytes_per_s
    }

    /// Attainable FLOP/s at this intensity: `min(peak, OI·BW)`.
    #[must_use]
    pub fn attainable(&self) -> f64 {
        self.peak_flops_per_s.min(self.intensity * self.bytes_per_s)
    }

    /// Distance to the ridge point, as in `RooflineBench` (arXiv 2602.11506).
    ///
    /// With intensity `OI`, ridge `OI_r`, performance `Perf` and peak `π`:
    /// - memory-bound: `Φ = sqrt((OI_r − OI)² + (π − Perf)²)`;
    /// - compute-bound: `Φ = π − Perf`.
    #[must_use]
    pub fn potential(&self) -> Potential {
        let (ridge, peak) = (self.ridge(), self.peak_flops_per_s / 1e9);
        let below = peak - self.flops_per_s / 1e9;
        let log_below = (self.peak_flops_per_s / self.flops_per_s).ln();
        let side = if self.intensity < ridge { Side::MemoryBound } else { Side::ComputeBound };
        let (phi_gflops, phi_log) = match side {
            Side::MemoryBound => {
                ((ridge - self.intensity).hypot(below), (ridge / self.intensity).ln().hypot(log_below))
            }
            Side::ComputeBound => (below, log_below),
        };
        Potential { side, phi_gflops, phi_log, headroom: self.attainable() / self.flops_per_s }
    }
}
