//! Qwen3.5, dense and with experts: layers of Gated `DeltaNet` (Yang et al. 2024) between layers of gated attention.
//!
//! GGUF stores the gains of most norms plus one, and −exp of the decay's logarithm. Its filters have no dimension of one.
//! Its value heads are in an order that repeats the key heads.

use super::{
    Config,
    Dim::{self, Key, Number, Product, Quotient, Sum},
    Fallback::{Absent, Count, Flag, Required},
    Family, KeyRule, Keys, Kind, LayerKind, TensorRule,
    Transform::ValueHeads,
    kinds::{INTERVAL, RECURRENT, every},
    known::Only,
    lookup, moe,
    shared::{self, EPSILON, HEAD, HEADS, HIDDEN, KV, Q, derived, gains_less_one, key, tensor},
    transform::Tiled,
    windows::Windows,
};
use crate::{Array, Error, Metadata, Value};

use serde_json::Value as Json;

const VALUE_HEADS: Dim = Key("ssm.time_step_rank");
/// All value heads.
const VALUES: Dim = Key("ssm.inner_size");
/// All query heads of Gated `DeltaNet`, or all key heads.
const KEYS_WIDTH: Dim = Product(&[Key("ssm.group_count"), Key("ssm.state_size")]);
const QKV: Dim = Sum(&[KEYS_WIDTH, KEYS_WIDTH, VALUES]);
const VALUE_HEAD: Dim = Quotient(&[VALUES, VALUE_HEADS]);

fn is_recurrent(layer: usize, keys: Keys<'_>) -> bool {
    let kinds = super::layer_kinds(keys.family, keys.metadata);
    kinds.is_ok_and(|kinds| kinds.get(layer) == Some(&LayerKind::Recurrent))
}

const fn recurrent(gguf: &'static str, hf: &'static str, shape: &'static [Dim], tiled: Tiled) -> TensorRule {
    TensorRule { layers: is_recurrent, transform: ValueHeads(tiled), ..tensor(gguf, hf, shape) }
}

const fn full(rule: TensorRule) -> TensorRule {
    TensorRule { layers: |layer, keys| !is_recurrent(layer, keys), ..rule }
}

/// Norms of the residual stream.
const NORMS: &[TensorRule] = &[
    gains_less_one("output_norm.weight", "model.norm.weight", &[HIDDEN]),
    gains_less_one("blk.*.attn_norm.weight", "model.layers.*.input_layernorm.weight", &[HIDDEN]),
    gains_less_one(
        "blk.*.post_attention_norm.weight",
        "model.layers.*.post_attention_layernorm.weight",
        &[HIDDEN],
    ),
];

/// Attention to all tokens. Each query head is followed by its gate.
const ATTENTION: &[TensorRule] = &[
    full(tensor(
        "blk.*.attn_q.weight",
        "model.layers.*.self_attn.q_proj.weight",
        &[Product(&[Number(2), HEADS, HEAD]), HIDDEN],
    )),
    full(tensor("blk.*.attn_k.weight", "model.layers.*.self_attn.k_proj.weight", &[KV, HIDDEN])),
    full(tensor("blk.*.attn_v.weight", "model.layers.*.self_attn.v_proj.weight", &[KV, HIDDEN])),
    full(tensor("blk.*.attn_output.weight", "model.layers.*.self_attn.o_proj.weight", &[HIDDEN, Q])),
    full(gains_less_one("blk.*.attn_q_norm.weight", "model.layers.*.self_attn.q_norm.weight", &[HEAD])),
    full(gains_less_one("blk.*.attn_k_norm.weight", "model.layers.*.self_attn.k_norm.weight", &[HEAD])),
];

