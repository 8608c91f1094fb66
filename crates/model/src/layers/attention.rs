//! Grouped-query attention with rotary positions (Ainslie et al. 2023; Su et al. 2021).

use crate::{Act, Config, Error, Loader, Matrix, Ops, Spot};

/// Projections of one attention block.
#[derive(Debug)]
pub struct Attention {
    q: Matrix, // (heads * head_dim, hidden)
    k: Matrix, // (kv_heads * head_dim, hidden)
    v: Matrix, // (kv_heads * head_dim, hidden)
    o: Matrix, // (hidden, heads * head_dim)
}

impl Attention {
    /// Loads `<prefix>.attn_{q,k,v,output}.weight`.
    ///
    /// # Errors
    /// A missing tensor, another shape, a device too small.
    pub fn load(loader: &mut Loader<'_>, prefix: &str, config: &Config) -> Result<Self, Error> {
        let mut matrix = |name, rows, cols| loader.matrix(&format!("{prefix}.{name}.weight"), rows, cols);
        Ok(Self {
            q: matrix("attn_q", config.q_width(), config.hidden)?,
            k: matrix("attn_k", config.kv_width(), config.hidden)?,
            v: matrix("attn_v", config.kv_width(), config.hidden)?,
            o: matrix("attn_output", config.hidden, config.q_width())?,
        })
    }

    /// Records the block for layer `layer`: x (tokens, hidden) to (tokens, hidden).
    pub fn forward(&self, ops: &mut Ops<'_>, x: Act, layer: usize) -> Act {
        ops.part("attention");
        let q = ops.project(&self.q, x, Spot::Query);
        let k = ops.project(&self.k, x, Spot::Key);
        let v = ops.project(&self.v, x, Spot::Value);
        let q = ops.rope(q);
        let k = ops.rope(k);
        ops.remember(layer, k, v);
        let mixed = ops.attend(layer, q);
        ops.project(&self.o, mixed, Spot::Branch)
    }
}
