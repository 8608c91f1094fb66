//! Where SwiftShader lies, the Vulkan in software that Chromium brings along.
//!
//! The Vulkan loader does not look in a browser's folder: it has to be told by the environment a process starts with.
//! Telling it is the caller's part, and this crate changes no environment.

use std::path::{Path, PathBuf};

/// Where Debian, Fedora, Google and whoever builds SwiftShader by itself put its manifest.
const MANIFESTS: [&str; 5] = [
    "/usr/lib/chromium/vk_swiftshader_icd.json",
    "/usr/lib64/chromium-browser/vk_swiftshader_icd.json",
    "/opt/google/chrome/vk_swiftshader_icd.json",
    "/usr/share/vulkan/icd.d/vk_swiftshader_icd.json",
    "/usr/local/share/vulkan/icd.d/vk_swiftshader_icd.json",
];

/// What makes a loader take one driver and no other: the second is what loaders before 1.3.207 know.
const ONE_DRIVER: [&str; 2] = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"];

/// The environment of a process in which SwiftShader is the only Vulkan driver, where it is installed.
#[must_use]
pub fn swiftshader() -> Option<[(&'static str, PathBuf); 2]> {
    let manifest = MANIFESTS.map(Path::new).into_iter().find(|it| it.is_file())?;
    Some(ONE_DRIVER.map(|variable| (variable, manifest.to_owned())))
}
