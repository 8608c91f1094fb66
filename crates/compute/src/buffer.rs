//! Device memory by handle: an owned [`Buffer`], and a [`Slice`] of it as plain data, which launches bind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a buffer holds. Decides which field of a [`Cost`](ridgeline_roofline::Cost) counts its traffic.
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

/// A handle to device memory. The executor frees the memory after the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Buffer(Arc<Inner>);

impl Buffer {
    /// A new handle for `bytes` bytes. Only executors call this, in `alloc`: a handle alone allocates nothing.
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

    /// Whether this is the only clone left. The executor may then free the memory.
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
    /// If the range leaves the buffer, or the offset is not a multiple of 256. 256 is the strictest alignment of storage
    /// offsets that WebGPU allows a device to require. Both are bugs of the caller.
    #[must_use]
    pub fn slice(&self, offset: u64, bytes: u64) -> Slice {
        assert!(offset.is_multiple_of(256), "slice offset {offset} is not a multiple of 256");
        let end = offset.checked_add(bytes);
        assert!(
            end.is_some_and(|e| e <= self.0.bytes),
            "slice of {bytes} bytes at offset {offset} exceeds the buffer of {} bytes",
            self.0.bytes
        );
        Slice { id: self.0.id, offset, bytes, role: self.0.role }
    }
}

/// A byte range of a buffer. Plain data: copying it is free, and it does not keep the buffer alive.
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
    /// If the slice is shorter, which is a bug of the caller.
    #[must_use]
    pub fn head(self, bytes: u64) -> Self {
        assert!(bytes <= self.bytes, "the first {bytes} bytes exceed the slice of {} bytes", self.bytes);
        Self { bytes, ..self }
    }

    /// `bytes` bytes of this slice, starting at `offset`.
    ///
    /// # Panics
    /// If the range leaves the slice or the offset is not a multiple of 256. Both are bugs of the caller.
    #[must_use]
    pub fn part(self, offset: u64, bytes: u64) -> Self {
        assert!(offset.is_multiple_of(256), "slice offset {offset} is not a multiple of 256");
        assert!(
            offset + bytes <= self.bytes,
            "slice of {bytes} bytes at offset {offset} exceeds the slice of {} bytes",
            self.bytes
        );
        Self { offset: self.offset + offset, bytes, ..self }
    }
}
