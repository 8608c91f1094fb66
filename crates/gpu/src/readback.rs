//! Copies from the device to the host, through one mapped buffer that grows as needed and stays.

use crate::faults::{Watched, describe};
use crate::memory::Memory;
use ridgeline_compute::{Error, Slice};

/// The staging buffer of read-backs.
#[derive(Debug, Default)]
pub(crate) struct ReadBack {
    staging: Option<wgpu::Buffer>,
}

/// Bytes that a slice takes in staging: whole words, and the next one is aligned.
fn room(slice: &Slice) -> u64 {
    slice.bytes.next_multiple_of(16)
}

impl ReadBack {
    /// Appends the copies of `reads` to the commands.
    pub(crate) fn encode(
        &mut self,
        device: &Watched,
        memory: &Memory,
        encoder: &mut wgpu::CommandEncoder,
        reads: &[Slice],
    ) -> Result<(), Error> {
        let total: u64 = reads.iter().map(room).sum();
        if total == 0 {
            return Ok(());
        }
        let staging = self.grown(device, total)?;
        let mut at = 0;
        for slice in reads.iter().filter(|slice| slice.bytes > 0) {
            let bytes = slice.bytes.next_multiple_of(4);
            encoder.copy_buffer_to_buffer(memory.get(*slice)?, slice.offset, staging, at, bytes);
            at += room(slice);
        }
        Ok(())
    }

    fn grown(&mut self, device: &Watched, bytes: u64) -> Result<&wgpu::Buffer, Error> {
        let limit = device.limits().max_buffer_size;
        if bytes > limit {
            let label = "read-backs of one recording".to_owned();
            return Err(Error::Limit { label, bytes, limit, what: "max_buffer_size" });
        }
        if self.staging.as_ref().is_none_or(|staging| staging.size() < bytes) {
            // Powers of two, so that a prompt that grows does not reallocate with every token.
            self.staging = Some(mappable(device, bytes.next_power_of_two().clamp(4096, limit.max(4096)))?);
        }
        Ok(self.staging.as_ref().expect("staging was just made"))
    }

    /// Maps the copies, waits for the submission that makes them, and takes them out.
    pub(crate) fn collect(
        &mut self,
        device: &Watched,
        submission: wgpu::SubmissionIndex,
        reads: &[Slice],
    ) -> Result<Vec<Vec<u8>>, Error> {
        let total: u64 = reads.iter().map(room).sum();
        let staging = if total > 0 { self.staging.take() } else { None };
        let Some(staging) = staging else {
            device.wait(submission)?;
            return Ok(vec![Vec::new(); reads.len()]);
        };
        // Until all went well the buffer is not kept: one whose mapping never came cannot be used again.
        let results = mapped(device, submission, &staging, total, |bytes| {
            let mut rest = bytes;
            let mut results = Vec::with_capacity(reads.len());
            for slice in reads {
                let (mine, others) = rest.split_at(usize::try_from(room(slice)).unwrap_or(usize::MAX));
                results.push(mine[..usize::try_from(slice.bytes).unwrap_or(usize::MAX)].to_vec());
                rest = others;
            }
            results
        })?;
        self.staging = Some(staging);
        Ok(results)
    }
}

/// A buffer that the device copies into and the host reads.
pub(crate) fn mappable(device: &Watched, size: u64) -> Result<wgpu::Buffer, Error> {
    let made = device.scoped(|device| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("read-back"),
            size,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    });
    made.map_err(|error| Error::Device { reason: describe(&error) })
}

/// Shows the first `bytes` bytes of a mappable buffer once the submission is done.
pub(crate) fn mapped<T>(
    device: &Watched,
    submission: wgpu::SubmissionIndex,
    buffer: &wgpu::Buffer,
    bytes: u64,
    look: impl FnOnce(&[u8]) -> T,
) -> Result<T, Error> {
    // The mapping's own callback brings no news: `wait` reports every failure, and so does the range.
    buffer.map_async(wgpu::MapMode::Read, 0..bytes, |_| {});
    device.wait(submission)?;
    let result = match buffer.get_mapped_range(0..bytes) {
        Ok(view) => look(&view),
        Err(error) => {
            device.check_now()?;
            return Err(Error::Device { reason: error.to_string() });
        }
    };
    buffer.unmap();
    Ok(result)
}
