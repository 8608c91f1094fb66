//! Predicted times: the roof, the floor of any measurement, and the explained time.

use crate::{Cost, Machine, Precision};
use serde::{Deserialize, Serialize};

/// The regime of work: which level of the memory hierarchy, which precision, and how many submissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Regime {
    /// Bytes accessed before any access repeats: for decoding, the weights and the filled KV cache.
    pub working_set: u64,
    /// Bytes of the activation buffers. Their traffic moves at the bandwidth of this size.
    ///
    /// A forward pass writes and reads them repeatedly, so they may stay in a cache.
    pub scratch: u64,
    /// The arithmetic ceiling.
    pub precision: Precision,
    /// Submissions that the host waits for.
    pub submissions: u64,
}

impl Regime {
    /// One submission over `working_set` bytes, with activations at the bandwidth of the same size.
    #[must_use]
    pub const fn new(working_set: u64) -> Self {
        Self { working_set, scratch: working_set, precision: Precision::Fastest, submissions: 1 }
    }

    /// Sets the bytes of the activation buffers.
    #[must_use]
    pub const fn scratch(self, scratch: u64) -> Self {
        Self { scratch, ..self }
    }

    /// Sets the precision.
    #[must_use]
    pub const fn precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// Sets the number of submissions.
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

/// The largest part of an explained time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// Memory traffic.
    Memory,
    /// Arithmetic.
    Compute,
    /// Kernel launches.
    Launch,
    /// Submissions, synchronization and readback.
    Host,
}

impl Bound {
    /// The name in tables.
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

/// Predicted times of work, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Traffic of the weights: bytes over bandwidth.
    pub weights_s: f64,
    /// Traffic of the key/value cache: bytes over bandwidth.
    pub kv_s: f64,
    /// Traffic of the activations: bytes over bandwidth.
    pub activations_s: f64,
    /// All traffic: `weights_s + kv_s + activations_s`.
    pub memory_s: f64,
    /// All arithmetic: operations over the peak.
    pub compute_s: f64,
    /// Launches, each at the measured cost.
    pub launch_s: f64,
    /// Submissions, each with a synchronization and a readback.
    pub host_s: f64,
    /// The roof: `max(memory_s, compute_s)` at the ceilings' estimates.
    pub roof_s: f64,
    /// The floor, which no measured time may beat: the roof at the upper ends of the ceilings' intervals.
    pub floor_s: f64,
    /// The explained time without overlap: `roof_s + launch_s + host_s`.
    pub explained_s: f64,
    /// The largest of memory, compute, launches and host.
    pub bound: Bound,
}

impl Machine {
    /// Predicts the time of `cost` in a regime. A number stands for the regime of that working set in bytes.
    ///
    /// `T = max(Q/BW, W/P) + launches·a + submissions·s`, with bytes `Q`, operations `W`, bandwidth `BW`, peak `P`,
    /// cost per launch `a` and cost per submission `s`.
    /// The first term is the roofline of Williams, Waterman and Patterson (2009). The others extend it.
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
        let least_memory_s = (cost.weights + cost.kv_read + cost.kv_write) as f64
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
            floor_s: least_memory_s.max(cost.flops as f64 / peak.hi),
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
    /// Model bandwidth utilization (MBU): the memory time over the measured time.
    #[must_use]
    pub fn mbu(&self, measured_s: f64) -> f64 {
        self.memory_s / measured_s
    }

    /// Model FLOPs utilization (MFU; Chowdhery et al. 2022, `PaLM`): the compute time over the measured time.
    #[must_use]
    pub fn mfu(&self, measured_s: f64) -> f64 {
        self.compute_s / measured_s
    }

    /// Fraction of the roof that is reached: `roof_s / measured_s`.
    #[must_use]
    pub fn roof_fraction(&self, measured_s: f64) -> f64 {
        self.roof_s / measured_s
    }

    /// Explained fraction of the measured time: `explained_s / measured_s`.
    #[must_use]
    pub fn explained_fraction(&self, measured_s: f64) -> f64 {
        self.explained_s / measured_s
    }
}

/// The largest part, or the first of several equal ones.
fn largest(parts: [(Bound, f64); 4]) -> Bound {
    parts.into_iter().fold((Bound::Memory, f64::NEG_INFINITY), |b, p| if p.1 > b.1 { p } else { b }).0
}
