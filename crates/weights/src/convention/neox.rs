//! GPT-NeoX (Pythia): `LayerNorm` with bias, attention and feed-forward network side by side, GELU without a gate, and a
//! rotation of part of each head. A folder has Q, K and V of each head behind each other, GGUF all of Q first.

use super::{
    Dim::{Number, Product},
    Fallback::{Flag, HeadWidth, Number as Default, Required, Same, Tokens},
    Family, KeyRule, Kind,
    Presence::Untied,
    TensorRule, Transform,
    known::Only,
    shared::{self, FFN, HIDDEN, VOCAB, derived, key, tensor},
    windows::Windows,
};

const fn split(gguf: &'static str, hf: &'static str, shape: &'static [super::Dim]) -> TensorRule {
    TensorRule { transform: Transform::SplitQkv, ..tensor(gguf, hf, shape) }
}

/// Q, K and V.
const QKV: super::Dim = Product(&[Number(3), HIDDEN]);

const VOCABULARY: &[TensorRule] = &[
    tensor(super::EMBEDDING, "gpt_neox.embed_in.weight", &[VOCAB, HIDDEN]),
    tensor("output_norm.weight", "gpt_neox.final_layer_norm.weight", &[HIDDEN]),
    tensor("output_norm.bias", "gpt_neox.final_layer_norm.bias", &[HIDDEN]),
    TensorRule { presence: Untied, ..tensor(super::OUTPUT, "embed_out.weight", &[VOCAB, HIDDEN]) },
];

const BLOCK: &[TensorRule] = &[
    tensor("blk.*.attn_norm.weight", "gpt_neox.layers.*.input_layernorm.weight", &[HIDDEN]),
    tensor("blk.*.attn_norm.bias", "gpt_neox.layers.*.input_layernorm.bias", &[HIDDEN]),
    split("blk.*.attn_qkv.weight", "gpt_neox.layers.*.attention.query_key_value.weight", &[QKV, HIDDEN]),
    split("blk.*.attn_qkv.bias", "gpt_neox.layers.*.attention.query_key_value.bias", &[QKV]),
    tensor("blk.*.attn_output.weight", "gpt_neox.layers.*.attention.dense.weight", &[HIDDEN, HIDDEN]),
    tensor("blk.*.attn_output.bias", "gpt_neox.layers.*.attention.dense.bias", &[HIDDEN]),
    tensor("blk.*.ffn_norm.weight", "gpt_neox.layers.*.post_attention_layernorm.weight", &[HIDDEN]),
    tensor("blk.*.ffn_norm.bias", "gpt_neox.layers.*.post_attention_layernorm.bias", &[HIDDEN]),
    tensor("blk.*.ffn_up.weight", "gpt_neox.layers.*.mlp.dense_h_to_4h.weight", &[FFN, HIDDEN]),
    tensor("blk.*.ffn_up.bias", "gpt_neox.layers.*.mlp.dense_h_to_4h.bias", &[FFN]),
    tensor("blk.*.ffn_down.weight", "gpt_neox.layers.*.mlp.dense_4h_to_h.weight", &[HIDDEN, FFN]),
    tensor("blk.*.ffn_down.bias", "gpt_neox.layers.*.mlp.dense_4h_to_h.bias", &[HIDDEN]),
];

const KEYS: &[KeyRule] = &[
    key("context_length", "max_position_embeddings", Kind::U32, Required),
    key("embedding_length", "hidden_size", Kind::U32, Required),
    key("block_count", "num_hidden_layers", Kind::U32, Required),
    key("feed_forward_length", "intermediate_size", Kind::U32, Required),
    key("attention.head_count", "num_attention_heads", Kind::U32, Required),
    derived("attention.head_count_kv", Kind::U32, Same("attention.head_count")),
    derived("attention.key_length", Kind::U32, HeadWidth),
    derived("attention.value_length", Kind::U32, Same("attention.key_length")),
    derived("rope.dimension_count", Kind::U32, Same("attention.key_length")),
    key("rope.freq_base", "rotary_emb_base", Kind::F32, Default(10_000.0)),
    key("use_parallel_residual", "use_parallel_residual", Kind::Bool, Flag(true)),
    key("attention.layer_norm_epsilon", "layer_norm_eps", Kind::F32, Required),
    key("vocab_size", "vocab_size", Kind::U32, Tokens),
];

pub(super) const FAMILY: Family = Family {
    architecture: "gptneox",
    model_types: &["gpt_neox"],
    tensors: &[VOCABULARY, BLOCK],
    keys: &[KEYS, shared::SCALING_AND_WINDOWS],
    config_defaults: &[("gpt_neox", &[("context_length", 2048.0), ("attention.layer_norm_epsilon", 1e-5)])],
    limits: &[
        ("attention.head_count_kv", Only::Same("attention.head_count")),
        ("attention.value_length", Only::Same("attention.key_length")),
        // The tensors have the biases.
        ("attention_bias", Only::On),
        ("hidden_act", Only::Words(&["gelu"])),
        ("partial_rotary_factor", Only::Any),
        ("rotary_pct", Only::Any),
    ],
    windows: Windows::AllByFlag,
    rotated_part: Some(0.25),
    ..shared::FAMILY
};
