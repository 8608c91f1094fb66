//! The keys of GGUF that no layer reads: harmless ones, and those that must have a value which changes nothing.

use super::known::Only::{self, HeadScale, Numbers, Off, On, Same, Words};

/// llama.cpp takes 0 for an absent multiplier.
const ONE_OR_ZERO: Only = Numbers(&[0.0, 1.0]);

/// Keys of GGUF behind the architecture that change the arithmetic unless they have these values.
pub(super) const GGUF: &[(&str, Only)] = &[
    ("attention.causal", On),
    ("attention.clamp_kqv", Off),
    ("attention.key_length_mla", Off),
    ("attention.key_length_swa", Same("attention.key_length")),
    ("attention.kv_lora_rank", Off),
    ("attention.layer_norm_epsilon", Same("attention.layer_norm_rms_epsilon")),
    ("attention.max_alibi_bias", Off),
    ("attention.q_lora_rank", Off),
    ("attention.recurrent_layers", Off),
    ("attention.scale", HeadScale),
    ("attention.shared_kv_layers", Off),
    ("attention.value_length_mla", Off),
    ("attention.value_length_swa", Same("attention.value_length")),
    ("attn_logit_softcapping", Off),
    ("embedding_length_out", Same("embedding_length")),
    ("embedding_scale", ONE_OR_ZERO),
    ("expert_count", Off),
    // A softmax, and one group of experts, which is none.
    ("expert_gating_func", ONE_OR_ZERO),
    ("expert_group_count", ONE_OR_ZERO),
    ("expert_group_used_count", ONE_OR_ZERO),
    ("expert_used_count", Off),
    ("expert_weights_scale", ONE_OR_ZERO),
    ("final_logit_softcapping", Off),
    ("full_attention_interval", Off),
    ("leading_dense_block_count", Off),
    ("logit_scale", ONE_OR_ZERO),
    ("nextn_predict_layers", Off),
    ("residual_scale", ONE_OR_ZERO),
    ("rope.dimension_count_swa", Same("rope.dimension_count")),
    ("rope.dimension_sections", Off),
    ("rope.freq_base_swa", Same("rope.freq_base")),
    ("rope.scaling.attn_factor", Numbers(&[1.0])),
    ("rope.scaling.yarn_attn_factor", Numbers(&[1.0])),
    ("router_logit_softcapping", Off),
    ("tensor_data_layout", Words(&["Meta AI original pth"])),
    ("use_parallel_residual", Off),
];

/// Keys of GGUF behind the architecture that never change the logits.
///
/// The parameters of `YaRN` matter to that kind of scaling, which `rope` refuses in families without keys for them.
pub(super) const GGUF_HARMLESS: &[&str] = &[
    "pooling_type",
    "rope.scaling.finetuned",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
    "rope.scaling.yarn_ext_factor",
    "rope.scaling.yarn_log_multiplier",
    "decoder_start_token_id",
];

/// First parts of GGUF's keys that describe a file, its vocabulary or its making.
pub(super) const GGUF_NAMESPACES: &[&str] =
    &["general", "imatrix", "quantize", "ridgeline", "split", "tokenizer", "training"];

/// Beginnings of keys behind the architecture that describe a part which sees images.
pub(super) const GGUF_OTHER_PARTS: &[&str] = &["mm.", "vision."];
