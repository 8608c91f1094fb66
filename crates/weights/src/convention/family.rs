//! [`Family`]: the tables of one model family, and what they say about names and absent keys.

use super::{
    Config, Fallback, KeyRule, Keys, Kind, ROPE_FREQS, RopePairing, TensorRule, Unneeded, known::Only,
    matched, shared, unneeded, windows::Windows,
};
use crate::{Error, Metadata, Value};

/// A model family: its names in Hugging Face and GGUF files.
pub(crate) struct Family {
    /// `general.architecture` in GGUF, and the prefix of its keys.
    pub(crate) architecture: &'static str,
    /// `general.type` in GGUF.
    pub(crate) file_type: &'static str,
    /// `model_type` values in config.json.
    pub(crate) model_types: &'static [&'static str],
    pub(crate) gguf_pairing: RopePairing,
    pub(crate) folder_pairing: RopePairing,
    /// In groups, which families share.
    pub(crate) tensors: &'static [&'static [TensorRule]],
    pub(crate) keys: &'static [&'static [KeyRule]],
    /// Values of keys that config.json lacks, as in transformers: `model_type`, then key suffix and number.
    pub(crate) config_defaults: &'static [(&'static str, &'static [(&'static str, f64)])],
    /// Keys of config.json, and suffixes of GGUF's, whose values are limited in this family. They precede the tables of all
    /// families.
    pub(crate) limits: &'static [(&'static str, Only)],
    /// Whether config.json decides if queries, keys and values have a bias.
    pub(crate) optional_bias: bool,
    /// Whether the output head is tied where config.json does not say.
    pub(crate) tied: bool,
    /// The kinds of layers that config.json may name.
    pub(crate) layer_types: &'static [&'static str],
    /// The layers with a sliding window.
    pub(crate) windows: Windows,
    /// The part of each head that is rotated where config.json does not say; `None` if it is always the whole head.
    pub(crate) rotated_part: Option<f64>,
    /// Whether keys of config.json may split the rotation between positions in images. Those of a text are equal.
    pub(crate) image_positions: bool,
    /// Adds the keys that the family derives from several of config.json.
    pub(crate) derive: fn(&Config<'_>, &mut Metadata) -> Result<(), Error>,
}

impl Family {
    pub(crate) fn tensors(&self) -> impl Iterator<Item = &'static TensorRule> {
        self.tensors.iter().copied().flatten()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &'static KeyRule> {
        self.keys.iter().copied().flatten()
    }

    /// Whether the family is one of text models.
    pub(crate) fn is_text(&self) -> bool {
        self.file_type == shared::MODEL
    }

    /// Whether a tensor that no table has would change the result, judged by its name. Every tensor of an image encoder does.
    pub(crate) fn is_parameter(&self, name: &str) -> bool {
        !self.is_text() || unneeded(name, true) == Unneeded::Parameter
    }

    /// Whether a table has the key of a suffix.
    pub(crate) fn has_key(&self, suffix: &str) -> bool {
        self.keys().any(|rule| rule.suffix == suffix)
    }

    /// The GGUF key of a suffix such as `block_count`.
    pub(crate) fn key(&self, suffix: &str) -> String {
        format!("{}.{suffix}", self.architecture)
    }

    /// Whether a folder has a tensor of this name.
    pub(crate) fn has_folder_tensor(&self, hf: &str) -> bool {
        self.tensors().any(|rule| matched(rule.hf, hf).is_some())
    }

    /// Whether the family has a tensor of this canonical name.
    pub(crate) fn has_tensor(&self, name: &str) -> bool {
        name == ROPE_FREQS || self.rule(name).is_some()
    }

    fn rule(&self, name: &str) -> Option<&'static TensorRule> {
        self.tensors().find(|rule| matched(rule.gguf, name).is_some())
    }

    /// The number of heads in the rows of a tensor, if `RoPE` rotates them.
    pub(crate) fn rotary_heads(
        &'static self,
        metadata: &Metadata,
        name: &str,
    ) -> Result<Option<usize>, Error> {
        let keys = Keys { family: self, metadata };
        self.rule(name).and_then(|rule| rule.rotary).map(|it| it.of(keys)).transpose()
    }

    /// Adds the defaults of absent keys.
    pub(super) fn fill_in(&'static self, metadata: &mut Metadata) -> Result<(), Error> {
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
                Fallback::Count(it) => Value::U32(it),
                Fallback::Flag(it) => Value::Bool(it),
                Fallback::Computed(compute) => match compute(Keys { family: self, metadata }) {
                    Some(value) => value,
                    None => continue,
                },
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

#[cfg(test)]
mod tests {
    use super::super::llama::FAMILY;
    use super::*;

    #[test]
    fn names_of_both_containers_are_known_by_pattern() {
        let known = |name| FAMILY.has_tensor(name);
        assert!(known("blk.3.ffn_up.weight") && known(ROPE_FREQS) && !known("blk.3.attn_q_norm.weight"));
        let stored = |name| FAMILY.has_folder_tensor(name);
        assert!(stored("lm_head.weight") && stored("model.layers.17.self_attn.q_proj.weight"));
        for bad in
            ["model.layers.x.self_attn.q_proj.weight", "model.layers.007.mlp.up_proj.weight", "visual.weight"]
        {
            assert!(!stored(bad), "{bad}");
        }
    }
}
