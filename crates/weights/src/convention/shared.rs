//! Tensors and keys that families share: those of a pre-norm block with a SwiGLU feed-forward network.

use crate::rope::ATTENTION_FACTOR;

use super::{
    Dim::{self, Key, Product},
    Fallback::{self, Absent, HeadWidth, Number, Required, Same, Tokens},
    Family, KeyRule, Kind,
    Presence::{self, Always, Untied},
    RopePairing, TensorRule, Transform,
    known::Only,
    windows::{self, Windows},
};

pub(super) const HIDDEN: Dim = Key("embedding_length");
pub(super) const VOCAB: Dim = Key("vocab_size");
pub(super) const FFN: Dim = Key("feed_forward_length");
pub(super) const HEADS: Dim = Key("attention.head_count");
pub(super) const KV_HEADS: Dim = Key("attention.head_count_kv");
/// The width of a head.
pub(super) const HEAD: Dim = Key("attention.key_length");
/// The width of all query heads.
pub(super) const Q: Dim = Product(&[HEADS, HEAD]);
/// The width of all key heads, or of all value heads.
pub(super) const KV: Dim = Product(&[KV_HEADS, HEAD]);

/// `general.type` of a file with all weights of a text model.
pub(super) const MODEL: &str = "model";

/// What most families have in common. A family adds its name, its tensors and its defaults.
pub(super) const FAMILY: Family = Family {
    architecture: "",
    file_type: MODEL,
    model_types: &[],
    gguf_pairing: RopePairing::HalfSplit,
    folder_pairing: RopePairing::HalfSplit,
    tensors: &[],
    keys: &[KEYS, SCALING_AND_WINDOWS],
    config_defaults: &[],
    limits: &[("attention.value_length", Only::Same("attention.key_length")), YARN_LIMITS[0], YARN_LIMITS[1]],
    optional_bias: false,
    tied: false,
    layer_types: &["full_attention", "sliding_attention"],
    windows: Windows::All,
    rotated_part: None,
    image_positions: false,
    derive: |_, _| Ok(()),
};

/// A tensor that every layer has, in the same form in both containers.
pub(super) const fn tensor(gguf: &'static str, hf: &'static str, shape: &'static [Dim]) -> TensorRule {
    TensorRule {
        gguf,
        hf,
        shape,
        presence: Always,
        layers: |_, _| true,
        rotary: None,
        transform: Transform::Same,
    }
}

/// The gains of a norm that a folder stores as their distance from one.
pub(super) const fn gains_less_one(
    gguf: &'static str,
    hf: &'static str,
    shape: &'static [Dim],
) -> TensorRule {
    TensorRule { transform: Transform::AddOne, ..tensor(gguf, hf, shape) }
}

pub(super) const fn key(suffix: &'static str, hf: &'static str, kind: Kind, default: Fallback) -> KeyRule {
    KeyRule { suffix, hf: Some(hf), kind, default }
}

/// A key that a folder has in another form.
pub(super) const fn derived(suffix: &'static str, kind: Kind, default: Fallback) -> KeyRule {
    KeyRule { suffix, hf: None, kind, default }
}

/// The token embedding and the output head.
pub(super) const VOCABULARY: &[TensorRule] = &[
    tensor(super::EMBEDDING, "model.embed_tokens.weight", &[VOCAB, HIDDEN]),
    TensorRule { presence: Untied, ..tensor(super::OUTPUT, "lm_head.weight", &[VOCAB, HIDDEN]) },
];

/// The token embedding, the last norm and the output head.
pub(super) const EMBEDDING_AND_HEAD: &[TensorRule] = &[
    tensor(super::EMBEDDING, "model.embed_tokens.weight", &[VOCAB, HIDDEN]),
    tensor("output_norm.weight", "model.norm.weight", &[HIDDEN]),
    TensorRule { presence: Untied, ..tensor(super::OUTPUT, "lm_head.weight", &[VOCAB, HIDDEN]) },
];

/// Attention, with the norms of a block.
pub(super) const ATTENTION: &[TensorRule] = &[
    tensor("blk.*.attn_norm.weight", "model.layers.*.input_layernorm.weight", &[HIDDEN]),
    TensorRule {
        rotary: Some(HEADS),
        ..tensor("blk.*.attn_q.weight", "model.layers.*.self_attn.q_proj.weight", &[Q, HIDDEN])
    },
    TensorRule {
        rotary: Some(KV_HEADS),
        ..tensor("blk.*.attn_k.weight", "model.layers.*.self_attn.k_proj.weight", &[KV, HIDDEN])
    },
    tensor("blk.*.attn_v.weight", "model.layers.*.self_attn.v_proj.weight", &[KV, HIDDEN]),
    tensor("blk.*.attn_output.weight", "model.layers.*.self_attn.o_proj.weight", &[HIDDEN, Q]),
    tensor("blk.*.ffn_norm.weight", "model.layers.*.post_attention_layernorm.weight", &[HIDDEN]),
];

