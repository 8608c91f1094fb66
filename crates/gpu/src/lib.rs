//! The wgpu executor: devices, buffers, pipelines, clocks.
//!
//! The only crate that names wgpu. A [`Gpu`] runs a [`ridgeline_compute::Recording`] as one encoder, one compute pass
//! and one submission, or as many as its [`Policy`] says, and reports where the time went. The environment is not
//! asked for anything, and no error of the driver becomes a panic.

mod adapter;
mod bare;
mod clocks;
mod error;
mod faults;
mod gpu;
mod groups;
mod kept;
mod memory;
mod pipeline;
mod policy;
mod profile;
mod readback;
mod run;
mod swiftshader;
mod texture;
mod write;

pub use adapter::{AdapterInfo, AdapterLimits, Choice, DeviceKind, Features, adapters};
pub use bare::Bare;
pub use error::Error;
pub use gpu::{Gpu, HostStats};
pub use memory::{Ledger, Usage};
pub use policy::{Checks, Options, Passes, Policy, Submission};
pub use swiftshader::swiftshader;
