//! Measures one thing on one device: its ceilings, a forward pass, its kernels, a model's quality, the fastest kernels.
//!
//! Nothing here prints, ends the process or knows the command line. What is measured is returned as data;
//! the experiments of `ridgeline-lab` draw conclusions from it.

pub mod context;
pub mod device;
pub mod error;
pub mod int8;
pub mod models;
pub mod pass;
pub mod probe;
pub mod profile;
pub mod quality;
pub mod timing;
pub mod tune;
pub mod vocabulary;

pub use context::MeasureContext;
pub use device::Device;
pub use error::Error;
