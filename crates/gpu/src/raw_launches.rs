//! A recording's launches given to wgpu with everything looked up beforehand: what of the host's cost is not this crate's.

use crate::Gpu;
use crate::bind_groups::BindGroupBuilder;
use crate::clocks::Stopwatch;
use crate::texture::first_texel;
use ridgeline_compute::{Error, Recording};

/// A launch as wgpu takes it.
#[derive(Debug)]
struct Command {
    /// Where it is another than the one before.
    pipeline: Option<wgpu::ComputePipeline>,
    group: wgpu::BindGroup,
    immediates: Vec<u8>,
    grid: [u32; 3],
}

/// The launches of a recording, to be run as often as wanted. Holds what it names, so that it can outlive the recording's
/// buffers.
#[derive(Debug)]
pub struct RawLaunches(Vec<Command>);

impl Gpu {
    /// Looks up the launches of a recording.
    ///
    /// # Errors
    /// As running it.
    pub fn raw_launches(&mut self, recording: &Recording) -> Result<RawLaunches, Error> {
        self.resolve(recording)?;
        let maker = BindGroupBuilder {
            device: &self.device,
            memory: &self.memory,
            pipelines: &self.pipelines,
            max_binding: self.caps.max_binding,
        };
        let (mut commands, mut current) = (Vec::new(), None);
        for step in recording.launches() {
            let kernel = recording.kernel(step);
            let Some(index) = self.pipelines.find(kernel) else { continue };
            let pipeline = self.pipelines.get(index);
            let mut immediates = recording.params(step).to_vec();
            for &binding in &pipeline.textures {
                immediates.extend(first_texel(recording.slices(step)[binding]).to_le_bytes());
            }
            let group = self.groups.get(maker, pipeline.layout, recording.slices(step), kernel)?.clone();
            let pipeline = (current.replace(index) != Some(index)).then(|| pipeline.compute.clone());
            commands.push(Command { pipeline, group, immediates, grid: step.grid });
        }
        Ok(RawLaunches(commands))
    }

    /// Nanoseconds of encoding and submitting launches, and of waiting for them.
    ///
    /// # Errors
    /// A lost or silent device.
    pub fn run_raw(&mut self, raw_launches: &RawLaunches) -> Result<u64, Error> {
        let mut watch = Stopwatch::start();
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        for Command { pipeline, group, immediates, grid: [x, y, z] } in &raw_launches.0 {
            if let Some(pipeline) = pipeline {
                pass.set_pipeline(pipeline);
            }
            pass.set_bind_group(0, group, &[]);
            if !immediates.is_empty() {
                pass.set_immediates(0, immediates);
            }
            pass.dispatch_workgroups(*x, *y, *z);
        }
        drop(pass);
        let submission = self.queue.submit([encoder.finish()]);
        self.device.wait(submission)?;
        Ok(watch.lap())
    }
}
