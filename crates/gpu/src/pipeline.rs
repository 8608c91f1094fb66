//! Compute pipelines by kernel: layouts from the kernels' bindings, compilation on several threads.

use crate::Checks;
use crate::checked_device::{CheckedDevice, describe};
use crate::pipeline_cache::PipelineCacheFile;
use ridgeline_compute::{Access, AnyKernel, BindingInfo, Error, Linker};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A layout that kernels with the same bindings and the same bytes of immediates share.
#[derive(Debug)]
struct Layout {
    /// Place of the bind-group layout, which kernels with other immediates share too.
    groups: usize,
    pipeline: wgpu::PipelineLayout,
}

/// A compiled kernel.
#[derive(Debug)]
pub(crate) struct Pipeline {
    /// The pipeline.
    pub(crate) compute: wgpu::ComputePipeline,
    /// Which bind-group layout; pipelines of equal numbers share bind groups.
    pub(crate) layout: usize,
    /// Bindings that lie in textures.
    pub(crate) textures: Vec<usize>,
}

/// How a bound is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Bound {
    Read,
    Written,
    Texture { written: bool },
}

impl Bound {
    fn of(kernel: &AnyKernel, bound: &BindingInfo) -> Self {
        match bound.access {
            access if kernel.in_texture(bound) => Self::Texture { written: access != Access::Read },
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

fn bound(kernel: &AnyKernel) -> impl Iterator<Item = Bound> {
    kernel.bindings().iter().map(|bound| Bound::of(kernel, bound))
}

/// Every kernel compiled so far.
#[derive(Debug, Default)]
pub(crate) struct Pipelines {
    group_layouts: Vec<wgpu::BindGroupLayout>,
    /// By how bindings are bound.
    by_bindings: HashMap<Vec<Bound>, usize>,
    layouts: Vec<Layout>,
    /// By bind-group layout and bytes of immediates.
    by_signature: HashMap<(usize, u32), usize>,
    pipelines: Vec<Pipeline>,
    by_kernel: HashMap<AnyKernel, usize>,
    kept: Option<PipelineCacheFile>,
}

impl Pipelines {
    /// Where pipelines are kept beyond the process.
    pub(crate) fn keep(&mut self, kept: Option<PipelineCacheFile>) {
        self.kept = kept;
    }

    /// Number of pipelines.
    pub(crate) fn len(&self) -> usize {
        self.pipelines.len()
    }

    /// The pipeline's number, if it is compiled.
    pub(crate) fn find(&self, kernel: &AnyKernel) -> Option<usize> {
        self.by_kernel.get(kernel).copied()
    }

    /// A pipeline by number.
    pub(crate) fn get(&self, index: usize) -> &Pipeline {
        &self.pipelines[index]
    }

    /// The bind-group layout that pipelines name by number.
    pub(crate) fn group_layout(&self, layout: usize) -> &wgpu::BindGroupLayout {
        &self.group_layouts[layout]
    }

    /// Compiles those of `kernels` that are not yet, and keeps them.
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
            let compiler =
                Compiler { device, linker, checks, cache: self.kept.as_ref().map(PipelineCacheFile::cache) };
            compiler.compile(kernel, &self.layouts[layout].pipeline)
        };
        let compiled = parallel(&jobs, compile)?;
        let mut failed = None;
        for ((kernel, layout), compute) in jobs.into_iter().zip(compiled) {
            match compute {
                Ok(compute) => {
                    self.by_kernel.insert(kernel.clone(), self.pipelines.len());
                    let textures = (0..).zip(bound(kernel)).filter(|it| it.1.in_texture()).map(|it| it.0);
                    let (textures, layout) = (textures.collect(), self.layouts[layout].groups);
                    self.pipelines.push(Pipeline { compute, layout, textures });
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if let Some(kept) = &self.kept {
            kept.save();
        }
        device.check_now()?;
        failed.map_or(Ok(()), Err)
    }

    fn layout(&mut self, device: &CheckedDevice, kernel: &AnyKernel) -> Result<usize, Error> {
        let refused = |error| shader_error(kernel, &error);
        let bindings: Vec<_> = bound(kernel).collect();
        // Parameters are 4-byte scalars, and a texture's first texel is one more.
        let scalars = kernel.params().len() + bindings.iter().filter(|bound| bound.in_texture()).count();
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

fn make_group_layout(device: &wgpu::Device, bindings: &[Bound]) -> wgpu::BindGroupLayout {
    let entries: Vec<_> = (0_u32..)
        .zip(bindings)
        .map(|(binding, bound)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: bound.ty(),
            count: None,
        })
        .collect();
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries })
}

/// Applies `work` to every job, on as many threads as the machine runs at once; results in the jobs' order.
fn parallel<J: Copy + Sync, R: Send>(jobs: &[J], work: impl Fn(J) -> R + Sync) -> Result<Vec<R>, Error> {
    /// The WGSL front end recurses; a thread's default stack is too small for it in debug builds.
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
            let handle =
                handle.map_err(|e| Error::Device { reason: format!("no thread to compile on: {e}") })?;
            results.extend(handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        Ok(results)
    })?;
    results.sort_by_key(|(i, _)| *i);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// What compilation needs besides the kernel.
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

#[expect(
    unsafe_code,
    reason = "leaving out the checks is what makes measured kernels comparable to native ones"
)]
fn create_trusted(device: &wgpu::Device, module: wgpu::ShaderModuleDescriptor<'_>) -> wgpu::ShaderModule {
    // SAFETY: the source is this program's own, not a user's. A kernel declares the minimum binding size of each bound for its
    // parameters, `Recording::run` refuses slices shorter than that, and the twin tests run every variant with the
    // checks on and off and compare, so that an access beyond the minimum binding size of a buffer shows; bindings in textures they
    // surround with words that must neither be read nor change. Kernel loops run over counts from
    // the parameters and end; divisors are non-zero constants or parameters; there are no ray queries or meshes.
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
