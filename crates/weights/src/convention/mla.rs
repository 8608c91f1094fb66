//! Multi-head latent attention (MLA): keys and values come from one narrow latent vector per token. PLM has no compression of
//! queries and a `ReLU²` network without a gate; `DeepSeek-V2` has mixtures of experts behind leading dense layers.
//!
//! Both containers rotate adjacent elements, in the rotated part of each head alone.

use super::{
    Config,
    Dim::{self, Difference, Key, Product, Sum},
    Fallback::{self, Absent, Computed, Flag, Number, Required, Same, Tokens},
    Family, KeyRule, Keys, Kind,
    Presence::Sometimes,
    RopePairing, TensorRule, Transform,
    known::Only,
    moe,
    shared::{self, EPSILON, FFN, HEADS, HIDDEN, derived, key, tensor},
};
use crate::{Error, Metadata, Value, rope::YARN_MAGNITUDE, value::narrow};

/// The latent vector.
const LATENT: Dim = Key("attention.kv_lora_rank");
/// The part of a query or key head that is rotated.
const ROTATED: Dim = Key("rope.dimension_count");
/// A query or key head.
const KEY: Dim = Key("attention.key_length_mla");
/// The part of it that is not rotated.
const PLAIN: Dim = Difference(&[KEY, ROTATED]);
const VALUE: Dim = Key("attention.value_length_mla");
/// The compressed queries.
const QUERY_LATENT: Dim = Key("attention.q_lora_rank");

const Q: &[Dim] = &[Product(&[HEADS, KEY]), HIDDEN];

/// Norms, the latent vector, and the output projection.
const ATTENTION: &[TensorRule] = &[
    tensor("blk.*.attn_norm.weight", "model.layers.*.input_layernorm.weight", &[HIDDEN]),
    tensor(
        "blk.*.attn_kv_a_mqa.weight",
        "model.layers.*.self_attn.kv_a_proj_with_mqa.weight",
        &[Sum(&[LATENT, ROTATED]), HIDDEN],
    ),
    tensor("blk.*.attn_kv_a_norm.weight", "model.layers.*.self_attn.kv_a_layernorm.weight", &[LATENT]),
    tensor(
        "blk.*.attn_output.weight",
        "model.layers.*.self_attn.o_proj.weight",
        &[HIDDEN, Product(&[HEADS, VALUE])],
    ),
    tensor("blk.*.ffn_norm.weight", "model.layers.*.post_attention_layernorm.weight", &[HIDDEN]),
];

/// Keys and values of all heads from the latent vector.
const EXPANSION: &[Dim] = &[Product(&[HEADS, Sum(&[PLAIN, VALUE])]), LATENT];

const PLM_BLOCK: &[TensorRule] = &[
    tensor("blk.*.attn_q.weight", "model.layers.*.self_attn.q_proj.weight", Q),
    tensor("blk.*.attn_kv_b.weight", "model.layers.*.self_attn.kv_b_proj.weight", EXPANSION),
    tensor("blk.*.ffn_up.weight", "model.layers.*.mlp.up_proj.weight", &[FFN, HIDDEN]),
    tensor("blk.*.ffn_down.weight", "model.layers.*.mlp.down_proj.weight", &[HIDDEN, FFN]),
];

fn compressed(_: usize, keys: Keys<'_>) -> bool {
    keys.size_or_zero("attention.q_lora_rank") > 0
}

const DEEPSEEK_BLOCK: &[TensorRule] = &[
    TensorRule {
        layers: |layer, keys| !compressed(layer, keys),
        ..tensor("blk.*.attn_q.weight", "model.layers.*.self_attn.q_proj.weight", Q)
    },
    TensorRule {
        layers: compressed,
        ..tensor("blk.*.attn_q_a.weight", "model.layers.*.self_attn.q_a_proj.weight", &[QUERY_LATENT, HIDDEN])
    },
    TensorRule {
        layers: compressed,
        ..tensor(
            "blk.*.attn_q_a_norm.weight",
            "model.layers.*.self_attn.q_a_layernorm.weight",
            &[QUERY_LATENT],
        )
    },
    TensorRule {
        layers: compressed,
        ..tensor(
            "blk.*.attn_q_b.weight",
            "model.layers.*.self_attn.q_b_proj.weight",
            &[Product(&[HEADS, KEY]), QUERY_LATENT],
        )
    },
    TensorRule {
        transform: Transform::KeyOfLatent,
        ..tensor(
            "blk.*.attn_k_b.weight",
            "model.layers.*.self_attn.kv_b_proj.weight",
            &[HEADS, LATENT, PLAIN],
        )
    },
    TensorRule {
        transform: Transform::ValueOfLatent,
        ..tensor(
            "blk.*.attn_v_b.weight",
            "model.layers.*.self_attn.kv_b_proj.weight",
            &[HEADS, VALUE, LATENT],
        )
    },
    // Files of before May 2025 have both in one.
    TensorRule { presence: Sometimes, ..tensor("blk.*.attn_kv_b.weight", "", EXPANSION) },
];

