//! The waterfall of one decode step or forward pass: named parts that sum exactly to the measured time.
//!
//! ```text
//! weights + KV cache + activations      bytes / bandwidth
//! exposed compute                       max(0, operations / peak − memory time)
//! launches                              launches · time per launch
//! kernel inefficiency                   isolated kernel times − all of the above
//! in-sequence penalty                   back-to-back kernel times − isolated kernel times
//! submission and host                   submissions · (submission + synchronization + readback)
//! unexplained                           measured time − all of the above
//! ```
//!
//! Parts are whole nanoseconds, so the sum is exact.

use crate::{Cost, Machine, Regime};
use serde::{Deserialize, Serialize};

/// The parts of a waterfall, in stacking order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Traffic of the weights: bytes over bandwidth.
    Weights,
    /// Traffic of the key/value cache: bytes over bandwidth.
    Kv,
    /// Traffic of the activations: bytes over bandwidth.
    Activations,
    /// Exposed compute: the time of arithmetic beyond the memory time, `max(0, operations / peak − memory time)`.
    Compute,
    /// Kernel launches: their number times the measured time of one.
    Launches,
    /// Kernel inefficiency: the kernels' isolated times minus all parts above, `max(0, isolated − roof − launches)`.
    Inefficiency,
    /// In-sequence penalty: the kernels' time back to back minus their isolated times, `back_to_back − isolated`.
    ///
    /// Its causes are cold caches and switching kernels. It is negative if kernels overlap.
    InSequence,
    /// Submission and host: submissions, each with a synchronization and a readback.
    Host,
    /// Unexplained: the measured time minus all parts above. It is negative if parts overlap.
    Unexplained,
}

impl Part {
    /// All parts in stacking order.
    pub const ALL: [Self; 9] = [
        Self::Weights,
        Self::Kv,
        Self::Activations,
        Self::Compute,
        Self::Launches,
        Self::Inefficiency,
        Self::InSequence,
        Self::Host,
        Self::Unexplained,
    ];

    /// The name in legends.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Weights => "weights",
            Self::Kv => "KV cache",
            Self::Activations => "activations",
            Self::Compute => "exposed compute",
            Self::Launches => "launches",
            Self::Inefficiency => "kernel inefficiency",
            Self::InSequence => "in-sequence penalty",
            Self::Host => "submission and host",
            Self::Unexplained => "unexplained",
        }
    }
}

/// The measured time of one decode step or forward pass, split into [`Part`]s. All fields are nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waterfall {
    /// [`Part::Weights`].
    pub weights_ns: i64,
    /// [`Part::Kv`].
    pub kv_ns: i64,
    /// [`Part::Activations`].
    pub activations_ns: i64,
    /// [`Part::Compute`], exposed compute.
    pub compute_ns: i64,
    /// [`Part::Launches`].
    pub launches_ns: i64,
    /// [`Part::Inefficiency`], kernel inefficiency.
    #[serde(default)]
    pub inefficiency_ns: i64,
    /// [`Part::InSequence`], the in-sequence penalty; may be negative.
    #[serde(default)]
    pub in_sequence_ns: i64,
    /// [`Part::Host`].
    pub host_ns: i64,
    /// [`Part::Unexplained`]; may be negative.
    pub unexplained_ns: i64,
}

impl Waterfall {
    /// Splits `measured_s`, the time of `cost` on `machine` in `regime`, including the submissions.
    ///
    /// Without kernel times, inefficiency and in-sequence penalty are part of the unexplained time.
    #[must_use]
    pub fn of(cost: &Cost, machine: &Machine, measured_s: f64, regime: impl Into<Regime>) -> Self {
        let p = machine.predict(cost, regime);
        let mut parts = Self {
            weights_ns: nanoseconds(p.weights_s),
            kv_ns: nanoseconds(p.kv_s),
            activations_ns: nanoseconds(p.activations_s),
            compute_ns: nanoseconds((p.compute_s - p.memory_s).max(0.0)),
            launches_ns: nanoseconds(p.launch_s),
            inefficiency_ns: 0,
            in_sequence_ns: 0,
            host_ns: nanoseconds(p.host_s),
            unexplained_ns: 0,
        };
        parts.unexplained_ns = nanoseconds(measured_s) - parts.total_ns();
        parts
    }

