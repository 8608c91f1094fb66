//! What several tests of forward passes share.

use std::path::{Path, PathBuf};

/// The folders under `tests/data` that every forward pass is tested with. A new family joins this list.
pub(crate) const FAMILIES: [&str; 16] = [
    "deepseek2",
    "gemma3",
    "gha",
    "gptneox",
    "gta",
    "gva",
    "llama",
    "llama-mha-tied",
    "mistral",
    "mistral-window",
    "plm",
    "qwen2",
    "qwen3",
    "qwen35",
    "qwen35moe",
    "qwen3moe",
];

/// The files of a family: GGUF, safetensors or both.
pub(crate) fn files(family: &str) -> impl Iterator<Item = PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(family);
    ["model.gguf", "model.safetensors"].map(|file| folder.join(file)).into_iter().filter(|it| it.exists())
}

/// The first file of a family.
pub(crate) fn model(family: &str) -> PathBuf {
    files(family).next().expect("GGUF or safetensors")
}
