//! Errors of finding and opening a device. What goes wrong afterwards is a [`ridgeline_compute::Error`].

use crate::AdapterInfo;

/// Why no device could be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The machine shows no adapter at all.
    #[error(
        "no Vulkan, Metal or DX12 adapter found; install a GPU driver, or a software one \
         (Debian and Ubuntu: `apt-get install mesa-vulkan-drivers libvulkan1`), or choose the CPU executor"
    )]
    NoAdapter,
    /// No adapter answers to the name.
    #[error("no adapter matches {wanted:?}; seen here: {}", list(seen))]
    NoMatch {
        /// The text that was looked for.
        wanted: String,
        /// Every adapter of the machine.
        seen: Vec<AdapterInfo>,
    },
    /// The adapter lacks something no kernel can do without.
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
    #[error("{adapter} cannot be opened: {reason}; is another program holding it?")]
    Refused {
        /// The chosen adapter.
        adapter: String,
        /// The driver's words.
        reason: String,
    },
}

fn list(seen: &[AdapterInfo]) -> String {
    let names: Vec<_> = seen.iter().map(|a| format!("{:?} ({}, {:?})", a.name, a.backend, a.kind)).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
