//! Norms of the residual stream.

use crate::config::dim32;
use crate::{Error, Loader, Temp, Vector};

/// The kind of norm that a family uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormKind {
    /// RMSNorm (Zhang and Sennrich 2019): a gain, no mean.
    Rms,
    /// LayerNorm (Ba et al. 2016): a gain and a bias, with the mean removed.
    Layer,
}

impl NormKind {
    /// The key of ε.
    #[must_use]
    pub const fn epsilon_key(self) -> &'static str {
        match self {
            Self::Rms => "attention.layer_norm_rms_epsilon",
            Self::Layer => "attention.layer_norm_epsilon",
        }
    }
}

/// A norm with its weights.
#[derive(Debug)]
pub enum Norm {
    /// RMSNorm with its gain.
    Rms(Vector),
    /// LayerNorm with its gain and its bias.
    Layer(Vector, Vector),
}

impl Norm {
    /// Loads `<name>.weight`, and for LayerNorm `<name>.bias`, of rows of `width` values.
    ///
    /// # Errors
    /// A missing tensor, another shape, a device too small.
    pub fn load(loader: &mut Loader<'_>, kind: NormKind, name: &str, width: usize) -> Result<Self, Error> {
        loader.reserve(Temp::Normed, dim32(width));
        let gain = loader.vector(&format!("{name}.weight"), width)?;
        Ok(match kind {
            NormKind::Rms => Self::Rms(gain),
            NormKind::Layer => Self::Layer(gain, loader.vector(&format!("{name}.bias"), width)?),
        })
    }
}
