//! Copies from the host to the device, through staging memory of bounded size.

use crate::checked_device::CheckedDevice;
use crate::memory::Storage;
use crate::texture::check_whole;
use ridgeline_compute::{Error, FillFn, Slice};
use std::collections::VecDeque;

/// Maximum bytes of live staging memory.
///
/// wgpu allocates staging for each write and frees it after the submission that copies it. Without a limit, a whole
/// model would be in staging.
const MAX_STAGING: u64 = 16 << 20;

/// Bytes per submission. While the device copies one chunk, the host fills the next.
const CHUNK: u64 = 4 << 20;

/// Bytes that a thread produces before it copies them to staging. They fit its cache.
const CACHED: u64 = 128 << 10;

/// Threads that fill a chunk. Starting one costs about as much as producing a few KiB, so more do not pay.
const MAX_THREADS: usize = 16;

/// Threads on a machine of `cores` cores.
fn threads(cores: usize) -> u64 {
    cores.min(MAX_THREADS) as u64
}

/// Stages `bytes` bytes, `step` at a time. Returns whether the device has staging memory.
fn stage(
    queue: &wgpu::Queue,
    (storage, offset): (&Storage, u64),
    (bytes, step): (u64, u64),
    source: &FillFn<'_>,
) -> bool {
    let Storage::Buffer(buffer) = storage else {
        // For textures, wgpu allocates the staging memory in `write_texture`.
        let mut made = vec![0; usize_of(bytes / 4)];
        source(0, &mut made);
        return copy_to_staging(queue, (storage, offset), bytemuck::cast_slice(&made));
    };
    let view = wgpu::BufferSize::new(bytes).and_then(|n| queue.write_buffer_with(buffer, offset, n));
    let Some(mut view) = view else { return false };
    let mut made = vec![0; usize_of(step.min(bytes) / 4)];
    for first in (0..bytes).step_by(usize_of(step)) {
        let made = &mut made[..usize_of(step.min(bytes - first) / 4)];
        source(first, made);
        let made: &[u8] = bytemuck::cast_slice(made);
        view.slice(usize_of(first)..usize_of(first) + made.len()).copy_from_slice(made);
    }
    true
}

/// Refuses a write to a texture that is not whole texels.
fn check(device: &CheckedDevice, storage: &Storage, offset: u64, bytes: u64) -> Result<(), Error> {
    match storage {
        Storage::Buffer(_) => Ok(()),
        Storage::Texture(_) => check_whole(device, offset, bytes),
    }
}

/// Converts a size within staging, which is bounded and fits `usize`.
fn usize_of(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// Copies data from host memory to staging. Returns whether the device has staging memory.
fn copy_to_staging(queue: &wgpu::Queue, (storage, offset): (&Storage, u64), data: &[u8]) -> bool {
    match storage {
        Storage::Buffer(buffer) => {
            let bytes = wgpu::BufferSize::new(data.len() as u64);
            let view = bytes.and_then(|n| queue.write_buffer_with(buffer, offset, n));
            view.map(|mut view| view.copy_from_slice(data)).is_some()
        }
        Storage::Texture(texture) => {
            texture.stage(queue, offset, data);
            true
        }
    }
}

/// Writes to device memory, and limits the live staging memory.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    /// Staged bytes that are not yet submitted.
    open: u64,
    /// Submissions that copy staged bytes, oldest first, and their bytes.
    copying: VecDeque<(wgpu::SubmissionIndex, u64)>,
}

impl Writer {
    /// Copies `data` to the start of a slice. Every later submission sees it.
    pub(crate) fn write(
        &mut self,
        device: &CheckedDevice,
        queue: &wgpu::Queue,
        (storage, at): (&Storage, Slice),
        data: &[u8],
    ) -> Result<(), Error> {
        let bytes = data.len() as u64;
        if bytes > at.bytes.next_multiple_of(4) {
            let label = "a write".to_owned();
            return Err(Error::Limit { label, bytes, limit: at.bytes, what: "size of the slice" });
        }
        check(device, storage, at.offset, bytes)?;
        let mut offset = at.offset;
        for chunk in data.chunks(usize_of(CHUNK)) {
            let bytes = chunk.len() as u64;
            self.reserve(device, queue, bytes)?;
            if !copy_to_staging(queue, (storage, offset), chunk) {
                device.check_now()?;
                return Err(no_staging(bytes));
            }
            self.open += bytes;
            offset += bytes;
        }
        device.check()
    }