/// The keys of both families. The widths of heads are those of `*_mla`; files of before have them without that ending.
const fn keys(key_length: Fallback, value_length: Fallback, feed_forward_length: Fallback) -> [KeyRule; 14] {
    [
        key("block_count", "num_hidden_layers", Kind::U32, Required),
        key("context_length", "max_position_embeddings", Kind::U32, Required),
        key("embedding_length", "hidden_size", Kind::U32, Required),
        key("feed_forward_length", "intermediate_size", Kind::U32, feed_forward_length),
        key("attention.head_count", "num_attention_heads", Kind::U32, Required),
        derived("attention.head_count_kv", Kind::U32, Same("attention.head_count")),
        derived("rope.freq_base", Kind::F32, Number(10_000.0)),
        key("attention.layer_norm_rms_epsilon", "rms_norm_eps", Kind::F32, Required),
        key("vocab_size", "vocab_size", Kind::U32, Tokens),
        key("attention.kv_lora_rank", "kv_lora_rank", Kind::U32, Required),
        derived("attention.key_length", Kind::U32, key_length),
        derived("attention.value_length", Kind::U32, value_length),
        derived("attention.key_length_mla", Kind::U32, Same("attention.key_length")),
        derived("attention.value_length_mla", Kind::U32, Same("attention.value_length")),
    ]
}

/// The rotated part, which neither container can leave out.
const ROTATION: &[KeyRule] = &[key("rope.dimension_count", "qk_rope_head_dim", Kind::U32, Required)];

const DEEPSEEK_KEYS: &[KeyRule] = &[
    key("attention.q_lora_rank", "q_lora_rank", Kind::U32, Absent),
    key("leading_dense_block_count", "first_k_dense_replace", Kind::U32, Fallback::Count(0)),
    key("expert_count", "n_routed_experts", Kind::U32, Required),
    key("expert_used_count", "num_experts_per_tok", Kind::U32, Required),
    key("expert_shared_count", "n_shared_experts", Kind::U32, Required),
    key("expert_feed_forward_length", "moe_intermediate_size", Kind::U32, Required),
    key("expert_group_count", "n_group", Kind::U32, Absent),
    key("expert_group_used_count", "topk_group", Kind::U32, Absent),
    key("expert_weights_scale", "routed_scaling_factor", Kind::F32, Number(1.0)),
    key("expert_weights_norm", "norm_topk_prob", Kind::Bool, Flag(false)),
    derived(YARN_MAGNITUDE, Kind::F32, Absent),
    derived("rope.scaling.yarn_beta_fast", Kind::F32, Absent),
    derived("rope.scaling.yarn_beta_slow", Kind::F32, Absent),
    derived("attention.scale", Kind::F32, Computed(scale_of_yarn)),
];

/// The scale of attention in a context that `YaRN` extends: the usual one times (0.1 · magnitude · ln factor + 1)². Formula:
/// `DeepseekV2Attention` of the authors' `modeling_deepseek.py`.
fn scale_of_yarn(keys: Keys<'_>) -> Option<Value> {
    let find =
        |suffix: &str| keys.metadata.find::<f32>(&keys.family.key(suffix)).ok().flatten().map(f64::from);
    let kind = keys.metadata.find::<&str>(&keys.family.key("rope.scaling.type")).ok().flatten();
    let (magnitude, factor) = (find(YARN_MAGNITUDE)?, find("rope.scaling.factor")?);
    let head = keys.size_or_zero("attention.key_length_mla") as f64;
    let scale = (magnitude * factor.ln() + 1.0).powi(2) / head.sqrt();
    (kind == Some("yarn") && factor > 1.0 && head > 0.0).then(|| Value::F32(narrow(scale)))
}

