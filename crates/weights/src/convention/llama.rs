//! The Llama family (also Mistral and most small open models): pre-norm, grouped-query attention, SwiGLU.
//!
//! GGUF's Q and K rows are permuted, because llama.cpp rotates adjacent elements in this family.

use super::{Family, Presence::Sometimes, RopePairing, shared, shared::EPSILON, windows::Windows};

pub(super) const FAMILY: Family = Family {
    architecture: "llama",
    model_types: &["llama", "mistral"],
    gguf_pairing: RopePairing::Interleaved,
    tensors: &[
        shared::EMBEDDING_AND_HEAD,
        shared::ATTENTION,
        shared::SWIGLU,
        &shared::biases(Sometimes),
        &[shared::output_bias(Sometimes)],
    ],
    keys: &[shared::KEYS, shared::SCALING_AND_WINDOWS, shared::YARN],
    config_defaults: &[
        ("llama", &[EPSILON, ("context_length", 2048.0)]),
        (
            "mistral",
            &[
                EPSILON,
                ("context_length", 131_072.0),
                ("attention.head_count_kv", 8.0),
                ("attention.sliding_window", 4096.0),
            ],
        ),
    ],
    optional_bias: true,
    windows: Windows::All,
    ..shared::FAMILY
};
