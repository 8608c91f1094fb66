//! Running a recording: uploads, encoding, submissions and read-backs, with the host time of each phase.

use crate::bind_groups::BindGroupBuilder;
use crate::clocks::{HostTimes, Stopwatch};
use crate::completion::{Serial, Serials};
use crate::profile::Queries;
use crate::readback::Reads;
use crate::texture::first_texel;
use crate::{Gpu, submission};
use ridgeline_compute::{Error, Launch, Recording, RunOptions, RunOutput, Stamps, Timing};
use std::ops::Range;

/// A submitted recording.
#[derive(Debug)]
pub(crate) struct Submitted {
    last_submission: wgpu::SubmissionIndex,
    reads: Reads,
    timing: Timing,
    /// Runs since the recording began.
    since: Stopwatch,
    /// Submissions that the host waits for.
    waits: u32,
    /// The serials that follow the results; `None` if completion is not verified.
    serials: Option<Serials>,
    /// The timestamps, and the submission that copies them to the host.
    stamps: Option<(Queries, wgpu::SubmissionIndex)>,
}

impl Gpu {
    /// Submits a recording.
    pub(crate) fn begin(&mut self, recording: &Recording, options: RunOptions) -> Result<Submitted, Error> {
        self.device.check()?;
        self.resolve(recording)?;
        let launches = recording.launches();
        let mut queries = self.queries(launches.len(), options.stamps)?;
        // There are at most as many submissions as launches.
        let mut serials = if launches.is_empty() { None } else { self.serials(launches.len())? };
        let granularity = submission::granularity(options, &self.caps);
        let mut timing = Timing::default();
        let since = Stopwatch::start();
        let mut watch = since;
        self.upload(recording)?;
        let (mut first, mut ready) = (0, Vec::new());
        let (last_submission, reads) = loop {
            let end = submission::end(granularity, recording, first);
            let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            let serial = serials.as_mut().map(Serials::next);
            self.encode(&mut encoder, recording, first..end, queries.as_mut(), serial)?;
            let last = end == launches.len();
            let mut reads = if last { recording.reads().to_vec() } else { Vec::new() };
            reads.extend(serials.iter().filter(|_| last).map(Serials::read));
            let reads = self.read_back.encode(&self.device, &self.memory, &mut encoder, reads)?;
            ready.push(encoder.finish());
            timing.encode_ns += watch.lap();
            if !last && submission::defers_submit(granularity, options) {
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
            if options.wait {
                self.device.wait(submission)?;
                timing.wait_ns += watch.lap();
            }
            first = end;
        };
        timing.submitted_ns = timing.total_ns();
        let stamps = queries.map(|queries| {
            let copied = queries.copy_to_host(&self.device, &self.queue);
            (queries, copied)
        });
        // Meanwhile the device runs the recording, so this is time that the host would have waited.
        timing.wait_ns += watch.lap();
        let waits = if options.wait { timing.submissions } else { 1 };
        Ok(Submitted { last_submission, reads, timing, since, waits, serials, stamps })
    }

    /// Queries for a recording of `launches` launches; `None` if it takes no timestamps.
    fn queries(&mut self, launches: usize, stamps: Stamps) -> Result<Option<Queries>, Error> {
        if stamps == Stamps::Off || !self.info.features.timestamps || launches == 0 {
            return Ok(None);
        }
        self.profiler.calibrate(&self.device, &self.queue)?;
        self.profiler.take(&self.device, launches, stamps).map(Some)
    }

    /// Waits for the device and returns the results.
    pub(crate) fn end(&mut self, submitted: Submitted) -> Result<RunOutput, Error> {
        let Submitted { last_submission, reads, mut timing, since, waits, serials, stamps } = submitted;
        let mut watch = Stopwatch::start();
        let mut reads = self.read_back.collect(&self.device, last_submission, reads)?;
        if let Some(serials) = serials {
            self.check_serials(&serials, &reads.pop().unwrap_or_default())?;
        }
        timing.wait_ns += watch.lap();
        if let Some((queries, copied)) = stamps {
            let (elapsed_ns, wait_ns) = ({ since }.lap(), timing.wait_ns);
            let read_bytes = reads.iter().map(|bytes| bytes.len() as u64).sum();
            let fixed_ns = self.profiler.fixed_ns();
            let host = HostTimes { elapsed_ns, wait_ns, waits, fixed_ns, read_bytes };
            let period = self.queue.get_timestamp_period();
            timing.device_ns = self.profiler.collect(&self.device, (queries, copied), period, host)?;
            timing.stamps_ns = watch.lap();
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

    /// Encodes one submission's launches: one compute pass, or one for each launch that is timestamped. Then the launch
    /// that writes `serial`, outside the timestamps.
    fn encode(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        recording: &Recording,
        launches: Range<usize>,
        mut queries: Option<&mut Queries>,
        serial: Option<Serial>,
    ) -> Result<(), Error> {
        let launches = &recording.launches()[launches];
        let per_pass = match &queries {
            Some(queries) if queries.stamps == Stamps::Launch => 1,
            _ => launches.len().max(1),
        };
        for launches in launches.chunks(per_pass) {
            let timestamp_writes = queries.as_mut().map(|queries| queries.next_pair());
            let mut pass =
                encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes });
            self.encode_launches(&mut pass, recording, launches)?;
            if queries.is_none()
                && let Some(serial) = serial
            {
                self.encode_serial(&mut pass, serial)?;
            }
        }
        if queries.is_some()
            && let Some(serial) = serial
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            self.encode_serial(&mut pass, serial)?;
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
