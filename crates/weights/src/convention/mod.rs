//! Tensor names, metadata keys, the tied head and the `RoPE` pairing of each container. GGUF's are canonical.
//! Each model family is a table in its own file.

mod config;
mod known;
mod known_gguf;
mod limits;
mod llama;
mod qwen;
mod rotation;
mod shared;
mod unneeded;

use std::path::Path;

use serde_json::Value as Json;

use crate::{Container, Error, Metadata, Shape, Value};

pub(crate) use config::{Config, flag};
pub(crate) use limits::check_metadata;
pub(crate) use unneeded::{Unneeded, left_out, unneeded};

/// The token embedding.
pub(crate) const EMBEDDING: &str = "token_embd.weight";
/// The output head; absent if it is tied to the token embedding.
pub(crate) const OUTPUT: &str = "output.weight";
/// The divisors of the `RoPE` frequencies.
pub(crate) const ROPE_FREQS: &str = "rope_freqs.weight";

const FAMILIES: &[&Family] = &[&llama::FAMILY, &qwen::QWEN2, &qwen::QWEN3];

/// The pairs of elements of a head that `RoPE` rotates.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RopePairing {
    /// Elements `2i` and `2i + 1`, ggml's NORM mode: GGUF's llama family, whose Q and K rows are permuted.
    Interleaved,
    /// Elements `i` and `i + width / 2`, ggml's NEOX mode: Hugging Face.
    HalfSplit,
}

/// A model family: its names in Hugging Face and GGUF files.
pub(crate) struct Family {
    /// `general.architecture` in GGUF, and the prefix of its keys.
    pub(crate) architecture: &'static str,
    /// `model_type` values in config.json.
    pub(crate) model_types: &'static [&'static str],
    pub(crate) gguf_pairing: RopePairing,
    /// In groups, which families share.
    pub(crate) tensors: &'static [&'static [TensorRule]],
    pub(crate) keys: &'static [&'static [KeyRule]],
    /// Values of keys that config.json lacks, as in transformers: `model_type`, then key suffix and number.
    pub(crate) config_defaults: &'static [(&'static str, &'static [(&'static str, f64)])],
    /// Whether config.json decides if queries, keys and values have a bias.
    pub(crate) optional_bias: bool,
}

/// One tensor: its two names, with `*` for the layer, and its shape.
pub(crate) struct TensorRule {
    pub(crate) gguf: &'static str,
    pub(crate) hf: &'static str,
    pub(crate) shape: &'static [Dim],
    pub(crate) presence: Presence,
    /// The heads whose rows are permuted, if the containers pair differently.
    pub(crate) rotary: Option<Dim>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Always,
    /// Unless the output head is tied to the token embedding.
    Untied,
    /// Some models of the family have it; random ones do not.
    Sometimes,
}

/// A dimension of a tensor, by its meaning in the model.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dim {
    Hidden,
    Vocab,
    Ffn,
    Heads,
    KvHeads,
    /// The width of a head.
    Head,
    /// Heads × head width.
    Q,
    /// KV heads × head width.
    Kv,
}

/// One metadata key: its GGUF suffix, its paths in config.json, and its default.
pub(crate) struct KeyRule {
    pub(crate) suffix: &'static str,
    /// Its key in config.json. `None` for a key that `config` derives from several.
    pub(crate) hf: Option<&'static str>,
    pub(crate) kind: Kind,
    pub(crate) default: Fallback,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    U32,
    F32,
    Str,
}

pub(crate) enum Fallback {
    Required,
    Absent,
    /// The value of another key of the family.
    Same(&'static str),
    /// Hidden width / heads.
    HeadWidth,
    Number(f32),
    /// The length of the file's vocabulary, if it has one.
    Tokens,
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
pub(crate) fn by_model_type(path: &Path, model_type: &str) -> Result<&'static Family, Error> {
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
        Container::Safetensors => RopePairing::HalfSplit,
    })
}

