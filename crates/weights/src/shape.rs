//! [`Shape`]: the dimensions of a published model, read from `models/<name>.toml`.

use serde::Deserialize;

use crate::{Array, Error, Value, value::narrow};

/// Largest dimension.
pub(crate) const LARGEST: usize = 1 << 24;

/// Length of the longest block of a quantization type, in weights.
const BLOCK: usize = 256;

/// Ends of keys whose values are widths.
const WIDTHS: &[&str] = &["_length", "_size", "_rank", "_length_mla"];

/// The dimensions of a model and where its weights are published.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// The name that commands accept, equal to the file's base name.
    pub name: String,
    /// `general.architecture` in GGUF.
    pub architecture: String,
    /// The Hugging Face repository of the weights; empty for an unpublished shape.
    #[serde(default)]
    pub repo: String,
    /// The revision of the repository, or empty.
    #[serde(default)]
    pub revision: String,
    /// The file of the repository, or empty.
    #[serde(default)]
    pub file: String,
    /// The SHA-256 of the file, or empty.
    #[serde(default)]
    pub sha256: String,
    /// The licence of the weights.
    pub licence: String,
    /// Transformer blocks.
    pub layers: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Width of one head.
    // Shape files of earlier versions have `head_width`.
    #[serde(alias = "head_width")]
    pub head_dim: usize,
    /// Width of the feed-forward layer.
    pub ffn: usize,
    /// Rows of the token embedding.
    pub vocab: usize,
    /// Whether the output head is the token embedding.
    pub tied_head: bool,
    /// The longest context the model was trained for, in tokens.
    pub context: usize,
    /// The epsilon of the norms.
    pub norm_epsilon: f32,
    /// The base of the `RoPE` frequencies.
    pub rope_base: f32,
    /// The scaling of the frequencies.
    #[serde(default)]
    pub rope_scaling: Option<RopeScaling>,
    /// Further keys of GGUF's metadata without the architecture's prefix, such as `expert_count`. They replace those of the
    /// fields above.
    #[serde(default)]
    pub metadata: toml::Table,
}

/// Parameters of `RoPE` scaling.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RopeScaling {
    /// `llama3`, `linear` or, in some families, `yarn`.
    pub kind: String,
    /// The divisor of low frequencies.
    pub factor: f32,
    /// Frequencies of fewer periods in the original context are divided by `factor`.
    #[serde(default)]
    pub low_freq_factor: Option<f32>,
    /// Frequencies of more periods in the original context are unchanged.
    #[serde(default)]
    pub high_freq_factor: Option<f32>,
    /// The context without scaling, in tokens.
    #[serde(default)]
    pub original_context: Option<u32>,
}

