//! The shape of an attention block.

use crate::keys::{Keys, is_multiple};
use crate::rope::RopeConfig;
use crate::{Error, Loader, State, Temp};
use ridgeline_kernels::HeadShape;
use ridgeline_weights::LayerKind;

/// Most query heads of a layer.
pub(crate) const MAX_HEADS: u32 = 4096;

/// Heads of an attention block, and what they see.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heads {
    /// Query heads.
    pub query: u32,
    /// Key/value heads.
    pub kv: u32,
    /// Width of a query head and of a key head.
    pub key: u32,
    /// Width of a value head.
    pub value: u32,
    /// Multiplier of the scores, 1 / √key in most families.
    pub scale: f32,
    /// Length of the sliding window: how many positions a token sees, its own included. `None`: all up to its own.
    pub window: Option<u32>,
    /// Index of the rotation among those of the model. `None`: queries and keys are not rotated.
    pub rope: Option<usize>,
    /// Whether values are the first `value` of the `key` values of a key (absorbed MLA).
    pub latent: bool,
}

impl Heads {
    /// Reads the shape that most families store under the same keys, with its rotation and without a window. Keys and values
    /// have one width.
    ///
    /// # Errors
    /// A missing key, or heads that no kernel supports.
    pub fn read(loader: &mut Loader<'_>) -> Result<Self, Error> {
        let heads = Self::read_two_widths(loader)?;
        loader.keys().check(
            "value_length",
            heads.value,
            heads.value == heads.key,
            "it must equal key_length",
        )?;
        Ok(heads)
    }

    /// The same where values may be of another width than keys.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_two_widths(loader: &mut Loader<'_>) -> Result<Self, Error> {
        let keys = loader.keys();
        let heads = Self::read_without_rope(keys)?;
        let rope = RopeConfig::read(keys, heads.key)?;
        Ok(Self { rope: Some(loader.rope(rope)), ..heads })
    }

    fn read_without_rope(keys: Keys<'_>) -> Result<Self, Error> {
        let query = keys.size("attention.head_count")?;
        keys.check("head_count", query, (1..=MAX_HEADS).contains(&query), "it must be between 1 and 4096")?;
        let kv = keys.size_or("attention.head_count_kv", query)?;
        keys.check("head_count_kv", kv, is_multiple(query, kv), "it must divide head_count")?;
        let key = keys.size_or("attention.key_length", keys.size("embedding_length")? / query)?;
        let value = keys.size_or("attention.value_length", key)?;
        let holds = is_multiple(key, 8) && key <= 512;
        keys.check("key_length", key, holds, "it must be a multiple of 8, at most 512")?;
        let holds = is_multiple(value, 8) && value <= 1024;
        keys.check("value_length", value, holds, "it must be a multiple of 8, at most 1024")?;
        let scale = keys.multiplier_or("attention.scale", inverse_root(key))?;
        let rule = "it must be at most 16, the query rows that an attention kernel keeps in registers";
        keys.check("heads per key/value head", query / kv, query / kv <= 16, rule)?;
        Ok(Self { query, kv, key, value, scale, window: None, rope: None, latent: false })
    }

    /// Reserves what attention of this shape writes: its temporaries, and partial results of KV splits.
    pub(crate) fn reserve(self, loader: &mut Loader<'_>) {
        loader.attends(self);
        loader.reserve(Temp::Qkv, self.qkv_width());
        loader.reserve(Temp::Query, self.query_width());
        loader.reserve(Temp::AttnPartials, self.query * (self.value + 4));
        loader.reserve(Temp::AttnOut, self.out_width());
        loader.reserve(Temp::Scores, self.query);
    }

    /// The keys and values that attention of this shape keeps.
    #[must_use]
    pub const fn state(self) -> State {
        let value = if self.latent { None } else { Some(self.value) };
        State::Kv { heads: self.kv, key: self.key, value }
    }

    /// The shape that attention kernels take.
    #[must_use]
    pub(crate) const fn shape(self) -> HeadShape {
        HeadShape { key: self.key, value: self.value, group: self.group(), latent: self.latent }
    }

    /// The same heads in a layer of the given kind: with or without a sliding window.
    #[must_use]
    pub const fn seeing(self, kind: LayerKind) -> Self {
        let window = if let LayerKind::Windowed(window) = kind { Some(window) } else { None };
        Self { window, ..self }
    }

    /// Query heads that share a key/value head.
    #[must_use]
    pub const fn group(self) -> u32 {
        self.query / self.kv
    }

    /// Total width of the query heads.
    #[must_use]
    pub const fn query_width(self) -> u32 {
        self.query * self.key
    }

    /// Total width of the key heads.
    #[must_use]
    pub const fn key_width(self) -> u32 {
        self.kv * self.key
    }

    /// Total width of the value heads.
    #[must_use]
    pub const fn value_width(self) -> u32 {
        self.kv * self.value
    }

    /// Total width of queries, keys and values.
    #[must_use]
    pub const fn qkv_width(self) -> u32 {
        self.query_width() + self.key_width() + self.value_width()
    }

    /// Width of the output: one value head per query head.
    #[must_use]
    pub const fn out_width(self) -> u32 {
        self.query * self.value
    }
}

/// 1 / √n.
#[expect(clippy::cast_possible_truncation, reason = "the kernels take f32")]
pub(crate) fn inverse_root(n: u32) -> f32 {
    (1.0 / f64::from(n).sqrt()) as f32
}
