//! What a kernel *is*, independent of any device.
//!
//! A kernel declares its bindings once ([`kernel!`](crate::kernel!)); the same declaration yields the Rust
//! parameter block, the named arguments, the CPU twin's views and the WGSL header. A [`Recording`] is a list of
//! launches with three readers: a device runs it, [`Cpu`] runs the CPU twins, and [`Recording::cost`] adds up what
//! it must move and compute before anything runs.

mod buffer;
mod caps;
mod cpu;
mod erased;
mod error;
mod executor;
mod kernel;
mod macros;
mod recording;
mod sample;
mod template;
pub mod wgsl;

pub use buffer::{Buffer, BufferId, Role, Slice};
pub use caps::Caps;
pub use cpu::Cpu;
pub use erased::{AnyKernel, DynKernel};
pub use error::Error;
pub use executor::{Executor, FillFn, InFlight, RunOutput, Timing};
pub use kernel::{Access, BindingInfo, Bindings, Defines, HostBuf, Kernel, TEXELS};
pub use recording::{Launch, Recording, Region, dispatch_grid};
pub use sample::{TestInput, TestRng};
pub use template::{Linker, Rendered};

#[doc(hidden)]
pub use bytemuck;
