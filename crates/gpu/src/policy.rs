//! Policies of submitting a recording, and options of opening a device. Experiments vary them.

use ridgeline_compute::{Caps, Launch, Recording};
use std::time::Duration;

/// How a recording is split into submissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Submission {
    /// One submission and one wait.
    #[default]
    Recording,
    /// A submission ends with the launch that reaches this number of floating-point operations. One wait at the end.
    ///
    /// Drivers reset a device that takes seconds for one submission.
    Bounded(u64),
    /// A submission and a wait for each layer. Launches before and after the layers are one submission each.
    Layer,
    /// A submission and a wait for each launch.
    Launch,
    /// A submission for each launch, and one wait at the end.
    LaunchNoWait,
}

/// How a submission is split into compute passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Passes {
    /// One compute pass.
    #[default]
    Submission,
    /// One compute pass for each launch.
    Launch,
}

/// How recordings are run. A policy does not change results.
///
/// A GPU starts with bounded submissions, a software adapter with the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Policy {
    /// How to split a recording into submissions.
    pub submission: Submission,
    /// How to split a submission into compute passes.
    pub passes: Passes,
    /// Whether to measure the device time of each launch.
    ///
    /// Each launch is then a compute pass, because all backends support timestamps at pass boundaries only.
    pub profile: bool,
}

/// Whether shaders have run-time checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Checks {
    /// No bounds checks, loop bounds, division checks or zeroed workgroup memory. Measurements use this.
    #[default]
    Off,
    /// All of these checks.
    On,
}

/// Options of opening a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpuOptions {
    /// Run-time checks in shaders.
    pub checks: Checks,
    /// The backend's validation layers, if installed. They are slow, and meant for tests.
    pub validation: bool,
    /// Longest wait for the device.
    pub timeout: Duration,
    /// A software adapter runs the kernels of a GPU, to test them on machines without one.
    pub gpu_kernels: bool,
}

impl Default for GpuOptions {
    fn default() -> Self {
        Self { checks: Checks::Off, validation: false, timeout: Duration::from_secs(120), gpu_kernels: false }
    }
}

/// Floating-point operations of a submission on a GPU: half a second at 0.2 TFLOP/s, half the peak of the smallest GPUs.
///
/// The Windows watchdog resets a device after two seconds, others after about ten.
/// No single launch of an 8 B model has many more operations.
const BOUND: u64 = 100_000_000_000;

impl Policy {
    /// The initial policy of a device. A software adapter has no watchdog, so its submissions are unbounded.
    pub(crate) fn of(caps: &Caps) -> Self {
        let submission = if caps.software { Submission::Recording } else { Submission::Bounded(BOUND) };
        Self { submission, ..Self::default() }
    }
}

impl Submission {
    /// The end of the submission that starts with launch `first`.
    pub(crate) fn end(self, recording: &Recording, first: usize) -> usize {
        let launches = recording.launches();
        match self {
            Self::Recording => launches.len(),
            Self::Bounded(most) => {
                let mut flops = 0;
                let full = |launch: &Launch| {
                    flops += recording.launch_cost(launch).flops;
                    flops >= most
                };
                launches.iter().skip(first).position(full).map_or(launches.len(), |n| first + n + 1)
            }
            Self::Launch | Self::LaunchNoWait => launches.len().min(first + 1),
            Self::Layer => {
                let layer = launches.get(first).map(|launch| launch.region.layer);
                let others =
                    launches.iter().skip(first).position(|launch| Some(launch.region.layer) != layer);
                others.map_or(launches.len(), |n| first + n)
            }
        }
    }

    /// Whether all submissions are encoded before the first is submitted.
    ///
    /// The time from the first submit to the end of the wait then includes no encoding.
    pub(crate) fn defers_submit(self) -> bool {
        matches!(self, Self::Bounded(_))
    }

    /// Whether the host waits after every submission, and not only after the last.
    pub(crate) fn waits(self) -> bool {
        matches!(self, Self::Layer | Self::Launch)
    }
}
