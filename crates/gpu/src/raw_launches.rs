//! [`RawLaunches`]: a recording's launches with all wgpu objects already looked up.
//!
//! Running them measures wgpu's and the driver's share of the host cost. The rest is this crate's own.

use crate::Gpu;
use crate::bind_groups::BindGroupBuilder;
use crate::clocks::Stopwatch;
use crate::texture::first_texel;
use ridgeline_compute::{Error, Recording};

/// The wgpu objects of a launch.
#[derive(Debug)]
struct RawLaunch {
    /// `None` if the launch before has the same pipeline.
    pipeline: Option<wgpu::ComputePipeline>,
    group: wgpu::BindGroup,
    immediates: Vec<u8>,
    grid: [u32; 3],
}

/// The launches of a recording, which can run any number of times. They keep the recording's buffers alive.
#[derive(Debug)]
pub struct RawLaunches(Vec<RawLaunch>);

impl Gpu {
    /// Looks up the wgpu objects of a recording's launches.
    ///
    /// # Errors
    /// As running the recording.
    pub fn raw_launches(&mut self, recording: &Recording) -> Result<RawLaunches, Error> {
        self.resolve(recording)?;
        let builder = BindGroupBuilder {
            device: &self.device,
            memory: &self.memory,
            pipelines: &self.pipelines,
            max_binding: self.caps.max_binding,
        };
        let (mut raw_launches, mut current) = (Vec::new(), None);
        for launch in recording.launches() {
            let kernel = recording.kernel(launch);
            let Some(index) = self.pipelines.find(kernel) else { continue };
            let pipeline = self.pipelines.get(index);
            let mut immediates = recording.params(launch).to_vec();
            for &binding in &pipeline.textures {
                immediates.extend(first_texel(recording.slices(launch)[binding]).to_le_bytes());
            }
            let group = self.groups.get(builder, pipeline.layout, recording.slices(launch), kernel)?.clone();
            let pipeline = (current.replace(index) != Some(index)).then(|| pipeline.compute.clone());
            raw_launches.push(RawLaunch { pipeline, group, immediates, grid: launch.grid });
        }
        Ok(RawLaunches(raw_launches))
    }

    /// Encodes, submits and awaits the launches, and returns the nanoseconds it took.
    ///
    /// # Errors
    /// The device was lost or did not finish in time.
    pub fn run_raw(&mut self, raw_launches: &RawLaunches) -> Result<u64, Error> {
        let mut watch = Stopwatch::start();
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        for RawLaunch { pipeline, group, immediates, grid: [x, y, z] } in &raw_launches.0 {
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
