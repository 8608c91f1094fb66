//! Qwen2 and Qwen2.5 (Yang et al. 2024): the Q, K and V projections have a bias.

use super::{Architecture, Decoder, swiglu};
use crate::layers::{Attention, Block, Heads, Wiring};
use crate::{Config, Error, Loader};

pub(super) struct Qwen2;

impl Architecture for Qwen2 {
    fn name(&self) -> &'static str {
        "qwen2"
    }

    fn load(&self, loader: &mut Loader<'_>, config: &Config) -> Result<Box<dyn Decoder>, Error> {
        let heads = Heads::read(loader)?;
        let kinds = loader.keys().checkpoint().layer_kinds()?;
        let ffn = swiglu(loader.keys(), config)?;
        let attention = |loader: &mut Loader<'_>, layer: usize, prefix: &str| -> Result<_, Error> {
            let heads = heads.seeing(kinds[layer]);
            Ok(Box::new(Attention::load(loader, prefix, config, heads)?.with_bias(loader, prefix)?) as _)
        };
        Ok(Box::new(Block::load_all(loader, config, Wiring::LLAMA, attention, ffn)?))
    }
}
