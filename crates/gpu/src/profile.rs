//! Device time of each launch, from timestamps at the boundaries of one compute pass per launch.
//!
//! All backends support timestamps at pass boundaries only. A later submission resolves the queries, because some
//! drivers otherwise return zeros or hang (wgpu issue 9414).

use crate::checked_device::{CheckedDevice, describe};
use crate::clocks::launch_times;
use crate::readback::{mappable, mapped};
use ridgeline_compute::Error;

/// Launches whose two timestamps fit one query set.
const LAUNCHES_PER_SET: usize = wgpu::QUERY_SET_MAX_QUERIES as usize / 2;
/// Bytes of a timestamp.
const TICK: u64 = wgpu::QUERY_SIZE as u64;

/// Query sets, reused by all recordings.
#[derive(Debug, Default)]
pub(crate) struct Profiler {
    sets: Vec<wgpu::QuerySet>,
}

impl Profiler {
    /// Creates query sets until there are enough for a recording's launches.
    pub(crate) fn reserve(&mut self, device: &CheckedDevice, launches: usize) -> Result<(), Error> {
        while self.sets.len() * LAUNCHES_PER_SET < launches {
            let made = device.scoped(|device| {
                device.create_query_set(&wgpu::QuerySetDescriptor {
                    label: Some("launch times"),
                    ty: wgpu::QueryType::Timestamp,
                    count: wgpu::QUERY_SET_MAX_QUERIES,
                })
            });
            self.sets.push(made.map_err(|error| Error::Device { reason: describe(&error) })?);
        }
        Ok(())
    }

    /// The timestamp writes of a launch's pass.
    pub(crate) fn writes(&self, launch: usize) -> wgpu::ComputePassTimestampWrites<'_> {
        let first = u32::try_from(2 * (launch % LAUNCHES_PER_SET)).unwrap_or(u32::MAX);
        wgpu::ComputePassTimestampWrites {
            query_set: &self.sets[launch / LAUNCHES_PER_SET],
            beginning_of_pass_write_index: Some(first),
            end_of_pass_write_index: Some(first + 1),
        }
    }

    /// Nanoseconds of each of the first `launches` launches, or `None` if they are implausible.
    ///
    /// `wall` is the recording's time in nanoseconds on the host's clock.
    pub(crate) fn times(
        &self,
        device: &CheckedDevice,
        queue: &wgpu::Queue,
        launches: usize,
        wall: u64,
    ) -> Result<Option<Vec<u64>>, Error> {
        let bytes = 2 * TICK * launches as u64;
        let made = device.scoped(|device| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("timestamps"),
                size: bytes,
                usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            })
        });
        let resolved = made.map_err(|error| Error::Device { reason: describe(&error) })?;
        let staging = mappable(device, bytes)?;
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for (set, first) in self.sets.iter().zip((0..launches).step_by(LAUNCHES_PER_SET)) {
            let queries = u32::try_from(2 * (launches - first).min(LAUNCHES_PER_SET)).unwrap_or(u32::MAX);
            encoder.resolve_query_set(set, 0..queries, &resolved, 2 * TICK * first as u64);
        }
        encoder.copy_buffer_to_buffer(&resolved, 0, &staging, 0, bytes);
        let submission = queue.submit([encoder.finish()]);
        let ticks = mapped(device, submission, &staging, bytes, bytemuck::pod_collect_to_vec::<u8, u64>)?;
        Ok(launch_times(&ticks, queue.get_timestamp_period(), wall))
    }
}
