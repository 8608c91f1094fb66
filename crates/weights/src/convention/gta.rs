//! Attention maps that several heads share (Sun et al. 2025, "GTA"): the kinds GVA, GHA and GTA in the block of Llama, for
//! studies. Only shapes and GGUF files have this family.
//!
//! `attention.head_count` counts query heads, which are attention maps. Each serves as many heads as have their outputs in
//! `embedding_length / head_count` values.

use super::{
    Dim::{self, Key, Product, Quotient},
    Fallback::Flag,
    Family, KeyRule, Keys, Kind, TensorRule,
    shared::{self, HEADS, HIDDEN, KV, KV_HEADS, Q, derived, tensor},
};

/// Whether values are latent, as in GTA.
const LATENT: &str = "attention.latent_values";

/// A value of a KV head: those of several heads side by side, or a latent one.
const VALUE: Dim = Key("attention.value_length");

fn is_latent(_: usize, keys: Keys<'_>) -> bool {
    keys.metadata.find::<bool>(&keys.family.key(LATENT)).ok().flatten().unwrap_or(false)
}

const fn of_gguf(name: &'static str, shape: &'static [Dim]) -> TensorRule {
    tensor(name, "", shape)
}

const ATTENTION: &[TensorRule] = &[
    of_gguf("blk.*.attn_norm.weight", &[HIDDEN]),
    of_gguf("blk.*.attn_q.weight", &[Q, HIDDEN]),
    of_gguf("blk.*.attn_k.weight", &[KV, HIDDEN]),
    of_gguf("blk.*.attn_v.weight", &[Product(&[KV_HEADS, VALUE]), HIDDEN]),
    // The decoder of latent values, for the heads of each map, and the gate of their outputs.
    TensorRule {
        layers: is_latent,
        ..of_gguf("blk.*.attn_v_b.weight", &[HEADS, Quotient(&[HIDDEN, HEADS]), VALUE])
    },
    TensorRule { layers: is_latent, ..of_gguf("blk.*.attn_gate.weight", &[HIDDEN, HIDDEN]) },
    of_gguf("blk.*.attn_output.weight", &[HIDDEN, HIDDEN]),
    of_gguf("blk.*.ffn_norm.weight", &[HIDDEN]),
];

const KEYS: &[KeyRule] = &[derived(LATENT, Kind::Bool, Flag(false))];

pub(super) const FAMILY: Family = Family {
    architecture: "gta",
    tensors: &[shared::EMBEDDING_AND_HEAD, ATTENTION, shared::SWIGLU],
    keys: &[shared::KEYS, KEYS, shared::SCALING_AND_WINDOWS],
    // Values may be of another width than keys.
    limits: &[],
    ..shared::FAMILY
};
