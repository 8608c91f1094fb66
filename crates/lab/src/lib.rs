//! The experiments, and the commands of `ridgeline` that run them: the only crate that reads the clock, prints, and
//! knows every other crate.

pub mod device;
pub mod lab;

pub use device::Device;
pub use lab::Lab;
