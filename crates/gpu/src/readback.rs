//! Copies from the device to the host, through mapped buffers that grow as needed and go round: one for each recording
//! under way.

use crate::checked_device::{CheckedDevice, describe};
use crate::memory::{Memory, Storage};
use ridgeline_compute::{Error, Slice};

/// Most buffers that are kept for the next read-backs.
const SPARE: usize = 4;

/// The staging buffers that no read-back is using.
#[derive(Debug, Default)]
pub(crate) struct ReadBack {
    spare: Vec<wgpu::Buffer>,
}

/// Copies that are on their way: the buffer they go to, and what comes to lie in it.
#[derive(Debug)]
pub(crate) struct Reads {
    staging: Option<wgpu::Buffer>,
    slices: Vec<Slice>,
}

/// Bytes that a slice takes in staging: whole words, and the next one is aligned.
fn room(slice: &Slice) -> u64 {
    slice.bytes.next_multiple_of(16)
}

impl ReadBack {
    /// Appends the copies of `reads` to the commands.
    pub(crate) fn encode(
        &mut self,
        device: &CheckedDevice,
        memory: &Memory,
        encoder: &mut wgpu::CommandEncoder,
        reads: &[Slice],
    ) -> Result<Reads, Error> {
        let total: u64 = reads.iter().map(room).sum();
        let staging = if total > 0 { Some(self.take(device, total)?) } else { None };
        let mut at = 0;
        for (staging, slice) in staging.iter().flat_map(|it| reads.iter().map(move |slice| (it, slice))) {
            if slice.bytes > 0 {
                match memory.get(*slice)? {
                    Storage::Buffer(buffer) => {
                        let bytes = slice.bytes.next_multiple_of(4);
                        encoder.copy_buffer_to_buffer(buffer, slice.offset, staging, at, bytes);
                    }
                    Storage::Texture(texture) => texture.read(encoder, *slice, (staging, at)),
                }
                at += room(slice);
            }
        }
        Ok(Reads { staging, slices: reads.to_vec() })
    }

    fn take(&mut self, device: &CheckedDevice, bytes: u64) -> Result<wgpu::Buffer, Error> {
        let limit = device.limits().max_buffer_size;
        if bytes > limit {
            let label = "read-backs of one recording".to_owned();
            return Err(Error::Limit { label, bytes, limit, what: "max_buffer_size" });
        }
        if let Some(place) = self.spare.iter().position(|it| it.size() >= bytes) {
            return Ok(self.spare.swap_remove(place));
        }
        // Powers of two, so that a prompt that grows does not allocate with every token.
        mappable(device, bytes.next_power_of_two().clamp(4096, limit.max(4096)))
    }

    /// Maps the copies, waits for the submission that makes them, and takes them out.
    pub(crate) fn collect(
        &mut self,
        device: &CheckedDevice,
        submission: wgpu::SubmissionIndex,
        reads: Reads,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let Reads { staging, slices } = reads;
        let Some(staging) = staging else {
            device.wait(submission)?;
            return Ok(vec![Vec::new(); slices.len()]);
        };
        // Until all went well the buffer is not kept: one whose mapping never came cannot be used again.
        let total = slices.iter().map(room).sum();
        let results = mapped(device, submission, &staging, total, |bytes| {
            let mut rest = bytes;
            let mut results = Vec::with_capacity(slices.len());
            for slice in &slices {
                let (mine, others) = rest.split_at(usize::try_from(room(slice)).unwrap_or(usize::MAX));
                results.push(mine[..usize::try_from(slice.bytes).unwrap_or(usize::MAX)].to_vec());
                rest = others;
            }
            results
        })?;
        self.keep(staging);
        Ok(results)
    }

    /// Keeps a buffer for the next; of too many the smallest goes.
    fn keep(&mut self, staging: wgpu::Buffer) {
        self.spare.push(staging);
        self.spare.sort_by_key(wgpu::Buffer::size);
        if self.spare.len() > SPARE {
            self.spare.remove(0);
        }
    }
}

/// A buffer that the device copies into and the host reads.
pub(crate) fn mappable(device: &CheckedDevice, size: u64) -> Result<wgpu::Buffer, Error> {
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
    device: &CheckedDevice,
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
