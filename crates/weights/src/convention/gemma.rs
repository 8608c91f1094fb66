//! Gemma 3: layers with a sliding window between layers without one, and a rotation of its own for each of the two kinds.
//! Norms stand before and after each part of a block. Heads have QK-norm, and the gate is GELU in its tanh form.

use super::{
    Config, Fallback, Family, Keys, Kind, TensorRule,
    known::Only,
    shared::{self, EPSILON, FFN, HEAD, HIDDEN, KV, Q, derived, gains_less_one, key, tensor},
    windows::{self, Windows},
};
use crate::{Error, Metadata, Value, value::narrow};

/// transformers' defaults, which the text part of a larger model relies on.
const DEFAULTS: &[(&str, f64)] = &[
    EPSILON,
    ("block_count", 26.0),
    ("context_length", 131_072.0),
    ("embedding_length", 2304.0),
    ("feed_forward_length", 9216.0),
    ("attention.head_count", 8.0),
    ("attention.head_count_kv", 4.0),
    ("attention.key_length", 256.0),
    ("attention.value_length", 256.0),
    ("rope.dimension_count", 256.0),
    ("rope.freq_base", 1_000_000.0),
    ("vocab_size", 262_208.0),
    (windows::WIDTH, 4096.0),
];

const BLOCK: &[TensorRule] = &[
    gains_less_one("blk.*.attn_norm.weight", "model.layers.*.input_layernorm.weight", &[HIDDEN]),
    tensor("blk.*.attn_q.weight", "model.layers.*.self_attn.q_proj.weight", &[Q, HIDDEN]),
    tensor("blk.*.attn_k.weight", "model.layers.*.self_attn.k_proj.weight", &[KV, HIDDEN]),
    tensor("blk.*.attn_v.weight", "model.layers.*.self_attn.v_proj.weight", &[KV, HIDDEN]),
    tensor("blk.*.attn_output.weight", "model.layers.*.self_attn.o_proj.weight", &[HIDDEN, Q]),
    gains_less_one("blk.*.attn_q_norm.weight", "model.layers.*.self_attn.q_norm.weight", &[HEAD]),
    gains_less_one("blk.*.attn_k_norm.weight", "model.layers.*.self_attn.k_norm.weight", &[HEAD]),
    gains_less_one(
        "blk.*.post_attention_norm.weight",
        "model.layers.*.post_attention_layernorm.weight",
        &[HIDDEN],
    ),
    gains_less_one("blk.*.ffn_norm.weight", "model.layers.*.pre_feedforward_layernorm.weight", &[HIDDEN]),
    tensor("blk.*.ffn_gate.weight", "model.layers.*.mlp.gate_proj.weight", &[FFN, HIDDEN]),
    tensor("blk.*.ffn_up.weight", "model.layers.*.mlp.up_proj.weight", &[FFN, HIDDEN]),
    tensor("blk.*.ffn_down.weight", "model.layers.*.mlp.down_proj.weight", &[HIDDEN, FFN]),
    gains_less_one(
        "blk.*.post_ffw_norm.weight",
        "model.layers.*.post_feedforward_layernorm.weight",
        &[HIDDEN],
    ),
];

pub(super) const GEMMA3: Family = Family {
    architecture: "gemma3",
    model_types: &["gemma3_text"],
    tensors: &[
        shared::VOCABULARY,
        &[gains_less_one("output_norm.weight", "model.norm.weight", &[HIDDEN])],
        BLOCK,
    ],
    keys: &[
        shared::KEYS,
        &[
            key("rope.freq_base_swa", "rope_local_base_freq", Kind::F32, Fallback::Number(10_000.0)),
            // Before the shared keys, whose default is no pattern.
            derived(windows::PATTERN, Kind::Other, Fallback::Count(6)),
            derived("attention.scale", Kind::F32, Fallback::Computed(scale_of_27b)),
        ],
        shared::SCALING_AND_WINDOWS,
    ],
    config_defaults: &[("gemma3_text", DEFAULTS)],
    limits: &[
        ("attention.value_length", Only::Same("attention.key_length")),
        ("hidden_act", Only::Words(&["gelu_pytorch_tanh"])),
        ("hidden_activation", Only::Words(&["gelu_pytorch_tanh"])),
        ("query_pre_attn_scalar", Only::Any),
    ],
    tied: true,
    windows: Windows::Alternating,
    derive,
    ..shared::FAMILY
};

/// The scale of attention where it is not one over the root of the head width.
fn derive(config: &Config<'_>, metadata: &mut Metadata) -> Result<(), Error> {
    let head = metadata.find::<u32>(&GEMMA3.key("attention.key_length"))?;
    let scalar = config.size("query_pre_attn_scalar", Some(256))?;
    if head != Some(scalar) {
        metadata.set(GEMMA3.key("attention.scale"), one_over_root(f64::from(scalar)));
    }
    Ok(())
}

/// The scale of a file: llama.cpp takes a model of 62 layers for Gemma 3 27B, which divides by hidden width / heads.
fn scale_of_27b(keys: Keys<'_>) -> Option<Value> {
    let sizes = ["embedding_length", "attention.head_count"].map(|it| keys.size_or_zero(it) as f64);
    (keys.size_or_zero("block_count") == 62 && sizes[1] > 0.0).then(|| one_over_root(sizes[0] / sizes[1]))
}

fn one_over_root(it: f64) -> Value {
    Value::F32(narrow(1.0 / it.sqrt()))
}
