//! The measured ceilings of one device.

use crate::{Bandwidth, Curve, Error, Measured};
use serde::{Deserialize, Serialize};

/// Which arithmetic ceiling work is held against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32-bit products.
    F32,
    /// 16-bit products.
    F16,
    /// Whichever is faster here: the safe choice for a floor.
    #[default]
    Fastest,
}

/// Fixed costs that no byte and no operation explains, each in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overheads {
    /// One more kernel launch inside a submission that is already under way.
    pub launch_s: Measured,
    /// One submission: encoding is not in it, the queue call is.
    pub submission_s: Measured,
    /// Waiting for a submission that does nothing.
    pub synchronisation_s: Measured,
    /// Bringing a few bytes back to the host.
    pub readback_s: Measured,
}

/// Measured ceilings of one device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Name of the adapter that was measured.
    pub name: String,
    /// Bandwidth against working-set size.
    pub bandwidth: Bandwidth,
    /// Peak of 32-bit matrix products, FLOP/s.
    pub flops_f32: Measured,
    /// Peak of 16-bit matrix products, FLOP/s; `None` where the device has no 16-bit shaders.
    pub flops_f16: Option<Measured>,
    /// Launch, submission, synchronisation and readback costs.
    pub overheads: Overheads,
}

impl Machine {
    /// A machine that has one bandwidth whatever the size and no fixed costs: a printed specification.
    ///
    /// # Errors
    /// [`Error::BadCeiling`] where a number is not positive and finite.
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

    /// Peak FLOP/s at a precision; 16-bit work on a device without it runs at the 32-bit peak.
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
    /// With a published bandwidth and peak this is 30 TFLOP/s over 819 GB/s = 36.6 for the M3 Ultra.
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
