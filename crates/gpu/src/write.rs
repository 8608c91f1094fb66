//! Host data on its way to the device, in staging chunks of bounded size.

use crate::faults::Watched;
use ridgeline_compute::{Error, Slice};

/// Most bytes of staging that are alive at a time. wgpu allocates staging per write and frees it when the submission
/// that copies it is done, so that without a bound a model would be in memory twice.
const CHUNK: u64 = 16 << 20;

/// Counts the staging that is alive.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    alive: u64,
}

impl Writer {
    /// Copies `data` to the start of a slice. The device has it before anything that is submitted later.
    pub(crate) fn write(
        &mut self,
        device: &Watched,
        queue: &wgpu::Queue,
        (buffer, at): (&wgpu::Buffer, Slice),
        data: &[u8],
    ) -> Result<(), Error> {
        let bytes = data.len() as u64;
        if bytes > at.bytes.next_multiple_of(4) {
            let label = "a write".to_owned();
            return Err(Error::Limit { label, bytes, limit: at.bytes, what: "the slice written to" });
        }
        let mut offset = at.offset;
        for chunk in data.chunks(usize::try_from(CHUNK).unwrap_or(usize::MAX)) {
            let bytes = chunk.len() as u64;
            if self.alive + bytes > CHUNK {
                self.flush(device, queue)?;
            }
            let staging =
                wgpu::BufferSize::new(bytes).and_then(|n| queue.write_buffer_with(buffer, offset, n));
            let Some(mut staging) = staging else {
                device.check_now()?;
                return Err(Error::Device { reason: format!("a write of {bytes} bytes was refused") });
            };
            staging.copy_from_slice(chunk);
            drop(staging);
            self.alive += bytes;
            offset += bytes;
        }
        device.check()
    }

    /// Waits until the device holds everything written.
    pub(crate) fn flush(&mut self, device: &Watched, queue: &wgpu::Queue) -> Result<(), Error> {
        let submission = queue.submit([]);
        self.submitted();
        device.wait(submission)
    }

    /// Somebody submitted: what was staged is on its way.
    pub(crate) fn submitted(&mut self) {
        self.alive = 0;
    }
}
