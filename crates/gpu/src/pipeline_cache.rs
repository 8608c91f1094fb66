//! [`PipelineCacheFile`]: a driver's pipeline cache (Vulkan's `VkPipelineCache`) and the file it is saved in.

use crate::checked_device::CheckedDevice;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Bytes of the hash at the start of the file, before the driver's data.
const HASH_BYTES: usize = blake3::OUT_LEN;

/// A driver's pipeline cache, and the file it is saved in.
#[derive(Debug)]
pub(crate) struct PipelineCacheFile {
    cache: wgpu::PipelineCache,
    file: PathBuf,
}

impl PipelineCacheFile {
    /// Loads the cache of this device and driver from `folder`.
    ///
    /// `None` if the backend has no pipeline cache. A damaged file counts as missing.
    pub(crate) fn open(device: &CheckedDevice, folder: &Path) -> Option<Self> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let file = folder.join(wgpu::util::pipeline_cache_key(&device.adapter_info())?);
        let data = read(&file);
        match device.scoped(|device| create(device, data.as_deref())) {
            Ok(cache) => Some(Self { cache, file }),
            Err(error) => {
                tracing::warn!("no pipeline cache: {error}");
                None
            }
        }
    }

    /// The cache to compile pipelines with.
    pub(crate) const fn cache(&self) -> &wgpu::PipelineCache {
        &self.cache
    }

    /// Saves the cache. A failure is only a warning: the next process compiles the pipelines again.
    pub(crate) fn save(&self) {
        let Some(data) = self.cache.get_data() else { return };
        if let Err(error) = write(&self.file, &data) {
            tracing::warn!(
                "cannot save the pipeline cache {}: {error}; the next run compiles all pipelines again",
                self.file.display()
            );
        }
    }
}

/// The driver's data, if the file exists and its hash matches.
fn read(file: &Path) -> Option<Vec<u8>> {
    let bytes = std::fs::read(file).ok()?;
    let (hash, data) = bytes.split_at_checked(HASH_BYTES)?;
    (blake3::hash(data).as_bytes() == hash).then(|| data.to_vec())
}

/// Writes the file atomically, by a rename, because other processes may read and write it.
fn write(file: &Path, data: &[u8]) -> io::Result<()> {
    static WRITES: AtomicU32 = AtomicU32::new(0);
    let write = WRITES.fetch_add(1, Ordering::Relaxed);
    let partial = file.with_extension(format!("{}-{write}.partial", std::process::id()));
    let bytes = [blake3::hash(data).as_bytes(), data].concat();
    std::fs::write(&partial, bytes).and_then(|()| std::fs::rename(&partial, file))
}

#[expect(unsafe_code, reason = "drivers do not validate cache data")]
fn create(device: &wgpu::Device, data: Option<&[u8]>) -> wgpu::PipelineCache {
    let descriptor = wgpu::PipelineCacheDescriptor { label: None, data, fallback: true };
    // SAFETY: the hash shows that the data is unchanged since `get_data` returned it. Forging both takes write access
    // to the folder, which callers of `Gpu::set_pipeline_cache_dir` give only to trusted users. wgpu refuses data of
    // another driver, device or version.
    unsafe { device.create_pipeline_cache(&descriptor) }
}

#[cfg(test)]
mod tests {
    use super::{read, write};

    #[test]
    fn damaged_files_are_not_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("cache");
        assert_eq!(read(&file), None);
        write(&file, b"pipelines").expect("room");
        assert_eq!(read(&file).as_deref(), Some(&b"pipelines"[..]));
        let mut bytes = std::fs::read(&file).expect("a file");
        *bytes.last_mut().expect("bytes") ^= 1;
        std::fs::write(&file, &bytes).expect("room");
        assert_eq!(read(&file), None, "a flipped bit");
        std::fs::write(&file, &bytes[..7]).expect("room");
        assert_eq!(read(&file), None, "shorter than its hash");
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing partial is left");
    }
}
