//! Grouped-query attention (Ainslie et al. 2023) with RoPE (Su et al. 2021), and with latent values (Sun et al. 2025).

use super::{Heads, Mixer, Output};
use crate::config::dim32;
use crate::{
    Activation, Config, Error, FusedLinear, Loader, Ops, Rows, State, Switches, Temp, Vector, WeightMatrix,
};

/// An attention block, with optional biases, QK norm, decoder of latent values, output gate and post-norm.
#[derive(Debug)]
pub struct Attention {
    heads: Heads,
    qkv: FusedLinear, // (queries + keys + values, and the gates of the output if it has them, hidden)
    gated: bool,
    decoder: Option<WeightMatrix>, // (query heads * decoded width, value width)
    bias: Option<Vector>,          // (queries + keys + values)
    gains: Option<Vector>,         // (2, key width): QK norm of queries, of keys
    output: Output,                // (hidden, query heads * value width), or decoded width
}

impl Attention {
    /// Loads `<prefix>.attn_{q,k,v,output}.weight`.
    ///
    /// # Errors
    /// A missing tensor, another shape, a device too small.
    pub fn load(loader: &mut Loader<'_>, prefix: &str, config: &Config, heads: Heads) -> Result<Self, Error> {
        let [q, k, v] = ["q", "k", "v"].map(|name| format!("{prefix}.attn_{name}.weight"));
        let [queries, keys, values] = widths(heads);
        let rows = [Rows::all(&q, queries), Rows::all(&k, keys), Rows::all(&v, values)];
        Self::from_rows(loader, (&format!("{prefix}.attn_output"), &rows), config, (heads, heads.out_width()))
    }

