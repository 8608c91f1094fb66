//! Compute pipelines by kernel. Layouts follow from the kernels' bindings, and compilation uses several threads.

use crate::Checks;
use crate::checked_device::{CheckedDevice, describe};
use crate::pipeline_cache::PipelineCacheFile;
use ridgeline_compute::{Access, AnyKernel, BindingInfo, Error, Linker};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A pipeline layout, shared by kernels with the same bindings and the same size of immediates.
#[derive(Debug)]
struct Layout {
    /// Index of the bind group layout, which kernels with other immediates share too.
    groups: usize,
    pipeline: wgpu::PipelineLayout,
}

/// A compiled kernel.
#[derive(Debug)]
pub(crate) struct Pipeline {
    /// The pipeline.
    pub(crate) compute: wgpu::ComputePipeline,
    /// Index of the bind group layout. Pipelines of the same layout share bind groups.
    pub(crate) layout: usize,
    /// Indices of the bindings in textures.
    pub(crate) textures: Vec<usize>,
}

/// What a bind group layout says about a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum BindingKind {
    Read,
    Written,
    Texture { written: bool },
}

impl BindingKind {
    fn of(kernel: &AnyKernel, binding: &BindingInfo) -> Self {
        match binding.access {
            access if kernel.in_texture(binding) => Self::Texture { written: access != Access::Read },
            Access::Read => Self::Read,
            Access::Write | Access::Update => Self::Written,
        }
    }

    const fn in_texture(self) -> bool {
        matches!(self, Self::Texture { .. })
    }

    const fn ty(self) -> wgpu::BindingType {
        match self {
            Self::Read | Self::Written => wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Storage { read_only: matches!(self, Self::Read) },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            Self::Texture { written } => wgpu::BindingType::StorageTexture {
                access: if written {
                    wgpu::StorageTextureAccess::WriteOnly
                } else {
                    wgpu::StorageTextureAccess::ReadOnly
                },
                format: wgpu::TextureFormat::Rgba32Uint,
                view_dimension: wgpu::TextureViewDimension::D2,
            },
        }
    }
}

fn binding_kinds(kernel: &AnyKernel) -> impl Iterator<Item = BindingKind> {
    kernel.bindings().iter().map(|binding| BindingKind::of(kernel, binding))
}

/// Every pipeline compiled so far, and the layouts.
#[derive(Debug, Default)]
pub(crate) struct Pipelines {
    group_layouts: Vec<wgpu::BindGroupLayout>,
    /// Index in `group_layouts` by the kinds of the bindings.
    by_bindings: HashMap<Vec<BindingKind>, usize>,
    layouts: Vec<Layout>,
    /// Index in `layouts` by bind group layout and bytes of immediates.
    by_signature: HashMap<(usize, u32), usize>,
    pipelines: Vec<Pipeline>,
    /// Index in `pipelines`.
    by_kernel: HashMap<AnyKernel, usize>,
    cache_file: Option<PipelineCacheFile>,
}

impl Pipelines {
    /// Sets the pipeline cache file.
    pub(crate) fn set_cache_file(&mut self, cache_file: Option<PipelineCacheFile>) {
        self.cache_file = cache_file;
    }

    /// Number of pipelines.
    pub(crate) fn len(&self) -> usize {
        self.pipelines.len()
    }

    /// The index of the kernel's pipeline, if it is compiled.
    pub(crate) fn find(&self, kernel: &AnyKernel) -> Option<usize> {
        self.by_kernel.get(kernel).copied()
    }

    /// A pipeline by index.
    pub(crate) fn get(&self, index: usize) -> &Pipeline {
        &self.pipelines[index]
    }

    /// A bind group layout by index.
    pub(crate) fn group_layout(&self, layout: usize) -> &wgpu::BindGroupLayout {
        &self.group_layouts[layout]
    }

