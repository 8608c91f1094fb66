//! Times summed over recordings.

use ridgeline_compute::Timing;
use std::ops::AddAssign;

/// Sums over recordings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunTimes {
    /// Recordings run.
    pub recordings: u32,
    /// Tokens appended.
    pub tokens: u64,
    /// Submissions made.
    pub submissions: u32,
    /// Host time in uploads and encoding, in nanoseconds.
    pub encode_ns: u64,
    /// Host time in submitting, in nanoseconds.
    pub submit_ns: u64,
    /// Time of waiting for the device, in nanoseconds.
    pub wait_ns: u64,
    /// The part of `wait_ns` after the last submission of each recording, in nanoseconds.
    pub result_wait_ns: u64,
    /// Recordings with device timestamps that passed their checks.
    pub stamped: u32,
    /// Device time of those recordings in nanoseconds: the sum over their launches or submissions.
    pub device_ns: u64,
    /// Host time of reading timestamps while no other recording ran, in nanoseconds. It is part of no other time.
    pub stamps_ns: u64,
}

impl RunTimes {
    /// Adds a recording of `tokens` tokens.
    pub(crate) fn add(&mut self, timing: &Timing, tokens: u64) {
        *self += Self {
            recordings: 1,
            tokens,
            submissions: timing.submissions,
            encode_ns: timing.encode_ns,
            submit_ns: timing.submit_ns,
            wait_ns: timing.wait_ns,
            result_wait_ns: timing.total_ns() - timing.submitted_ns,
            stamped: u32::from(timing.device_ns.is_some()),
            device_ns: timing.device_ns.iter().flatten().sum(),
            stamps_ns: timing.stamps_ns,
        };
    }

    /// Device time in nanoseconds; `None` unless every recording has valid timestamps.
    #[must_use]
    pub fn all_device_ns(&self) -> Option<u64> {
        (self.recordings > 0 && self.stamped == self.recordings).then_some(self.device_ns)
    }
}

impl AddAssign for RunTimes {
    fn add_assign(&mut self, other: Self) {
        self.recordings += other.recordings;
        self.tokens += other.tokens;
        self.submissions += other.submissions;
        self.encode_ns += other.encode_ns;
        self.submit_ns += other.submit_ns;
        self.wait_ns += other.wait_ns;
        self.result_wait_ns += other.result_wait_ns;
        self.stamped += other.stamped;
        self.device_ns += other.device_ns;
        self.stamps_ns += other.stamps_ns;
    }
}
