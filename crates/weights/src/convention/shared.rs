//! Tensors and keys that families share: those of a pre-norm block with a SwiGLU feed-forward network.

use super::{
    Dim::{self, Ffn, Head, Heads, Hidden, Kv, KvHeads, Q, Vocab},
    Fallback::{self, Absent, HeadWidth, Number, Required, Same, Tokens},
    KeyRule, Kind,
    Presence::{self, Always, Untied},
    TensorRule,
};

const fn tensor(gguf: &'static str, hf: &'static str, shape: &'static [Dim]) -> TensorRule {
    TensorRule { gguf, hf, shape, presence: Always, rotary: None }
}

const fn key(suffix: &'static str, hf: &'static str, kind: Kind, default: Fallback) -> KeyRule {
    KeyRule { suffix, hf: Some(hf), kind, default }
}

const fn derived(suffix: &'static str, kind: Kind, default: Fallback) -> KeyRule {
    KeyRule { suffix, hf: None, kind, default }
}

/// The token embedding, the last norm and the output head.
pub(super) const EMBEDDING_AND_HEAD: &[TensorRule] = &[
    tensor(super::EMBEDDING, "model.embed_tokens.weight", &[Vocab, Hidden]),
    tensor("output_norm.weight", "model.norm.weight", &[Hidden]),
    TensorRule { presence: Untied, ..tensor(super::OUTPUT, "lm_head.weight", &[Vocab, Hidden]) },
];

/// A block: attention and a SwiGLU feed-forward network, each after a norm.
pub(super) const BLOCK: &[TensorRule] = &[
    tensor("blk.*.attn_norm.weight", "model.layers.*.input_layernorm.weight", &[Hidden]),
    TensorRule {
        rotary: Some(Heads),
        ..tensor("blk.*.attn_q.weight", "model.layers.*.self_attn.q_proj.weight", &[Q, Hidden])
    },
    TensorRule {
        rotary: Some(KvHeads),
        ..tensor("blk.*.attn_k.weight", "model.layers.*.self_attn.k_proj.weight", &[Kv, Hidden])
    },
    tensor("blk.*.attn_v.weight", "model.layers.*.self_attn.v_proj.weight", &[Kv, Hidden]),
    tensor("blk.*.attn_output.weight", "model.layers.*.self_attn.o_proj.weight", &[Hidden, Q]),
    tensor("blk.*.ffn_norm.weight", "model.layers.*.post_attention_layernorm.weight", &[Hidden]),
    tensor("blk.*.ffn_gate.weight", "model.layers.*.mlp.gate_proj.weight", &[Ffn, Hidden]),
    tensor("blk.*.ffn_up.weight", "model.layers.*.mlp.up_proj.weight", &[Ffn, Hidden]),
    tensor("blk.*.ffn_down.weight", "model.layers.*.mlp.down_proj.weight", &[Hidden, Ffn]),
];

/// The biases of the Q, K and V projections.
pub(super) const fn biases(presence: Presence) -> [TensorRule; 3] {
    let q = tensor("blk.*.attn_q.bias", "model.layers.*.self_attn.q_proj.bias", &[Q]);
    let k = tensor("blk.*.attn_k.bias", "model.layers.*.self_attn.k_proj.bias", &[Kv]);
    let v = tensor("blk.*.attn_v.bias", "model.layers.*.self_attn.v_proj.bias", &[Kv]);
    [
        TensorRule { presence, rotary: Some(Heads), ..q },
        TensorRule { presence, rotary: Some(KvHeads), ..k },
        TensorRule { presence, ..v },
    ]
}

/// The bias of attention's output projection.
pub(super) const fn output_bias(presence: Presence) -> TensorRule {
    let rule = tensor("blk.*.attn_output.bias", "model.layers.*.self_attn.o_proj.bias", &[Hidden]);
    TensorRule { presence, ..rule }
}

/// QK-norm: the norms of query and key heads.
pub(super) const HEAD_NORMS: &[TensorRule] = &[
    tensor("blk.*.attn_q_norm.weight", "model.layers.*.self_attn.q_norm.weight", &[Head]),
    tensor("blk.*.attn_k_norm.weight", "model.layers.*.self_attn.k_norm.weight", &[Head]),
];

/// The ε of the norms without `rms_norm_eps`.
pub(super) const EPSILON: (&str, f64) = ("attention.layer_norm_rms_epsilon", 1e-6);

/// Sizes, constants and rotation.
pub(super) const KEYS: &[KeyRule] = &[
    key("block_count", "num_hidden_layers", Kind::U32, Required),
    key("context_length", "max_position_embeddings", Kind::U32, Required),
    key("embedding_length", "hidden_size", Kind::U32, Required),
    key("feed_forward_length", "intermediate_size", Kind::U32, Required),
    key("attention.head_count", "num_attention_heads", Kind::U32, Required),
    key("attention.head_count_kv", "num_key_value_heads", Kind::U32, Same("attention.head_count")),
    derived("rope.freq_base", Kind::F32, Number(10_000.0)),
    key("attention.layer_norm_rms_epsilon", "rms_norm_eps", Kind::F32, Required),
    key("attention.key_length", "head_dim", Kind::U32, HeadWidth),
    key("attention.value_length", "head_dim", Kind::U32, Same("attention.key_length")),
    key("vocab_size", "vocab_size", Kind::U32, Tokens),
    key("rope.dimension_count", "head_dim", Kind::U32, Same("attention.key_length")),
    derived("rope.scaling.type", Kind::Str, Absent),
    derived("rope.scaling.factor", Kind::F32, Absent),
    derived("rope.scaling.low_freq_factor", Kind::F32, Absent),
    derived("rope.scaling.high_freq_factor", Kind::F32, Absent),
    derived("rope.scaling.original_context_length", Kind::U32, Absent),
    // llama.cpp's key for the factor until August 2023.
    derived("rope.scale_linear", Kind::F32, Absent),
    derived("attention.sliding_window", Kind::U32, Absent),
];
