//! The wgpu executor: devices, buffers, pipelines, clocks.
//!
//! The only crate that names wgpu. A [`Gpu`] runs a [`ridgeline_compute::Recording`] as one encoder, one compute pass
//! and one submission, or as many as its [`Policy`] says, and reports where the time went. The environment is not
//! asked for anything, and no error of the driver becomes a panic.

mod adapter;
mod raw_launches;
mod clocks;
mod error;
mod checked_device;
mod gpu;
mod bind_groups;
mod pipeline_cache;
mod memory;
mod pipeline;
mod policy;
mod profile;
mod readback;
mod run;
mod texture;
mod write;

pub use adapter::{AdapterInfo, AdapterLimits, AdapterChoice, DeviceKind, Features, adapters};
pub use raw_launches::RawLaunches;
pub use error::Error;
pub use gpu::{Gpu, HostStats};
pub use memory::{MemoryUsage, Usage};
pub use policy::{Checks, GpuOptions, Passes, Policy, Submission};
