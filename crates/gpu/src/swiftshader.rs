//! Finds SwiftShader, the software Vulkan driver that Chromium ships.
//!
//! The Vulkan loader does not search a browser's folder. The environment at the start of a process must name the driver.
//! The caller sets it: this crate changes no environment.

use std::path::{Path, PathBuf};

/// Manifests of the packages of Debian, Fedora and Google, and of a build of SwiftShader alone.
const MANIFESTS: [&str; 5] = [
    "/usr/lib/chromium/vk_swiftshader_icd.json",
    "/usr/lib64/chromium-browser/vk_swiftshader_icd.json",
    "/opt/google/chrome/vk_swiftshader_icd.json",
    "/usr/share/vulkan/icd.d/vk_swiftshader_icd.json",
    "/usr/local/share/vulkan/icd.d/vk_swiftshader_icd.json",
];

/// Variables that name the only driver to load. Loaders before 1.3.207 know the second one.
const ONE_DRIVER: [&str; 2] = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"];

/// The environment of a process with SwiftShader as its only Vulkan driver. `None` where it is not installed.
#[must_use]
pub fn swiftshader() -> Option<[(&'static str, PathBuf); 2]> {
    let manifest = MANIFESTS.map(Path::new).into_iter().find(|it| it.is_file())?;
    Some(ONE_DRIVER.map(|variable| (variable, manifest.to_owned())))
}
