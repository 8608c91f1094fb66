//! Qwen2 (also Qwen2.5) with biases of Q, K and V, and Qwen3 with QK-norm.

use super::{Family, Presence::Always, shared, shared::EPSILON, windows::Windows};

/// The longest context without `max_position_embeddings`, the KV heads without `num_key_value_heads`, and the window without
/// `sliding_window`.
const CONTEXT: (&str, f64) = ("context_length", 32_768.0);
const KV_HEADS: (&str, f64) = ("attention.head_count_kv", 32.0);
const WINDOW: (&str, f64) = ("attention.sliding_window", 4096.0);

pub(super) const QWEN2: Family = Family {
    architecture: "qwen2",
    model_types: &["qwen2"],
    tensors: &[shared::EMBEDDING_AND_HEAD, shared::ATTENTION, shared::SWIGLU, &shared::biases(Always)],
    keys: &[shared::KEYS, shared::SCALING_AND_WINDOWS, shared::YARN],
    config_defaults: &[("qwen2", &[EPSILON, CONTEXT, KV_HEADS, WINDOW])],
    windows: Windows::LastByFlag,
    ..shared::FAMILY
};

pub(super) const QWEN3: Family = Family {
    architecture: "qwen3",
    model_types: &["qwen3"],
    tensors: &[shared::EMBEDDING_AND_HEAD, shared::ATTENTION, shared::SWIGLU, shared::HEAD_NORMS],
    config_defaults: &[("qwen3", &[EPSILON, CONTEXT, KV_HEADS, WINDOW, ("attention.key_length", 128.0)])],
    optional_bias: true,
    ..QWEN2
};