const DELTA_NET: &[TensorRule] = &[
    recurrent(
        "blk.*.attn_qkv.weight",
        "model.layers.*.linear_attn.in_proj_qkv.weight",
        &[QKV, HIDDEN],
        Tiled::RowsBehindKeys,
    ),
    recurrent(
        "blk.*.attn_gate.weight",
        "model.layers.*.linear_attn.in_proj_z.weight",
        &[VALUES, HIDDEN],
        Tiled::Rows,
    ),
    recurrent(
        "blk.*.ssm_alpha.weight",
        "model.layers.*.linear_attn.in_proj_a.weight",
        &[VALUE_HEADS, HIDDEN],
        Tiled::Rows,
    ),
    recurrent(
        "blk.*.ssm_beta.weight",
        "model.layers.*.linear_attn.in_proj_b.weight",
        &[VALUE_HEADS, HIDDEN],
        Tiled::Rows,
    ),
    recurrent(
        "blk.*.ssm_conv1d.weight",
        "model.layers.*.linear_attn.conv1d.weight",
        &[QKV, Key("ssm.conv_kernel")],
        Tiled::Filters,
    ),
    recurrent("blk.*.ssm_dt.bias", "model.layers.*.linear_attn.dt_bias", &[VALUE_HEADS], Tiled::Rows),
    recurrent("blk.*.ssm_a", "model.layers.*.linear_attn.A_log", &[VALUE_HEADS], Tiled::Decay),
    TensorRule {
        layers: is_recurrent,
        ..tensor("blk.*.ssm_norm.weight", "model.layers.*.linear_attn.norm.weight", &[VALUE_HEAD])
    },
    recurrent(
        "blk.*.ssm_out.weight",
        "model.layers.*.linear_attn.out_proj.weight",
        &[HIDDEN, VALUES],
        Tiled::Columns,
    ),
];

/// Gated `DeltaNet`'s sizes and its layers.
const KEYS: &[KeyRule] = &[
    key("ssm.conv_kernel", "linear_conv_kernel_dim", Kind::U32, Required),
    key("ssm.state_size", "linear_key_head_dim", Kind::U32, Required),
    key("ssm.group_count", "linear_num_key_heads", Kind::U32, Required),
    key("ssm.time_step_rank", "linear_num_value_heads", Kind::U32, Required),
    derived("ssm.inner_size", Kind::U32, Required),
    derived(RECURRENT, Kind::Other, Absent),
    // llama.cpp's default.
    key(INTERVAL, "full_attention_interval", Kind::U32, Count(4)),
    derived(super::PREDICTION, Kind::U32, Absent),
    // How a position in an image splits the rotation. Those of a text are equal.
    derived("rope.dimension_sections", Kind::Other, Absent),
];

/// transformers' defaults of both.
const DEFAULTS: [(&str, f64); 9] = [
    EPSILON,
    ("context_length", 32_768.0),
    ("attention.key_length", 256.0),
    ("attention.value_length", 256.0),
    ("ssm.conv_kernel", 4.0),
    ("ssm.state_size", 128.0),
    ("ssm.group_count", 16.0),
    ("ssm.time_step_rank", 32.0),
    ("vocab_size", 248_320.0),
];

/// Keys of the multi-token prediction, which does not run, and of how the state was stored in training.
const LIMITS: [(&str, Only); 6] = [
    ("attention.value_length", Only::Same("attention.key_length")),
    ("attn_output_gate", Only::On),
    ("linear_value_head_dim", Only::Any),
    ("mamba_ssm_dtype", Only::Any),
    ("mtp_num_hidden_layers", Only::Any),
    ("partial_rotary_factor", Only::Any),
];

pub(super) const QWEN35: Family = Family {
    architecture: "qwen35",
    model_types: &["qwen3_5_text"],
    tensors: &[shared::VOCABULARY, NORMS, ATTENTION, DELTA_NET, shared::SWIGLU],
    keys: &[shared::KEYS, KEYS, shared::SCALING_AND_WINDOWS],
    config_defaults: &[("qwen3_5_text", &DEFAULTS), ("qwen3_5_text", &[("attention.head_count_kv", 4.0)])],
    limits: &LIMITS,
    layer_types: &["full_attention", "linear_attention"],
    windows: Windows::AllByFlag,
    rotated_part: Some(0.25),
    image_positions: true,
    derive,
    ..shared::FAMILY
};

