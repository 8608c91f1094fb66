//! Proof that the device executed every submission.
//!
//! On Metal, wgpu reports a submission as done even if it failed, for example for lack of memory (wgpu issue 9545). The
//! results of an earlier run would then be read as those of this one.
//!
//! ```text
//! submission k:     …launches…, serials[k] = first + k
//! last submission:  copy serials to the host, after the results
//! host:             a word that is not its serial: the device is lost
//! ```

use crate::Gpu;
use crate::bind_groups::BindGroupBuilder;
use ridgeline_compute::{AnyKernel, Buffer, Error, Executor, Role, Slice};

/// Bytes between the words of two submissions: the largest alignment of a binding.
const STEP_BYTES: usize = 256;
const STEP: u64 = STEP_BYTES as u64;

/// The kernel that writes serials, and where it writes them.
#[derive(Debug)]
pub(crate) struct Completion {
    kernel: AnyKernel,
    words: Buffer,
    /// The next serial. It begins with 1, because new memory is zero.
    next: u32,
}

/// The serials of a recording's submissions.
#[derive(Debug)]
pub(crate) struct Serials {
    words: Slice,
    first: u32,
    count: u32,
}

/// The serial of one submission, and the slice that the device writes it to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Serial {
    value: u32,
    to: Slice,
}

impl Serials {
    /// The serial of the next submission.
    pub(crate) fn next(&mut self) -> Serial {
        let to = Slice { offset: STEP * u64::from(self.count), bytes: 4, ..self.words };
        self.count += 1;
        Serial { value: self.first.wrapping_add(self.count - 1), to }
    }

    /// The slice to read back after the results.
    pub(crate) fn read(&self) -> Slice {
        Slice { bytes: STEP * u64::from(self.count), ..self.words }
    }

    /// Whether every submission wrote its serial.
    pub(crate) fn all_in(&self, words: &[u8]) -> bool {
        let written =
            words.chunks_exact(STEP_BYTES).map(|word| bytemuck::pod_read_unaligned::<u32>(&word[..4]));
        let expected = (0..self.count).map(|k| self.first.wrapping_add(k));
        written.eq(expected)
    }
}

impl Gpu {
    /// Verifies from now on that the device executes every submission. Each one gets a launch more.
    ///
    /// `kernel` writes its only parameter to the first word of its only binding. The backend Metal needs this. Elsewhere
    /// the driver reports a failed submission.
    ///
    /// # Errors
    /// The kernel does not compile, or has another interface.
    pub fn verify_completion(&mut self, kernel: AnyKernel) -> Result<(), Error> {
        if kernel.params().len() != 1 || kernel.bindings().len() != 1 {
            let reason = "a kernel with one parameter and one binding is needed".to_owned();
            return Err(Error::Shader { kernel: kernel.label(), reason });
        }
        self.prepare(std::slice::from_ref(&kernel))?;
        let words = self.alloc(STEP, Role::Activation, "serials")?;
        self.completion = Some(Completion { kernel, words, next: 1 });
        Ok(())
    }

    /// The serials of a recording with up to `submissions` submissions; `None` if completion is not verified.
    pub(crate) fn serials(&mut self, submissions: usize) -> Result<Option<Serials>, Error> {
        let Some(mut completion) = self.completion.take() else { return Ok(None) };
        let bytes = STEP * submissions as u64;
        if completion.words.all().bytes < bytes {
            completion.words = self.alloc(bytes.next_power_of_two(), Role::Activation, "serials")?;
        }
        let serials = Serials { words: completion.words.all(), first: completion.next, count: 0 };
        completion.next = completion.next.wrapping_add(u32::try_from(submissions).unwrap_or(u32::MAX));
        self.completion = Some(completion);
        Ok(Some(serials))
    }

    /// Encodes the launch that writes a serial.
    pub(crate) fn encode_serial(
        &mut self,
        pass: &mut wgpu::ComputePass<'_>,
        serial: Serial,
    ) -> Result<(), Error> {
        let Some(completion) = &self.completion else { return Ok(()) };
        let builder = BindGroupBuilder {
            device: &self.device,
            memory: &self.memory,
            pipelines: &self.pipelines,
            max_binding: self.caps.max_binding,
        };
        let index = self.pipelines.find(&completion.kernel).expect("`verify_completion` compiled the kernel");
        let pipeline = self.pipelines.get(index);
        pass.set_pipeline(&pipeline.compute);
        let group = self.groups.get(builder, pipeline.layout, &[serial.to], &completion.kernel)?;
        pass.set_bind_group(0, group, &[]);
        pass.set_immediates(0, &serial.value.to_le_bytes());
        pass.dispatch_workgroups(1, 1, 1);
        Ok(())
    }

    /// Compares what the device wrote with the serials.
    pub(crate) fn check_serials(&self, serials: &Serials, words: &[u8]) -> Result<(), Error> {
        if serials.all_in(words) {
            return Ok(());
        }
        let reason =
            "it did not finish a submission, perhaps for lack of memory or for a time limit".to_owned();
        Err(self.device.lose(reason))
    }
}

#[cfg(test)]
mod tests {
    use super::{STEP_BYTES, Serials};
    use ridgeline_compute::{Buffer, Role};

    fn words(values: &[u32]) -> Vec<u8> {
        let word = |value: &u32| [&value.to_le_bytes()[..], &[0xff; STEP_BYTES - 4]].concat();
        values.iter().flat_map(word).collect()
    }

    #[test]
    fn every_submission_has_a_serial_and_a_word() {
        let buffer = Buffer::new(1024, Role::Activation);
        let mut serials = Serials { words: buffer.all(), first: u32::MAX, count: 0 };
        let (a, b) = (serials.next(), serials.next());
        assert_eq!((a.value, a.to.offset, a.to.bytes), (u32::MAX, 0, 4));
        assert_eq!((b.value, b.to.offset), (0, 256), "serials wrap");
        assert_eq!(serials.read(), buffer.slice(0, 512));
        assert!(serials.all_in(&words(&[u32::MAX, 0])));
        assert!(!serials.all_in(&words(&[u32::MAX - 2, 0])), "the first failed");
        assert!(!serials.all_in(&words(&[u32::MAX, u32::MAX - 1])), "the last failed");
        assert!(!serials.all_in(&words(&[u32::MAX])), "too few");
    }
}
