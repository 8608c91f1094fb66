//! Tensor names, metadata keys, the tied head and the `RoPE` pairing of each container. GGUF's are canonical.
//! Each model family is a table in its own file.

mod clip;
mod config;
mod family;
mod gemma;
mod gta;
mod hybrid;
mod kinds;
mod known;
mod known_gguf;
mod known_words;
mod limits;
mod llama;
mod mla;
mod moe;
mod names;
mod neox;
mod nested;
#[cfg(test)]
mod published;
mod qwen;
mod rotation;
mod rule;
mod shared;
mod synthesis;
mod transform;
mod unneeded;
mod windows;

use std::path::Path;

use serde_json::Value as Json;

use crate::{Container, Error, Metadata};

pub(crate) use clip::repair_names;
pub(crate) use config::{Config, flag};
pub(crate) use family::Family;
pub use kinds::LayerKind;
pub(crate) use kinds::layer_kinds;
pub(crate) use limits::check_metadata;
pub(crate) use names::matched;
pub(crate) use rule::{Dim, Fallback, KeyRule, Keys, Kind, Presence, TensorRule};
pub(crate) use synthesis::synthesise;
pub(crate) use transform::Transform;
pub(crate) use unneeded::{Unneeded, left_out, unneeded};

/// The token embedding.
pub(crate) const EMBEDDING: &str = "token_embd.weight";
/// The output head; absent if it is tied to the token embedding.
pub(crate) const OUTPUT: &str = "output.weight";
/// The key of the number of layers that predict several tokens at once.
pub(crate) const PREDICTION: &str = "nextn_predict_layers";
/// The divisors of the `RoPE` frequencies.
pub(crate) const ROPE_FREQS: &str = "rope_freqs.weight";

const FAMILIES: &[&Family] = &[
    &llama::FAMILY,
    &qwen::QWEN2,
    &qwen::QWEN3,
    &gemma::GEMMA3,
    &neox::FAMILY,
    &gta::FAMILY,
    &mla::PLM,
    &mla::DEEPSEEK2,
    &moe::QWEN3,
    &hybrid::QWEN35,
    &hybrid::QWEN35_MOE,
    &clip::FAMILY,
];

/// The pairs of elements of a head that `RoPE` rotates.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RopePairing {
    /// Elements `2i` and `2i + 1`, ggml's NORM mode: GGUF's llama family, whose Q and K rows are permuted, and MLA.
    Interleaved,
    /// Elements `i` and `i + width / 2`, ggml's NEOX mode: most of Hugging Face.
    HalfSplit,
}

/// The family of that GGUF architecture.
fn by_architecture(path: &Path, architecture: &str) -> Result<&'static Family, Error> {
    FAMILIES
        .iter()
        .copied()
        .find(|it| it.architecture == architecture)
        .ok_or_else(|| unknown(path, architecture))
}

/// The family of that `model_type`.
fn by_model_type(path: &Path, model_type: &str) -> Result<&'static Family, Error> {
    FAMILIES
        .iter()
        .copied()
        .find(|it| it.model_types.contains(&model_type))
        .ok_or_else(|| unknown(path, model_type))
}

fn unknown(path: &Path, family: &str) -> Error {
    let known: Vec<&str> = FAMILIES.iter().flat_map(|it| it.model_types).copied().collect();
    Error::UnknownFamily { path: path.to_owned(), family: family.to_owned(), known: known.join(", ") }
}

/// The family of `general.architecture`.
pub(crate) fn family(path: &Path, metadata: &Metadata) -> Result<&'static Family, Error> {
    by_architecture(path, metadata.str("general.architecture")?)
}

/// The `RoPE` pairing of a family in a container.
pub(crate) fn rope_pairing(
    container: Container,
    metadata: &Metadata,
    path: &Path,
) -> Result<RopePairing, Error> {
    let family = family(path, metadata)?;
    Ok(match container {
        Container::Gguf | Container::Random => family.gguf_pairing,
        Container::Safetensors => family.folder_pairing,
    })
}

/// Adds the defaults of absent keys to a GGUF file's metadata. A vocabulary without a model, or an unknown family, stays
/// unchanged, so that it can be inspected.
pub(crate) fn complete(metadata: &mut Metadata) -> Result<(), Error> {
    let architecture = metadata.find::<&str>("general.architecture")?.unwrap_or_default();
    match FAMILIES.iter().find(|it| it.architecture == architecture) {
        Some(family) if metadata.has(&family.key("block_count")) => family.fill_in(metadata),
        _ => Ok(()),
    }
}

/// A value at a dotted path, unless it is null.
pub(crate) fn lookup<'a>(json: &'a Json, path: &str) -> Option<&'a Json> {
    path.split('.').try_fold(json, |json, key| json.get(key)).filter(|it| !it.is_null())
}
