//! Slope timing: the marginal time of one unit of work, free of the fixed cost of submitting and waiting.
//!
//! ```text
//! T(N) = fixed + N·unit, so unit = (T(2N) − T(N)) / N
//! fixed = clamp(2·T(N) − T(2N), 0, 2·T(empty submission))   the implied intercept, made plausible
//! unit = (T(2N) − fixed) / 2N                               equal to the first line unless clamped
//! ```
//!
//! The method is that of nanoBench and uops.info (Abel and Reineke 2020): run the code with two unroll factors and
//! subtract. The clamp is special here. Noise in T(N) alone would make the difference too small, and the device would
//! look faster than it is. N is so large that the clamp changes a result by a few percent at most.

use super::Error;
use crate::Device;
use ridgeline_compute::{Buffer, Executor, Recording, Role, Timing};
use ridgeline_kernels::empty::{self, Empty};

/// Shortest time of N units in seconds: forty times a typical empty submission, and far above a clock tick.
const SHORTEST_S: f64 = 3e-3;

/// Which part of a run is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// From the queue call to completion: device time. For ceilings.
    SubmitToComplete,
    /// Encoding as well: the time of a whole step. For the cost of a launch.
    WithEncoding,
}

impl Clock {
    fn seconds(self, timing: &Timing) -> f64 {
        let ns = match self {
            Self::SubmitToComplete => timing.submit_ns + timing.wait_ns,
            Self::WithEncoding => timing.total_ns(),
        };
        ns as f64 * 1e-9
    }
}

/// Work to be timed: N times in one recording, 2N times in another.
#[derive(Clone, Debug)]
pub struct Unit {
    once: Recording,
    twice: Recording,
    copies: u32,
    /// The buffers of the work. They live as long as its recordings, which name them without owning them.
    #[expect(dead_code, reason = "held for its drop alone: the executor frees buffers without a handle")]
    keeps: Vec<Buffer>,
    /// Seconds of one unit by calibration: a first estimate that includes noise.
    pub estimate_s: f64,
}

impl Unit {
    /// The same unit, which keeps the buffers of its work alive.
    #[must_use]
    pub fn with_buffers(self, buffers: &[Buffer]) -> Self {
        Self { keeps: buffers.to_vec(), ..self }
    }

    /// The recording of the work, N times over.
    #[must_use]
    pub const fn recording(&self) -> &Recording {
        &self.once
    }

    /// N: repetitions of the work in [`Self::recording`].
    #[must_use]
    pub const fn copies(&self) -> u32 {
        self.copies
    }

    /// Bytes that one unit moves, by the cost model of its kernels.
    #[must_use]
    pub fn bytes(&self) -> f64 {
        self.once.cost().bytes() as f64 / f64::from(self.copies)
    }

    /// Floating-point operations of one unit.
    #[must_use]
    pub fn flops(&self) -> f64 {
        self.once.cost().flops as f64 / f64::from(self.copies)
    }
}

/// A device and the cost of an empty submission on it.
#[derive(Debug)]
pub struct Timer<'a> {
    /// The device.
    pub device: &'a mut Device,
    /// Seconds of submitting one empty launch and waiting for it.
    pub empty_s: f64,
    cell: Buffer,
}

impl<'a> Timer<'a> {
    /// Measures the empty submission: the median of 40.
    ///
    /// # Errors
    /// [`Error::NoClock`] on the CPU executor, [`Error::Run`] where the device fails.
    pub fn new(device: &'a mut Device) -> Result<Self, Error> {
        if device.gpu().is_none() {
            return Err(Error::NoClock);
        }
        let cell = device.alloc(256, Role::Activation, "empty launch")?;
        let mut timer = Self { device, empty_s: 0.0, cell };
        let empty = timer.empty(1);
        let mut samples = Vec::new();
        for _ in 0..40 {
            samples.push(timer.run(&empty, Clock::SubmitToComplete)?);
        }
        samples.sort_by(f64::total_cmp);
        timer.empty_s = samples[samples.len() / 2];
        Ok(timer)
    }

    /// A recording of `n` empty launches.
    #[must_use]
    pub fn empty(&self, n: u32) -> Recording {
        let mut recording = Recording::new();
        for value in 0..n {
            recording.run(
                Empty { workgroup_size: 64 },
                empty::Params { value },
                empty::Args { to: self.cell.all() },
            );
        }
        recording
    }

