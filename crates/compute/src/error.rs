//! Errors of recording, linking and executing.

use crate::{BufferId, Role};

/// Errors between a recording and its result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The device has too little free memory.
    #[error(
        "out of device memory: {label:?} ({role:?}) needs {bytes} bytes; use a smaller model, context or batch"
    )]
    OutOfMemory {
        /// The buffer's label.
        label: String,
        /// The buffer's role.
        role: Role,
        /// Bytes requested.
        bytes: u64,
    },
    /// A buffer, texture or binding is larger than the device allows.
    #[error("{label:?} needs {bytes} contiguous bytes, but the limit is {limit} ({what})")]
    Limit {
        /// Label of the buffer or binding.
        label: String,
        /// Bytes requested.
        bytes: u64,
        /// Bytes allowed.
        limit: u64,
        /// Name of the limit.
        what: &'static str,
    },
    /// A kernel's source does not render or does not compile.
    #[error("kernel {kernel}: {reason}")]
    Shader {
        /// The kernel variant.
        kernel: String,
        /// The message of the compiler or linker.
        reason: String,
    },
    /// The device was lost. Its memory can no longer be read.
    #[error("device lost: {reason}; start again, and use a smaller batch or context if it happens twice")]
    DeviceLost {
        /// The driver's message.
        reason: String,
    },
    /// The device did not finish in time.
    #[error(
        "the device did not finish within {seconds} s; it may be lost, or another program may be using it"
    )]
    Timeout {
        /// Seconds waited.
        seconds: u64,
    },
    /// The driver refused a command.
    #[error("the device refused a command: {reason}")]
    Device {
        /// The driver's message.
        reason: String,
    },
    /// A recording names a buffer that this executor does not hold.
    #[error("{id:?} is not a buffer of this executor, or was freed")]
    UnknownBuffer {
        /// The buffer.
        id: BufferId,
    },
}