pub(super) const PLM: Family = Family {
    architecture: "plm",
    model_types: &["plm"],
    gguf_pairing: RopePairing::Interleaved,
    folder_pairing: RopePairing::Interleaved,
    tensors: &[shared::EMBEDDING_AND_HEAD, ATTENTION, PLM_BLOCK],
    keys: &[&keys(Required, Required, Required), ROTATION, shared::SCALING_AND_WINDOWS],
    config_defaults: &[("plm", &[EPSILON])],
    limits: &[
        ("attention.head_count_kv", Only::Same("attention.head_count")),
        ("hidden_act", Only::Words(&["relu2"])),
        ("num_key_value_heads", Only::Same("attention.head_count")),
        ("q_lora_rank", Only::Off),
        ("qk_nope_head_dim", Only::Any),
        ("v_head_dim", Only::Any),
    ],
    derive: |config, metadata| expanded(config, metadata).map(drop),
    ..shared::FAMILY
};

pub(super) const DEEPSEEK2: Family = Family {
    architecture: "deepseek2",
    model_types: &["deepseek_v2"],
    tensors: &[
        shared::EMBEDDING_AND_HEAD,
        ATTENTION,
        DEEPSEEK_BLOCK,
        moe::LEADING_DENSE,
        moe::EXPERTS,
        moe::EXPERTS_OF_MLX,
        moe::SHARED_EXPERTS,
    ],
    keys: &[&keys(Required, Required, Required), ROTATION, DEEPSEEK_KEYS, shared::SCALING_AND_WINDOWS],
    config_defaults: &[(
        "deepseek_v2",
        &[EPSILON, ("context_length", 2048.0), ("attention.q_lora_rank", 1536.0)],
    )],
    limits: &[
        ("aux_loss_alpha", Only::Any),
        // One group of experts is no group.
        ("expert_group_count", Only::Numbers(&[0.0, 1.0])),
        ("expert_group_used_count", Only::Numbers(&[0.0, 1.0])),
        ("head_dim", Only::Same("rope.dimension_count")),
        ("moe_layer_freq", Only::Numbers(&[1.0])),
        ("n_group", Only::Numbers(&[1.0])),
        // transformers ignores it, and the authors' code does not.
        ("norm_topk_prob", Only::Off),
        ("num_key_value_heads", Only::Same("attention.head_count")),
        ("qk_head_dim", Only::Same("attention.key_length_mla")),
        ("qk_nope_head_dim", Only::Any),
        ("rope.scaling.yarn_ext_factor", Only::Numbers(&[-1.0, 1.0])),
        ("rope_interleave", Only::On),
        ("scoring_func", Only::Words(&["softmax"])),
        ("seq_aux", Only::Any),
        ("topk_group", Only::Numbers(&[1.0])),
        ("topk_method", Only::Words(&["greedy"])),
        ("v_head_dim", Only::Any),
    ],
    derive: absorbed,
    ..PLM
};

/// Widths of keys and values of expanded heads, and of the latent vector.
fn expanded(config: &Config<'_>, metadata: &mut Metadata) -> Result<[u32; 4], Error> {
    let plain = config.size("qk_nope_head_dim", Some(128))?;
    let rotated = config.size("qk_rope_head_dim", Some(64))?;
    let value = config.size("v_head_dim", Some(128))?;
    let latent = config.size("kv_lora_rank", Some(512))?;
    let mut set = |suffix: &str, it: u32| metadata.set(config.family.key(suffix), Value::U32(it));
    set("attention.key_length", plain.saturating_add(rotated));
    set("attention.value_length", value);
    set("attention.kv_lora_rank", latent);
    set("rope.dimension_count", rotated);
    Ok([plain, rotated, value, latent])
}

/// Widths of heads that share one key and value, the latent vector: llama.cpp's form since May 2025.
fn absorbed(config: &Config<'_>, metadata: &mut Metadata) -> Result<(), Error> {
    let [plain, rotated, value, latent] = expanded(config, metadata)?;
    let mut set = |suffix: &str, it: u32| metadata.set(config.family.key(suffix), Value::U32(it));
    set("attention.key_length_mla", plain.saturating_add(rotated));
    set("attention.value_length_mla", value);
    set("attention.key_length", latent.saturating_add(rotated));
    set("attention.value_length", latent);
    set("attention.head_count_kv", 1);
    Ok(())
}
