//! Device buffers and textures by handle, and the memory they occupy.

use crate::checked_device::{CheckedDevice, describe};
use crate::texture::{self, Texture};
use ridgeline_compute::{Buffer, BufferId, Error, Role, Slice};
use std::collections::HashMap;

/// Memory of the buffers of one role, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Allocated now.
    pub now: u64,
    /// Peak of the allocated bytes.
    pub peak: u64,
}

impl Usage {
    fn add(&mut self, bytes: u64) {
        self.now += bytes;
        self.peak = self.peak.max(self.now);
    }
}

/// Device memory by role, in bytes with padding. It excludes staging buffers and the driver's own memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryUsage {
    /// Model weights.
    pub weights: Usage,
    /// Key/value cache.
    pub kv: Usage,
    /// Activations, scratch, logits.
    pub activation: Usage,
    /// All roles. The peak may be less than the sum of their peaks, which may occur at different times.
    pub total: Usage,
}

impl MemoryUsage {
    fn of(&mut self, role: Role) -> &mut Usage {
        match role {
            Role::Weights => &mut self.weights,
            Role::Kv => &mut self.kv,
            Role::Activation => &mut self.activation,
        }
    }
}

/// The wgpu object behind a buffer handle.
#[derive(Debug)]
pub(crate) enum Storage {
    /// A buffer.
    Buffer(wgpu::Buffer),
    /// A texture.
    Texture(Texture),
}

impl Storage {
    /// The buffer; an error for a texture.
    pub(crate) fn buffer(&self) -> Result<&wgpu::Buffer, Error> {
        match self {
            Self::Buffer(buffer) => Ok(buffer),
            Self::Texture(_) => Err(Error::Device { reason: "a texture cannot be used as a buffer".into() }),
        }
    }

    /// The texture; an error for a buffer.
    pub(crate) fn texture(&self) -> Result<&Texture, Error> {
        match self {
            Self::Texture(texture) => Ok(texture),
            Self::Buffer(_) => Err(Error::Device { reason: "a buffer cannot be used as a texture".into() }),
        }
    }
}

#[derive(Debug)]
struct Allocation {
    handle: Buffer,
    /// Bytes with padding.
    occupies: u64,
    storage: Storage,
}

/// The buffers of a device.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    buffers: HashMap<BufferId, Allocation>,
    memory_usage: MemoryUsage,
}

/// Size of a buffer with padding: whole vec4 words and never zero, so that any slice can be bound as `array<vec4>`.
fn padded(bytes: u64) -> u64 {
    bytes.next_multiple_of(16).max(16)
}

impl Memory {
    /// Allocates a buffer, within the device's limits.
    pub(crate) fn alloc(
        &mut self,
        device: &CheckedDevice,
        bytes: u64,
        role: Role,
        label: &str,
    ) -> Result<Buffer, Error> {
        let limit = device.limits().max_buffer_size;
        if bytes > limit || padded(bytes) > limit {
            return Err(Error::Limit { label: label.to_owned(), bytes, limit, what: "max_buffer_size" });
        }
        let made = device.scoped(|device| {
            Storage::Buffer(device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size: padded(bytes),
                usage: wgpu::BufferUsages::STORAGE
                    | wgpu::BufferUsages::COPY_SRC
                    | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            }))
        });
        let storage = made.map_err(|error| refused(&error, bytes, role, label))?;
        self.insert(device, (bytes, padded(bytes)), role, storage)
    }

    /// Allocates a texture, within the device's limits.
    pub(crate) fn alloc_texture(
        &mut self,
        device: &CheckedDevice,
        bytes: u64,
        role: Role,
        label: &str,
    ) -> Result<Buffer, Error> {
        let limit = texture::largest(&device.limits());
        if bytes > limit {
            let what = "max_texture_dimension_2d";
            return Err(Error::Limit { label: label.to_owned(), bytes, limit, what });
        }
        let made = device.scoped(|device| Storage::Texture(Texture::new(device, bytes, label)));
        let storage = made.map_err(|error| refused(&error, bytes, role, label))?;
        self.insert(device, (bytes, texture::padded(bytes)), role, storage)
    }

    /// Adds an allocation of `bytes` bytes, which occupies `occupies` bytes with padding.
    fn insert(
        &mut self,
        device: &CheckedDevice,
        (bytes, occupies): (u64, u64),
        role: Role,
        storage: Storage,
    ) -> Result<Buffer, Error> {
        device.check_now()?;
        let handle = Buffer::new(bytes, role);
        self.memory_usage.of(role).add(occupies);
        self.memory_usage.total.add(occupies);
        self.buffers.insert(handle.id(), Allocation { handle: handle.clone(), occupies, storage });
        Ok(handle)
    }

    /// Frees buffers whose other handles were dropped, and returns their ids.
    pub(crate) fn free_unused(&mut self) -> Vec<BufferId> {
        let memory_usage = &mut self.memory_usage;
        let freed = self.buffers.extract_if(|_, allocation| allocation.handle.is_last());
        freed
            .map(|(id, allocation)| {
                memory_usage.of(allocation.handle.all().role).now -= allocation.occupies;
                memory_usage.total.now -= allocation.occupies;
                id
            })
            .collect()
    }

    /// The storage of a slice's buffer.
    pub(crate) fn get(&self, at: Slice) -> Result<&Storage, Error> {
        let allocation = self.buffers.get(&at.id);
        allocation.map(|allocation| &allocation.storage).ok_or(Error::UnknownBuffer { id: at.id })
    }

    /// Allocated bytes by role.
    pub(crate) fn memory_usage(&self) -> MemoryUsage {
        self.memory_usage
    }

    /// Number of buffers.
    pub(crate) fn len(&self) -> usize {
        self.buffers.len()
    }
}

fn refused(error: &wgpu::Error, bytes: u64, role: Role, label: &str) -> Error {
    match error {
        wgpu::Error::OutOfMemory { .. } => Error::OutOfMemory { label: label.to_owned(), role, bytes },
        other => Error::Device { reason: describe(other) },
    }
}

#[cfg(test)]
mod tests {
    use super::{MemoryUsage, padded, refused};
    use ridgeline_compute::{Error, Role};

    #[test]
    fn sizes_are_whole_vec4_words() {
        assert_eq!([0, 1, 16, 17].map(padded), [16, 16, 16, 32]);
    }

    #[test]
    fn the_peak_stays() {
        let mut memory_usage = MemoryUsage::default();
        memory_usage.of(Role::Kv).add(32);
        memory_usage.of(Role::Kv).now -= 32;
        memory_usage.of(Role::Kv).add(16);
        assert_eq!((memory_usage.kv.now, memory_usage.kv.peak), (16, 32));
    }

    #[test]
    fn running_out_of_memory_names_the_buffer() {
        let error = wgpu::Error::OutOfMemory { source: "the driver's message".into() };
        let error = refused(&error, 7, Role::Weights, "blk.0");
        assert!(
            matches!(error, Error::OutOfMemory { label, bytes: 7, role: Role::Weights } if label == "blk.0")
        );
    }
}