    /// Compiles the new ones among `kernels`.
    pub(crate) fn prepare(
        &mut self,
        device: &CheckedDevice,
        linker: &Linker,
        checks: Checks,
        kernels: &[AnyKernel],
    ) -> Result<(), Error> {
        let mut jobs: Vec<(&AnyKernel, usize)> = Vec::new();
        for kernel in kernels {
            if self.find(kernel).is_none() && !jobs.iter().any(|(k, _)| *k == kernel) {
                jobs.push((kernel, self.layout(device, kernel)?));
            }
        }
        if jobs.is_empty() {
            return Ok(());
        }
        let compile = |(kernel, layout): (&AnyKernel, usize)| {
            let compiler = Compiler {
                device,
                linker,
                checks,
                cache: self.cache_file.as_ref().map(PipelineCacheFile::cache),
            };
            compiler.compile(kernel, &self.layouts[layout].pipeline)
        };
        let compiled = parallel(&jobs, compile)?;
        let mut failed = None;
        for ((kernel, layout), compute) in jobs.into_iter().zip(compiled) {
            match compute {
                Ok(compute) => {
                    self.by_kernel.insert(kernel.clone(), self.pipelines.len());
                    let textures =
                        (0..).zip(binding_kinds(kernel)).filter(|it| it.1.in_texture()).map(|it| it.0);
                    let (textures, layout) = (textures.collect(), self.layouts[layout].groups);
                    self.pipelines.push(Pipeline { compute, layout, textures });
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if let Some(cache_file) = &self.cache_file {
            cache_file.save();
        }
        device.check_now()?;
        failed.map_or(Ok(()), Err)
    }

    /// The index of the kernel's layout, created if it is new.
    fn layout(&mut self, device: &CheckedDevice, kernel: &AnyKernel) -> Result<usize, Error> {
        let refused = |error| shader_error(kernel, &error);
        let bindings: Vec<_> = binding_kinds(kernel).collect();
        // Parameters are 4-byte scalars. Each texture adds one, the index of its slice's first texel.
        let scalars = kernel.params().len() + bindings.iter().filter(|kind| kind.in_texture()).count();
        let immediate_size = u32::try_from(4 * scalars).unwrap_or(u32::MAX);
        let groups = if let Some(&groups) = self.by_bindings.get(&bindings) {
            groups
        } else {
            let made = device.scoped(|device| make_group_layout(device, &bindings));
            self.group_layouts.push(made.map_err(refused)?);
            self.by_bindings.insert(bindings, self.group_layouts.len() - 1);
            self.group_layouts.len() - 1
        };
        if let Some(&layout) = self.by_signature.get(&(groups, immediate_size)) {
            return Ok(layout);
        }
        let made = device.scoped(|device| {
            device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: None,
                bind_group_layouts: &[Some(&self.group_layouts[groups])],
                immediate_size,
            })
        });
        self.layouts.push(Layout { groups, pipeline: made.map_err(refused)? });
        self.by_signature.insert((groups, immediate_size), self.layouts.len() - 1);
        Ok(self.layouts.len() - 1)
    }
}

fn shader_error(kernel: &AnyKernel, error: &wgpu::Error) -> Error {
    Error::Shader { kernel: kernel.label(), reason: describe(error) }
}

fn make_group_layout(device: &wgpu::Device, bindings: &[BindingKind]) -> wgpu::BindGroupLayout {
    let entries: Vec<_> = (0_u32..)
        .zip(bindings)
        .map(|(binding, kind)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: kind.ty(),
            count: None,
        })
        .collect();
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries })
}

/// Applies `work` to every job on all CPU cores. Results are in the jobs' order.
fn parallel<J: Copy + Sync, R: Send>(jobs: &[J], work: impl Fn(J) -> R + Sync) -> Result<Vec<R>, Error> {
    /// The WGSL front end recurses, so in debug builds it overflows a thread's default stack.
    const STACK: usize = 16 << 20;
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(jobs.len());
    let next = AtomicUsize::new(0);
    let worker = || {
        let take = || next.fetch_add(1, Ordering::Relaxed);
        let mine = std::iter::repeat_with(take).take_while(|&i| i < jobs.len());
        mine.map(|i| (i, work(jobs[i]))).collect::<Vec<_>>()
    };
    let mut results = std::thread::scope(|scope| {
        let spawn = |_| std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, worker);
        let handles: Vec<_> = (0..threads).map(spawn).collect();
        let mut results = Vec::with_capacity(jobs.len());
        for handle in handles {
            let handle = handle
                .map_err(|e| Error::Device { reason: format!("cannot start a compiler thread: {e}") })?;
            results.extend(handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        Ok(results)
    })?;
    results.sort_by_key(|(i, _)| *i);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// Compiles kernels for a device.
struct Compiler<'a> {
    device: &'a CheckedDevice,
    linker: &'a Linker,
    checks: Checks,
    cache: Option<&'a wgpu::PipelineCache>,
}

impl Compiler<'_> {
    fn compile(
        &self,
        kernel: &AnyKernel,
        layout: &wgpu::PipelineLayout,
    ) -> Result<wgpu::ComputePipeline, Error> {
        let rendered = self.linker.render(&**kernel)?;
        let module = wgpu::ShaderModuleDescriptor {
            label: Some(&rendered.label),
            source: wgpu::ShaderSource::Wgsl(rendered.wgsl.as_str().into()),
        };
        let module = self.device.scoped(|device| match self.checks {
            Checks::On => device.create_shader_module(module),
            Checks::Off => create_trusted(device, module),
        });
        let module = module.map_err(|error| shader_error(kernel, &error))?;
        let pipeline = self.device.scoped(|device| {
            device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(&rendered.label),
                layout: Some(layout),
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    zero_initialize_workgroup_memory: self.checks == Checks::On,
                    ..wgpu::PipelineCompilationOptions::default()
                },
                cache: self.cache,
            })
        });
        pipeline.map_err(|error| shader_error(kernel, &error))
    }
}

#[expect(unsafe_code, reason = "without run-time checks, measured kernels are comparable to native ones")]
fn create_trusted(device: &wgpu::Device, module: wgpu::ShaderModuleDescriptor<'_>) -> wgpu::ShaderModule {
    // SAFETY: the source is this program's own, not a user's.
    // - Bounds: a kernel declares the minimum size of each binding, and `Recording::run` refuses shorter slices.
    //   The twin tests run every variant with checks on and off. An access beyond that size changes a result.
    //   Around a slice in a texture, the tests place words that a kernel must neither read nor change.
    // - Loops run over counts from the parameters, so they end.
    // - Divisors are non-zero constants or parameters.
    // - There are no ray queries or meshes.
    unsafe { device.create_shader_module_trusted(module, wgpu::ShaderRuntimeChecks::unchecked()) }
}

#[cfg(test)]
mod tests {
    use super::parallel;

    #[test]
    fn parallel_results_keep_the_jobs_order() {
        let jobs: Vec<u32> = (0..100).collect();
        let squares = parallel(&jobs, |job| job * job).expect("threads");
        assert_eq!(squares, jobs.iter().map(|job| job * job).collect::<Vec<_>>());
        assert!(parallel(&[], |job: u32| job).expect("no threads").is_empty());
    }
}
