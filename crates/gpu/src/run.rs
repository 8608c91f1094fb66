//! Running a recording: uploads, encoding, submissions, read-backs, and where the time went.

use crate::bind_groups::BindGroupBuilder;
use crate::clocks::Stopwatch;
use crate::readback::Reads;
use crate::texture::first_texel;
use crate::{Gpu, Passes};
use ridgeline_compute::{Error, Launch, Recording, RunOutput, Timing};
use std::ops::Range;

/// A recording that the device works at.
#[derive(Debug)]
pub(crate) struct Submitted {
    last_submission: wgpu::SubmissionIndex,
    reads: Reads,
    timing: Timing,
    /// Launches that were timed.
    profiled: Option<usize>,
}

impl Gpu {
    /// Hands a recording to the device under the current policy. Times of launches lie in one place, so that of several
    /// recordings under way only the last can be profiled.
    pub(crate) fn begin(&mut self, recording: &Recording) -> Result<Submitted, Error> {
        self.device.check()?;
        self.resolve(recording)?;
        let steps = recording.launches();
        let profile = self.policy.profile && self.info.features.timestamps && !steps.is_empty();
        if profile {
            self.profiler.reserve(&self.device, steps.len())?;
        }
        let mut timing = Timing::default();
        let mut watch = Stopwatch::start();
        self.upload(recording)?;
        let (mut first, mut ready) = (0, Vec::new());
        let (last_submission, reads) = loop {
            let end = self.policy.submission.end(recording, first);
            let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            self.encode(&mut encoder, recording, first..end, profile)?;
            let last = end == steps.len();
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
            let submission = submitted.expect("this one at least");
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
        let profiled = profile.then_some(steps.len());
        Ok(Submitted { last_submission, reads, timing, profiled })
    }

    /// Waits for the device and fetches what it made.
    pub(crate) fn end(&mut self, submitted: Submitted) -> Result<RunOutput, Error> {
        let Submitted { last_submission, reads, mut timing, profiled } = submitted;
        let mut watch = Stopwatch::start();
        let reads = self.read_back.collect(&self.device, last_submission, reads)?;
        timing.wait_ns += watch.lap();
        if let Some(steps) = profiled {
            timing.step_ns = self.profiler.times(&self.device, &self.queue, steps, timing.total_ns())?;
        }
        Ok(RunOutput { timing, reads })
    }

    /// Finds the pipeline of each of the recording's kernels, and compiles those that are new.
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
        steps: Range<usize>,
        profile: bool,
    ) -> Result<(), Error> {
        if steps.is_empty() {
            return Ok(());
        }
        if self.policy.passes == Passes::Submission && !profile {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            return self.launch(&mut pass, recording, &recording.launches()[steps]);
        }
        for step in steps {
            let timestamp_writes = profile.then(|| self.profiler.writes(step));
            let mut pass =
                encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes });
            self.launch(&mut pass, recording, &recording.launches()[step..=step])?;
        }
        Ok(())
    }

    /// Encodes launches into a pass. The hot path: nothing here allocates once bind groups are cached.
    fn launch(
        &mut self,
        pass: &mut wgpu::ComputePass<'_>,
        recording: &Recording,
        steps: &[Launch],
    ) -> Result<(), Error> {
        let maker = BindGroupBuilder {
            device: &self.device,
            memory: &self.memory,
            pipelines: &self.pipelines,
            max_binding: self.caps.max_binding,
        };
        let mut current = None;
        for step in steps {
            let kernel = recording.kernel(step);
            // Kernels are interned by the recording, so that the address tells which of its kernels this is.
            let place = recording.kernels().iter().position(|k| std::ptr::eq(k, kernel));
            let index = self.resolved[place.expect("a step's kernel is one of its recording's")];
            let pipeline = self.pipelines.get(index);
            if current != Some(index) {
                pass.set_pipeline(&pipeline.compute);
                current = Some(index);
            }
            let group = self.groups.get(maker, pipeline.layout, recording.slices(step), kernel)?;
            pass.set_bind_group(0, group, &[]);
            let params = recording.params(step);
            if !params.is_empty() {
                pass.set_immediates(0, params);
            }
            // Views begin where a texture does, so that kernels are told where their slices do.
            let mut next = u32::try_from(params.len()).unwrap_or(u32::MAX);
            for &binding in &pipeline.textures {
                let first = first_texel(recording.slices(step)[binding]);
                pass.set_immediates(next, &first.to_le_bytes());
                next += 4;
            }
            let [x, y, z] = step.grid;
            pass.dispatch_workgroups(x, y, z);
        }
        Ok(())
    }
}
