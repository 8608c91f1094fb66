//! The device an experiment runs on: a GPU, or the CPU twins.

use crate::folders;
use ridgeline_compute::{
    AnyKernel, Buffer, Caps, Cpu, Error, Executor, FillFn, InFlight, Kernel, Linker, Recording, Role,
    RunOutput, Slice, TestRng,
};
use ridgeline_gpu::{AdapterChoice, Gpu, GpuOptions};
use ridgeline_kernels::mat_mul_coop::MatMulCoop;
use ridgeline_quant::Format;
use std::sync::Arc;

/// An executor chosen at run time.
#[derive(Debug)]
pub enum Device {
    /// A device that wgpu drives.
    Gpu(Box<Gpu>),
    /// The CPU twins: right, slow, and no measurement of anything.
    Cpu(Cpu),
}

impl Device {
    /// Opens what `--device` names: nothing is the best adapter, `cpu` the twins, anything else part of a name.
    ///
    /// # Errors
    /// No such adapter, or one that cannot be used; the message lists what there is.
    pub fn open(name: Option<&str>) -> Result<Self, ridgeline_gpu::Error> {
        let choice = match name {
            Some("cpu") => return Ok(Self::Cpu(Cpu::new(Caps::webgpu()))),
            Some(name) => AdapterChoice::Named(name.to_owned()),
            None => AdapterChoice::Best,
        };
        let mut gpu = Gpu::open(&choice, linker(), GpuOptions::default())?;
        if let Some(folder) = folders::pipelines() {
            gpu.set_pipeline_cache_dir(&folder);
        }
        if let Some(fault) = fault(&mut gpu) {
            tracing::warn!("cooperative matrices of {} stay unused: {fault}", gpu.info().name);
            gpu.disable_cooperative();
        }
        Ok(Self::Gpu(Box::new(gpu)))
    }

    /// wgpu's do-nothing backend, for what the host pays.
    ///
    /// # Errors
    /// Where wgpu was built without it.
    pub fn noop() -> Result<Self, ridgeline_gpu::Error> {
        Ok(Self::Gpu(Box::new(Gpu::noop(linker())?)))
    }

    /// The GPU, if it is one.
    pub fn gpu(&mut self) -> Option<&mut Gpu> {
        match self {
            Self::Gpu(gpu) => Some(gpu),
            Self::Cpu(_) => None,
        }
    }

    fn executor(&mut self) -> &mut dyn Executor {
        match self {
            Self::Gpu(gpu) => gpu.as_mut(),
            Self::Cpu(cpu) => cpu,
        }
    }
}

/// The shipped templates.
fn linker() -> Arc<Linker> {
    Arc::new(ridgeline_kernels::linker().expect("the shipped templates are valid"))
}

/// Products that the cooperative matrices of a device are tried with, of random sizes about those of their tiles.
const TRIALS: u64 = 4;

/// What is wrong with the cooperative matrices that products would use, if there are any: held against the twin in every
/// tile. What wgpu has not finished, and few programs use, is looked at on each device before it is relied on.
fn fault(gpu: &mut Gpu) -> Option<String> {
    let used = MatMulCoop::all(gpu.caps()).into_iter().filter(|kernel| kernel.format == Format::HALF);
    for (kernel, seed) in used.flat_map(|kernel| (0..TRIALS).map(move |seed| (AnyKernel::new(kernel), seed)))
    {
        let inputs = kernel.sample(&mut TestRng::new(seed));
        let twin = products(&mut Cpu::new(gpu.caps().clone()), &kernel, &inputs);
        match (products(gpu, &kernel, &inputs), twin) {
            (Err(error), _) | (_, Err(error)) => return Some(error.to_string()),
            (Ok(here), Ok(twin)) if !alike(&here, &twin) => {
                return Some("they give wrong products".to_owned());
            }
            _ => {}
        }
    }
    None
}

/// Whether products are the twin's, of operands rounded to 16 bits.
fn alike(here: &[f32], twin: &[f32]) -> bool {
    let largest = twin.iter().fold(0.0, |most: f32, v| most.max(v.abs()));
    here.iter().zip(twin).all(|(a, b)| (a - b).abs() <= 4e-3 * largest)
}

/// What one product makes of its inputs.
fn products<E: Executor>(
    executor: &mut E,
    kernel: &AnyKernel,
    (params, bindings): &(Vec<u8>, Vec<Vec<u32>>),
) -> Result<Vec<f32>, Error> {
    let (mut buffers, mut recording) = (Vec::new(), Recording::new());
    for (info, words) in kernel.bindings().iter().zip(bindings) {
        let buffer = executor.alloc(4 * words.len() as u64, Role::Activation, info.name)?;
        executor.write(buffer.all(), bytemuck::cast_slice(words))?;
        buffers.push(buffer);
    }
    let slices: Vec<Slice> = buffers.iter().map(Buffer::all).collect();
    recording.run_erased(kernel, params, &slices);
    // y comes last.
    recording.read_back(slices[slices.len() - 1]);
    Ok(executor.run(&recording)?.reads.concat().chunks_exact(4).map(bytemuck::pod_read_unaligned).collect())
}

impl Executor for Device {
    fn caps(&self) -> &Caps {
        match self {
            Self::Gpu(gpu) => gpu.caps(),
            Self::Cpu(cpu) => cpu.caps(),
        }
    }
    fn alloc(&mut self, bytes: u64, role: Role, label: &str) -> Result<Buffer, Error> {
        self.executor().alloc(bytes, role, label)
    }
    fn alloc_texture(&mut self, bytes: u64, role: Role, label: &str) -> Result<Buffer, Error> {
        self.executor().alloc_texture(bytes, role, label)
    }
    fn write(&mut self, at: Slice, data: &[u8]) -> Result<(), Error> {
        self.executor().write(at, data)
    }
    fn fill(&mut self, at: Slice, unit: u64, source: &FillFn<'_>) -> Result<(), Error> {
        self.executor().fill(at, unit, source)
    }
    fn prepare(&mut self, kernels: &[AnyKernel]) -> Result<(), Error> {
        self.executor().prepare(kernels)
    }
    fn start(&mut self, recording: &Recording) -> Result<InFlight, Error> {
        self.executor().start(recording)
    }
    fn finish(&mut self, started: InFlight) -> Result<RunOutput, Error> {
        self.executor().finish(started)
    }
}

#[cfg(test)]
mod tests {
    use super::{alike, fault};
    use ridgeline_gpu::{AdapterChoice, Gpu, GpuOptions};
    use std::sync::Arc;

    #[test]
    fn wrong_products_are_seen() {
        assert!(alike(&[1.0, 8.02], &[1.0, 8.0]));
        assert!(!alike(&[1.0, 8.1], &[1.0, 8.0]));
        assert!(!alike(&[f32::NAN, 8.0], &[1.0, 8.0]));
    }

    #[test]
    fn this_adapter_multiplies_well() {
        let linker = Arc::new(ridgeline_kernels::linker().expect("the shipped templates are valid"));
        let options = GpuOptions { gpu_kernels: true, ..GpuOptions::default() };
        match Gpu::open(&AdapterChoice::Best, linker, options) {
            Ok(mut gpu) => assert_eq!(fault(&mut gpu), None),
            // There is nothing to look at.
            Err(error) => assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{error}"),
        }
    }
}
