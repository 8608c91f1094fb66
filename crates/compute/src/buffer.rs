//! Device memory by handle: an owned [`Buffer`] and the plain-data [`Slice`] of it that launches name.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a buffer holds; decides which line of the byte account its traffic goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Model weights: written once, then only read.
    Weights,
    /// Key/value cache.
    Kv,
    /// Activations, scratch, token ids, logits.
    Activation,
}

/// Identity of a buffer, unique within the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(u64);

#[derive(Debug)]
struct Inner {
    id: BufferId,
    bytes: u64,
    role: Role,
}

/// An owned piece of device memory; the executor frees it when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Buffer(Arc<Inner>);

impl Buffer {
    /// A fresh handle over `bytes` bytes. Executors call this in `alloc`; nobody else can make memory appear.
    #[must_use]
    pub fn new(bytes: u64, role: Role) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = BufferId(NEXT.fetch_add(1, Ordering::Relaxed));
        Self(Arc::new(Inner { id, bytes, role }))
    }

    /// Identity.
    #[must_use]
    pub fn id(&self) -> BufferId {
        self.0.id
    }

    /// Size in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.bytes
    }

    /// Whether this is the only clone left, so that the executor may free the memory.
    #[must_use]
    pub fn is_last(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// The whole buffer.
    #[must_use]
    pub fn all(&self) -> Slice {
        Slice { id: self.0.id, offset: 0, bytes: self.0.bytes, role: self.0.role }
    }

    /// `bytes` bytes from `offset`.
    ///
    /// # Panics
    /// When the range leaves the buffer or the offset is not a multiple of 256 (the strictest storage-offset
    /// alignment WebGPU allows): both are bugs of the caller.
    #[must_use]
    pub fn slice(&self, offset: u64, bytes: u64) -> Slice {
        assert!(offset.is_multiple_of(256), "slice offset {offset} is not 256-aligned");
        let end = offset.checked_add(bytes);
        assert!(end.is_some_and(|e| e <= self.0.bytes), "slice {offset}+{bytes} of {} bytes", self.0.bytes);
        Slice { id: self.0.id, offset, bytes, role: self.0.role }
    }
}

/// A byte range of a buffer: plain data, free to copy, keeps nothing alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slice {
    /// The buffer.
    pub id: BufferId,
    /// First byte, 256-aligned.
    pub offset: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// What the buffer holds.
    pub role: Role,
}

impl Slice {
    /// The first `bytes` bytes of this slice.
    ///
    /// # Panics
    /// When the slice is shorter: a bug of the caller.
    #[must_use]
    pub fn head(self, bytes: u64) -> Self {
        assert!(bytes <= self.bytes, "head of {bytes} bytes from a slice of {}", self.bytes);
        Self { bytes, ..self }
    }

    /// `bytes` bytes from `offset` of this slice on.
    ///
    /// # Panics
    /// When the range leaves the slice or the offset is not a multiple of 256: a bug of the caller.
    #[must_use]
    pub fn part(self, offset: u64, bytes: u64) -> Self {
        assert!(offset.is_multiple_of(256), "offset {offset} is not 256-aligned");
        assert!(offset + bytes <= self.bytes, "part {offset}+{bytes} of a slice of {}", self.bytes);
        Self { offset: self.offset + offset, bytes, ..self }
    }
}
