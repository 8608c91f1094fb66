//! Device time of each step: timestamps at the boundaries of one pass per step.
//!
//! Only pass boundaries have timestamps on every backend, and the queries are resolved in a later submission because
//! some drivers return zeros or hang otherwise (wgpu issue 9414).

use crate::checked_device::{CheckedDevice, describe};
use crate::clocks::step_times;
use crate::readback::{mappable, mapped};
use ridgeline_compute::Error;

/// Steps whose two timestamps fit one query set.
const STEPS: usize = wgpu::QUERY_SET_MAX_QUERIES as usize / 2;
/// Bytes of a timestamp.
const TICK: u64 = wgpu::QUERY_SIZE as u64;

/// Query sets, kept between recordings.
#[derive(Debug, Default)]
pub(crate) struct Profiler {
    sets: Vec<wgpu::QuerySet>,
}

impl Profiler {
    /// Makes room for a recording's steps.
    pub(crate) fn reserve(&mut self, device: &CheckedDevice, steps: usize) -> Result<(), Error> {
        while self.sets.len() * STEPS < steps {
            let made = device.scoped(|device| {
                device.create_query_set(&wgpu::QuerySetDescriptor {
                    label: Some("step times"),
                    ty: wgpu::QueryType::Timestamp,
                    count: wgpu::QUERY_SET_MAX_QUERIES,
                })
            });
            self.sets.push(made.map_err(|error| Error::Device { reason: describe(&error) })?);
        }
        Ok(())
    }

    /// The timestamps of a step's pass.
    pub(crate) fn writes(&self, step: usize) -> wgpu::ComputePassTimestampWrites<'_> {
        let first = u32::try_from(2 * (step % STEPS)).unwrap_or(u32::MAX);
        wgpu::ComputePassTimestampWrites {
            query_set: &self.sets[step / STEPS],
            beginning_of_pass_write_index: Some(first),
            end_of_pass_write_index: Some(first + 1),
        }
    }

    /// Nanoseconds of each of the first `steps` steps, if they can be true within `wall` nanoseconds.
    pub(crate) fn times(
        &self,
        device: &CheckedDevice,
        queue: &wgpu::Queue,
        steps: usize,
        wall: u64,
    ) -> Result<Option<Vec<u64>>, Error> {
        let bytes = 2 * TICK * steps as u64;
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
        for (set, first) in self.sets.iter().zip((0..steps).step_by(STEPS)) {
            let queries = u32::try_from(2 * (steps - first).min(STEPS)).unwrap_or(u32::MAX);
            encoder.resolve_query_set(set, 0..queries, &resolved, 2 * TICK * first as u64);
        }
        encoder.copy_buffer_to_buffer(&resolved, 0, &staging, 0, bytes);
        let submission = queue.submit([encoder.finish()]);
        let ticks = mapped(device, submission, &staging, bytes, bytemuck::pod_collect_to_vec::<u8, u64>)?;
        Ok(step_times(&ticks, queue.get_timestamp_period(), wall))
    }
}
