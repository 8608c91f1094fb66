//! Host data on its way to the device, in staging of bounded size.

use crate::checked_device::CheckedDevice;
use crate::memory::Storage;
use crate::texture::check_whole;
use ridgeline_compute::{Error, FillFn, Slice};
use std::collections::VecDeque;

/// Most bytes of staging that are alive at a time. wgpu allocates staging per write and frees it when the submission
/// that copies it is done, so that without a bound a model would be in memory twice.
const STAGING: u64 = 16 << 20;

/// Bytes that are submitted together: while the device copies some, the host fills others.
const PIECE: u64 = 4 << 20;

/// Bytes that a thread makes before it moves them: what its cache holds.
const CACHED: u64 = 128 << 10;

/// Stages `bytes` bytes, `step` at a time; false where the device has no staging.
fn stage(
    queue: &wgpu::Queue,
    (storage, offset): (&Storage, u64),
    (bytes, step): (u64, u64),
    source: &FillFn<'_>,
) -> bool {
    let Storage::Buffer(buffer) = storage else {
        // wgpu stages what goes to a texture by itself, one allocation each time.
        let mut made = vec![0; usize_of(bytes / 4)];
        source(0, &mut made);
        return place(queue, (storage, offset), bytemuck::cast_slice(&made));
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

/// What is written to a texture are whole texels.
fn check(device: &CheckedDevice, storage: &Storage, offset: u64, bytes: u64) -> Result<(), Error> {
    match storage {
        Storage::Buffer(_) => Ok(()),
        Storage::Texture(_) => check_whole(device, offset, bytes),
    }
}

/// Staging is bounded, so that its sizes fit.
fn usize_of(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// Stages data that lies in memory already; false where the device has no staging.
fn place(queue: &wgpu::Queue, (storage, offset): (&Storage, u64), data: &[u8]) -> bool {
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

/// Counts the staging that is alive.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    /// Bytes written since the last submission.
    open: u64,
    /// Submissions that copy staging, oldest first, and how much.
    copying: VecDeque<(wgpu::SubmissionIndex, u64)>,
}

impl Writer {
    /// Copies `data` to the start of a slice. The device has it before anything that is submitted later.
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
            return Err(Error::Limit { label, bytes, limit: at.bytes, what: "the slice written to" });
        }
        check(device, storage, at.offset, bytes)?;
        let mut offset = at.offset;
        for piece in data.chunks(usize_of(PIECE)) {
            let bytes = piece.len() as u64;
            self.make_room(device, queue, bytes)?;
            if !place(queue, (storage, offset), piece) {
                device.check_now()?;
                return Err(Error::Device { reason: format!("a write of {bytes} bytes was refused") });
            }
            self.open += bytes;
            offset += bytes;
        }
        device.check()
    }

    /// Fills a slice with what `source` makes, in whole multiples of `unit` bytes, on as many threads as the machine runs
    /// at once: each makes a little, which its cache holds, and moves it to staging.
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
        let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        let mut done = 0;
        while done < at.bytes {
            let piece = units(PIECE).min(at.bytes - done);
            self.make_room(device, queue, piece)?;
            let share = piece.div_ceil(threads).next_multiple_of(unit);
            let stage = |first: u64| {
                let bytes = share.min(done + piece - first);
                stage(queue, (storage, at.offset + first), (bytes, units(CACHED)), &|offset, to| {
                    source(first + offset, to);
                })
            };
            let staged = std::thread::scope(|scope| {
                let rest: Vec<u64> = (done + share..done + piece).step_by(usize_of(share)).collect();
                let others: Vec<_> =
                    rest.into_iter().map(|first| scope.spawn(move || stage(first))).collect();
                let mine = stage(done);
                others.into_iter().fold(mine, |all, other| all & other.join().unwrap_or(false))
            });
            if !staged {
                device.check_now()?;
                return Err(Error::Device { reason: format!("a write of {piece} bytes was refused") });
            }
            self.open += piece;
            done += piece;
        }
        device.check()
    }

    /// Submits what makes a piece, and waits for the oldest pieces until `bytes` more fit.
    fn make_room(&mut self, device: &CheckedDevice, queue: &wgpu::Queue, bytes: u64) -> Result<(), Error> {
        let alive = |this: &Self| this.open + this.copying.iter().map(|it| it.1).sum::<u64>();
        if self.open + bytes > PIECE || alive(self) + bytes > STAGING {
            self.submit(queue);
        }
        while alive(self) + bytes > STAGING
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

    /// Waits until the device holds everything written.
    pub(crate) fn flush(&mut self, device: &CheckedDevice, queue: &wgpu::Queue) -> Result<(), Error> {
        let submission = queue.submit([]);
        self.submitted();
        device.wait(submission)
    }

    /// Somebody submitted, and waits for it: what was staged is on its way.
    pub(crate) fn submitted(&mut self) {
        self.open = 0;
        self.copying.clear();
    }
}
