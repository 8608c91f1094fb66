//! The pre-norm block of Llama (Touvron et al. 2023): both halves read a norm of the residual stream and add
//! to it.

use super::{Attention, GatedMlp};
use crate::{Config, Error, Loader, Ops, State, Vector};

/// One layer: attention, then a gated feed-forward block.
#[derive(Debug)]
pub struct Block {
    attn_norm: Vector, // (hidden)
    attention: Attention,
    ffn_norm: Vector, // (hidden)
    mlp: GatedMlp,
}

impl Block {
    /// Loads every layer. `attention` loads the family's attention block from the tensors with the given
    /// prefix.
    ///
    /// # Errors
    /// A missing tensor, another shape, a device too small.
    pub fn load_all<'a>(
        loader: &mut Loader<'a>,
        config: &Config,
        attention: impl Fn(&mut Loader<'a>, &str) -> Result<Attention, Error>,
    ) -> Result<Vec<Self>, Error> {
        let ffn = loader.keys().width("feed_forward_length")?;
        let mut load = |layer| {
            let prefix = format!("blk.{layer}");
            Ok(Self {
                attn_norm: loader.vector(&format!("{prefix}.attn_norm.weight"), config.hidden)?,
                attention: attention(loader, &prefix)?,
                ffn_norm: loader.vector(&format!("{prefix}.ffn_norm.weight"), config.hidden)?,
                mlp: GatedMlp::load(loader, &prefix, config, ffn)?,
            })
        };
        (0..config.layers).map(&mut load).collect()
    }

    /// What the block keeps of each token.
    pub(crate) fn state(&self) -> State {
        self.attention.state()
    }

    /// Records the block as layer `layer`. It reads and updates the residual stream.
    pub fn forward(&self, ops: &mut Ops<'_>, layer: usize) {
        ops.enter_module("attn_norm");
        let normed = ops.rms_norm(ops.residual(), &self.attn_norm);
        self.attention.forward(ops, normed, layer);
        ops.enter_module("ffn_norm");
        let normed = ops.rms_norm(ops.residual(), &self.ffn_norm);
        self.mlp.forward(ops, normed);
    }
}
