//! The wgpu executor: devices, buffers, pipelines, clocks.
//!
//! This is the only crate that depends on wgpu. A [`Gpu`] runs a [`ridgeline_compute::Recording`] and reports its host
//! time by phase. By default a recording is one compute pass in one submission;
//! [`ridgeline_compute::RunOptions`] can split it.
//! No environment variable is read, and no error of the driver becomes a panic.

mod adapter;
mod apple;
mod bind_groups;
mod checked_device;
mod clocks;
mod completion;
mod error;
mod gpu;
mod memory;
mod options;
mod pipeline;
mod pipeline_cache;
mod profile;
mod raw_launches;
mod readback;
mod run;
mod submission;
mod swiftshader;
mod texture;
mod undriven;
mod write;

pub use adapter::{AdapterChoice, AdapterInfo, AdapterLimits, DeviceKind, Features, adapters};
pub use error::Error;
pub use gpu::{Gpu, HostStats};
pub use memory::{MemoryUsage, Usage};
pub use options::{Checks, GpuOptions};
pub use raw_launches::RawLaunches;
pub use swiftshader::swiftshader;
pub use undriven::{KnownGpu, Vendor, known_gpus, remedies, require_driver};
