//! [`Gpu`]: an open device with its buffers, pipelines and caches.

use crate::adapter::{choose, noop};
use crate::bind_groups::BindGroupCache;
use crate::checked_device::CheckedDevice;
use crate::completion::Completion;
use crate::memory::Memory;
use crate::pipeline::Pipelines;
use crate::pipeline_cache::PipelineCacheFile;
use crate::profile::Profiler;
use crate::readback::ReadBack;
use crate::texture;
use crate::write::Writer;
use crate::{AdapterChoice, AdapterInfo, DeviceKind, Error, GpuOptions, MemoryUsage};
use ridgeline_compute::{
    AnyKernel, Buffer, Caps, Error as RunError, Executor, FillFn, InFlight, Linker, Recording, Role,
    RunOptions, RunOutput, Slice,
};
use std::path::Path;
use std::sync::Arc;

/// Bytes of immediates that a device is opened with, if it has as many. Vulkan guarantees them.
const IMMEDIATES: u32 = 128;

/// A device that runs recordings.
#[derive(Debug)]
pub struct Gpu {
    pub(crate) info: AdapterInfo,
    pub(crate) caps: Caps,
    pub(crate) options: GpuOptions,
    pub(crate) linker: Arc<Linker>,
    pub(crate) device: CheckedDevice,
    pub(crate) queue: wgpu::Queue,
    pub(crate) memory: Memory,
    pub(crate) pipelines: Pipelines,
    pub(crate) groups: BindGroupCache,
    pub(crate) writer: Writer,
    pub(crate) read_back: ReadBack,
    pub(crate) profiler: Profiler,
    /// Set if each submission is verified.
    pub(crate) completion: Option<Completion>,
    /// Pipeline indices of the current recording's kernels. A field, so that its memory is reused.
    pub(crate) resolved: Vec<usize>,
}

/// Sizes of the host's caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostStats {
    /// Compiled kernels.
    pub pipelines: usize,
    /// Bind groups.
    pub bind_groups: usize,
    /// Buffers.
    pub buffers: usize,
}

impl Gpu {
    /// Opens the chosen adapter. `linker` renders the kernels.
    ///
    /// # Errors
    /// The adapter does not exist, lacks immediates, or its driver refuses.
    pub fn open(choice: &AdapterChoice, linker: Arc<Linker>, options: GpuOptions) -> Result<Self, Error> {
        let (info, adapter) = choose(choice, options.validation)?;
        Self::connect(info, &adapter, linker, options)
    }

    /// Opens wgpu's noop backend, to measure the host's cost.
    ///
    /// Buffers exist, and launches are encoded and validated but compute nothing.
    ///
    /// # Errors
    /// wgpu was built without it.
    pub fn noop(linker: Arc<Linker>) -> Result<Self, Error> {
        let (info, adapter) = noop().ok_or(Error::NoAdapter)?;
        Self::connect(info, &adapter, linker, GpuOptions::default())
    }

    fn connect(
        info: AdapterInfo,
        adapter: &wgpu::Adapter,
        linker: Arc<Linker>,
        options: GpuOptions,
    ) -> Result<Self, Error> {
        let used = wgpu::Features::IMMEDIATES
            | wgpu::Features::PIPELINE_CACHE
            | wgpu::Features::SHADER_F16
            | wgpu::Features::SUBGROUP
            | wgpu::Features::TIMESTAMP_QUERY
            | wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES;
        let (unfinished, experimental_features) = cooperative(&info, options);
        let offered = adapter.limits();
        let limits =
            wgpu::Limits { max_immediate_size: offered.max_immediate_size.min(IMMEDIATES), ..offered };
        let request = adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("ridgeline"),
            required_features: adapter.features() & (used | unfinished),
            required_limits: limits.clone(),
            experimental_features,
            memory_hints: wgpu::MemoryHints::Performance,
            ..wgpu::DeviceDescriptor::default()
        });
        let refused = |e: wgpu::RequestDeviceError| Error::Refused {
            adapter: info.name.clone(),
            reason: e.to_string(),
        };
        let (device, queue) = pollster::block_on(request).map_err(refused)?;
        tracing::debug!(adapter = %info.name, backend = %info.backend, driver = %info.driver_info, "device opened");
        let caps = caps(&info, &limits, options);
        Ok(Self {
            caps,
            device: CheckedDevice::new(device, options.timeout),
            queue,
            info,
            options,
            linker,
            memory: Memory::default(),
            pipelines: Pipelines::default(),
            groups: BindGroupCache::default(),
            writer: Writer::default(),
            read_back: ReadBack::default(),
            profiler: Profiler::default(),
            completion: None,
            resolved: Vec::new(),
        })
    }

    /// The adapter.
    #[must_use]
    pub fn info(&self) -> &AdapterInfo {
        &self.info
    }

    /// The options it was opened with.
    #[must_use]
    pub fn options(&self) -> GpuOptions {
        self.options
    }

    /// Disables cooperative matrices, and removes them from [`Self::caps`](Executor::caps) and [`Self::info`].
    pub fn disable_cooperative(&mut self) {
        self.caps.cooperative = &[];
        self.info.limits.cooperative_edge = 0;
    }

    /// Uses and saves a pipeline cache file in `folder`, if the backend has a pipeline cache.
    ///
    /// Only trusted users may have write access to the folder, because drivers do not validate cache data.
    pub fn set_pipeline_cache_dir(&mut self, folder: &Path) {
        self.pipelines.set_cache_file(PipelineCacheFile::open(&self.device, folder));
    }

    /// Device memory by role, of buffers and textures not yet freed.
    #[must_use]
    pub fn memory_usage(&self) -> MemoryUsage {
        self.memory.memory_usage()
    }

    /// Sizes of the host's caches.
    #[must_use]
    pub fn host_stats(&self) -> HostStats {
        HostStats {
            pipelines: self.pipelines.len(),
            bind_groups: self.groups.len(),
            buffers: self.memory.len(),
        }
    }

    /// Frees buffers without handles, and the bind groups that use them. Every allocation does so too.
    pub fn free_unused(&mut self) {
        self.groups.remove_buffers(&self.memory.free_unused());
    }

    /// Submits outstanding writes and waits until the device is idle, so that they are not part of a measurement.
    ///
    /// # Errors
    /// The device was lost or did not finish in time.
    pub fn wait_idle(&mut self) -> Result<(), RunError> {
        self.free_unused();
        self.writer.flush(&self.device, &self.queue)
    }

    /// Destroys the device, for tests of its loss.
    #[doc(hidden)]
    pub fn destroy_device(&self) {
        self.device.destroy();
    }
}

