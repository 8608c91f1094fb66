//! Kernels, recordings and executors, independent of any device.
//!
//! A *launch* is one dispatch of a kernel. Its *twin* is the kernel's CPU reference, a Rust function.
//!
//! A kernel declares its bindings once, with [`kernel!`](crate::kernel!). The declaration generates the Rust
//! parameter block, the named arguments, the twin's views and the WGSL header.
//!
//! A [`Recording`] is a list of launches, used in three ways. A device runs it, and [`Cpu`] runs the twins.
//! [`Recording::cost`] adds up bytes and operations before anything runs.

mod buffer;
mod caps;
mod cpu;
mod erased;
mod error;
mod executor;
mod kernel;
mod macros;
mod recording;
mod run_options;
mod template;
mod test_input;
pub mod wgsl;

pub use buffer::{Buffer, BufferId, Role, Slice};
pub use caps::Caps;
pub use cpu::Cpu;
pub use erased::{AnyKernel, DynKernel};
pub use error::Error;
pub use executor::{Executor, FillFn, InFlight, RunOutput, Timing};
pub use kernel::{Access, BindingInfo, Bindings, Defines, HostBuf, Kernel, TEXTURE_WIDTH};
pub use recording::{Launch, Recording, Region, dispatch_grid};
pub use run_options::{Granularity, RunOptions, Stamps};
pub use template::{Linker, Rendered};
pub use test_input::{TestInput, TestRng};

#[doc(hidden)]
pub use bytemuck;
