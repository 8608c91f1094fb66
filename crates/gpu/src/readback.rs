//! Copies from the device to the host, through a pool of mappable staging buffers, one for each running recording.

use crate::checked_device::{CheckedDevice, describe};
use crate::memory::{Memory, Storage};
use ridgeline_compute::{Error, Slice};

/// Maximum number of free staging buffers in the pool.
const MAX_FREE: usize = 4;

/// The pool of free staging buffers.
#[derive(Debug, Default)]
pub(crate) struct ReadBack {
    free: Vec<wgpu::Buffer>,
}

/// The encoded read-backs of a recording.
#[derive(Debug)]
pub(crate) struct Reads {
    /// The buffer they are copied to; `None` without any bytes.
    staging: Option<wgpu::Buffer>,
    /// The slices, in staging order.
    slices: Vec<Slice>,
}

/// Bytes of a slice in staging: whole texels, so that the next slice is aligned.
fn staged_bytes(slice: &Slice) -> u64 {
    slice.bytes.next_multiple_of(16)
}

impl ReadBack {
    /// Appends the copies of `reads` to the encoder.
    pub(crate) fn encode(
        &mut self,
        device: &CheckedDevice,
        memory: &Memory,
        encoder: &mut wgpu::CommandEncoder,
        reads: Vec<Slice>,
    ) -> Result<Reads, Error> {
        let total: u64 = reads.iter().map(staged_bytes).sum();
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
                at += staged_bytes(slice);
            }
        }
        Ok(Reads { staging, slices: reads })
    }

    /// Takes a free buffer of at least `bytes` bytes, or creates one.
    fn take(&mut self, device: &CheckedDevice, bytes: u64) -> Result<wgpu::Buffer, Error> {
        let limit = device.limits().max_buffer_size;
        if bytes > limit {
            let label = "read-backs of one recording".to_owned();
            return Err(Error::Limit { label, bytes, limit, what: "max_buffer_size" });
        }
        if let Some(index) = self.free.iter().position(|it| it.size() >= bytes) {
            return Ok(self.free.swap_remove(index));
        }
        // Powers of two, so that growing read-backs do not allocate every time.
        mappable(device, bytes.next_power_of_two().clamp(4096, limit.max(4096)))
    }

    /// Waits for the submission that copies the read-backs, and returns their bytes.
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
        // After an error the buffer does not return to the pool, because its mapping may still be pending.
        let total = slices.iter().map(staged_bytes).sum();
        let results = mapped(device, submission, &staging, total, |bytes| {
            let mut rest = bytes;
            let mut results = Vec::with_capacity(slices.len());
            for slice in &slices {
                let (staged, others) =
                    rest.split_at(usize::try_from(staged_bytes(slice)).unwrap_or(usize::MAX));
                results.push(staged[..usize::try_from(slice.bytes).unwrap_or(usize::MAX)].to_vec());
                rest = others;
            }
            results
        })?;
        self.recycle(staging);
        Ok(results)
    }

    /// Returns a buffer to the pool. A full pool drops its smallest buffer.
    fn recycle(&mut self, staging: wgpu::Buffer) {
        self.free.push(staging);
        self.free.sort_by_key(wgpu::Buffer::size);
        if self.free.len() > MAX_FREE {
            self.free.remove(0);
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

/// Waits for the submission, and calls `look` with the first `bytes` bytes of a mappable buffer.
pub(crate) fn mapped<T>(
    device: &CheckedDevice,
    submission: wgpu::SubmissionIndex,
    buffer: &wgpu::Buffer,
    bytes: u64,
    look: impl FnOnce(&[u8]) -> T,
) -> Result<T, Error> {
    // The callback is empty, because `wait` and `get_mapped_range` report every failure.
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
