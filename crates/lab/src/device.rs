//! The device an experiment runs on: a GPU, or the CPU twins.

use crate::models;
use ridgeline_compute::{
    AnyKernel, Buffer, Caps, Cpu, Error, Executor, Outcome, Recording, Role, Slice, Source, Started,
};
use ridgeline_gpu::{Choice, Gpu, Options};
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
            Some(name) => Choice::Named(name.to_owned()),
            None => Choice::Best,
        };
        let linker = Arc::new(ridgeline_kernels::linker().expect("the shipped templates are valid"));
        let mut gpu = Gpu::open(&choice, linker, Options::default())?;
        if let Some(folder) = models::pipelines() {
            gpu.keep_pipelines(&folder);
        }
        Ok(Self::Gpu(Box::new(gpu)))
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
    fn fill(&mut self, at: Slice, unit: u64, source: &Source<'_>) -> Result<(), Error> {
        self.executor().fill(at, unit, source)
    }
    fn prepare(&mut self, kernels: &[AnyKernel]) -> Result<(), Error> {
        self.executor().prepare(kernels)
    }
    fn start(&mut self, recording: &Recording) -> Result<Started, Error> {
        self.executor().start(recording)
    }
    fn finish(&mut self, started: Started) -> Result<Outcome, Error> {
        self.executor().finish(started)
    }
}
