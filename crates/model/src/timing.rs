//! Times summed over recordings.

use ridgeline_compute::Timing;

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
}

impl RunTimes {
    /// Adds a recording of `tokens` tokens.
    pub(crate) const fn add(&mut self, timing: &Timing, tokens: u64) {
        self.recordings += 1;
        self.tokens += tokens;
        self.submissions += timing.submissions;
        self.encode_ns += timing.encode_ns;
        self.submit_ns += timing.submit_ns;
        self.wait_ns += timing.wait_ns;
    }
}
