//! The interface that runs recordings: a real device or the CPU twins.

use crate::{AnyKernel, Buffer, Caps, Error, Recording, Role, Slice};
use std::any::Any;

/// Where the time of one [`Executor::run`] went, in nanoseconds of the host's clock.
///
/// The CPU executor reads no clock and leaves everything at zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timing {
    /// Uploads and command encoding, `finish()` included.
    pub encode_ns: u64,
    /// Handing the commands to the driver.
    pub submit_ns: u64,
    /// From the end of the last submission until the results are in host memory.
    pub wait_ns: u64,
    /// Submissions made.
    pub submissions: u32,
    /// Device time of each step, where the executor was asked to profile and its timestamps are plausible.
    pub step_ns: Option<Vec<u64>>,
}

impl Timing {
    /// Wall time of the whole call.
    #[must_use]
    pub const fn total_ns(&self) -> u64 {
        self.encode_ns + self.submit_ns + self.wait_ns
    }
}

/// Results of one [`Executor::run`].
#[derive(Clone, Debug, Default)]
pub struct RunOutput {
    /// Where the time went.
    pub timing: Timing,
    /// The bytes of each [`Recording::read_back`], in order.
    pub reads: Vec<Vec<u8>>,
}

/// A recording under way, to be handed to [`Executor::finish`] of the executor that started it. Dropped, its results
/// are never fetched.
#[derive(Debug)]
pub struct InFlight(Box<dyn Any>);

impl InFlight {
    /// What an executor has to remember.
    pub fn new(what: impl Any) -> Self {
        Self(Box::new(what))
    }

    /// What the executor remembered.
    ///
    /// # Panics
    /// Where another kind of executor started it.
    #[must_use]
    pub fn into_inner<T: Any>(self) -> T {
        *self.0.downcast().expect("an executor finishes what it started")
    }
}

/// Makes the words of a slice from an offset in bytes on; what it is given holds zeros or what it made before.
pub type FillFn<'a> = dyn Fn(u64, &mut [u32]) + Sync + 'a;

/// Bytes that [`Executor::fill`] makes at a time where the executor does not know better.
const FILLED: u64 = 4 << 20;

/// Something that holds buffers and runs recordings.
pub trait Executor {
    /// What kernels may use here.
    fn caps(&self) -> &Caps;

    /// Allocates `bytes` bytes, zeroed.
    ///
    /// # Errors
    /// Out of memory, or beyond a limit of the device.
    fn alloc(&mut self, bytes: u64, role: Role, label: &str) -> Result<Buffer, Error>;

    /// Allocates `bytes` bytes, zeroed, in a texture of [`TEXELS`](crate::TEXELS) vec4 words per line: for bindings that
    /// [lie in one](crate::Kernel::in_texture), and for no others. What is written begins and ends with a vec4 word.
    ///
    /// # Errors
    /// As [`Self::alloc`].
    fn alloc_texture(&mut self, bytes: u64, role: Role, label: &str) -> Result<Buffer, Error>;

    /// [`Self::alloc_texture`] for a binding that lies in one, [`Self::alloc`] for any other.
    ///
    /// # Errors
    /// As [`Self::alloc`].
    fn alloc_in(&mut self, texture: bool, bytes: u64, role: Role, label: &str) -> Result<Buffer, Error> {
        if texture { self.alloc_texture(bytes, role, label) } else { self.alloc(bytes, role, label) }
    }

    /// Copies `data` to the start of `at`; its length is a multiple of four bytes.
    ///
    /// # Errors
    /// An unknown buffer, or a lost device.
    fn write(&mut self, at: Slice, data: &[u8]) -> Result<(), Error>;

    /// Fills `at` with what `source` makes, `unit` bytes (whole words) or multiples of it at a time, possibly on several
    /// threads and in any order: so that whoever packs a model's weights packs them next to where the device takes them
    /// from, and a model is never in memory twice.
    ///
    /// # Errors
    /// As [`Self::write`].
    fn fill(&mut self, at: Slice, unit: u64, source: &FillFn<'_>) -> Result<(), Error> {
        // Units are whole words, so that 64 of them end where a slice may begin.
        let aligned = 64 * unit;
        let step = aligned * (FILLED / aligned).max(1);
        let mut words = Vec::new();
        for offset in (0..at.bytes).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
            let n = step.min(at.bytes - offset);
            words.resize(usize::try_from(n / 4).unwrap_or(usize::MAX), 0);
            source(offset, &mut words);
            self.write(at.part(offset, n), bytemuck::cast_slice(&words))?;
        }
        Ok(())
    }

    /// Compiles pipelines ahead of use.
    ///
    /// # Errors
    /// A kernel that does not compile here.
    fn prepare(&mut self, kernels: &[AnyKernel]) -> Result<(), Error>;

    /// Starts a recording: uploads, launches in order, read-backs, after everything that was started before. Its results
    /// are there for [`Self::finish`]; until then the host may record and start more.
    ///
    /// # Errors
    /// An unknown buffer, a kernel that does not compile, a lost device.
    fn start(&mut self, recording: &Recording) -> Result<InFlight, Error>;

    /// Waits for what was started.
    ///
    /// # Errors
    /// A lost or silent device.
    fn finish(&mut self, started: InFlight) -> Result<RunOutput, Error>;

    /// Runs a recording to completion.
    ///
    /// # Errors
    /// As [`Self::start`] and [`Self::finish`].
    fn run(&mut self, recording: &Recording) -> Result<RunOutput, Error> {
        let started = self.start(recording)?;
        self.finish(started)
    }

    /// Reads one slice back.
    ///
    /// # Errors
    /// As [`Self::run`].
    fn read(&mut self, at: Slice) -> Result<Vec<u8>, Error> {
        let mut recording = Recording::new();
        recording.read_back(at);
        let mut reads = self.run(&recording)?.reads;
        Ok(reads.pop().unwrap_or_default())
    }
}