    /// The four bytes that empty launches write, for timing a read-back.
    #[must_use]
    pub fn cell(&self) -> ridgeline_compute::Slice {
        self.cell.all().head(4)
    }

    /// Runs a recording once and returns its time in seconds.
    ///
    /// # Errors
    /// [`Error::Run`] where the device fails.
    pub fn run(&mut self, recording: &Recording, clock: Clock) -> Result<f64, Error> {
        Ok(clock.seconds(&self.device.run(recording)?.timing))
    }

    /// Chooses N so that N repetitions of `work` take a few milliseconds. The calibration runs are also the warm-up.
    ///
    /// # Errors
    /// [`Error::Run`] where the device fails.
    pub fn unit(&mut self, work: &Recording) -> Result<Unit, Error> {
        let mut copies = 1;
        loop {
            let once = repeated(work, copies);
            self.run(&once, Clock::SubmitToComplete)?;
            let first = self.run(&once, Clock::SubmitToComplete)?;
            let spent = (first.min(self.run(&once, Clock::SubmitToComplete)?) - self.empty_s).max(1e-6);
            if spent >= SHORTEST_S || copies >= 1 << 14 {
                let twice = repeated(work, 2 * copies);
                return Ok(Unit {
                    once,
                    twice,
                    copies,
                    keeps: Vec::new(),
                    estimate_s: spent / f64::from(copies),
                });
            }
            copies = grown(copies, SHORTEST_S / spent).min(1 << 14);
        }
    }

    /// Seconds of one unit: the slope between the best of `pairs` runs of N and of 2N units. The runs are interleaved.
    ///
    /// # Errors
    /// [`Error::Run`] where the device fails.
    pub fn slope(&mut self, unit: &Unit, pairs: u32, clock: Clock) -> Result<f64, Error> {
        let (mut once, mut twice) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..pairs.max(1) {
            once = once.min(self.run(&unit.once, clock)?);
            twice = twice.min(self.run(&unit.twice, clock)?);
        }
        Ok(slope(once, twice, self.empty_s) / f64::from(unit.copies))
    }
}

/// Time of N units, from the time `once` of N and `twice` of 2N units; `empty` is the time of an empty submission.
fn slope(once: f64, twice: f64, empty: f64) -> f64 {
    // The upper bound of twice/2 keeps the slope at least a quarter of T(2N).
    let fixed = (2.0 * once - twice).clamp(0.0, (2.0 * empty).min(twice / 2.0));
    (twice - fixed) / 2.0
}

/// `n` repetitions of `work` in one recording.
fn repeated(work: &Recording, n: u32) -> Recording {
    let mut recording = Recording::new();
    for _ in 0..n {
        recording.append(work);
    }
    recording
}

/// `count` times `factor` plus a fifth, but at least twice and at most 64 times `count`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 64 times a small count")]
pub(crate) fn grown(count: u32, factor: f64) -> u32 {
    (f64::from(count) * (1.2 * factor).clamp(2.0, 64.0)).min(f64::from(u32::MAX / 2)) as u32
}

#[cfg(test)]
mod tests {
    use super::{grown, slope};

    #[test]
    fn the_slope_is_free_of_the_fixed_cost() {
        // 3 ms of work and 0.1 ms of submission: N takes 3.1, 2N takes 6.1.
        assert!((slope(3.1, 6.1, 0.1) - 3.0).abs() < 1e-12);
    }

    #[test]
    fn a_disturbed_half_does_not_make_the_rest_free() {
        // The first half was interrupted for 2 ms: the plain difference would say 1.0.
        let s = slope(5.1, 6.1, 0.1);
        assert!((2.9..=3.0).contains(&s), "{s}");
        // The second half was interrupted: the slope is an upper bound.
        let s = slope(3.1, 8.1, 0.1);
        assert!((s - 4.05).abs() < 1e-12, "{s}");
    }

    #[test]
    fn counts_grow_towards_their_aim() {
        assert_eq!((grown(1, 1.0), grown(10, 10.0), grown(1, 1e9)), (2, 120, 64));
    }
}
