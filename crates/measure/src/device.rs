//! The device of a measurement: a GPU, or the CPU executor.
//!
//! The CPU executor runs the CPU twin of each kernel, its reference implementation in Rust.

use crate::device_check::run_once;
use crate::folders;
use ridgeline_compute::{
    AnyKernel, Buffer, Caps, Cpu, Error, Executor, FillFn, InFlight, Kernel, Linker, Recording, Role,
    RunOptions, RunOutput, Slice, TestRng,
};
use ridgeline_gpu::{AdapterChoice, Gpu, GpuOptions, known_gpus, require_driver};
use ridgeline_kernels::empty::Empty;
use ridgeline_kernels::mat_mul_coop::MatMulCoop;
use ridgeline_quant::Format;
use std::path::Path;
use std::sync::Arc;

/// An executor selected at run time.
#[derive(Debug)]
pub enum Device {
    /// A GPU, driven by wgpu.
    Gpu(Box<Gpu>),
    /// The CPU executor: correct and slow. It cannot be timed.
    Cpu(Cpu),
}

impl Device {
    /// Opens a device by name: the best adapter for `None`, the CPU executor for `cpu`, else an adapter by part of its name.
    ///
    /// # Errors
    /// No adapter has that name, or the adapter cannot be used. The message lists all adapters. Without a name, the best
    /// adapter is a software one although the machine has a GPU: its times would pass for those of the GPU.
    pub fn open(name: Option<&str>) -> Result<Self, ridgeline_gpu::Error> {
        let choice = match name {
            Some("cpu") => return Ok(Self::Cpu(Cpu::new(Caps::webgpu()))),
            Some(name) => AdapterChoice::Named(name.to_owned()),
            None => AdapterChoice::Best,
        };
        let mut gpu = Gpu::open(&choice, linker(), GpuOptions::default())?;
        if choice == AdapterChoice::Best {
            require_driver(gpu.info(), known_gpus(Path::new("/")))?;
        }
        if gpu.info().backend == "metal" {
            let verified = gpu.verify_completion(AnyKernel::new(Empty { workgroup_size: 1 }));
            verified.map_err(|error| ridgeline_gpu::Error::Refused {
                adapter: gpu.info().name.clone(),
                reason: error.to_string(),
            })?;
        }
        if let Some(folder) = folders::pipelines() {
            gpu.set_pipeline_cache_dir(&folder);
        }
        if let Some(fault) = cooperative_fault(&mut gpu) {
            tracing::warn!("cooperative matrices of {} are disabled: {fault}", gpu.info().name);
            gpu.disable_cooperative();
        }
        Ok(Self::Gpu(Box::new(gpu)))
    }

    /// Opens wgpu's no-op backend, for measuring host time alone.
    ///
    /// # Errors
    /// wgpu was built without that backend.
    pub fn noop() -> Result<Self, ridgeline_gpu::Error> {
        Ok(Self::Gpu(Box::new(Gpu::noop(linker())?)))
    }

    /// The GPU; `None` for the CPU executor.
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

/// Linker of the built-in shader templates.
fn linker() -> Arc<Linker> {
    Arc::new(ridgeline_kernels::linker().expect("the built-in templates are valid"))
}

/// Matmuls of random size that each cooperative kernel is checked with. The sizes are near those of a tile.
const TRIALS: u64 = 4;

/// Compares cooperative matmuls with their CPU twins and describes the first fault, if any.
///
/// Cooperative matrices are experimental in wgpu, and few programs exercise the drivers. Every device is checked before
/// the engine relies on them.
fn cooperative_fault(gpu: &mut Gpu) -> Option<String> {
    let used = MatMulCoop::all(gpu.caps()).into_iter().filter(|kernel| kernel.format == Format::HALF);
    for (kernel, seed) in used.flat_map(|kernel| (0..TRIALS).map(move |seed| (AnyKernel::new(kernel), seed)))
    {
        let inputs = kernel.test_input(&mut TestRng::new(seed));
        let twin = run_matmul(&mut Cpu::new(gpu.caps().clone()), &kernel, &inputs);
        match (run_matmul(gpu, &kernel, &inputs), twin) {
            (Err(error), _) | (_, Err(error)) => return Some(error.to_string()),
            (Ok(gpu), Ok(twin)) if !is_close(&gpu, &twin) => {
                return Some("their results differ from the CPU reference".to_owned());
            }
            _ => {}
        }
    }
    None
}

/// Whether results agree within the rounding of operands to 16 bits. A NaN never agrees.
fn is_close(gpu: &[f32], twin: &[f32]) -> bool {
    let largest = twin.iter().fold(0.0, |most: f32, v| most.max(v.abs()));
    gpu.iter().zip(twin).all(|(a, b)| (a - b).abs() <= 4e-3 * largest)
}

/// The result of one matmul, whose last binding is y.
fn run_matmul<E: Executor>(
    executor: &mut E,
    kernel: &AnyKernel,
    (params, bindings): &(Vec<u8>, Vec<Vec<u32>>),
) -> Result<Vec<f32>, Error> {
    let words = run_once(executor, kernel, params, bindings)?;
    Ok(words.last().into_iter().flatten().map(|&word| f32::from_bits(word)).collect())
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
    fn start_with(&mut self, recording: &Recording, options: RunOptions) -> Result<InFlight, Error> {
        self.executor().start_with(recording, options)
    }
    fn finish(&mut self, started: InFlight) -> Result<RunOutput, Error> {
        self.executor().finish(started)
    }
}

#[cfg(test)]
mod tests {
    use super::{cooperative_fault, is_close};
    use ridgeline_gpu::{AdapterChoice, Gpu, GpuOptions};
    use std::sync::Arc;

    #[test]
    fn wrong_results_are_detected() {
        assert!(is_close(&[1.0, 8.02], &[1.0, 8.0]));
        assert!(!is_close(&[1.0, 8.1], &[1.0, 8.0]));
        assert!(!is_close(&[f32::NAN, 8.0], &[1.0, 8.0]));
    }

    #[test]
    fn cooperative_matmuls_of_this_adapter_are_correct() {
        let linker = Arc::new(ridgeline_kernels::linker().expect("the built-in templates are valid"));
        let options = GpuOptions { gpu_kernels: true, ..GpuOptions::default() };
        match Gpu::open(&AdapterChoice::Best, linker, options) {
            Ok(mut gpu) => assert_eq!(cooperative_fault(&mut gpu), None),
            // Without an adapter the test passes, except on CI.
            Err(error) => assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{error}"),
        }
    }
}
