//! Hyperparameters of the whole model. Those of a layer are in the layer.

use crate::Error;
use crate::keys::{Keys, is_multiple};
use crate::layers::NormKind;

/// Dimensions and constants that all layers of a model share.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Name of the family.
    pub architecture: String,
    /// Number of layers.
    pub layers: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Size of the vocabulary.
    pub vocab: usize,
    /// ε of the norms.
    pub norm_eps: f32,
    /// Multiplier of the embedding rows.
    pub embed_scale: f32,
    /// Positions the model was trained for.
    pub trained_context: usize,
}

impl Config {
    /// Reads the hyperparameters that every family stores under the same keys.
    ///
    /// # Errors
    /// A missing key, one that no kernel can obey, or a dimension that no kernel supports.
    pub fn read(keys: Keys<'_>, norm: NormKind) -> Result<Self, Error> {
        let checkpoint = keys.checkpoint();
        checkpoint.check()?;
        let layers = keys.size("block_count")?;
        keys.check("block_count", layers, (1..=4096).contains(&layers), "it must lie between 1 and 4096")?;
        let hidden = keys.size("embedding_length")?;
        keys.check("embedding_length", hidden, is_multiple(hidden, 8), "it must be a multiple of 8")?;
        let vocab = checkpoint.tensor("token_embd.weight")?.shape.first().copied().unwrap_or(0);
        keys.check("vocabulary", vocab, vocab > 0, "it must be at least 1")?;
        let norm_eps = keys.number(norm.epsilon_key())?;
        keys.check("ε of the norms", norm_eps, norm_eps >= 0.0, "it must not be negative")?;
        Ok(Self {
            architecture: keys.architecture().to_owned(),
            layers: layers as usize,
            hidden: hidden as usize,
            vocab,
            norm_eps,
            embed_scale: 1.0,
            trained_context: keys.size("context_length")? as usize,
        })
    }
}

/// A dimension or position as the `u32` that kernels take.
///
/// # Panics
/// If `n` exceeds 32 bits. [`Config::read`] and the allocation of the cache refuse such sizes earlier.
pub(crate) fn dim32(n: usize) -> u32 {
    u32::try_from(n).expect("dimensions and positions fit 32 bits")
}
