//! What several tests of forward passes share.

/// The folders under `tests/data` that every forward pass is tested with. A new family joins this list.
pub(crate) const FAMILIES: [&str; 13] = [
    "deepseek2",
    "gemma3",
    "gptneox",
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