impl Shape {
    /// Reads a description in TOML.
    ///
    /// # Errors
    /// [`Error::ShapeToml`] for syntax and unknown fields, [`Error::ShapeDimensions`] for invalid dimensions.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        let shape: Self = toml::from_str(text).map_err(|it| Error::ShapeToml { source: Box::new(it) })?;
        let counts = [
            shape.layers,
            shape.hidden,
            shape.heads,
            shape.kv_heads,
            shape.head_dim,
            shape.ffn,
            shape.vocab,
            shape.context,
        ];
        let problem = if counts.iter().any(|it| !(1..=LARGEST).contains(it)) {
            "a dimension is zero or above the limit of 16 777 216"
        } else if !shape.heads.is_multiple_of(shape.kv_heads) {
            "the query heads are not a multiple of the KV heads"
        } else if !shape.head_dim.is_multiple_of(2) {
            "RoPE needs an even head width"
        } else {
            return Ok(shape);
        };
        Err(Error::ShapeDimensions { name: shape.name, problem })
    }

    /// This shape with a residual stream of width `hidden`. Heads and feed-forward layer follow in proportion.
    ///
    /// The width of a head and the vocabulary stay. The KV heads are rounded down to a divisor of the query heads, and the
    /// feed-forward width up to whole blocks of every quantization type.
    ///
    /// # Errors
    /// [`Error::ShapeDimensions`] where the width gives no whole number of heads. So is a shape with widths that the fields above
    /// do not name: nothing says how these follow.
    pub fn with_hidden(mut self, hidden: usize) -> Result<Self, Error> {
        let is_width = |key: &str| WIDTHS.iter().any(|it| key.ends_with(it));
        if hidden != self.hidden && self.own_keys()?.iter().any(|it| is_width(&it.0)) {
            let problem = "its widths under [metadata] do not follow from a new width; give the layers only";
            return Err(Error::ShapeDimensions { name: self.name, problem });
        }
        let whole = hidden <= LARGEST && (self.heads * hidden).is_multiple_of(self.hidden);
        let heads = if whole { self.heads * hidden / self.hidden } else { 0 };
        if heads == 0 {
            let problem = "the new width is too large, or no whole number of heads";
            return Err(Error::ShapeDimensions { name: self.name, problem });
        }
        let most = (self.kv_heads * hidden / self.hidden).max(1);
        self.kv_heads = (1..=most).rev().find(|&kv| heads.is_multiple_of(kv)).unwrap_or(1);
        self.ffn = (self.ffn * hidden / self.hidden).next_multiple_of(BLOCK);
        (self.hidden, self.heads) = (hidden, heads);
        Ok(self)
    }

    /// The fields as metadata, keys without the architecture's prefix. Families have one of the two keys of ε.
    pub(crate) fn common_keys(&self) -> Vec<(&'static str, Value)> {
        let count = |it: usize| Value::U32(u32::try_from(it).expect("dimensions were checked to fit"));
        let mut entries = vec![
            ("block_count", count(self.layers)),
            ("context_length", count(self.context)),
            ("embedding_length", count(self.hidden)),
            ("feed_forward_length", count(self.ffn)),
            ("attention.head_count", count(self.heads)),
            ("attention.head_count_kv", count(self.kv_heads)),
            ("rope.freq_base", Value::F32(self.rope_base)),
            ("attention.layer_norm_rms_epsilon", Value::F32(self.norm_epsilon)),
            ("attention.layer_norm_epsilon", Value::F32(self.norm_epsilon)),
            ("attention.key_length", count(self.head_dim)),
            ("attention.value_length", count(self.head_dim)),
            ("vocab_size", count(self.vocab)),
            ("rope.dimension_count", count(self.head_dim)),
        ];
        if let Some(scaling) = &self.rope_scaling {
            entries.push(("rope.scaling.type", Value::Str(scaling.kind.clone())));
            entries.push(("rope.scaling.factor", Value::F32(scaling.factor)));
            let optional = [
                ("rope.scaling.low_freq_factor", scaling.low_freq_factor.map(Value::F32)),
                ("rope.scaling.high_freq_factor", scaling.high_freq_factor.map(Value::F32)),
                ("rope.scaling.original_context_length", scaling.original_context.map(Value::U32)),
            ];
            entries.extend(optional.into_iter().filter_map(|(key, value)| Some((key, value?))));
        }
        entries
    }

    /// The keys of the `metadata` table.
    ///
    /// # Errors
    /// [`Error::ShapeDimensions`] for a value that GGUF cannot hold.
    pub(crate) fn own_keys(&self) -> Result<Vec<(String, Value)>, Error> {
        let problem =
            "a value under [metadata] is no text, flag, number or list of flags or unsigned numbers";
        let wrong = || Error::ShapeDimensions { name: self.name.clone(), problem };
        let mut keys = Vec::new();
        flatten("", &self.metadata, &mut keys);
        keys.into_iter().map(|(key, it)| Ok((key, value(it).ok_or_else(wrong)?))).collect()
    }
}

/// The values of a table and of the tables in it: in TOML, `ssm.inner_size = 4` is a table `ssm` with a key.
fn flatten<'a>(prefix: &str, table: &'a toml::Table, keys: &mut Vec<(String, &'a toml::Value)>) {
    for (key, value) in table {
        let key = format!("{prefix}{key}");
        match value {
            toml::Value::Table(inner) => flatten(&format!("{key}."), inner, keys),
            value => keys.push((key, value)),
        }
    }
}

/// A value of TOML as metadata: unsigned 32-bit integers and single precision, as llama.cpp writes them.
fn value(toml: &toml::Value) -> Option<Value> {
    Some(match toml {
        toml::Value::String(it) => Value::Str(it.clone()),
        toml::Value::Boolean(it) => Value::Bool(*it),
        toml::Value::Integer(it) => Value::U32(u32::try_from(*it).ok()?),
        toml::Value::Float(it) => Value::F32(narrow(*it)),
        toml::Value::Array(all) if all.iter().all(toml::Value::is_bool) => {
            Value::Array(Array::Bool(all.iter().filter_map(toml::Value::as_bool).collect()))
        }
        toml::Value::Array(all) => {
            let number = |it: &toml::Value| u32::try_from(it.as_integer()?).ok();
            Value::Array(Array::U32(all.iter().map(number).collect::<Option<_>>()?))
        }
        _ => return None,
    })
}
