//! The folders of the program: the root, which holds `models/`, and the cache.

use std::fs;
use std::path::{Path, PathBuf};

/// Environment variable with the path of the folder that holds `models/`.
pub const ROOT_ENV: &str = "RIDGELINE_ROOT";

/// The folder that holds `models/`: [`ROOT_ENV`] where it is set, else the checkout of the build, else `.`.
#[must_use]
pub fn root() -> PathBuf {
    if let Some(root) = std::env::var_os(ROOT_ENV).filter(|root| !root.is_empty()) {
        return root.into();
    }
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    match checkout.canonicalize() {
        Ok(checkout) if checkout.join("models").is_dir() => checkout,
        _ => PathBuf::from("."),
    }
}

/// The folder of converted models and tuned kernel choices. It is created if missing.
pub fn cache() -> PathBuf {
    let folder = root().join("target").join("ridgeline-cache");
    match fs::create_dir_all(&folder) {
        Ok(()) => folder,
        // The root of an installed program may be read-only.
        Err(_) => std::env::temp_dir(),
    }
}

/// The folder of compiled pipelines; `None` where the program has no folder of its own.
///
/// A driver loads cached pipelines without checking them. Neither the working directory nor a folder that every user
/// can write is therefore a safe place for them.
pub(crate) fn pipelines() -> Option<PathBuf> {
    let folder = cache();
    (root() != Path::new(".") && folder != std::env::temp_dir()).then_some(folder)
}
