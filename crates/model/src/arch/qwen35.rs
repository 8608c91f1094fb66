//! Qwen3.5 (2026): most layers are Gated DeltaNet recurrences (Yang et al. 2024). The others have attention with QK norm,
//! a partial rotation and a gate on its output.

use super::{Architecture, Decoder, Load, swiglu};
use crate::layers::{Attention, Block, GatedDeltaNet, Heads, Mixer, Wiring};
use crate::{Config, Error, Loader};
use ridgeline_weights::LayerKind;

pub(super) struct Qwen35;

/// The norm before the feed-forward block has another name than in Llama.
pub(super) const WIRING: Wiring = Wiring { ffn_norm: "post_attention_norm", ..Wiring::LLAMA };

impl Architecture for Qwen35 {
    fn name(&self) -> &'static str {
        "qwen35"
    }

    fn load(&self, loader: &mut Loader<'_>, config: &Config) -> Result<Box<dyn Decoder>, Error> {
        let ffn = swiglu(loader.keys(), config)?;
        let mixer = mixer(loader, config)?;
        Ok(Box::new(Block::load_all(loader, config, WIRING, mixer, ffn)?))
    }
}

/// Loads the recurrence or the attention of a layer.
pub(super) fn mixer<'c>(
    loader: &mut Loader<'_>,
    config: &'c Config,
) -> Result<Load<'c, dyn Mixer>, Error> {
    let kinds = loader.keys().checkpoint().layer_kinds()?;
    let heads = Heads::read(loader)?;
    let shape = GatedDeltaNet::heads(loader.keys())?;
    Ok(Box::new(move |loader, layer, prefix| {
        Ok(match kinds[layer] {
            LayerKind::Recurrent => Box::new(GatedDeltaNet::load(loader, prefix, config, shape)?),
            kind => {
                let attention = Attention::load_gated(loader, prefix, config, heads.seeing(kind))?;
                Box::new(attention.with_norms(loader, prefix)?)
            }
        })
    }))
}
