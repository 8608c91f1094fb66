//! Cache of bind groups, by layout and slices, so that decoding creates none per token.

use crate::checked_device::{CheckedDevice, describe};
use crate::memory::Memory;
use crate::pipeline::Pipelines;
use ridgeline_compute::{AnyKernel, BufferId, Error, Slice};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// A fast multiply-rotate hash. Keys come from this program, so it need not resist attackers.
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

type BuildSliceHasher = BuildHasherDefault<SliceHasher>;

/// Hash of a cache key.
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

/// The bind groups created so far.
#[derive(Debug, Default)]
pub(crate) struct BindGroupCache {
    /// Entries by the hash of their key, so that a lookup needs no boxed slices.
    by_hash: HashMap<u64, Vec<Entry>, BuildSliceHasher>,
    count: usize,
}

/// Creates bind groups of a device's buffers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BindGroupBuilder<'a> {
    /// The device.
    pub(crate) device: &'a CheckedDevice,
    /// Its buffers.
    pub(crate) memory: &'a Memory,
    /// Its pipelines, which hold the layouts.
    pub(crate) pipelines: &'a Pipelines,
    /// Its maximum size of a binding in bytes.
    pub(crate) max_binding: u64,
}

impl BindGroupCache {
    /// Maximum number of entries. A full cache is cleared, so slices that change per token do not fill the memory.
    const MAX_ENTRIES: usize = 1 << 15;

    /// Number of bind groups.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The bind group of `slices` for a pipeline's layout. Error messages name `kernel`.
    pub(crate) fn get(
        &mut self,
        builder: BindGroupBuilder<'_>,
        layout: usize,
        slices: &[Slice],
        kernel: &AnyKernel,
    ) -> Result<&wgpu::BindGroup, Error> {
        let key = hash(layout, slices);
        let same = |entry: &Entry| entry.layout == layout && *entry.slices == *slices;
        let found = self.by_hash.get(&key).and_then(|entries| entries.iter().position(same));
        let index = if let Some(index) = found {
            index
        } else {
            if self.count >= Self::MAX_ENTRIES {
                self.by_hash.clear();
                self.count = 0;
            }
            let group = builder.build(layout, slices, kernel)?;
            self.count += 1;
            let entries = self.by_hash.entry(key).or_default();
            entries.push(Entry { layout, slices: slices.into(), group });
            entries.len() - 1
        };
        Ok(&self.by_hash[&key][index].group)
    }

    /// Removes the bind groups that use one of these buffers.
    pub(crate) fn remove_buffers(&mut self, freed: &[BufferId]) {
        if freed.is_empty() {
            return;
        }
        let freed: HashSet<_> = freed.iter().collect();
        self.by_hash.retain(|_, entries| {
            entries.retain(|entry| !entry.slices.iter().any(|slice| freed.contains(&slice.id)));
            !entries.is_empty()
        });
        self.count = self.by_hash.values().map(Vec::len).sum();
    }
}

impl BindGroupBuilder<'_> {
    fn build(self, layout: usize, slices: &[Slice], kernel: &AnyKernel) -> Result<wgpu::BindGroup, Error> {
        let mut entries = Vec::with_capacity(slices.len());
        for ((binding, slice), info) in (0..).zip(slices).zip(kernel.bindings()) {
            if kernel.in_texture(info) {
                let view = self.memory.get(*slice)?.texture()?.view();
                let resource = wgpu::BindingResource::TextureView(view);
                entries.push(wgpu::BindGroupEntry { binding, resource });
                continue;
            }
            // Buffers are padded to 16 bytes, so the rounded size stays inside. WebGPU forbids empty bindings.
            let bytes = slice.bytes.next_multiple_of(4).max(4);
            if bytes > self.max_binding {
                return Err(Error::Limit {
                    label: format!("binding {} of {}", info.name, kernel.label()),
                    bytes,
                    limit: self.max_binding,
                    what: "max_storage_buffer_binding_size",
                });
            }
            let range = wgpu::BufferBinding {
                buffer: self.memory.get(*slice)?.buffer()?,
                offset: slice.offset,
                size: wgpu::BufferSize::new(bytes),
            };
            entries.push(wgpu::BindGroupEntry { binding, resource: wgpu::BindingResource::Buffer(range) });
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
    fn similar_keys_have_different_hashes() {
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
