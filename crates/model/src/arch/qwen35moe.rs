//! Qwen3.5-MoE (2026): Qwen3.5 with a mixture of experts in every layer. A gated shared expert sees every token.

use super::qwen35::{WIRING, mixer};
use super::{Architecture, Decoder};
use crate::layers::{Block, Mixture, Routing};
use crate::{Config, Error, Loader};

pub(super) struct Qwen35Moe;

impl Architecture for Qwen35Moe {
    fn name(&self) -> &'static str {
        "qwen35moe"
    }

    fn load(&self, loader: &mut Loader<'_>, config: &Config) -> Result<Box<dyn Decoder>, Error> {
        let routing = Routing::read(loader.keys(), true)?;
        let shared = loader.keys().width("expert_shared_feed_forward_length")?;
        let mixer = mixer(loader, config)?;
        let mixture = |loader: &mut Loader<'_>, _, prefix: &str| -> Result<_, Error> {
            let mixture = Mixture::load(loader, prefix, config, routing)?;
            Ok(Box::new(mixture.with_shared(loader, prefix, config, (shared, true))?) as _)
        };
        Ok(Box::new(Block::load_all(loader, config, WIRING, mixer, mixture)?))
    }
}
