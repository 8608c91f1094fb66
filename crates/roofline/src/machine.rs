//! The measured ceilings of one device.

use crate::{Bandwidth, Curve, Error, Measured};
use serde::{Deserialize, Serialize};

/// The arithmetic ceiling that work is compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Multiplication in f32.
    F32,
    /// Multiplication in f16.
    F16,
    /// The faster of the two, which is the safe choice for a floor.
    #[default]
    Fastest,
}

/// Fixed costs that depend on neither bytes nor operations, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overheads {
    /// One more kernel launch in a submission.
    pub launch_s: Measured,
    /// One submission: the queue call without encoding.
    pub submission_s: Measured,
    /// Synchronization: waiting for an empty submission.
    pub synchronisation_s: Measured,
    /// Reading a few bytes back to the host.
    pub readback_s: Measured,
}

/// Measured ceilings of one device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Name of the adapter that was measured.
    pub name: String,
    /// Bandwidth by working-set size.
    pub bandwidth: Bandwidth,
    /// Peak of f32 matmul, FLOP/s.
    pub flops_f32: Measured,
    /// Peak of f16 matmul, FLOP/s. `None` if the device has no f16 in shaders.
    pub flops_f16: Option<Measured>,
    /// Launch, submission, synchronization and readback costs.
    pub overheads: Overheads,
}

impl Machine {
    /// A machine with one bandwidth for all sizes and no fixed costs, as in a data sheet.
    ///
    /// # Errors
    /// [`Error::BadCeiling`] if a number is not positive and finite.
    pub fn flat(name: &str, bytes_per_s: f64, flops_per_s: f64) -> Result<Self, Error> {
        let rate = Measured::exact(bytes_per_s).checked("bandwidth")?;
        let curve = Curve::new(vec![crate::Sample { bytes: 1, rate }])?;
        let free = Measured::exact(0.0);
        Ok(Self {
            name: name.to_owned(),
            bandwidth: Bandwidth { read: curve.clone(), copy: curve.clone(), triad: curve },
            flops_f32: Measured::exact(flops_per_s).checked("f32 peak")?,
            flops_f16: None,
            overheads: Overheads {
                launch_s: free,
                submission_s: free,
                synchronisation_s: free,
                readback_s: free,
            },
        })
    }

    /// Peak FLOP/s at a precision. Without f16, the f16 peak is the f32 peak.
    #[must_use]
    pub fn peak(&self, precision: Precision) -> Measured {
        let f16 = self.flops_f16.unwrap_or(self.flops_f32);
        match precision {
            Precision::F32 => self.flops_f32,
            Precision::F16 => f16,
            Precision::Fastest if f16.value > self.flops_f32.value => f16,
            Precision::Fastest => self.flops_f32,
        }
    }

    /// Ridge point in FLOP/byte at a working set of `bytes`: peak over bandwidth (Williams et al. 2009).
    ///
    /// Example: a published peak of 30 TFLOP/s and bandwidth of 819 GB/s (Apple M3 Ultra) give 36.6 FLOP/byte.
    #[must_use]
    pub fn ridge(&self, bytes: u64, precision: Precision) -> f64 {
        self.peak(precision).value / self.bandwidth.at(bytes).value
    }

    /// Attainable FLOP/s at an operational intensity: `min(peak, intensity × bandwidth)`.
    #[must_use]
    pub fn attainable(&self, intensity: f64, bytes: u64, precision: Precision) -> f64 {
        self.peak(precision).value.min(intensity * self.bandwidth.at(bytes).value)
    }
}
