//! Device time of launches or submissions, from timestamps at the boundaries of compute passes.
//!
//! Metal supports timestamps at pass boundaries only. A later submission resolves the queries, because some drivers
//! otherwise return zeros or hang (wgpu issue 9414). Each running recording has queries of its own.

use crate::checked_device::{CheckedDevice, describe};
use crate::clocks::{HostTimes, Stopwatch, device_times};
use crate::readback::{mappable, mapped};
use ridgeline_compute::{Error, Stamps};

/// Pairs of timestamps that fit one query set.
const PAIRS_PER_SET: usize = wgpu::QUERY_SET_MAX_QUERIES as usize / 2;
/// Bytes of a timestamp.
const TICK: u64 = wgpu::QUERY_SIZE as u64;
/// Empty submissions of which the median is the fixed cost.
const EMPTY_SUBMISSIONS: usize = 15;

/// The timestamps of one recording: pairs of (begin, end).
#[derive(Debug)]
pub(crate) struct Queries {
    sets: Vec<wgpu::QuerySet>,
    resolved: wgpu::Buffer,
    staging: wgpu::Buffer,
    /// Pairs in use.
    pairs: usize,
    /// What each pair encloses.
    pub(crate) stamps: Stamps,
}

/// Queries that no recording uses at the moment, and the fixed cost of a submission.
#[derive(Debug, Default)]
pub(crate) struct Profiler {
    free: Vec<Queries>,
    fixed_ns: Option<u64>,
}

impl Profiler {
    /// Takes free queries for up to `pairs` pairs, or creates them.
    pub(crate) fn take(
        &mut self,
        device: &CheckedDevice,
        pairs: usize,
        stamps: Stamps,
    ) -> Result<Queries, Error> {
        let fits = |it: &Queries| it.sets.len() * PAIRS_PER_SET >= pairs;
        if let Some(index) = self.free.iter().position(fits) {
            return Ok(Queries { pairs: 0, stamps, ..self.free.swap_remove(index) });
        }
        let count = pairs.div_ceil(PAIRS_PER_SET);
        let bytes = 2 * TICK * (count * PAIRS_PER_SET) as u64;
        let made = device.scoped(|device| {
            let set = |_| {
                device.create_query_set(&wgpu::QuerySetDescriptor {
                    label: Some("timestamps"),
                    ty: wgpu::QueryType::Timestamp,
                    count: wgpu::QUERY_SET_MAX_QUERIES,
                })
            };
            let resolved = device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("timestamps"),
                size: bytes,
                usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            });
            ((0..count).map(set).collect(), resolved)
        });
        let (sets, resolved) = made.map_err(|error| Error::Device { reason: describe(&error) })?;
        Ok(Queries { sets, resolved, staging: mappable(device, bytes)?, pairs: 0, stamps })
    }

    /// Measures the fixed cost of a submission, once: the median time of one with an empty pass and a small read-back.
    pub(crate) fn calibrate(&mut self, device: &CheckedDevice, queue: &wgpu::Queue) -> Result<(), Error> {
        if self.fixed_ns.is_some() {
            return Ok(());
        }
        let mut samples = [0; EMPTY_SUBMISSIONS];
        for sample in &mut samples {
            let mut queries = self.take(device, 1, Stamps::Submission)?;
            let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            let timestamp_writes = Some(queries.next_pair());
            drop(encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes }));
            encoder.copy_buffer_to_buffer(&queries.resolved, 0, &queries.staging, 0, 2 * TICK);
            let commands = encoder.finish();
            let mut watch = Stopwatch::start();
            let submission = queue.submit([commands]);
            mapped(device, submission, &queries.staging, 2 * TICK, |_| ())?;
            *sample = watch.lap();
            self.free.push(queries);
        }
        samples.sort_unstable();
        tracing::debug!(?samples, "empty submissions in nanoseconds");
        self.fixed_ns = Some(samples[EMPTY_SUBMISSIONS / 2]);
        Ok(())
    }

    /// Nanoseconds of an empty submission until its read-back is in host memory; 0 before [`Self::calibrate`].
    pub(crate) fn fixed_ns(&self) -> u64 {
        self.fixed_ns.unwrap_or(0)
    }

    /// Nanoseconds between the timestamps of each pair, or `None` if they are implausible. Waits for their copy.
    pub(crate) fn collect(
        &mut self,
        device: &CheckedDevice,
        (queries, copied): (Queries, wgpu::SubmissionIndex),
        period: f32,
        host: HostTimes,
    ) -> Result<Option<Vec<u64>>, Error> {
        let read = bytemuck::pod_collect_to_vec::<u8, u64>;
        let ticks = mapped(device, copied, &queries.staging, queries.bytes(), read)?;
        self.free.push(queries);
        let times = device_times(&ticks, period, host);
        if let Err(fault) = &times {
            tracing::debug!(?fault, ?host, "device timestamps are implausible");
        }
        Ok(times.ok())
    }
}

impl Queries {
    fn bytes(&self) -> u64 {
        2 * TICK * self.pairs as u64
    }

    /// The timestamp writes of the next compute pass.
    pub(crate) fn next_pair(&mut self) -> wgpu::ComputePassTimestampWrites<'_> {
        let first = u32::try_from(2 * (self.pairs % PAIRS_PER_SET)).unwrap_or(u32::MAX);
        let query_set = &self.sets[self.pairs / PAIRS_PER_SET];
        self.pairs += 1;
        wgpu::ComputePassTimestampWrites {
            query_set,
            beginning_of_pass_write_index: Some(first),
            end_of_pass_write_index: Some(first + 1),
        }
    }

    /// Submits the copy of all timestamps to the host.
    pub(crate) fn copy_to_host(&self, device: &CheckedDevice, queue: &wgpu::Queue) -> wgpu::SubmissionIndex {
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for (set, first) in self.sets.iter().zip((0..self.pairs).step_by(PAIRS_PER_SET)) {
            let queries = u32::try_from(2 * (self.pairs - first).min(PAIRS_PER_SET)).unwrap_or(u32::MAX);
            encoder.resolve_query_set(set, 0..queries, &self.resolved, 2 * TICK * first as u64);
        }
        encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.staging, 0, self.bytes());
        queue.submit([encoder.finish()])
    }
}
