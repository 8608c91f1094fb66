//! How a recording is run: its submissions, waits and timestamps. None of them changes results.

use serde::{Deserialize, Serialize};

/// How a recording is split into submissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Granularity {
    /// A submission for each launch.
    Launch,
    /// A submission for each layer. Launches before and after the layers are one submission each.
    Layer,
    /// One submission for the whole recording.
    Pass,
    /// A submission ends with the launch that reaches this number of floating-point operations.
    ///
    /// Drivers reset a device that takes seconds for one submission.
    Bounded(u64),
}

/// What device timestamps enclose. Each pair is at the boundaries of a compute pass, because not every backend supports
/// timestamps inside passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stamps {
    /// Nothing: no timestamps.
    #[default]
    Off,
    /// Each submission, which remains one compute pass.
    Submission,
    /// Each launch, which becomes a compute pass of its own.
    Launch,
}

/// How a recording is run. The CPU executor ignores it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunOptions {
    /// How it is split into submissions. `None`: the device's default.
    ///
    /// The default is one submission on software adapters, and submissions of bounded length on GPUs.
    pub submission: Option<Granularity>,
    /// Wait after every submission, and not only after the last.
    pub wait: bool,
    /// Device timestamps to take.
    pub stamps: Stamps,
}

impl RunOptions {
    /// The default with a pair of timestamps for each launch.
    #[must_use]
    pub fn stamp_launches() -> Self {
        Self { stamps: Stamps::Launch, ..Self::default() }
    }
}
