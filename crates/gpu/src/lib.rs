//! The wgpu executor: devices, buffers, pipelines, clocks.
//!
//! The only crate that names wgpu. A [`Gpu`] runs a [`ridgeline_compute::Recording`] as one encoder, one compute pass
//! and one submission, or as many as its [`Policy`] says, and reports where the time went. The environment is not
//! asked for anything, and no error of the driver becomes a panic.

mod adapter;
mod bind_groups;
mod checked_device;
mod clocks;
mod error;
mod gpu;
mod memory;
mod pipeline;
mod pipeline_cache;
mod policy;
mod profile;
mod raw_launches;
mod readback;
mod run;
mod swiftshader;
mod texture;
mod write;

pub use adapter::{AdapterChoice, AdapterInfo, AdapterLimits, DeviceKind, Features, adapters};
pub use error::Error;
pub use gpu::{Gpu, HostStats};
pub use memory::{MemoryUsage, Usage};
pub use policy::{Checks, GpuOptions, Passes, Policy, Submission};
pub use raw_launches::RawLaunches;
pub use swiftshader::swiftshader;
