//! Qwen2 (also Qwen2.5) with biases of Q, K and V, and Qwen3 with QK-norm.

use super::{Family, KeyRule, Presence::Always, RopePairing, shared};

/// config.json has a window even if it is not used.
const WINDOW: KeyRule = KeyRule { only_if: Some("use_sliding_window"), ..shared::WINDOW };

pub(super) const QWEN2: Family = Family {
    architecture: "qwen2",
    model_types: &["qwen2"],
    gguf_pairing: RopePairing::HalfSplit,
    ignored: &[".rotary_emb.inv_freq"],
    tensors: &[shared::EMBEDDING_AND_HEAD, shared::BLOCK, &shared::biases(Always)],
    keys: &[shared::KEYS, &[WINDOW]],
};

pub(super) const QWEN3: Family = Family {
    architecture: "qwen3",
    model_types: &["qwen3"],
    tensors: &[shared::EMBEDDING_AND_HEAD, shared::BLOCK, shared::HEAD_NORMS],
    ..QWEN2
};
