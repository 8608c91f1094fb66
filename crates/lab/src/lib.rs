//! The experiments, and the commands of `ridgeline` that run them: the only crate that reads the clock, prints, and
//! knows every other crate.

pub mod cli;
mod commands;
pub mod device;
pub mod install;
pub mod lab;
pub mod models;
pub mod output;
pub mod vocabulary;

pub use device::Device;
pub use lab::Lab;