    /// Fills a slice with the output of `source`, in multiples of `unit` bytes, on all CPU cores.
    ///
    /// ```text
    /// for each chunk of the slice:              (CHUNK bytes)
    ///     reserve staging for it
    ///     in each thread, for its share:        (an equal part of the chunk)
    ///         produce CACHED bytes at a time, copy them to staging
    /// ```
    pub(crate) fn fill(
        &mut self,
        device: &CheckedDevice,
        queue: &wgpu::Queue,
        (storage, at): (&Storage, Slice),
        unit: u64,
        source: &FillFn<'_>,
    ) -> Result<(), Error> {
        check(device, storage, at.offset, at.bytes)?;
        check(device, storage, at.offset, unit)?;
        let units = |bytes: u64| unit * (bytes / unit).max(1);
        let threads = threads(std::thread::available_parallelism().map_or(1, usize::from));
        let mut done = 0;
        while done < at.bytes {
            let chunk = units(CHUNK).min(at.bytes - done);
            self.reserve(device, queue, chunk)?;
            let share = chunk.div_ceil(threads).next_multiple_of(unit);
            let stage = |first: u64| {
                let bytes = share.min(done + chunk - first);
                stage(queue, (storage, at.offset + first), (bytes, units(CACHED)), &|offset, to| {
                    source(first + offset, to);
                })
            };
            let staged = std::thread::scope(|scope| {
                // This thread takes the first share, and new threads take the rest.
                let rest: Vec<u64> = (done + share..done + chunk).step_by(usize_of(share)).collect();
                let others: Vec<_> =
                    rest.into_iter().map(|first| scope.spawn(move || stage(first))).collect();
                let own = stage(done);
                others.into_iter().fold(own, |all, other| all & other.join().unwrap_or(false))
            });
            if !staged {
                device.check_now()?;
                return Err(no_staging(chunk));
            }
            self.open += chunk;
            done += chunk;
        }
        device.check()
    }

    /// Makes room for `bytes` more bytes of staging.
    ///
    /// Submits a full chunk, and waits for the oldest submissions if the limit is reached.
    fn reserve(&mut self, device: &CheckedDevice, queue: &wgpu::Queue, bytes: u64) -> Result<(), Error> {
        let live = |this: &Self| this.open + this.copying.iter().map(|it| it.1).sum::<u64>();
        if self.open + bytes > CHUNK || live(self) + bytes > MAX_STAGING {
            self.submit(queue);
        }
        while live(self) + bytes > MAX_STAGING
            && let Some((submission, _)) = self.copying.pop_front()
        {
            device.wait(submission)?;
        }
        Ok(())
    }

    fn submit(&mut self, queue: &wgpu::Queue) {
        if self.open > 0 {
            self.copying.push_back((queue.submit([]), self.open));
            self.open = 0;
        }
    }

    /// Submits all staged bytes and waits for their copies.
    pub(crate) fn flush(&mut self, device: &CheckedDevice, queue: &wgpu::Queue) -> Result<(), Error> {
        let submission = queue.submit([]);
        self.submitted();
        device.wait(submission)
    }

    /// Forgets all staged bytes, because the caller submitted them and will wait for that submission.
    pub(crate) fn submitted(&mut self) {
        self.open = 0;
        self.copying.clear();
    }
}

fn no_staging(bytes: u64) -> Error {
    Error::Device { reason: format!("no staging memory for a write of {bytes} bytes") }
}

#[cfg(test)]
mod tests {
    use super::{CACHED, CHUNK, threads};

    #[test]
    fn every_thread_has_a_cache_full_of_work() {
        assert_eq!([1, 2, 16, 17, 192].map(threads), [1, 2, 16, 16, 16]);
        assert!(CHUNK / threads(192) >= CACHED);
    }
}