/// A SwiGLU feed-forward network.
pub(super) const SWIGLU: &[TensorRule] = &[
    tensor("blk.*.ffn_gate.weight", "model.layers.*.mlp.gate_proj.weight", &[FFN, HIDDEN]),
    tensor("blk.*.ffn_up.weight", "model.layers.*.mlp.up_proj.weight", &[FFN, HIDDEN]),
    tensor("blk.*.ffn_down.weight", "model.layers.*.mlp.down_proj.weight", &[HIDDEN, FFN]),
];

/// The biases of the Q, K and V projections.
pub(super) const fn biases(presence: Presence) -> [TensorRule; 3] {
    let q = tensor("blk.*.attn_q.bias", "model.layers.*.self_attn.q_proj.bias", &[Q]);
    let k = tensor("blk.*.attn_k.bias", "model.layers.*.self_attn.k_proj.bias", &[KV]);
    let v = tensor("blk.*.attn_v.bias", "model.layers.*.self_attn.v_proj.bias", &[KV]);
    [
        TensorRule { presence, rotary: Some(HEADS), ..q },
        TensorRule { presence, rotary: Some(KV_HEADS), ..k },
        TensorRule { presence, ..v },
    ]
}

/// The bias of attention's output projection.
pub(super) const fn output_bias(presence: Presence) -> TensorRule {
    let rule = tensor("blk.*.attn_output.bias", "model.layers.*.self_attn.o_proj.bias", &[HIDDEN]);
    TensorRule { presence, ..rule }
}

/// QK-norm: the norms of query and key heads.
pub(super) const HEAD_NORMS: &[TensorRule] = &[
    tensor("blk.*.attn_q_norm.weight", "model.layers.*.self_attn.q_norm.weight", &[HEAD]),
    tensor("blk.*.attn_k_norm.weight", "model.layers.*.self_attn.k_norm.weight", &[HEAD]),
];

/// The ε of the norms without `rms_norm_eps`.
pub(super) const EPSILON: (&str, f64) = ("attention.layer_norm_rms_epsilon", 1e-6);

/// Sizes and constants.
pub(super) const KEYS: &[KeyRule] = &keys(Required);

/// [`KEYS`] with a feed-forward width that a model may lack.
pub(super) const fn keys(feed_forward_length: Fallback) -> [KeyRule; 12] {
    [
        key("block_count", "num_hidden_layers", Kind::U32, Required),
        key("context_length", "max_position_embeddings", Kind::U32, Required),
        key("embedding_length", "hidden_size", Kind::U32, Required),
        key("feed_forward_length", "intermediate_size", Kind::U32, feed_forward_length),
        key("attention.head_count", "num_attention_heads", Kind::U32, Required),
        key("attention.head_count_kv", "num_key_value_heads", Kind::U32, Same("attention.head_count")),
        derived("rope.freq_base", Kind::F32, Number(10_000.0)),
        key("attention.layer_norm_rms_epsilon", "rms_norm_eps", Kind::F32, Required),
        key("attention.key_length", "head_dim", Kind::U32, HeadWidth),
        key("attention.value_length", "head_dim", Kind::U32, Same("attention.key_length")),
        key("vocab_size", "vocab_size", Kind::U32, Tokens),
        key("rope.dimension_count", "head_dim", Kind::U32, Same("attention.key_length")),
    ]
}

/// Keys of GGUF that would change [`YARN`].
pub(super) const YARN_LIMITS: [(&str, Only); 2] = [
    ("rope.scaling.yarn_ext_factor", Only::Numbers(&[-1.0, 1.0])),
    ("rope.scaling.yarn_log_multiplier", Only::Off),
];

/// `YaRN` as transformers has it for most families: it also multiplies cosines and sines. The last is llama.cpp's key for a
/// further multiplier.
pub(super) const YARN: &[KeyRule] = &[
    derived("rope.scaling.yarn_beta_fast", Kind::F32, Absent),
    derived("rope.scaling.yarn_beta_slow", Kind::F32, Absent),
    derived(ATTENTION_FACTOR, Kind::F32, Absent),
];

/// Scaling of the rotation, and sliding windows.
pub(super) const SCALING_AND_WINDOWS: &[KeyRule] = &[
    derived("rope.scaling.type", Kind::Str, Absent),
    derived("rope.scaling.factor", Kind::F32, Absent),
    derived("rope.scaling.low_freq_factor", Kind::F32, Absent),
    derived("rope.scaling.high_freq_factor", Kind::F32, Absent),
    derived("rope.scaling.original_context_length", Kind::U32, Absent),
    // llama.cpp's key for the factor until August 2023.
    derived("rope.scale_linear", Kind::F32, Absent),
    derived(windows::WIDTH, Kind::U32, Absent),
    derived(windows::PATTERN, Kind::Other, Absent),
];
