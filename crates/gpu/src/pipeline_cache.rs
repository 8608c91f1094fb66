//! Compiled pipelines that survive the process, where the backend keeps them: Vulkan's `VkPipelineCache`.

use crate::checked_device::CheckedDevice;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Bytes of the hash in front of the driver's data.
const HASH: usize = blake3::OUT_LEN;

/// A driver's cache of pipelines, and the file that it outlives the process in.
#[derive(Debug)]
pub(crate) struct PipelineCacheFile {
    cache: wgpu::PipelineCache,
    file: PathBuf,
}

impl PipelineCacheFile {
    /// Takes up what `folder` holds of this device's driver; `None` where the backend keeps nothing. A file that was
    /// damaged counts as missing.
    pub(crate) fn open(device: &CheckedDevice, folder: &Path) -> Option<Self> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let file = folder.join(wgpu::util::pipeline_cache_key(&device.adapter_info())?);
        let data = read(&file);
        match device.scoped(|device| create(device, data.as_deref())) {
            Ok(cache) => Some(Self { cache, file }),
            Err(error) => {
                tracing::warn!("no cache of pipelines: {error}");
                None
            }
        }
    }

    /// The cache that pipelines are compiled with.
    pub(crate) const fn cache(&self) -> &wgpu::PipelineCache {
        &self.cache
    }

    /// Writes the cache down. What keeps it from that costs the next process its compilations and nothing else.
    pub(crate) fn save(&self) {
        let Some(data) = self.cache.get_data() else { return };
        if let Err(error) = write(&self.file, &data) {
            tracing::warn!("{}: {error}; pipelines will be compiled anew", self.file.display());
        }
    }
}

/// The driver's data behind its hash, or nothing.
fn read(file: &Path) -> Option<Vec<u8>> {
    let bytes = std::fs::read(file).ok()?;
    let (hash, data) = bytes.split_at_checked(HASH)?;
    (blake3::hash(data).as_bytes() == hash).then(|| data.to_vec())
}

/// Whole or not at all: other processes may read and write the file meanwhile.
fn write(file: &Path, data: &[u8]) -> io::Result<()> {
    static WRITES: AtomicU32 = AtomicU32::new(0);
    let write = WRITES.fetch_add(1, Ordering::Relaxed);
    let partial = file.with_extension(format!("{}-{write}.partial", std::process::id()));
    let bytes = [blake3::hash(data).as_bytes(), data].concat();
    std::fs::write(&partial, bytes).and_then(|()| std::fs::rename(&partial, file))
}

#[expect(unsafe_code, reason = "a driver cannot check what it once wrote")]
fn create(device: &wgpu::Device, data: Option<&[u8]>) -> wgpu::PipelineCache {
    let descriptor = wgpu::PipelineCacheDescriptor { label: None, data, fallback: true };
    // SAFETY: the data is what `get_data` gave, as its hash shows, unless somebody forged both, who would have to be able
    // to write to the folder, which callers of `Gpu::set_pipeline_cache_dir` vouch for; wgpu refuses data of another driver, device
    // or version.
    unsafe { device.create_pipeline_cache(&descriptor) }
}

#[cfg(test)]
mod tests {
    use super::{read, write};

    #[test]
    fn what_was_written_is_read_and_what_was_damaged_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("cache");
        assert_eq!(read(&file), None);
        write(&file, b"pipelines").expect("room");
        assert_eq!(read(&file).as_deref(), Some(&b"pipelines"[..]));
        let mut bytes = std::fs::read(&file).expect("a file");
        *bytes.last_mut().expect("bytes") ^= 1;
        std::fs::write(&file, &bytes).expect("room");
        assert_eq!(read(&file), None, "a bit fell over");
        std::fs::write(&file, &bytes[..7]).expect("room");
        assert_eq!(read(&file), None, "shorter than its hash");
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing partial is left");
    }
}
