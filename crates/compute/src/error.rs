//! Errors of recording, linking and executing.

use crate::{BufferId, Role};

/// What can go wrong between a recording and its result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The device has no such amount of memory left.
    #[error(
        "out of device memory: {label:?} ({role:?}) asks for {bytes} bytes; use a smaller model, context or batch"
    )]
    OutOfMemory {
        /// The buffer's label.
        label: String,
        /// The buffer's role.
        role: Role,
        /// Bytes asked for.
        bytes: u64,
    },
    /// One buffer or binding is larger than the device allows.
    #[error("{label:?} needs {bytes} bytes in one piece, but this device allows {limit} ({what})")]
    Limit {
        /// What was asked for.
        label: String,
        /// Bytes asked for.
        bytes: u64,
        /// Bytes allowed.
        limit: u64,
        /// Name of the limit.
        what: &'static str,
    },
    /// A kernel's source cannot be put together or compiled.
    #[error("kernel {kernel}: {reason}")]
    Shader {
        /// The kernel variant.
        kernel: String,
        /// The compiler's or linker's words.
        reason: String,
    },
    /// The device was lost; nothing on it can be read any more.
    #[error("device lost: {reason}; start again, and lower the batch or context if it happens twice")]
    DeviceLost {
        /// The driver's words.
        reason: String,
    },
    /// The device did not finish in time.
    #[error("the device did not answer within {seconds} s; it is lost or another program holds it")]
    Timeout {
        /// Seconds waited.
        seconds: u64,
    },
    /// The driver refused a command.
    #[error("the device refused a command: {reason}")]
    Device {
        /// The driver's words.
        reason: String,
    },
    /// A recording names a buffer that this executor does not hold.
    #[error("buffer {id:?} is not held by this executor")]
    UnknownBuffer {
        /// The buffer.
        id: BufferId,
    },
}
