//! Host data on its way to the device, in staging of bounded size.

use crate::faults::Watched;
use ridgeline_compute::{Error, Slice};
use std::collections::VecDeque;

/// Most bytes of staging that are alive at a time. wgpu allocates staging per write and frees it when the submission
/// that copies it is done, so that without a bound a model would be in memory twice.
const STAGING: u64 = 16 << 20;

/// Bytes that are submitted together: while the device copies some, the host fills others.
const PIECE: u64 = 4 << 20;

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
        for piece in data.chunks(usize::try_from(PIECE).unwrap_or(usize::MAX)) {
            let bytes = piece.len() as u64;
            self.make_room(device, queue, bytes)?;
            let staging =
                wgpu::BufferSize::new(bytes).and_then(|n| queue.write_buffer_with(buffer, offset, n));
            let Some(mut staging) = staging else {
                device.check_now()?;
                return Err(Error::Device { reason: format!("a write of {bytes} bytes was refused") });
            };
            staging.copy_from_slice(piece);
            drop(staging);
            self.open += bytes;
            offset += bytes;
        }
        device.check()
    }

    /// Submits what makes a piece, and waits for the oldest pieces until `bytes` more fit.
    fn make_room(&mut self, device: &Watched, queue: &wgpu::Queue, bytes: u64) -> Result<(), Error> {
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
    pub(crate) fn flush(&mut self, device: &Watched, queue: &wgpu::Queue) -> Result<(), Error> {
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