pub(super) const QWEN35_MOE: Family = Family {
    architecture: "qwen35moe",
    model_types: &["qwen3_5_moe_text"],
    tensors: &[
        shared::VOCABULARY,
        NORMS,
        ATTENTION,
        DELTA_NET,
        moe::EXPERTS,
        moe::EXPERTS_OF_MLX,
        SHARED_EXPERT,
    ],
    keys: &[
        &shared::keys(Absent),
        KEYS,
        moe::KEYS,
        &[
            key("expert_shared_feed_forward_length", "shared_expert_intermediate_size", Kind::U32, Required),
            derived("expert_weights_norm", Kind::Bool, Flag(true)),
        ],
        shared::SCALING_AND_WINDOWS,
    ],
    config_defaults: &[
        ("qwen3_5_moe_text", &DEFAULTS),
        (
            "qwen3_5_moe_text",
            &[
                ("attention.head_count_kv", 2.0),
                ("expert_count", 256.0),
                ("expert_used_count", 8.0),
                ("expert_feed_forward_length", 512.0),
                ("expert_shared_feed_forward_length", 512.0),
            ],
        ),
    ],
    ..QWEN35
};

/// The width of the expert that every token sees.
const SHARED: Dim = Key("expert_shared_feed_forward_length");

/// The expert that every token sees, and its gate.
const SHARED_EXPERT: &[TensorRule] = &[
    tensor(
        "blk.*.ffn_gate_inp_shexp.weight",
        "model.layers.*.mlp.shared_expert_gate.weight",
        &[Number(1), HIDDEN],
    ),
    tensor(
        "blk.*.ffn_gate_shexp.weight",
        "model.layers.*.mlp.shared_expert.gate_proj.weight",
        &[SHARED, HIDDEN],
    ),
    tensor("blk.*.ffn_up_shexp.weight", "model.layers.*.mlp.shared_expert.up_proj.weight", &[SHARED, HIDDEN]),
    tensor(
        "blk.*.ffn_down_shexp.weight",
        "model.layers.*.mlp.shared_expert.down_proj.weight",
        &[HIDDEN, SHARED],
    ),
];

/// The width of all value heads, the kinds of layers, and the sections of the rotation.
fn derive(config: &Config<'_>, metadata: &mut Metadata) -> Result<(), Error> {
    let family = config.family;
    moe::experts(config, metadata)?;
    let values = metadata.u32(&family.key("ssm.time_step_rank"))?;
    let width = config.size("linear_value_head_dim", Some(128))?;
    metadata.set(family.key("ssm.inner_size"), Value::U32(values.saturating_mul(width)));
    let layers = metadata.u32(&family.key("block_count"))? as usize;
    let recurrent = match lookup(config.json, "layer_types").and_then(Json::as_array) {
        Some(types) => types.iter().map(|it| it == "linear_attention").collect(),
        None => every(layers, Some(config.size("full_attention_interval", Some(4))?.max(1))),
    };
    let first_full = recurrent.iter().position(|it| !it).and_then(|it| u32::try_from(it + 1).ok());
    let Some(interval) = first_full.filter(|&n| every(layers, Some(n)) == recurrent) else {
        let types = config.json.get("layer_types").unwrap_or(&Json::Null);
        return Err(config.refuse(
            "layer_types",
            types,
            "every n-th layer must have full attention, and no other",
        ));
    };
    metadata.set(family.key(INTERVAL), Value::U32(interval));
    metadata.set(family.key(RECURRENT), Value::Array(Array::Bool(recurrent)));
    let sections = lookup(config.json, "rope_parameters.mrope_section").and_then(Json::as_array);
    let mut sections: Vec<i32> = match sections {
        Some(all) => all.iter().filter_map(|it| i32::try_from(it.as_i64()?).ok()).collect(),
        None => vec![11, 11, 10],
    };
    sections.resize(4, 0);
    metadata.set(family.key("rope.dimension_sections"), Value::Array(Array::I32(sections)));
    Ok(())
}
