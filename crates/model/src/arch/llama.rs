//! Llama (Touvron et al. 2023) and the families with the same layers: Mistral, SmolLM2, TinyLlama.

use super::{Architecture, Decoder, swiglu};
use crate::layers::{Attention, Block, Heads, Wiring};
use crate::{Config, Error, Loader};

pub(super) struct Llama;

impl Architecture for Llama {
    fn name(&self) -> &'static str {
        "llama"
    }

    fn load(&self, loader: &mut Loader<'_>, config: &Config) -> Result<Box<dyn Decoder>, Error> {
        let heads = Heads::read(loader)?;
        let kinds = loader.keys().checkpoint().layer_kinds()?;
        let ffn = swiglu(loader.keys(), config)?;
        let attention = |loader: &mut Loader<'_>, layer: usize, prefix: &str| -> Result<_, Error> {
            let heads = heads.seeing(kinds[layer]);
            let attention = Attention::load(loader, prefix, config, heads)?;
            // Only a few checkpoints of the family have biases.
            let biased = loader.has(&format!("{prefix}.attn_q.bias"));
            Ok(Box::new(if biased { attention.with_bias(loader, prefix)? } else { attention }) as _)
        };
        Ok(Box::new(Block::load_all(loader, config, Wiring::LLAMA, attention, ffn)?))
    }
}
