//! Slope timing: what one more unit of work costs, free of what submitting and waiting cost.
//!
//! `T(2N) − T(N)` over N units. The intercept that this implies, `2·T(N) − T(2N)`, is what a submission costs; where
//! noise makes it negative or larger than twice an empty submission, the nearer of the two is taken instead. So a
//! disturbed repetition cannot make a device look faster than it is, and N is so large that the choice is worth a few
//! per cent at most.

use super::Error;
use crate::Device;
use ridgeline_compute::{Buffer, Executor, Recording, Role, Timing};
use ridgeline_kernels::empty::{self, Empty};

/// Shortest time of N units, in seconds: forty times a typical empty submission, and much more than a clock tick.
const SHORTEST_S: f64 = 3e-3;

/// Which part of a run is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// From the queue call to completion: what the device needs. For ceilings.
    SubmitToComplete,
    /// Encoding as well: what the whole step takes. For the cost of a launch.
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

/// Work to be timed: N times in one recording, and twice as often in another.
#[derive(Clone, Debug)]
pub struct Unit {
    once: Recording,
    twice: Recording,
    copies: u32,
    /// Buffers that live as long as the work that names them; nobody reads this.
    #[expect(dead_code, reason = "held for its drop alone: the executor frees what has no handle")]
    keeps: Vec<Buffer>,
    /// Seconds of one unit, from calibration.
    pub estimate_s: f64,
}

impl Unit {
    /// The same, with_buffers the buffers that it works on alive.
    #[must_use]
    pub fn with_buffers(self, buffers: &[Buffer]) -> Self {
        Self { keeps: buffers.to_vec(), ..self }
    }

    /// The recording of the work, N times over.
    #[must_use]
    pub const fn recording(&self) -> &Recording {
        &self.once
    }

    /// How often the recording repeats the work: N.
    #[must_use]
    pub const fn copies(&self) -> u32 {
        self.copies
    }

    /// Bytes that one unit moves, as its kernels count them.
    #[must_use]
    pub fn bytes(&self) -> f64 {
        self.once.cost().bytes() as f64 / f64::from(self.copies)
    }

    /// Operations of one unit.
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
    /// A timer; measures the empty submission.
    ///
    /// # Errors
    /// [`Error::NoClock`] on the CPU twins, or what the device says.
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
            recording.run(Empty { lanes: 64 }, empty::Params { value }, empty::Args { to: self.cell.all() });
        }
        recording
    }

    /// Where empty launches write: four bytes that are worth reading back.
    #[must_use]
    pub fn cell(&self) -> ridgeline_compute::Slice {
        self.cell.all().head(4)
    }

    /// Runs a recording once and times it, in seconds.
    ///
    /// # Errors
    /// What the device says.
    pub fn run(&mut self, recording: &Recording, clock: Clock) -> Result<f64, Error> {
        Ok(clock.seconds(&self.device.run(recording)?.timing))
    }

    /// Repeats `work` so often that N repetitions take a few milliseconds; this also warms it up.
    ///
    /// # Errors
    /// What the device says.
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

    /// Seconds of one unit: the slope between the best of `pairs` interleaved repetitions of N and of 2N units.
    ///
    /// # Errors
    /// What the device says.
    pub fn slope(&mut self, unit: &Unit, pairs: u32, clock: Clock) -> Result<f64, Error> {
        let (mut once, mut twice) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..pairs.max(1) {
            once = once.min(self.run(&unit.once, clock)?);
            twice = twice.min(self.run(&unit.twice, clock)?);
        }
        Ok(slope(once, twice, self.empty_s) / f64::from(unit.copies))
    }
}

/// What the second half of `twice` took, given how long half of the work took alone.
fn slope(once: f64, twice: f64, empty: f64) -> f64 {
    let fixed = (2.0 * once - twice).clamp(0.0, (2.0 * empty).min(twice / 2.0));
    (twice - fixed) / 2.0
}

/// `work`, `n` times over.
fn repeated(work: &Recording, n: u32) -> Recording {
    let mut recording = Recording::new();
    for _ in 0..n {
        recording.append(work);
    }
    recording
}

/// A count grown by a factor with a little to spare, but no more than 64-fold at once.
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
        // The second half was: nothing can be known but that it took no longer.
        let s = slope(3.1, 8.1, 0.1);
        assert!((s - 4.05).abs() < 1e-12, "{s}");
    }

    #[test]
    fn counts_grow_towards_their_aim() {
        assert_eq!((grown(1, 1.0), grown(10, 10.0), grown(1, 1e9)), (2, 120, 64));
    }
}
