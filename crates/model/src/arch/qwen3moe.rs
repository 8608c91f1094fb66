//! Qwen3-MoE (Yang et al. 2025): Qwen3 with a mixture of experts in every layer.

use super::{Architecture, Decoder};
use crate::layers::{Attention, Block, Heads, Mixture, Routing, Wiring};
use crate::{Config, Error, Loader};

pub(super) struct Qwen3Moe;

impl Architecture for Qwen3Moe {
    fn name(&self) -> &'static str {
        "qwen3moe"
    }

    fn load(&self, loader: &mut Loader<'_>, config: &Config) -> Result<Box<dyn Decoder>, Error> {
        let heads = Heads::read(loader)?;
        let kinds = loader.keys().checkpoint().layer_kinds()?;
        let routing = Routing::read(loader.keys(), true)?;
        let attention = |loader: &mut Loader<'_>, layer: usize, prefix: &str| -> Result<_, Error> {
            let heads = heads.seeing(kinds[layer]);
            Ok(Box::new(Attention::load(loader, prefix, config, heads)?.with_norms(loader, prefix)?) as _)
        };
        let mixture = |loader: &mut Loader<'_>, _, prefix: &str| -> Result<_, Error> {
            Ok(Box::new(Mixture::load(loader, prefix, config, routing)?) as _)
        };
        Ok(Box::new(Block::load_all(loader, config, Wiring::LLAMA, attention, mixture)?))
    }
}
