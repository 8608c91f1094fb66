//! Where the time of one step went: named parts that sum exactly to what was measured.
//!
//! Parts are whole nanoseconds, so that the sum is exact and not merely close.

use crate::{Cost, Machine, Regime};
use serde::{Deserialize, Serialize};

/// The parts of a step in the order they are stacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Moving the weights.
    Weights,
    /// Moving the key/value cache.
    Kv,
    /// Moving activations.
    Activations,
    /// Arithmetic that the transfers do not hide.
    Compute,
    /// Launching kernels.
    Launches,
    /// What kernels take beyond all of the above, where they were timed one by one.
    Inefficiency,
    /// What they take one after the other beyond what they take one by one: what others left in caches, and changing from
    /// one kernel to the next. Negative where they overlap.
    InSequence,
    /// Submitting, and waiting for the submission.
    Host,
    /// Measured time minus everything above; negative where parts overlapped.
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

    /// The words printed in legends.
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

/// One step's time, split; all fields are nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waterfall {
    /// Moving the weights.
    pub weights_ns: i64,
    /// Moving the key/value cache.
    pub kv_ns: i64,
    /// Moving activations.
    pub activations_ns: i64,
    /// Arithmetic beyond the memory time.
    pub compute_ns: i64,
    /// Launches.
    pub launches_ns: i64,
    /// Inefficiency beyond their roofs.
    #[serde(default)]
    pub inefficiency_ns: i64,
    /// Inefficiency one after the other beyond one by one; signed.
    #[serde(default)]
    pub in_sequence_ns: i64,
    /// Submission, synchronisation and host.
    pub host_ns: i64,
    /// What is left; signed.
    pub unexplained_ns: i64,
}

impl Waterfall {
    /// Splits `measured_s`, the time of `cost` on `machine` in `regime` (submissions included).
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

    /// The same where the launches, each timed by itself, take `isolated_s` together, and one after the other `back_to_back_s`.
    ///
    /// What bytes, arithmetic and launching do not account for of the former is how far the kernels stay behind their
    /// roofs. Where those account for more, launching costs less than an empty launch does.
    #[must_use]
    pub fn with_kernels(self, isolated_s: f64, back_to_back_s: f64) -> Self {
        let accounted =
            self.weights_ns + self.kv_ns + self.activations_ns + self.compute_ns + self.launches_ns;
        let beyond = (nanoseconds(isolated_s) - accounted).max(-self.launches_ns);
        let sequence = nanoseconds(back_to_back_s) - accounted - beyond;
        Self {
            inefficiency_ns: self.inefficiency_ns + beyond.max(0),
            launches_ns: self.launches_ns + beyond.min(0),
            in_sequence_ns: self.in_sequence_ns + sequence,
            unexplained_ns: self.unexplained_ns - beyond - sequence,
            ..self
        }
    }

    /// Share of the time that is explained: all of it but the rest, whichever sign that has.
    #[must_use]
    pub fn explained(&self) -> f64 {
        1.0 - self.unexplained_ns.unsigned_abs() as f64 / self.total_ns().max(1) as f64
    }

    /// The share of one of `steps` equal steps.
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

/// Seconds as whole nanoseconds; not a number counts as none.
#[expect(clippy::cast_possible_truncation, reason = "float to integer casts saturate, and 292 years suffice")]
fn nanoseconds(seconds: f64) -> i64 {
    (seconds * 1e9).round() as i64
}
