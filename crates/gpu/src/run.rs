//! Running a recording: uploads, encoding, submissions and read-backs, with the host time of each phase.

use crate::bind_groups::BindGroupBuilder;
use crate::clocks::Stopwatch;
use crate::readback::Reads;
use crate::texture::first_texel;
use crate::{Gpu, Passes};
use ridgeline_compute::{Error, Launch, Recording, RunOutput, Timing};
use std::ops::Range;

/// A submitted recording.
#[derive(Debug)]
pub(crate) struct Submitted {
    last_submission: wgpu::SubmissionIndex,
    reads: Reads,
    timing: Timing,
    /// Number of profiled launches.
    profiled: Option<usize>,
}

impl Gpu {
    /// Submits a recording under the current policy.
    ///
    /// All recordings share the timestamp queries. Of several running recordings, only the last can be profiled.
    pub(crate) fn begin(&mut self, recording: &Recording) -> Result<Submitted, Error> {
        self.device.check()?;
        self.resolve(recording)?;
        let launches = recording.launches();
        let profile = self.policy.profile && self.info.features.timestamps && !launches.is_empty();
        if profile {
            self.profiler.reserve(&self.device, launches.len())?;
        }
        let mut timing = Timing::default();
        let mut watch = Stopwatch::start();
        self.upload(recording)?;
        let (mut first, mut ready) = (0, Vec::new());
        let (last_submission, reads) = loop {
            let end = self.policy.submission.end(recording, first);
            let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            self.encode(&mut encoder, recording, first..end, profile)?;
            let last = end == launches.len();
            let reads = if last { recording.reads() } else { &[] };
            let reads = self.read_back.encode(&self.device, &self.memory, &mut encoder, reads)?;
            ready.push(encoder.finish());
            timing.encode_ns += watch.lap();
            if !last && self.policy.submission.defers_submit() {
                first = end;
                continue;
            }
            timing.submissions += u32::try_from(ready.len()).unwrap_or(u32::MAX);
            let submitted = ready.drain(..).fold(None, |_, commands| Some(self.queue.submit([commands])));
            let submission = submitted.expect("at least one command buffer is ready");
            self.writer.submitted();
            timing.submit_ns += watch.lap();
            if last {
                break (submission, reads);
            }
            if self.policy.submission.waits() {
                self.device.wait(submission)?;
                timing.wait_ns += watch.lap();
            }
            first = end;
        };
        let profiled = profile.then_some(launches.len());
        Ok(Submitted { last_submission, reads, timing, profiled })
    }

    /// Waits for the device and returns the results.
    pub(crate) fn end(&mut self, submitted: Submitted) -> Result<RunOutput, Error> {
        let Submitted { last_submission, reads, mut timing, profiled } = submitted;
        let mut watch = Stopwatch::start();
        let reads = self.read_back.collect(&self.device, last_submission, reads)?;
        timing.wait_ns += watch.lap();
        if let Some(launches) = profiled {
            timing.step_ns = self.profiler.times(&self.device, &self.queue, launches, timing.total_ns())?;
        }
        Ok(RunOutput { timing, reads })
    }

    /// Finds the pipeline of each of the recording's kernels, and compiles the new ones.
    pub(crate) fn resolve(&mut self, recording: &Recording) -> Result<(), Error> {
        let kernels = recording.kernels();
        if kernels.iter().any(|kernel| self.pipelines.find(kernel).is_none()) {
            self.pipelines.prepare(&self.device, &self.linker, self.options.checks, kernels)?;
        }
        let find = |kernel| self.pipelines.find(kernel).expect("every kernel was just prepared");
        self.resolved.clear();
        self.resolved.extend(kernels.iter().map(find));
        Ok(())
    }

    fn upload(&self, recording: &Recording) -> Result<(), Error> {
        for (to, data) in recording.uploads() {
            self.queue.write_buffer(self.memory.get(to)?.buffer()?, to.offset, data);
        }
        Ok(())
    }

    fn encode(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        recording: &Recording,
        launches: Range<usize>,
        profile: bool,
    ) -> Result<(), Error> {
        if launches.is_empty() {
            return Ok(());
        }
        if self.policy.passes == Passes::Submission && !profile {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            return self.encode_launches(&mut pass, recording, &recording.launches()[launches]);
        }
        for launch in launches {
            let timestamp_writes = profile.then(|| self.profiler.writes(launch));
            let mut pass =
                encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes });
            self.encode_launches(&mut pass, recording, &recording.launches()[launch..=launch])?;
        }
        Ok(())
    }

    /// Encodes launches into a compute pass. This is the hot path: it does not allocate once bind groups are cached.
    fn encode_launches(
        &mut self,
        pass: &mut wgpu::ComputePass<'_>,
        recording: &Recording,
        launches: &[Launch],
    ) -> Result<(), Error> {
        let builder = BindGroupBuilder {
            device: &self.device,
            memory: &self.memory,
            pipelines: &self.pipelines,
            max_binding: self.caps.max_binding,
        };
        let mut current = None;
        for launch in launches {
            let kernel = recording.kernel(launch);
            // The recording interns kernels, so the address identifies a kernel without comparing or hashing it.
            let interned = recording.kernels().iter().position(|k| std::ptr::eq(k, kernel));
            let index = self.resolved[interned.expect("a launch's kernel is in its recording")];
            let pipeline = self.pipelines.get(index);
            if current != Some(index) {
                pass.set_pipeline(&pipeline.compute);
                current = Some(index);
            }
            let group = self.groups.get(builder, pipeline.layout, recording.slices(launch), kernel)?;
            pass.set_bind_group(0, group, &[]);
            let params = recording.params(launch);
            if !params.is_empty() {
                pass.set_immediates(0, params);
            }
            // A view covers the whole texture, so an immediate gives each slice's first texel.
            let mut next = u32::try_from(params.len()).unwrap_or(u32::MAX);
            for &binding in &pipeline.textures {
                let first = first_texel(recording.slices(launch)[binding]);
                pass.set_immediates(next, &first.to_le_bytes());
                next += 4;
            }
            let [x, y, z] = launch.grid;
            pass.dispatch_workgroups(x, y, z);
        }
        Ok(())
    }
}
