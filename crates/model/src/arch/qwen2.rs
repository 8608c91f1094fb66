//! Qwen2 and Qwen2.5 (Yang et al. 2024): the Q, K and V projections have a bias.

use super::{Architecture, Decoder};
use crate::layers::{Attention, Block, Heads};
use crate::{Config, Error, Loader};

pub(super) struct Qwen2;

impl Architecture for Qwen2 {
    fn name(&self) -> &'static str {
        "qwen2"
    }

    fn load(&self, loader: &mut Loader<'_>, config: &Config) -> Result<Box<dyn Decoder>, Error> {
        let heads = Heads::read(loader)?;
        Ok(Box::new(Block::load_all(loader, config, |loader, prefix| {
            Attention::load(loader, prefix, config, heads)?.with_bias(loader, prefix)
        })?))
    }
}
