//! Mixtures of experts: the tensors that families share, and Qwen3-MoE. GGUF stacks the experts of a layer.

use super::{
    Dim::{self, Key, Product},
    Fallback::{Flag, Required},
    Family, KeyRule, Keys, Kind,
    Presence::Sometimes,
    TensorRule, Transform,
    known::Only,
    shared::{self, EPSILON, FFN, HIDDEN, key, tensor},
    windows::Windows,
};

const N_EXPERTS: Dim = Key("expert_count");
const EXPERT_FFN: Dim = Key("expert_feed_forward_length");

fn is_dense(layer: usize, keys: Keys<'_>) -> bool {
    layer < keys.size_or_zero("leading_dense_block_count")
}

fn is_sparse(layer: usize, keys: Keys<'_>) -> bool {
    !is_dense(layer, keys)
}

const fn dense(rule: TensorRule) -> TensorRule {
    TensorRule { layers: is_dense, ..rule }
}

/// A tensor of the layers with experts.
pub(super) const fn sparse(rule: TensorRule) -> TensorRule {
    TensorRule { layers: is_sparse, ..rule }
}

const fn stacked(gguf: &'static str, hf: &'static str, shape: &'static [Dim]) -> TensorRule {
    sparse(TensorRule { transform: Transform::StackExperts, ..tensor(gguf, hf, shape) })
}

/// A form that some folders have in place of [`EXPERTS`].
const fn already_stacked(
    gguf: &'static str,
    hf: &'static str,
    shape: &'static [Dim],
    transform: Transform,
) -> TensorRule {
    sparse(TensorRule { presence: Sometimes, transform, ..tensor(gguf, hf, shape) })
}

/// The feed-forward network of layers before the first one with experts.
pub(super) const LEADING_DENSE: &[TensorRule] = &[
    dense(tensor("blk.*.ffn_gate.weight", "model.layers.*.mlp.gate_proj.weight", &[FFN, HIDDEN])),
    dense(tensor("blk.*.ffn_up.weight", "model.layers.*.mlp.up_proj.weight", &[FFN, HIDDEN])),
    dense(tensor("blk.*.ffn_down.weight", "model.layers.*.mlp.down_proj.weight", &[HIDDEN, FFN])),
];

/// The router and its experts.
pub(super) const EXPERTS: &[TensorRule] = &[
    sparse(tensor("blk.*.ffn_gate_inp.weight", "model.layers.*.mlp.gate.weight", &[N_EXPERTS, HIDDEN])),
    stacked(
        "blk.*.ffn_gate_exps.weight",
        "model.layers.*.mlp.experts.#.gate_proj.weight",
        &[N_EXPERTS, EXPERT_FFN, HIDDEN],
    ),
    stacked(
        "blk.*.ffn_up_exps.weight",
        "model.layers.*.mlp.experts.#.up_proj.weight",
        &[N_EXPERTS, EXPERT_FFN, HIDDEN],
    ),
    stacked(
        "blk.*.ffn_down_exps.weight",
        "model.layers.*.mlp.experts.#.down_proj.weight",
        &[N_EXPERTS, HIDDEN, EXPERT_FFN],
    ),
    // transformers 5 stacks them too.
    already_stacked(
        "blk.*.ffn_gate_exps.weight",
        "model.layers.*.mlp.experts.gate_up_proj",
        &[N_EXPERTS, EXPERT_FFN, HIDDEN],
        Transform::GateOfPair,
    ),
    already_stacked(
        "blk.*.ffn_up_exps.weight",
        "model.layers.*.mlp.experts.gate_up_proj",
        &[N_EXPERTS, EXPERT_FFN, HIDDEN],
        Transform::UpOfPair,
    ),
    already_stacked(
        "blk.*.ffn_down_exps.weight",
        "model.layers.*.mlp.experts.down_proj",
        &[N_EXPERTS, HIDDEN, EXPERT_FFN],
        Transform::Same,
    ),
];

