//! Names of models in the cache of the Hugging Face Hub: `hf:user/model:Q4_K_M`. Nothing here uses the network.

use super::Error;
use ridgeline_hub::Name;
use std::path::{Path, PathBuf};

/// Prefix of a model of the Hugging Face Hub.
pub const HUB: &str = "hf:";

/// The part of a name after [`HUB`]. `None` for other names.
pub(super) fn hub_name(name: &str) -> Option<&str> {
    name.strip_prefix(HUB)
}

/// The file or folder in the cache. A folder has no quantization of its own: what follows its colon is for the reader.
pub(super) fn hub_path(name: &str) -> Option<PathBuf> {
    let name: Name = hub_name(name)?.parse().ok()?;
    let path = ridgeline_hub::local(&name).ok()?.path;
    let whole = name.selection.is_none_or(|it| it.ends_with(".safetensors"));
    (whole || path.is_file()).then_some(path)
}

/// Why a name is not found in the cache. `None` for other names.
pub(super) fn hub_error(name: &str) -> Option<Error> {
    let parsed = hub_name(name)?.parse::<Name>();
    parsed.and_then(|name| ridgeline_hub::local(&name)).err().map(Error::Hub)
}

/// The name for records: that of the GGUF file, or the repository of a folder with the revision.
pub(super) fn hub_label(name: &str, path: &Path) -> String {
    match path.file_name() {
        Some(file) if path.is_file() => file.to_string_lossy().into_owned(),
        _ => name.split(':').next().unwrap_or(name).to_owned(),
    }
}
