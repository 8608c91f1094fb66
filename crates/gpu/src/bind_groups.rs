//! Bind groups by layout and slices, kept from token to token.

use crate::checked_device::{CheckedDevice, describe};
use crate::memory::Memory;
use crate::pipeline::Pipelines;
use ridgeline_compute::{AnyKernel, BufferId, Error, Slice};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// Multiplies and rotates: a hit costs nanoseconds, and keys are this program's own numbers, not an attacker's.
#[derive(Clone, Copy, Debug, Default)]
struct SliceHasher(u64);

impl Hasher for SliceHasher {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }
    fn write_u64(&mut self, value: u64) {
        // An odd constant near 2^64 divided by the golden ratio spreads consecutive numbers (Knuth, TAOCP 6.4).
        self.0 = (self.0.rotate_left(23) ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

/// Takes keys that are hashes already.
type Hashed = BuildHasherDefault<SliceHasher>;

fn hash(layout: usize, slices: &[Slice]) -> u64 {
    let mut mixer = SliceHasher(layout as u64);
    for slice in slices {
        slice.id.hash(&mut mixer);
        mixer.write_u64(slice.offset);
        mixer.write_u64(slice.bytes);
    }
    mixer.finish()
}

#[derive(Debug)]
struct Entry {
    layout: usize,
    slices: Box<[Slice]>,
    group: wgpu::BindGroup,
}

/// Bind groups made so far.
#[derive(Debug, Default)]
pub(crate) struct BindGroupCache {
    by_hash: HashMap<u64, Vec<Entry>, Hashed>,
    count: usize,
}

/// What the making of a bind group needs, besides the slices.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BindGroupBuilder<'a> {
    /// The device.
    pub(crate) device: &'a CheckedDevice,
    /// Its buffers.
    pub(crate) memory: &'a Memory,
    /// Its layouts.
    pub(crate) pipelines: &'a Pipelines,
    /// Its limit on a binding.
    pub(crate) max_binding: u64,
}

impl BindGroupCache {
    /// Beyond this many the cache starts over: slices that change with every token must not fill the memory.
    const MOST: usize = 1 << 15;

    /// Number of bind groups.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The bind group of `slices` for a pipeline's layout; `kernel` is for messages.
    pub(crate) fn get(
        &mut self,
        maker: BindGroupBuilder<'_>,
        layout: usize,
        slices: &[Slice],
        kernel: &AnyKernel,
    ) -> Result<&wgpu::BindGroup, Error> {
        let key = hash(layout, slices);
        let same = |entry: &Entry| entry.layout == layout && *entry.slices == *slices;
        let found = self.by_hash.get(&key).and_then(|entries| entries.iter().position(same));
        let place = if let Some(place) = found {
            place
        } else {
            if self.count >= Self::MOST {
                self.by_hash.clear();
                self.count = 0;
            }
            let group = maker.make(layout, slices, kernel)?;
            self.count += 1;
            let entries = self.by_hash.entry(key).or_default();
            entries.push(Entry { layout, slices: slices.into(), group });
            entries.len() - 1
        };
        Ok(&self.by_hash[&key][place].group)
    }

    /// Forgets the bind groups that name one of these buffers.
    pub(crate) fn forget(&mut self, gone: &[BufferId]) {
        if gone.is_empty() {
            return;
        }
        let gone: HashSet<_> = gone.iter().collect();
        self.by_hash.retain(|_, entries| {
            entries.retain(|entry| !entry.slices.iter().any(|slice| gone.contains(&slice.id)));
            !entries.is_empty()
        });
        self.count = self.by_hash.values().map(Vec::len).sum();
    }
}

impl BindGroupBuilder<'_> {
    fn make(self, layout: usize, slices: &[Slice], kernel: &AnyKernel) -> Result<wgpu::BindGroup, Error> {
        let mut entries = Vec::with_capacity(slices.len());
        for ((binding, slice), slot) in (0..).zip(slices).zip(kernel.bindings()) {
            if kernel.in_texture(slot) {
                let view = self.memory.get(*slice)?.texture()?.view();
                let resource = wgpu::BindingResource::TextureView(view);
                entries.push(wgpu::BindGroupEntry { binding, resource });
                continue;
            }
            // Buffers are padded to 16 bytes, so that rounding up stays inside; nothing binds zero bytes.
            let bytes = slice.bytes.next_multiple_of(4).max(4);
            if bytes > self.max_binding {
                return Err(Error::Limit {
                    label: format!("{} of {}", slot.name, kernel.label()),
                    bytes,
                    limit: self.max_binding,
                    what: "max_storage_buffer_binding_size",
                });
            }
            let binding_of = wgpu::BufferBinding {
                buffer: self.memory.get(*slice)?.buffer()?,
                offset: slice.offset,
                size: wgpu::BufferSize::new(bytes),
            };
            entries
                .push(wgpu::BindGroupEntry { binding, resource: wgpu::BindingResource::Buffer(binding_of) });
        }
        let made = self.device.scoped(|device| {
            device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: self.pipelines.group_layout(layout),
                entries: &entries,
            })
        });
        made.map_err(|error| Error::Device { reason: format!("{}: {}", kernel.label(), describe(&error)) })
    }
}

#[cfg(test)]
mod tests {
    use super::hash;
    use ridgeline_compute::{Buffer, Role};
    use std::collections::HashSet;

    #[test]
    fn similar_keys_hash_apart() {
        let buffers: Vec<_> = (0..64).map(|_| Buffer::new(1 << 20, Role::Activation)).collect();
        let mut seen = HashSet::new();
        for (a, b) in buffers.iter().flat_map(|a| buffers.iter().map(move |b| (a, b))) {
            for offset in [0, 256, 512, 4096] {
                for layout in [0, 1] {
                    seen.insert(hash(layout, &[a.slice(offset, 256), b.all()]));
                }
            }
        }
        assert_eq!(seen.len(), 64 * 64 * 4 * 2);
    }
}