/// [`EXPERTS`] as mlx-lm stacks them.
pub(super) const EXPERTS_OF_MLX: &[TensorRule] = &[
    already_stacked(
        "blk.*.ffn_gate_exps.weight",
        "model.layers.*.mlp.switch_mlp.gate_proj.weight",
        &[N_EXPERTS, EXPERT_FFN, HIDDEN],
        Transform::Same,
    ),
    already_stacked(
        "blk.*.ffn_up_exps.weight",
        "model.layers.*.mlp.switch_mlp.up_proj.weight",
        &[N_EXPERTS, EXPERT_FFN, HIDDEN],
        Transform::Same,
    ),
    already_stacked(
        "blk.*.ffn_down_exps.weight",
        "model.layers.*.mlp.switch_mlp.down_proj.weight",
        &[N_EXPERTS, HIDDEN, EXPERT_FFN],
        Transform::Same,
    ),
];

/// The width of the experts that every token sees.
const SHARED: Dim = Product(&[EXPERT_FFN, Key("expert_shared_count")]);

/// `DeepSeek`'s experts that every token sees, as one network.
pub(super) const SHARED_EXPERTS: &[TensorRule] = &[
    sparse(tensor(
        "blk.*.ffn_gate_shexp.weight",
        "model.layers.*.mlp.shared_experts.gate_proj.weight",
        &[SHARED, HIDDEN],
    )),
    sparse(tensor(
        "blk.*.ffn_up_shexp.weight",
        "model.layers.*.mlp.shared_experts.up_proj.weight",
        &[SHARED, HIDDEN],
    )),
    sparse(tensor(
        "blk.*.ffn_down_shexp.weight",
        "model.layers.*.mlp.shared_experts.down_proj.weight",
        &[HIDDEN, SHARED],
    )),
];

/// The number of experts, under the names that versions of transformers give it.
pub(super) const KEYS: &[KeyRule] = &[
    key("expert_count", "num_experts", Kind::U32, Required),
    key("expert_used_count", "num_experts_per_tok", Kind::U32, Required),
    key("expert_feed_forward_length", "moe_intermediate_size", Kind::U32, Required),
];

pub(super) const QWEN3: Family = Family {
    architecture: "qwen3moe",
    model_types: &["qwen3_moe"],
    tensors: &[shared::EMBEDDING_AND_HEAD, shared::ATTENTION, shared::HEAD_NORMS, EXPERTS, EXPERTS_OF_MLX],
    keys: &[
        shared::KEYS,
        KEYS,
        // llama.cpp divides the weights of the chosen experts by their sum; a folder says whether.
        &[key("expert_weights_norm", "norm_topk_prob", Kind::Bool, Flag(true))],
        shared::SCALING_AND_WINDOWS,
        shared::YARN,
    ],
    config_defaults: &[(
        "qwen3_moe",
        &[
            EPSILON,
            ("context_length", 32_768.0),
            ("attention.head_count_kv", 4.0),
            ("expert_count", 128.0),
            ("expert_used_count", 8.0),
            ("expert_feed_forward_length", 768.0),
            ("expert_weights_norm", 0.0),
            (super::windows::WIDTH, 4096.0),
        ],
    )],
    limits: &[
        ("attention.value_length", Only::Same("attention.key_length")),
        shared::YARN_LIMITS[0],
        shared::YARN_LIMITS[1],
        ("decoder_sparse_step", Only::Numbers(&[1.0])),
        ("mlp_only_layers", Only::Off),
        ("num_local_experts", Only::Same("expert_count")),
    ],
    optional_bias: true,
    windows: Windows::AllByFlag,
    derive: |config, metadata| experts(config, metadata),
    ..shared::FAMILY
};

/// Takes `num_local_experts`, the name in newer files, for `num_experts`.
pub(super) fn experts(
    config: &super::Config<'_>,
    metadata: &mut crate::Metadata,
) -> Result<(), crate::Error> {
    if super::lookup(config.json, "num_experts").is_none()
        && super::lookup(config.json, "num_local_experts").is_some()
    {
        let n = config.size("num_local_experts", None)?;
        metadata.set(config.family.key("expert_count"), crate::Value::U32(n));
    }
    Ok(())
}
