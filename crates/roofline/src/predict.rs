//! Predicted times: the roof, the floor of any measurement, and the explained time.

use crate::{Cost, Machine, Measured, Precision};
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
    /// The intervals of the ceilings allow more than one of the others.
    Uncertain,
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
            Self::Uncertain => "uncertain",
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
    /// The roof at the lower ends of the ceilings' intervals.
    pub slowest_roof_s: f64,
    /// The explained time without overlap: `roof_s + launch_s + host_s`.
    pub explained_s: f64,
    /// The explained time at the best and at the worst ends of the intervals of ceilings and costs.
    pub explained_ends_s: [f64; 2],
    /// The largest of memory, compute, launches and host; uncertain where the ceilings' intervals allow two.
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
        let (streamed, scratch) = (self.bandwidth.at(regime.working_set), self.bandwidth.at(regime.scratch));
        let peak = self.peak(regime.precision);
        let weights_s = cost.weights as f64 / streamed.value;
        let kv_s = (cost.kv_read + cost.kv_write) as f64 / streamed.value;
        let activations = (cost.activation_read + cost.activation_write) as f64;
        let activations_s = activations / scratch.value;
        let memory_s = weights_s + kv_s + activations_s;
        let compute_s = cost.flops as f64 / peak.value;
        let fixed =
            [self.overheads.submission_s, self.overheads.synchronisation_s, self.overheads.readback_s];
        let launches = self.overheads.launch_s.map(|s| cost.launches as f64 * s);
        let host = |end: fn(&Measured) -> f64| regime.submissions as f64 * fixed.iter().map(end).sum::<f64>();
        let roof_s = memory_s.max(compute_s);
        let large = (cost.weights + cost.kv_read + cost.kv_write) as f64;
        let least_memory_s = large / self.bandwidth.upper(regime.working_set)
            + activations / self.bandwidth.upper(regime.scratch);
        let most_memory_s = large / streamed.lo + activations / scratch.lo;
        let flops = cost.flops as f64;
        let (launch_s, host_s) = (launches.value, host(|cost| cost.value));
        let floor_s = least_memory_s.max(flops / peak.hi);
        let slowest_roof_s = most_memory_s.max(flops / peak.lo);
        let bound = largest([
            (
                Bound::Memory,
                Measured { value: memory_s, lo: least_memory_s.min(memory_s), hi: most_memory_s },
            ),
            (Bound::Compute, Measured { value: compute_s, lo: flops / peak.hi, hi: flops / peak.lo }),
            (Bound::Launch, launches),
            (Bound::Host, Measured { value: host_s, lo: host(|cost| cost.lo), hi: host(|cost| cost.hi) }),
        ]);
        Prediction {
            weights_s,
            kv_s,
            activations_s,
            memory_s,
            compute_s,
            launch_s,
            host_s,
            roof_s,
            floor_s,
            slowest_roof_s,
            explained_s: roof_s + launch_s + host_s,
            explained_ends_s: [
                floor_s + launches.lo + host(|cost| cost.lo),
                slowest_roof_s + launches.hi + host(|cost| cost.hi),
            ],
            bound,
        }
    }
}

impl Prediction {
    /// The roof with the interval of the ceilings: from the floor to the roof at their lower ends, in seconds.
    #[must_use]
    pub const fn roof(&self) -> Measured {
        Measured { value: self.roof_s, lo: self.floor_s, hi: self.slowest_roof_s }
    }

    /// The explained time with its interval, in seconds.
    #[must_use]
    pub const fn explained(&self) -> Measured {
        let [lo, hi] = self.explained_ends_s;
        Measured { value: self.explained_s, lo, hi }
    }

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

/// The part whose value is the largest; uncertain where the interval of another reaches beyond its lower end.
fn largest(parts: [(Bound, Measured); 4]) -> Bound {
    let mut sorted = parts;
    // Stable, so that the first of several equal parts counts.
    sorted.sort_by(|a, b| b.1.value.total_cmp(&a.1.value));
    let [(bound, most), rivals @ ..] = sorted;
    if rivals.iter().any(|(_, rival)| rival.hi > most.lo) { Bound::Uncertain } else { bound }
}
