//! How a recording reaches the device: the knobs that the studies turn.

use ridgeline_compute::{Caps, Launch, Recording};
use std::time::Duration;

/// How many submissions a recording becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Submission {
    /// One, and one wait.
    #[default]
    Recording,
    /// As few as hold so many floating-point operations each, or one launch more, and a single wait at the end: drivers give
    /// a device up that works at one submission for seconds.
    Bounded(u64),
    /// One and a wait whenever the layer changes; what stands before and after the layers is one each.
    Layer,
    /// One and a wait for each launch.
    Launch,
    /// One for each launch, and a single wait at the end.
    LaunchNoWait,
}

/// How many compute passes a submission becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Passes {
    /// One.
    #[default]
    Submission,
    /// One for each launch.
    Launch,
}

/// How recordings are run. None of it changes results. A GPU begins with bounded submissions, all else with the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Policy {
    /// How many submissions.
    pub submission: Submission,
    /// How many passes.
    pub passes: Passes,
    /// Whether each step's device time is measured. Puts each step into a pass of its own, because pass boundaries
    /// are the only places where every backend has timestamps.
    pub profile: bool,
}

/// Whether shaders guard against their own mistakes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Checks {
    /// No bounds checks, loop bounds, division checks or zeroed workgroup memory: what is measured.
    #[default]
    Off,
    /// All of them.
    On,
}

/// How a device is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpuOptions {
    /// Checks in shaders.
    pub checks: Checks,
    /// The backend's validation layers, where installed. Slow: for tests.
    pub validation: bool,
    /// Longest wait for the device.
    pub timeout: Duration,
    /// A software adapter is given the kernels of a GPU: for tests of these where there is none.
    pub gpu_kernels: bool,
}

impl Default for GpuOptions {
    fn default() -> Self {
        Self { checks: Checks::Off, validation: false, timeout: Duration::from_secs(120), gpu_kernels: false }
    }
}

/// Operations of a submission on a GPU: half a second for one that does 0.2 teraflop a second, half of what the smallest
/// promise, where Windows waits for two seconds and others for about ten. No launch of an 8 B model has many more.
const BOUND: u64 = 100_000_000_000;

impl Policy {
    /// What a device begins with: a software adapter's driver has nobody who watches it.
    pub(crate) fn of(caps: &Caps) -> Self {
        let submission = if caps.software { Submission::Recording } else { Submission::Bounded(BOUND) };
        Self { submission, ..Self::default() }
    }
}

impl Submission {
    /// End of the submission that starts with step `first`.
    pub(crate) fn end(self, recording: &Recording, first: usize) -> usize {
        let steps = recording.launches();
        match self {
            Self::Recording => steps.len(),
            Self::Bounded(most) => {
                let mut flops = 0;
                let full = |step: &Launch| {
                    flops += recording.launch_cost(step).flops;
                    flops >= most
                };
                steps.iter().skip(first).position(full).map_or(steps.len(), |n| first + n + 1)
            }
            Self::Launch | Self::LaunchNoWait => steps.len().min(first + 1),
            Self::Layer => {
                let layer = steps.get(first).map(|step| step.region.layer);
                let others = steps.iter().skip(first).position(|step| Some(step.region.layer) != layer);
                others.map_or(steps.len(), |n| first + n)
            }
        }
    }

    /// Whether submissions are handed over when all are encoded: what the device does is then between the first of them and
    /// the end of the wait, and no encoding.
    pub(crate) fn defers_submit(self) -> bool {
        matches!(self, Self::Bounded(_))
    }

    /// Whether the host waits after a submission that is not the last.
    pub(crate) fn waits(self) -> bool {
        matches!(self, Self::Layer | Self::Launch)
    }
}
