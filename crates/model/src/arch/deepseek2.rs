//! DeepSeek-V2-Lite (DeepSeek-AI 2024): MLA, dense layers first, then mixtures with shared experts.

use super::{Architecture, Decoder, swiglu};
use crate::layers::{Block, Mixture, Mla, MlaShape, Routing, Wiring};
use crate::{Config, Error, Loader};

pub(super) struct DeepSeek2;

/// Groups of experts where the file does not say. DeepSeek-V2 and its siblings have 160 experts in eight groups, which older
/// files of llama.cpp leave out.
const fn groups_of(experts: u32) -> u32 {
    if experts == 160 { 8 } else { 1 }
}

impl Architecture for DeepSeek2 {
    fn name(&self) -> &'static str {
        "deepseek2"
    }

    fn load(&self, loader: &mut Loader<'_>, config: &Config) -> Result<Box<dyn Decoder>, Error> {
        let keys = loader.keys();
        let groups = keys.size_or("expert_group_count", groups_of(keys.size("expert_count")?))?;
        keys.check("expert_group_count", groups, groups <= 1, "it must be 1: no kernel routes to groups")?;
        let shape = MlaShape::read(loader)?;
        let routing = Routing::read(keys, false)?;
        let shared = keys.size_or("expert_shared_count", 0)?.saturating_mul(routing.ffn);
        let n_dense = keys.size_or("leading_dense_block_count", 0)? as usize;
        let dense = swiglu(keys, config)?;
        let attention = |loader: &mut Loader<'_>, _, prefix: &str| -> Result<_, Error> {
            Ok(Box::new(Mla::load(loader, prefix, config, shape)?) as _)
        };
        let ffn = |loader: &mut Loader<'_>, layer: usize, prefix: &str| -> Result<_, Error> {
            if layer < n_dense {
                return dense(loader, layer, prefix);
            }
            let mixture = Mixture::load(loader, prefix, config, routing)?;
            let shares = shared > 0;
            let mixture =
                if shares { mixture.with_shared(loader, prefix, config, (shared, false))? } else { mixture };
            Ok(Box::new(mixture) as _)
        };
        Ok(Box::new(Block::load_all(loader, config, Wiring::LLAMA, attention, ffn)?))
    }
}
