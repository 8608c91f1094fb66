//! The Llama family (also Mistral and most small open models): pre-norm, grouped-query attention, SwiGLU.
//!
//! GGUF's Q and K rows are permuted, because llama.cpp rotates adjacent elements in this family.

use super::{Family, Presence::Sometimes, RopePairing, shared};

pub(super) const FAMILY: Family = Family {
    architecture: "llama",
    model_types: &["llama", "mistral"],
    gguf_pairing: RopePairing::Interleaved,
    ignored: &[".rotary_emb.inv_freq"],
    tensors: &[
        shared::EMBEDDING_AND_HEAD,
        shared::BLOCK,
        &shared::biases(Sometimes),
        &[shared::output_bias(Sometimes)],
    ],
    keys: &[shared::KEYS, &[shared::WINDOW]],
};
