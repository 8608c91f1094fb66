//! From work and ceilings to times: the roof, the floor under any measurement, and what else is explained.

use crate::{Cost, Machine, Precision};
use serde::{Deserialize, Serialize};

/// The circumstances under which work runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Regime {
    /// Bytes touched before any of them is touched again: for decoding, weights plus filled cache.
    pub working_set: u64,
    /// Bytes of the activation buffers, which are written and read back within a step and may never leave a
    /// cache; activations are held against the bandwidth of this size.
    pub scratch: u64,
    /// The arithmetic ceiling.
    pub precision: Precision,
    /// Submissions that the host waits for.
    pub submissions: u64,
}

impl Regime {
    /// One submission over `working_set` bytes, with activations as large as the rest.
    #[must_use]
    pub const fn new(working_set: u64) -> Self {
        Self { working_set, scratch: working_set, precision: Precision::Fastest, submissions: 1 }
    }

    /// The same with activations that live in `scratch` bytes.
    #[must_use]
    pub const fn scratch(self, scratch: u64) -> Self {
        Self { scratch, ..self }
    }

    /// The same at another precision.
    #[must_use]
    pub const fn precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// The same in `submissions` submissions.
    #[must_use]
    pub const fn submissions(self, submissions: u64) -> Self {
        Self { submissions, ..self }
    }
}

impl From<u64> for Regime {
    fn from(working_set: u64) -> Self {
        Self::new(working_set)
    }
}

/// What the largest part of an explained time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// Moving bytes.
    Memory,
    /// Arithmetic.
    Compute,
    /// Launching kernels.
    Launch,
    /// Submitting and waiting.
    Host,
}

impl Bound {
    /// The word printed in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Compute => "compute",
            Self::Launch => "launch",
            Self::Host => "host",
        }
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Predicted times of one piece of work, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Moving the weights.
    pub weights_s: f64,
    /// Moving the key/value cache.
    pub kv_s: f64,
    /// Moving activations.
    pub activations_s: f64,
    /// All traffic: the three above.
    pub memory_s: f64,
    /// All arithmetic at the peak.
    pub compute_s: f64,
    /// Launches at the measured cost of one.
    pub launch_s: f64,
    /// Submissions, each waited for and read back from.
    pub host_s: f64,
    /// The roof: `max(memory_s, compute_s)`, from the estimates of the ceilings.
    pub roof_s: f64,
    /// A time no measurement may beat: the roof, from the upper ends of the ceilings' intervals.
    pub floor_s: f64,
    /// What is explained: the roof, the launches and the submissions, nothing overlapping.
    pub explained_s: f64,
    /// The largest of memory, compute, launches and host.
    pub bound: Bound,
}

impl Machine {
    /// Predicts the time of `cost` in a regime, or for a working set of so many bytes.
    ///
    /// `T = max(Q/BW, W/P) + launches·a + submissions·s` (the launch-aware roofline; the first
    /// term is Williams, Waterman, Patterson 2009).
    #[must_use]
    pub fn predict(&self, cost: &Cost, regime: impl Into<Regime>) -> Prediction {
        let regime = regime.into();
        let streamed = self.bandwidth.at(regime.working_set).value;
        let scratch = self.bandwidth.at(regime.scratch).value;
        let peak = self.peak(regime.precision);
        let weights_s = cost.weights as f64 / streamed;
        let kv_s = (cost.kv_read + cost.kv_write) as f64 / streamed;
        let activations = (cost.activation_read + cost.activation_write) as f64;
        let activations_s = activations / scratch;
        let memory_s = weights_s + kv_s + activations_s;
        let compute_s = cost.flops as f64 / peak.value;
        let launch_s = cost.launches as f64 * self.overheads.launch_s.value;
        let fixed =
            [self.overheads.submission_s, self.overheads.synchronisation_s, self.overheads.readback_s];
        let each: f64 = fixed.iter().map(|cost| cost.value).sum();
        let host_s = regime.submissions as f64 * each;
        let roof_s = memory_s.max(compute_s);
        let unavoidable = (cost.weights + cost.kv_read + cost.kv_write) as f64
            / self.bandwidth.upper(regime.working_set)
            + activations / self.bandwidth.upper(regime.scratch);
        Prediction {
            weights_s,
            kv_s,
            activations_s,
            memory_s,
            compute_s,
            launch_s,
            host_s,
            roof_s,
            floor_s: unavoidable.max(cost.flops as f64 / peak.hi),
            explained_s: roof_s + launch_s + host_s,
            bound: largest([
                (Bound::Memory, memory_s),
                (Bound::Compute, compute_s),
                (Bound::Launch, launch_s),
                (Bound::Host, host_s),
            ]),
        }
    }
}

impl Prediction {
    /// Model bandwidth utilisation: the memory time over the measured time.
    #[must_use]
    pub fn mbu(&self, measured_s: f64) -> f64 {
        self.memory_s / measured_s
    }

    /// Model FLOP utilisation: the compute time over the measured time (Chowdhery et al. 2022, `PaLM`).
    #[must_use]
    pub fn mfu(&self, measured_s: f64) -> f64 {
        self.compute_s / measured_s
    }

    /// Share of the roof reached: `roof_s / measured`; 1 is the roof itself.
    #[must_use]
    pub fn roof_fraction(&self, measured_s: f64) -> f64 {
        self.roof_s / measured_s
    }

    /// Share of the measured time that is explained.
    #[must_use]
    pub fn explained_fraction(&self, measured_s: f64) -> f64 {
        self.explained_s / measured_s
    }
}

/// The name of the largest part; the earlier one where two are equal.
fn largest(parts: [(Bound, f64); 4]) -> Bound {
    parts.into_iter().fold((Bound::Memory, f64::NEG_INFINITY), |b, p| if p.1 > b.1 { p } else { b }).0
}