impl Family {
    fn tensors(&self) -> impl Iterator<Item = &'static TensorRule> {
        self.tensors.iter().copied().flatten()
    }

    fn keys(&self) -> impl Iterator<Item = &'static KeyRule> {
        self.keys.iter().copied().flatten()
    }

    /// The GGUF key of a suffix such as `block_count`.
    pub(crate) fn key(&self, suffix: &str) -> String {
        format!("{}.{suffix}", self.architecture)
    }

    /// The canonical name of a Hugging Face tensor, if the family has such a tensor.
    pub(crate) fn canonical_name(&self, hf: &str) -> Option<String> {
        self.tensors().find_map(|rule| {
            let layer = match_layer(rule.hf, hf)?;
            Some(rule.gguf.replacen('*', layer, 1))
        })
    }

    /// Whether the family has a tensor of this canonical name.
    pub(crate) fn has_tensor(&self, name: &str) -> bool {
        name == ROPE_FREQS || self.tensors().any(|rule| match_layer(rule.gguf, name).is_some())
    }

    /// The number of heads in the rows of a tensor, if `RoPE` rotates them.
    pub(crate) fn rotary_heads(&self, metadata: &Metadata, name: &str) -> Result<Option<usize>, Error> {
        let rule = self.tensors().find(|rule| match_layer(rule.gguf, name).is_some());
        let suffix = match rule.and_then(|rule| rule.rotary) {
            None => return Ok(None),
            Some(Dim::KvHeads) => "attention.head_count_kv",
            Some(_) => "attention.head_count",
        };
        Ok(Some(metadata.u32(&self.key(suffix))? as usize))
    }

    /// Adds the defaults of absent keys.
    fn fill_in(&self, metadata: &mut Metadata) -> Result<(), Error> {
        for rule in self.keys() {
            let key = self.key(rule.suffix);
            // -1 stands for an absent value.
            if metadata.has(&key)
                && (rule.kind != Kind::U32 || !matches!(metadata.find::<u32>(&key), Ok(None)))
            {
                continue;
            }
            let value = match rule.default {
                Fallback::Absent => continue,
                Fallback::Required => {
                    metadata.get::<u32>(&key)?;
                    continue;
                }
                Fallback::Same(other) => match metadata.value(&self.key(other)) {
                    Some(value) => value.clone(),
                    None => continue,
                },
                Fallback::HeadWidth => {
                    let heads = metadata.u32(&self.key("attention.head_count"))?;
                    let hidden = metadata.u32(&self.key("embedding_length"))?;
                    Value::U32(hidden.checked_div(heads).unwrap_or(0))
                }
                Fallback::Number(it) => Value::F32(it),
                // The weights do not depend on the vocabulary, so that a broken one is no error here.
                Fallback::Tokens => match metadata.find::<&[String]>("tokenizer.ggml.tokens") {
                    Ok(Some(tokens)) => Value::U32(u32::try_from(tokens.len()).unwrap_or(u32::MAX)),
                    _ => continue,
                },
            };
            metadata.set(key, value);
        }
        Ok(())
    }
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

/// The canonical metadata and tensor list of a published shape.
#[expect(clippy::type_complexity, reason = "the only caller destructures the pair")]
pub(crate) fn synthesise(path: &Path, shape: &Shape) -> Result<(Metadata, Vec<(String, Vec<usize>)>), Error> {
    let family = by_architecture(path, &shape.architecture)?;
    let mut metadata = Metadata::new(path, Vec::new());
    metadata.set("general.architecture", Value::Str(shape.architecture.clone()));
    metadata.set("general.type", Value::Str("model".to_owned()));
    metadata.set("general.name", Value::Str(shape.name.clone()));
    for (suffix, value) in shape.metadata() {
        metadata.set(family.key(suffix), value);
    }
    family.fill_in(&mut metadata)?;

    let mut tensors = Vec::new();
    let wanted = |rule: &&TensorRule| match rule.presence {
        Presence::Always => true,
        Presence::Untied => !shape.tied_head,
        Presence::Sometimes => false,
    };
    let sized = |rule: &TensorRule| rule.shape.iter().map(|&it| shape.dim(it)).collect::<Vec<_>>();
    let (layered, global): (Vec<_>, Vec<_>) =
        family.tensors().filter(wanted).partition(|rule| rule.gguf.contains('*'));
    tensors.extend(global.iter().map(|rule| (rule.gguf.to_owned(), sized(rule))));
    for layer in 0..shape.layers {
        tensors
            .extend(layered.iter().map(|rule| (rule.gguf.replacen('*', &layer.to_string(), 1), sized(rule))));
    }
    Ok((metadata, tensors))
}

/// The layer number that `*` matches, or an empty string for a pattern without `*`; `None` without a match.
fn match_layer<'a>(pattern: &str, name: &'a str) -> Option<&'a str> {
    let Some((before, after)) = pattern.split_once('*') else { return (pattern == name).then_some("") };
    let layer = name.strip_prefix(before)?.strip_suffix(after)?;
    let number = !layer.is_empty() && layer.len() < 6 && layer.bytes().all(|it| it.is_ascii_digit());
    (number && (layer == "0" || !layer.starts_with('0'))).then_some(layer)
}

/// A value at a dotted path, unless it is null.
pub(crate) fn lookup<'a>(json: &'a Json, path: &str) -> Option<&'a Json> {
    path.split('.').try_fold(json, |json, key| json.get(key)).filter(|it| !it.is_null())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_translate_both_ways_by_pattern() {
        let name = |hf| llama::FAMILY.canonical_name(hf);
        assert_eq!(name("lm_head.weight").as_deref(), Some(OUTPUT));
        let q = name("model.layers.17.self_attn.q_proj.weight");
        assert_eq!(q.as_deref(), Some("blk.17.attn_q.weight"));
        for bad in
            ["model.layers.x.self_attn.q_proj.weight", "model.layers.007.mlp.up_proj.weight", "visual.weight"]
        {
            assert_eq!(name(bad), None, "{bad}");
        }
        let known = |name| llama::FAMILY.has_tensor(name);
        assert!(known("blk.3.ffn_up.weight") && known(ROPE_FREQS) && !known("blk.3.attn_q_norm.weight"));
    }
}
