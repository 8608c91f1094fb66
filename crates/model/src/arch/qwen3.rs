//! Qwen3 (Yang et al. 2025): QK norm, an RMSNorm of each query and key head before RoPE.

use super::{Architecture, Decoder};
use crate::layers::{Attention, Block, Heads};
use crate::{Config, Error, Loader};

pub(super) struct Qwen3;

impl Architecture for Qwen3 {
    fn name(&self) -> &'static str {
        "qwen3"
    }

    fn load(&self, loader: &mut Loader<'_>, config: &Config) -> Result<Box<dyn Decoder>, Error> {
        let heads = Heads::read(loader)?;
        Ok(Box::new(Block::load_all(loader, config, |loader, prefix| {
            Attention::load(loader, prefix, config, heads)?.with_norms(loader, prefix)
        })?))
    }
}
