//! Errors of finding and opening a device. Later errors are [`ridgeline_compute::Error`]s.

use crate::AdapterInfo;

/// Errors of finding and opening a device.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The machine has no adapter.
    #[error(
        "no Vulkan, Metal or DX12 adapter found; install a GPU driver, or a software one \
         (Debian and Ubuntu: `apt-get install mesa-vulkan-drivers libvulkan1`), or choose the CPU executor"
    )]
    NoAdapter,
    /// No adapter matches the choice.
    #[error("no adapter matches {wanted:?}; seen here: {}", list(seen))]
    NoMatch {
        /// The requested text or index.
        wanted: String,
        /// Every adapter of the machine.
        seen: Vec<AdapterInfo>,
    },
    /// The adapter lacks a required feature.
    #[error("{adapter} lacks {feature}; update its driver or choose another adapter: {}", list(seen))]
    MissingFeature {
        /// The chosen adapter.
        adapter: String,
        /// Name of the feature.
        feature: &'static str,
        /// Every adapter of the machine.
        seen: Vec<AdapterInfo>,
    },
    /// The driver refused to open the device.
    #[error("{adapter} cannot be opened: {reason}; check whether another program is using it")]
    Refused {
        /// The chosen adapter.
        adapter: String,
        /// The driver's message.
        reason: String,
    },
}

fn list(seen: &[AdapterInfo]) -> String {
    let names: Vec<_> = seen.iter().map(|a| format!("{:?} ({}, {:?})", a.name, a.backend, a.kind)).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
