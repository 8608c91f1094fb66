//! Hyperparameters of a model.

use crate::Error;
use ridgeline_kernels::rope::Pairing;
use ridgeline_weights::Checkpoint;

/// Rotary position embedding of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct RopeConfig {
    /// Which values of a head form a pair.
    pub pairing: Pairing,
    /// θ: the base of the frequencies.
    pub base: f32,
    /// How many values of each head are rotated.
    pub rotary: usize,
    /// Divisors of the frequencies, one per pair, for models that scale them.
    pub factors: Option<Vec<f32>>,
}

impl RopeConfig {
    /// Cosines and sines for `positions` positions: `[positions, rotary / 2, 2]`.
    ///
    /// Frequency of pair i: base^(−2i / rotary) / factor (Su et al. 2021). Computed in f64 on the host,
    /// because the sine of a shader loses accuracy at large angles.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the table is f32")]
    pub fn table(&self, positions: usize) -> Vec<f32> {
        let pairs = self.rotary / 2;
        let frequency = |i: usize| {
            let scale = self.factors.as_ref().and_then(|f| f.get(i)).map_or(1.0, |&f| f64::from(f));
            f64::from(self.base).powf(-2.0 * i as f64 / self.rotary as f64) / scale
        };
        let frequencies: Vec<f64> = (0..pairs).map(frequency).collect();
        let angles = (0..positions).flat_map(|p| frequencies.iter().map(move |f| p as f64 * f));
        angles.flat_map(|a| [a.cos() as f32, a.sin() as f32]).collect()
    }
}

/// Dimensions and constants of a decoder-only transformer.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Name of the family.
    pub architecture: String,
    /// Number of layers.
    pub layers: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Query heads.
    pub heads: usize,
    /// Key/value heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Hidden width of the feed-forward block.
    pub ffn: usize,
    /// Size of the vocabulary.
    pub vocab: usize,
    /// ε of the norms.
    pub norm_eps: f32,
    /// Multiplier of the embedding rows.
    pub embed_scale: f32,
    /// Positions the model was trained for.
    pub trained_context: usize,
    /// Length of the sliding attention window, if the model has one.
    pub window: Option<usize>,
    /// Position embedding.
    pub rope: RopeConfig,
}

impl Config {
    /// Reads the hyperparameters that every family stores under the same keys.
    ///
    /// # Errors
    /// A missing key, one that no kernel can obey, or a dimension that is zero or indivisible.
    pub fn read(checkpoint: &Checkpoint) -> Result<Self, Error> {
        checkpoint.check()?;
        let meta = checkpoint.metadata();
        let architecture = meta.str("general.architecture")?.to_owned();
        let key = |name: &str| format!("{architecture}.{name}");
        let size = |name: &str| meta.u32(&key(name)).map(|v| v as usize);
        let optional = |name: &str, default: usize| -> Result<usize, Error> {
            Ok(meta.find::<u32>(&key(name))?.map_or(default, |v| v as usize))
        };
        let heads = size("attention.head_count")?;
        let hidden = size("embedding_length")?;
        let kv_heads = optional("attention.head_count_kv", heads)?;
        let head_dim = optional("attention.key_length", hidden.checked_div(heads).unwrap_or(0))?;
        let rotary = optional("rope.dimension_count", head_dim)?;
        let base =
            if meta.has(&key("rope.freq_base")) { meta.f32(&key("rope.freq_base"))? } else { 10_000.0 };
        let pairing = match checkpoint.rope_pairing()? {
            ridgeline_weights::RopePairing::Interleaved => Pairing::Interleaved,
            ridgeline_weights::RopePairing::HalfSplit => Pairing::HalfSplit,
        };
        let config = Self {
            layers: size("block_count")?,
            hidden,
            heads,
            kv_heads,
            head_dim,
            ffn: size("feed_forward_length")?,
            vocab: checkpoint.tensor("token_embd.weight")?.shape.first().copied().unwrap_or(0),
            norm_eps: meta.f32(&key("attention.layer_norm_rms_epsilon"))?,
            embed_scale: 1.0,
            trained_context: size("context_length")?,
            window: meta
                .find::<u32>(&key("attention.sliding_window"))?
                // Some writers store -1, for no window, as the largest integer.
                .filter(|&w| w > 0 && w < u32::MAX)
                .map(|w| w as usize),
            rope: RopeConfig { pairing, base, rotary, factors: checkpoint.rope_freq_factors()? },
            architecture,
        };
        config.check(checkpoint)?;
        Ok(config)
    }

    /// Rejects dimensions that no kernel supports, before anything is allocated.
    fn check(&self, checkpoint: &Checkpoint) -> Result<(), Error> {
        let rules: [(&'static str, usize, bool, &'static str); 9] = [
            ("block_count", self.layers, (1..=4096).contains(&self.layers), "it must lie between 1 and 4096"),
            ("embedding_length", self.hidden, multiple(self.hidden, 8), "it must be a multiple of 8"),
            ("feed_forward_length", self.ffn, multiple(self.ffn, 8), "it must be a multiple of 8"),
            ("vocabulary", self.vocab, self.vocab > 0, "it must be at least 1"),
            ("head_count", self.heads, self.heads > 0, "it must be at least 1"),
            (
                "head_count_kv",
                self.kv_heads,
                multiple(self.heads, self.kv_heads),
                "it must divide head_count",
            ),
            (
                "key_length",
                self.head_dim,
                multiple(self.head_dim, 8) && self.head_dim <= 512,
                "it must be a multiple of 8, at most 512",
            ),
            (
                "rope.dimension_count",
                self.rope.rotary,
                self.rope.rotary.is_multiple_of(2) && self.rope.rotary <= self.head_dim,
                "it must be even and at most key_length",
            ),
            (
                "heads per key/value head",
                self.heads / self.kv_heads.max(1),
                self.heads / self.kv_heads.max(1) <= 16,
                "it must be at most 16, the query rows that an attention kernel keeps in registers",
            ),
        ];
        for (what, value, holds, rule) in rules {
            if !holds {
                let path = checkpoint.path().to_owned();
                return Err(Error::Dimension { path, what, value: value.to_string(), rule });
            }
        }
        let factors = self.rope.factors.as_ref().map_or(self.rope.rotary / 2, Vec::len);
        let valid = self.rope.base > 0.0 && self.norm_eps >= 0.0;
        if factors != self.rope.rotary / 2 || !valid {
            let (path, value) =
                (checkpoint.path().to_owned(), format!("{:?}, ε {}", self.rope, self.norm_eps));
            let rule = "it must have one factor per pair, a positive base and a non-negative ε";
            return Err(Error::Dimension { path, what: "rope", value, rule });
        }
        Ok(())
    }

    /// Total width of the query heads.
    #[must_use]
    pub const fn q_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Total width of the key heads, and of the value heads.
    #[must_use]
    pub const fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// Query heads that share a key/value head.
    #[must_use]
    pub const fn group(&self) -> usize {
        self.heads / self.kv_heads
    }
}

const fn multiple(n: usize, of: usize) -> bool {
    of > 0 && n > 0 && n.is_multiple_of(of)
}

/// A dimension or position as the `u32` that kernels take.
///
/// # Panics
/// If `n` exceeds 32 bits. [`Config::read`] and the allocation of the cache refuse such sizes earlier.
pub(crate) fn dim32(n: usize) -> u32 {
    u32::try_from(n).expect("dimensions and positions fit 32 bits")
}