    /// Loads `<prefix>.attn_{q,k,v,out}.{weight,bias}`, the names of an image encoder.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_biased(
        loader: &mut Loader<'_>,
        prefix: &str,
        config: &Config,
        heads: Heads,
    ) -> Result<Self, Error> {
        let [q, k, v] = ["q", "k", "v"].map(|name| format!("{prefix}.attn_{name}.weight"));
        let [queries, keys, values] = widths(heads);
        let rows = [Rows::all(&q, queries), Rows::all(&k, keys), Rows::all(&v, values)];
        let name = format!("{prefix}.attn_out");
        let attention = Self::from_rows(loader, (&name, &rows), config, (heads, heads.out_width()))?
            .with_bias(loader, prefix)?;
        Ok(Self { output: attention.output.with_bias(loader, &name)?, ..attention })
    }

    /// Loads `<prefix>.attn_{qkv,output}.weight`: queries, keys and values in one tensor.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_fused(
        loader: &mut Loader<'_>,
        prefix: &str,
        config: &Config,
        heads: Heads,
    ) -> Result<Self, Error> {
        let name = format!("{prefix}.attn_qkv.weight");
        let rows = [Rows::all(&name, heads.qkv_width() as usize)];
        Self::from_rows(loader, (&format!("{prefix}.attn_output"), &rows), config, (heads, heads.out_width()))
    }

    /// Loads `<prefix>.attn_{q,k,v,output}.weight`. Each head of `attn_q` has the rows of its query, then those of the
    /// gate of its output (Qwen3.5).
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_gated(
        loader: &mut Loader<'_>,
        prefix: &str,
        config: &Config,
        heads: Heads,
    ) -> Result<Self, Error> {
        let [q, k, v] = ["q", "k", "v"].map(|name| format!("{prefix}.attn_{name}.weight"));
        let [queries, keys, values] = widths(heads);
        let half = |second| Rows::half(&q, 2 * queries, heads.key as usize, second);
        let rows = [half(false), Rows::all(&k, keys), Rows::all(&v, values), half(true)];
        let output = format!("{prefix}.attn_output");
        Ok(Self {
            gated: true,
            ..Self::from_rows(loader, (&output, &rows), config, (heads, heads.out_width()))?
        })
    }

    /// Attention of loaded projections, with the bias of queries, keys and values.
    pub(crate) fn new(
        loader: &mut Loader<'_>,
        heads: Heads,
        (qkv, bias): (FusedLinear, Vector),
        output: Output,
    ) -> Self {
        heads.reserve(loader);
        Self { heads, qkv, gated: false, decoder: None, bias: Some(bias), gains: None, output }
    }

    /// Loads `<prefix>.attn_{q,k,v,v_b,gate,output}.weight`: grouped-head latent attention, GTA.
    ///
    /// Values are latent. Several heads share the attention map of query head q. Their outputs are
    /// σ(gate · x) ⊙ (`V_q` · Σ weights · value), hidden / query heads values wide. `attn_v_b` has the matrices `V_q`.
    ///
    /// # Errors
    /// As [`Self::load`], and query heads that do not divide the hidden width into whole vec4s.
    pub fn load_latent(
        loader: &mut Loader<'_>,
        prefix: &str,
        config: &Config,
        heads: Heads,
    ) -> Result<Self, Error> {
        let [q, k, v, v_b, gate] =
            ["q", "k", "v", "v_b", "gate"].map(|name| format!("{prefix}.attn_{name}.weight"));
        let ([queries, keys, values], hidden) = (widths(heads), config.hidden);
        let n_heads = heads.query as usize;
        let holds = hidden.is_multiple_of(4 * n_heads);
        let rule = "four times it must divide embedding_length, where values are latent";
        loader.keys().check("head_count", heads.query, holds, rule)?;
        let rows =
            [Rows::all(&q, queries), Rows::all(&k, keys), Rows::all(&v, values), Rows::all(&gate, hidden)];
        let output = format!("{prefix}.attn_output");
        let attention = Self::from_rows(loader, (&output, &rows), config, (heads, dim32(hidden)))?;
        let decoder = loader.rows(Rows::experts(&v_b, n_heads, hidden / n_heads), heads.value as usize)?;
        loader.check_one_binding(&decoder, "the decoder of latent values")?;
        loader.reserve(Temp::DecodedValues, dim32(hidden));
        Ok(Self { gated: true, decoder: Some(decoder), ..attention })
    }

    /// Loads projections from rows of `rows`, and one from `out` values to the residual stream.
    fn from_rows(
        loader: &mut Loader<'_>,
        (output, rows): (&str, &[Rows<'_>]),
        config: &Config,
        (heads, out): (Heads, u32),
    ) -> Result<Self, Error> {
        heads.reserve(loader);
        let qkv = loader.fused_rows(rows, config.hidden)?;
        loader.reserve(Temp::Qkv, qkv.rows);
        let output = Output::load(loader, output, config.hidden, out as usize)?;
        Ok(Self { heads, qkv, gated: false, decoder: None, bias: None, gains: None, output })
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

    /// Loads `<prefix>.attn_{qkv,output}.bias` too.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn with_fused_bias(self, loader: &mut Loader<'_>, prefix: &str) -> Result<Self, Error> {
        let bias = loader.vector(&format!("{prefix}.attn_qkv.bias"), self.heads.qkv_width() as usize)?;
        let output = self.output.with_bias(loader, &format!("{prefix}.attn_output"))?;
        Ok(Self { bias: Some(bias), output, ..self })
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

    /// Loads the post-norm `<prefix>.post_attention_norm.weight` too.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn with_post_norm(self, loader: &mut Loader<'_>, prefix: &str) -> Result<Self, Error> {
        let name = format!("{prefix}.post_attention_norm");
        Ok(Self { output: self.output.with_post_norm(loader, &name, "attn_post_norm")?, ..self })
    }
}

impl Mixer for Attention {
    fn state(&self, _switches: &Switches) -> State {
        self.heads.state()
    }

    fn forward(&self, ops: &mut Ops<'_>, x: Activation, layer: usize) {
        ops.enter_module("qkv");
        let qkv = ops.project_each(&self.qkv, x, Temp::Qkv);
        let q = ops.rope_and_store_kv((layer, &self.heads), qkv, [self.bias.as_ref(), self.gains.as_ref()]);
        ops.enter_module("attention");
        let mut out = ops.attention((layer, &self.heads), q);
        if let Some(decoder) = &self.decoder {
            ops.enter_module("o");
            out = ops.decode_values((decoder, &self.heads), out);
        }
        if self.gated {
            ops.enter_module("attn_gate");
            ops.sigmoid_gate(out, qkv, self.heads.qkv_width());
        }
        ops.enter_module("o");
        self.output.forward(ops, out);
    }
}

/// Rows of the Q, K and V projections.
fn widths(heads: Heads) -> [usize; 3] {
    [heads.query_width(), heads.key_width(), heads.value_width()].map(|n| n as usize)
}
