//! Llama (Touvron et al. 2023) and the families with the same layers: Mistral, SmolLM2, TinyLlama.

use super::{Architecture, Decoder};
use crate::layers::{Attention, Block, Heads};
use crate::{Config, Error, Loader};

pub(super) struct Llama;

impl Architecture for Llama {
    fn name(&self) -> &'static str {
        "llama"
    }

    fn load(&self, loader: &mut Loader<'_>, config: &Config) -> Result<Box<dyn Decoder>, Error> {
        let heads = Heads::read(loader)?;
        Ok(Box::new(Block::load_all(loader, config, |loader, prefix| {
            let attention = Attention::load(loader, prefix, config, heads)?;
            // Only a few checkpoints of the family have biases.
            let biased = loader.has(&format!("{prefix}.attn_q.bias"));
            if biased { attention.with_bias(loader, prefix) } else { Ok(attention) }
        })?))
    }
}
