//! Attention maps that several heads share (Sun et al. 2025, "GTA"), in the block of Llama: a family for studies.
//!
//! ```text
//! GVA: a key head for each query head; GHA: a key head for several query heads.
//!      The heads of a map differ in their values, which lie side by side as one wide value.
//! GTA: values are latent. The heads of a map differ in their decoders, behind a gate.
//! ```

use super::{Architecture, Decoder, swiglu};
use crate::layers::{Attention, Block, Heads, Wiring};
use crate::{Config, Error, Loader};

pub(super) struct Gta;

impl Architecture for Gta {
    fn name(&self) -> &'static str {
        "gta"
    }

    fn load(&self, loader: &mut Loader<'_>, config: &Config) -> Result<Box<dyn Decoder>, Error> {
        let keys = loader.keys();
        keys.no_windows()?;
        let heads = Heads::read_two_widths(loader)?;
        let latent = keys.flag_or("attention.latent_values", false)?;
        let holds = latent || heads.out_width() as usize == config.hidden;
        let rule = "it must be embedding_length / head_count, unless attention.latent_values is true";
        keys.check("value_length", heads.value, holds, rule)?;
        let ffn = swiglu(keys, config)?;
        let attention = |loader: &mut Loader<'_>, _, prefix: &str| -> Result<_, Error> {
            let load = if latent { Attention::load_latent } else { Attention::load };
            Ok(Box::new(load(loader, prefix, config, heads)?) as _)
        };
        Ok(Box::new(Block::load_all(loader, config, Wiring::LLAMA, attention, ffn)?))
    }
}
