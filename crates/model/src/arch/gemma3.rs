//! Gemma 3 (Gemma Team 2025): most layers see a sliding window and have a RoPE base of their own. QK norm, norms before
//! and after both halves, a gated block with GELU, and scaled embeddings.

use super::{Architecture, Decoder};
use crate::layers::{Attention, Block, GatedMlp, Heads, Wiring};
use crate::{Config, Error, Keys, Loader, RopeConfig};
use ridgeline_kernels::Activation;
use ridgeline_weights::LayerKind;

pub(super) struct Gemma3;

impl Architecture for Gemma3 {
    fn name(&self) -> &'static str {
        "gemma3"
    }

    #[expect(clippy::cast_possible_truncation, reason = "the kernel takes f32")]
    fn config(&self, keys: Keys<'_>) -> Result<Config, Error> {
        let config = Config::read(keys, self.norm())?;
        Ok(Config { embed_scale: (config.hidden as f64).sqrt() as f32, ..config })
    }

    fn load(&self, loader: &mut Loader<'_>, config: &Config) -> Result<Box<dyn Decoder>, Error> {
        let keys = loader.keys();
        let kinds = keys.checkpoint().layer_kinds()?;
        let global = Heads::read(loader)?;
        // Scaling of the frequencies applies to the global layers alone.
        let base = keys.number_or("rope.freq_base_swa", 10_000.0)?;
        let rope = RopeConfig { base, factors: None, ..RopeConfig::read(keys, global.key)? };
        let local = Heads { rope: Some(loader.rope(rope)), ..global };
        let ffn = keys.width("feed_forward_length")?;
        let attention = |loader: &mut Loader<'_>, layer: usize, prefix: &str| -> Result<_, Error> {
            let heads = match kinds[layer] {
                LayerKind::Windowed(_) => local.seeing(kinds[layer]),
                _ => global.seeing(kinds[layer]),
            };
            let attention = Attention::load(loader, prefix, config, heads)?.with_norms(loader, prefix)?;
            Ok(Box::new(attention.with_post_norm(loader, prefix)?) as _)
        };
        let mlp = |loader: &mut Loader<'_>, _, prefix: &str| -> Result<_, Error> {
            let mlp = GatedMlp::load(loader, prefix, config, (ffn, Activation::GeluTanh))?;
            Ok(Box::new(mlp.with_post_norm(loader, prefix)?) as _)
        };
        Ok(Box::new(Block::load_all(loader, config, Wiring::LLAMA, attention, mlp)?))
    }
}
