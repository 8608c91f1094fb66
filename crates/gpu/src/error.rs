//! Errors of finding and opening a device. Later errors are [`ridgeline_compute::Error`]s.

use crate::undriven::remedies;
use crate::{AdapterInfo, KnownGpu};

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
    /// The machine has GPUs, but the best adapter is a software one, which was not asked for by name.
    #[error(
        "no Vulkan driver serves {}, and {adapter} runs on the CPU: {}; or choose it by name: --device {}",
        names(gpus), remedies(gpus), adapter.split(' ').next().unwrap_or_default()
    )]
    Undriven {
        /// The software adapter.
        adapter: String,
        /// The GPUs that the system knows.
        gpus: Vec<KnownGpu>,
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

fn names(gpus: &[KnownGpu]) -> String {
    gpus.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn list(seen: &[AdapterInfo]) -> String {
    let names: Vec<_> = seen.iter().map(|a| format!("{:?} ({}, {:?})", a.name, a.backend, a.kind)).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::Error;
    use crate::{KnownGpu, Vendor};

    #[test]
    fn an_undriven_gpu_is_named_with_its_remedy() {
        let gpu =
            KnownGpu { vendor: Vendor::Nvidia, name: "NVIDIA H200".into(), node: "/dev/nvidia0".into() };
        let error = Error::Undriven { adapter: "llvmpipe (LLVM 15.0.6, 256 bits)".into(), gpus: vec![gpu] };
        let text = error.to_string();
        for part in ["NVIDIA H200 (/dev/nvidia0)", "NVIDIA_DRIVER_CAPABILITIES", "--device llvmpipe"] {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
        assert!(text.ends_with("--device llvmpipe"), "{text}");
    }
}
