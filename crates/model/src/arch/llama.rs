//! Llama (Touvron et al. 2023) and what shares its layers: Mistral, SmolLM2, TinyLlama.

use super::{Architecture, Decoder};
use crate::layers::{Attention, GatedMlp};
use crate::{Config, Error, Loader, Ops, Vector};

pub(super) struct Llama;

#[derive(Debug)]
struct Layer {
    attn_norm: Vector,
    attention: Attention,
    ffn_norm: Vector,
    mlp: GatedMlp,
}

#[derive(Debug)]
struct Layers(Vec<Layer>);

impl Architecture for Llama {
    fn name(&self) -> &'static str {
        "llama"
    }

    fn load(&self, loader: &mut Loader<'_>, config: &Config) -> Result<Box<dyn Decoder>, Error> {
        let layer = |l| {
            let prefix = format!("blk.{l}");
            Ok(Layer {
                attn_norm: loader.vector(&format!("{prefix}.attn_norm.weight"), config.hidden)?,
                attention: Attention::load(loader, &prefix, config)?,
                ffn_norm: loader.vector(&format!("{prefix}.ffn_norm.weight"), config.hidden)?,
                mlp: GatedMlp::load(loader, &prefix, config)?,
            })
        };
        Ok(Box::new(Layers((0..config.layers).map(layer).collect::<Result<_, Error>>()?)))
    }
}

impl Decoder for Layers {
    fn layer(&self, ops: &mut Ops<'_>, index: usize) {
        let layer = &self.0[index];
        let normed = ops.rms_norm(ops.residual(), &layer.attn_norm);
        layer.attention.forward(ops, normed, index);
        let normed = ops.rms_norm(ops.residual(), &layer.ffn_norm);
        layer.mlp.forward(ops, normed);
    }
}
