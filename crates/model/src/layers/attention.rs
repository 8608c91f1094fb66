//! Grouped-query attention (Ainslie et al. 2023) with RoPE (Su et al. 2021).

use super::Heads;
use crate::config::dim32;
use crate::{Activation, Config, Error, FusedLinear, Loader, Ops, State, Temp, Vector, WeightMatrix};

/// The projections of an attention block, with optional bias and QK norm.
#[derive(Debug)]
pub struct Attention {
    heads: Heads,
    qkv: FusedLinear,      // (queries + keys + values, hidden)
    bias: Option<Vector>,  // (rows of qkv)
    gains: Option<Vector>, // (2, key width): QK norm of queries, of keys
    o: WeightMatrix,       // (hidden, query heads * value width)
}

impl Attention {
    /// Loads `<prefix>.attn_{q,k,v,output}.weight`.
    ///
    /// # Errors
    /// A missing tensor, another shape, a device too small.
    pub fn load(loader: &mut Loader<'_>, prefix: &str, config: &Config, heads: Heads) -> Result<Self, Error> {
        let [q, k, v, o] = ["q", "k", "v", "output"].map(|name| format!("{prefix}.attn_{name}.weight"));
        let [queries, keys, values] = widths(heads);
        heads.reserve(loader);
        loader.reserve(Temp::BlockOut, dim32(config.hidden));
        Ok(Self {
            heads,
            qkv: loader.fused_linear(&[(&*q, queries), (&*k, keys), (&*v, values)], config.hidden)?,
            bias: None,
            gains: None,
            o: loader.matrix(&o, config.hidden, heads.out_width() as usize)?,
        })
    }

    /// Loads `<prefix>.attn_{q,k,v}.bias` too.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn with_bias(self, loader: &mut Loader<'_>, prefix: &str) -> Result<Self, Error> {
        let [q, k, v] = ["q", "k", "v"].map(|name| format!("{prefix}.attn_{name}.bias"));
        let [queries, keys, values] = widths(self.heads);
        let parts = [(&*q, queries), (&*k, keys), (&*v, values)];
        Ok(Self { bias: Some(loader.vectors(&parts)?), ..self })
    }

    /// Loads `<prefix>.attn_{q,k}_norm.weight` too: the gains of QK norm.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn with_norms(self, loader: &mut Loader<'_>, prefix: &str) -> Result<Self, Error> {
        let [q, k] = ["q", "k"].map(|name| format!("{prefix}.attn_{name}_norm.weight"));
        let key = self.heads.key as usize;
        Ok(Self { gains: Some(loader.vectors(&[(&*q, key), (&*k, key)])?), ..self })
    }

    /// What the block keeps of each token.
    pub(crate) fn state(&self) -> State {
        self.heads.state()
    }

    /// Records the block of layer `layer`: adds its output for x (tokens, hidden) to the residual stream.
    pub fn forward(&self, ops: &mut Ops<'_>, x: Activation, layer: usize) {
        ops.enter_module("qkv");
        let qkv = ops.qkv_projection(&self.qkv, x);
        let q = ops.rope_and_store_kv((layer, &self.heads), qkv, [self.bias.as_ref(), self.gains.as_ref()]);
        ops.enter_module("attention");
        let out = ops.attention((layer, &self.heads), q);
        ops.enter_module("o");
        ops.linear_add_residual(&self.o, out);
    }
}

/// Rows of the Q, K and V projections.
fn widths(heads: Heads) -> [usize; 3] {
    [heads.query_width(), heads.key_width(), heads.value_width()].map(|n| n as usize)
}
