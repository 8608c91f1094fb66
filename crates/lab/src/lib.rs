//! The experiments, and the commands of `ridgeline` that run them: the only crate that reads the calendar, prints, and
//! knows every other crate.

pub mod cli;
mod commands;
pub mod device;
pub mod error;
pub mod experiments;
pub mod install;
mod int8;
pub mod lab;
pub mod measure;
pub mod models;
pub mod output;
pub mod pass;
mod peer;
pub mod probe;
mod profile;
pub mod provenance;
pub mod quality;
pub mod runner;
mod targets;
mod trace;
mod tune;
pub mod vocabulary;

pub use device::Device;
pub use error::Error;
pub use lab::Lab;
