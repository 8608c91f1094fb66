//! Grouped-query attention (Ainslie et al. 2023) with RoPE (Su et al. 2021).

use crate::{Activation, Config, Error, FusedLinear, Loader, Ops, Vector, WeightMatrix};

/// The projections of an attention block, with optional bias and QK norm.
#[derive(Debug)]
pub struct Attention {
    qkv: FusedLinear,      // ((heads + 2 * kv_heads) * head_dim, hidden)
    bias: Option<Vector>,  // (rows of qkv)
    gains: Option<Vector>, // (2, head_dim): QK norm of queries, of keys
    o: WeightMatrix,       // (hidden, heads * head_dim)
}

impl Attention {
    /// Loads `<prefix>.attn_{q,k,v,output}.weight`.
    ///
    /// # Errors
    /// A missing tensor, another shape, a device too small.
    pub fn load(loader: &mut Loader<'_>, prefix: &str, config: &Config) -> Result<Self, Error> {
        let [q, k, v, o] = ["q", "k", "v", "output"].map(|name| format!("{prefix}.attn_{name}.weight"));
        let rows = [(&*q, config.q_width()), (&*k, config.kv_width()), (&*v, config.kv_width())];
        Ok(Self {
            qkv: loader.fused_linear(&rows, config.hidden)?,
            bias: None,
            gains: None,
            o: loader.matrix(&o, config.hidden, config.q_width())?,
        })
    }

    /// Loads `<prefix>.attn_{q,k,v}.bias` too.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn with_bias(self, loader: &mut Loader<'_>, prefix: &str, config: &Config) -> Result<Self, Error> {
        let [q, k, v] = ["q", "k", "v"].map(|name| format!("{prefix}.attn_{name}.bias"));
        let parts = [(&*q, config.q_width()), (&*k, config.kv_width()), (&*v, config.kv_width())];
        Ok(Self { bias: Some(loader.vectors(&parts)?), ..self })
    }

    /// Loads `<prefix>.attn_{q,k}_norm.weight` too: the gains of QK norm.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn with_norms(self, loader: &mut Loader<'_>, prefix: &str, config: &Config) -> Result<Self, Error> {
        let [q, k] = ["q", "k"].map(|name| format!("{prefix}.attn_{name}_norm.weight"));
        let parts = [(&*q, config.head_dim), (&*k, config.head_dim)];
        Ok(Self { gains: Some(loader.vectors(&parts)?), ..self })
    }

    /// Records the block of layer `layer`: adds its output for x (tokens, hidden) to the residual stream.
    pub fn forward(&self, ops: &mut Ops<'_>, x: Activation, layer: usize) {
        ops.enter_module("qkv");
        let qkv = ops.qkv_projection(&self.qkv, x);
        let q = ops.rope_and_store_kv(layer, qkv, [self.bias.as_ref(), self.gains.as_ref()]);
        ops.enter_module("attention");
        let out = ops.attention(layer, q);
        ops.enter_module("o");
        ops.linear_add_residual(&self.o, out);
    }
}
