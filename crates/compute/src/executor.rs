//! The executor interface: runs recordings on a device, or by the kernels' CPU twins.

use crate::{AnyKernel, Buffer, Caps, Error, Recording, Role, RunOptions, Slice};
use std::any::Any;

/// Host time of one [`Executor::run`] by phase, in nanoseconds.
///
/// The CPU executor reads no clock, so all its times are zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timing {
    /// Uploads and command encoding, `finish()` included.
    pub encode_ns: u64,
    /// Submitting the commands to the queue.
    pub submit_ns: u64,
    /// Waits between submissions, and from the end of the last submit call until the results are in host memory.
    pub wait_ns: u64,
    /// Submissions made.
    pub submissions: u32,
    /// From the start until the last submit call returned: `encode_ns`, `submit_ns`, and waits between submissions.
    ///
    /// A host that never waits for the device would take this for the time of the recording.
    pub submitted_ns: u64,
    /// Device time of each launch or submission, as [`Stamps`](crate::Stamps) asks for.
    ///
    /// `None` without timestamps, or if they are implausible.
    pub device_ns: Option<Vec<u64>>,
    /// Host time of reading the timestamps after the recording. It is not part of the other times.
    pub stamps_ns: u64,
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
    /// Host time by phase.
    pub timing: Timing,
    /// The bytes of each [`Recording::read_back`], in order.
    pub reads: Vec<Vec<u8>>,
}

/// A running recording. The executor that started it takes it in [`Executor::finish`].
///
/// Dropping it discards the results.
#[derive(Debug)]
pub struct InFlight(Box<dyn Any>);

impl InFlight {
    /// Wraps an executor's own state of the running recording.
    pub fn new(state: impl Any) -> Self {
        Self(Box::new(state))
    }

    /// The executor's state.
    ///
    /// # Panics
    /// If another kind of executor started the recording.
    #[must_use]
    pub fn into_inner<T: Any>(self) -> T {
        *self.0.downcast().expect("finish() is called on the executor that started the recording")
    }
}

/// Writes the words of a slice from a byte offset on.
///
/// The words hold zeros or the results of an earlier call.
pub type FillFn<'a> = dyn Fn(u64, &mut [u32]) + Sync + 'a;

/// Bytes that the default [`Executor::fill`] produces at a time.
const FILL_CHUNK: u64 = 4 << 20;

/// Holds buffers and runs recordings.
pub trait Executor {
    /// The capabilities that kernels may use.
    fn caps(&self) -> &Caps;

    /// Allocates `bytes` bytes, zeroed.
    ///
    /// # Errors
    /// The device is out of memory, or the size exceeds one of its limits.
    fn alloc(&mut self, bytes: u64, role: Role, label: &str) -> Result<Buffer, Error>;

    /// Allocates `bytes` bytes, zeroed, in a texture of [`TEXTURE_WIDTH`](crate::TEXTURE_WIDTH) vec4s per line.
    ///
    /// Only bindings that are [in a texture](crate::Kernel::in_texture) may use it. Writes cover whole vec4s.
    ///
    /// # Errors
    /// As [`Self::alloc`].
    fn alloc_texture(&mut self, bytes: u64, role: Role, label: &str) -> Result<Buffer, Error>;

    /// Allocates in a texture ([`Self::alloc_texture`]) or in a buffer ([`Self::alloc`]).
    ///
    /// # Errors
    /// As [`Self::alloc`].
    fn alloc_in(&mut self, texture: bool, bytes: u64, role: Role, label: &str) -> Result<Buffer, Error> {
        if texture { self.alloc_texture(bytes, role, label) } else { self.alloc(bytes, role, label) }
    }

    /// Copies `data` to the start of `at`. Its length must be a multiple of four bytes.
    ///
    /// # Errors
    /// An unknown buffer, or a lost device.
    fn write(&mut self, at: Slice, data: &[u8]) -> Result<(), Error>;

    /// Fills `at` with the output of `source`, in multiples of `unit` bytes, which are whole words.
    ///
    /// Calls of `source` may come from several threads and in any order. The loader repacks weights this way
    /// directly into staging memory, so a model is never in host memory twice.
    ///
    /// # Errors
    /// As [`Self::write`].
    fn fill(&mut self, at: Slice, unit: u64, source: &FillFn<'_>) -> Result<(), Error> {
        // 64 units of whole words are a multiple of 256 bytes, the alignment of slices.
        let aligned = 64 * unit;
        let step = aligned * (FILL_CHUNK / aligned).max(1);
        let mut words = Vec::new();
        for offset in (0..at.bytes).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
            let n = step.min(at.bytes - offset);
            words.resize(usize::try_from(n / 4).unwrap_or(usize::MAX), 0);
            source(offset, &mut words);
            self.write(at.part(offset, n), bytemuck::cast_slice(&words))?;
        }
        Ok(())
    }

    /// Compiles the pipelines of `kernels` ahead of use.
    ///
    /// # Errors
    /// A kernel does not compile.
    fn prepare(&mut self, kernels: &[AnyKernel]) -> Result<(), Error>;

    /// Starts a recording: uploads, launches in order, read-backs. It runs after all recordings started before it.
    ///
    /// [`Self::finish`] returns the results. Until then the host may record and start more.
    ///
    /// # Errors
    /// An unknown buffer, a kernel that does not compile, a lost device.
    fn start_with(&mut self, recording: &Recording, options: RunOptions) -> Result<InFlight, Error>;

    /// Starts a recording with the default options.
    ///
    /// # Errors
    /// As [`Self::start_with`].
    fn start(&mut self, recording: &Recording) -> Result<InFlight, Error> {
        self.start_with(recording, RunOptions::default())
    }

    /// Waits for a recording and returns its results.
    ///
    /// # Errors
    /// The device was lost or did not finish in time.
    fn finish(&mut self, started: InFlight) -> Result<RunOutput, Error>;

    /// Runs a recording to completion.
    ///
    /// # Errors
    /// As [`Self::start_with`] and [`Self::finish`].
    fn run_with(&mut self, recording: &Recording, options: RunOptions) -> Result<RunOutput, Error> {
        let started = self.start_with(recording, options)?;
        self.finish(started)
    }

    /// Runs a recording to completion with the default options.
    ///
    /// # Errors
    /// As [`Self::run_with`].
    fn run(&mut self, recording: &Recording) -> Result<RunOutput, Error> {
        self.run_with(recording, RunOptions::default())
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
