//! Measures one thing on one device: its ceilings, a forward pass, its kernels, a model's quality, the fastest kernels.
//!
//! - [`probe`]: ceilings of the device, as bandwidth in bytes/s, peaks in FLOP/s and fixed costs in seconds.
//! - [`pass`]: forward passes, timed end to end and compared with their roofline prediction.
//! - [`prompts`]: prompts of text against random tokens of equal lengths, interleaved.
//! - [`profile`]: the launches of one forward pass, each timed isolated.
//! - [`quality`] and [`int8`]: perplexity, and how far two sets of logits differ.
//! - [`device_check`]: kernels compared with their CPU references, for reports from new devices.
//! - [`tune`]: the fastest kernel variants for a model on a device.
//!
//! [`Device`] opens a GPU, [`models`] opens weights, and [`MeasureContext`] holds both during a series of measurements.
//! Nothing here prints, ends the process or parses a command line. Every result is data, from which the experiments
//! of `ridgeline-lab` draw conclusions. `examples/probe.rs` is a complete program.

pub mod context;
pub mod device;
pub mod device_check;
pub mod error;
mod folders;
pub mod int8;
pub mod models;
pub mod pass;
mod pass_timing;
pub mod probe;
pub mod profile;
pub mod prompts;
pub mod quality;
mod submission;
pub mod timing;
pub mod tune;
mod workload;

pub use context::MeasureContext;
pub use device::Device;
pub use error::Error;