    /// Splits kernel inefficiency and in-sequence penalty off the unexplained time.
    ///
    /// `isolated_s` is the sum of the launches' times, each measured isolated. `back_to_back_s` is their time in sequence.
    ///
    /// ```text
    /// inefficiency = isolated − (weights + kv + activations + compute + launches)
    /// in_sequence  = back_to_back − isolated
    /// ```
    ///
    /// If the inefficiency is negative, a real launch costs less than the measured empty one. The difference then
    /// reduces the launches, at most to zero. Any remainder is a negative in-sequence penalty.
    #[must_use]
    pub fn with_kernels(self, isolated_s: f64, back_to_back_s: f64) -> Self {
        let accounted =
            self.weights_ns + self.kv_ns + self.activations_ns + self.compute_ns + self.launches_ns;
        let inefficiency = (nanoseconds(isolated_s) - accounted).max(-self.launches_ns);
        let in_sequence = nanoseconds(back_to_back_s) - accounted - inefficiency;
        Self {
            inefficiency_ns: self.inefficiency_ns + inefficiency.max(0),
            launches_ns: self.launches_ns + inefficiency.min(0),
            in_sequence_ns: self.in_sequence_ns + in_sequence,
            unexplained_ns: self.unexplained_ns - inefficiency - in_sequence,
            ..self
        }
    }

    /// Fraction of the measured time that independent measurements predict: bytes, compute, launches and host.
    ///
    /// Kernel inefficiency and the in-sequence penalty are no explanation: they are what the kernels take beyond it.
    #[must_use]
    pub fn explained(&self) -> f64 {
        let ideal = self.weights_ns + self.kv_ns + self.activations_ns + self.compute_ns;
        (ideal + self.launches_ns + self.host_ns) as f64 / self.total_ns().max(1) as f64
    }

    /// Fraction of the measured time that the parts name, inefficiency included: `1 − |unexplained| / measured`.
    #[must_use]
    pub fn accounted(&self) -> f64 {
        1.0 - self.unexplained_ns.unsigned_abs() as f64 / self.total_ns().max(1) as f64
    }

    /// The waterfall of one of `steps` equal steps. Rounding errors are part of its unexplained time.
    #[must_use]
    pub fn shared_by(self, steps: u64) -> Self {
        let steps = i64::try_from(steps.max(1)).unwrap_or(i64::MAX);
        let mut one = Self {
            weights_ns: self.weights_ns / steps,
            kv_ns: self.kv_ns / steps,
            activations_ns: self.activations_ns / steps,
            compute_ns: self.compute_ns / steps,
            launches_ns: self.launches_ns / steps,
            inefficiency_ns: self.inefficiency_ns / steps,
            in_sequence_ns: self.in_sequence_ns / steps,
            host_ns: self.host_ns / steps,
            unexplained_ns: 0,
        };
        one.unexplained_ns = self.total_ns() / steps - one.total_ns();
        one
    }

    /// The sum of all parts: the measured time in nanoseconds.
    #[must_use]
    pub fn total_ns(&self) -> i64 {
        self.parts().iter().map(|(_, ns)| ns).sum()
    }

    /// Every part with its nanoseconds, in stacking order.
    #[must_use]
    pub const fn parts(&self) -> [(Part, i64); 9] {
        [
            (Part::Weights, self.weights_ns),
            (Part::Kv, self.kv_ns),
            (Part::Activations, self.activations_ns),
            (Part::Compute, self.compute_ns),
            (Part::Launches, self.launches_ns),
            (Part::Inefficiency, self.inefficiency_ns),
            (Part::InSequence, self.in_sequence_ns),
            (Part::Host, self.host_ns),
            (Part::Unexplained, self.unexplained_ns),
        ]
    }
}

/// Seconds as whole nanoseconds. A NaN becomes zero.
#[expect(clippy::cast_possible_truncation, reason = "float to integer casts saturate, and 292 years suffice")]
fn nanoseconds(seconds: f64) -> i64 {
    (seconds * 1e9).round() as i64
}