/// The features to request for cooperative matrices; none if the kernels cannot use the adapter's.
#[expect(unsafe_code, reason = "wgpu requires unsafe code to enable an experimental feature")]
fn cooperative(info: &AdapterInfo, options: GpuOptions) -> (wgpu::Features, wgpu::ExperimentalFeatures) {
    if cooperative_edges(info, options).is_empty() {
        return (wgpu::Features::empty(), wgpu::ExperimentalFeatures::disabled());
    }
    // SAFETY: only shaders of the linker use cooperative matrices, and tests validate all of them. Cooperative loads and
    // stores access workgroup memory only, at offsets that are constants of the shader.
    (wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX, unsafe { wgpu::ExperimentalFeatures::enabled() })
}

fn software(info: &AdapterInfo, options: GpuOptions) -> bool {
    info.kind == DeviceKind::Software && !options.gpu_kernels
}

/// Sizes of the cooperative matrices to use. None on software adapters, which take minutes to compile them.
fn cooperative_edges(info: &AdapterInfo, options: GpuOptions) -> &'static [u32] {
    match info.limits.cooperative_edge {
        _ if software(info, options) => &[],
        16 => &[16],
        8 => &[8],
        _ => &[],
    }
}

fn caps(info: &AdapterInfo, limits: &wgpu::Limits, options: GpuOptions) -> Caps {
    Caps {
        subgroup: info.features.subgroup.then_some(info.subgroup),
        f16: info.features.f16,
        cooperative: cooperative_edges(info, options),
        max_binding: limits.max_storage_buffer_binding_size,
        max_buffer: limits.max_buffer_size,
        max_texture: texture::largest(limits),
        max_workgroup_memory: limits.max_compute_workgroup_storage_size,
        max_invocations: limits
            .max_compute_invocations_per_workgroup
            .min(limits.max_compute_workgroup_size_x),
        max_groups: limits.max_compute_workgroups_per_dimension,
        max_storage_buffers: limits.max_storage_buffers_per_shader_stage,
        max_immediates: limits.max_immediate_size,
        software: software(info, options),
    }
}

impl Executor for Gpu {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn alloc(&mut self, bytes: u64, role: Role, label: &str) -> Result<Buffer, RunError> {
        self.free_unused();
        let allocated = self.memory.alloc(&self.device, bytes, role, label);
        self.device.explain(allocated)
    }

    fn alloc_texture(&mut self, bytes: u64, role: Role, label: &str) -> Result<Buffer, RunError> {
        self.free_unused();
        let allocated = self.memory.alloc_texture(&self.device, bytes, role, label);
        self.device.explain(allocated)
    }

    fn write(&mut self, at: Slice, data: &[u8]) -> Result<(), RunError> {
        self.device.check()?;
        let storage = self.memory.get(at)?;
        let written = self.writer.write(&self.device, &self.queue, (storage, at), data);
        self.device.explain(written)
    }

    fn fill(&mut self, at: Slice, unit: u64, source: &FillFn<'_>) -> Result<(), RunError> {
        self.device.check()?;
        let storage = self.memory.get(at)?;
        let filled = self.writer.fill(&self.device, &self.queue, (storage, at), unit, source);
        self.device.explain(filled)
    }

    fn prepare(&mut self, kernels: &[AnyKernel]) -> Result<(), RunError> {
        self.device.check()?;
        let prepared = self.pipelines.prepare(&self.device, &self.linker, self.options.checks, kernels);
        self.device.explain(prepared)
    }

    fn start_with(&mut self, recording: &Recording, options: RunOptions) -> Result<InFlight, RunError> {
        let submitted = self.begin(recording, options);
        self.device.explain(submitted).map(InFlight::new)
    }

    fn finish(&mut self, started: InFlight) -> Result<RunOutput, RunError> {
        let ended = self.end(started.into_inner());
        self.device.explain(ended)
    }
}
