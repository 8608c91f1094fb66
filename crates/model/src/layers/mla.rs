//! Multi-head latent attention, MLA (DeepSeek-AI 2024): keys and values are projections of one latent row per token.
//!
//! ```text
//! expanded: key[h] = [K_h · c, r], value[h] = V_h · c; the cache holds keys and values of all heads
//! absorbed: score[h] = [K_hᵀ · q[h], q_rotated[h]] · [c, r]; output[h] = V_h · Σ weights · c; the cache holds [c, r]
//! ```
//!
//! c is the latent row after its norm, and r the rotated part of the key, which all heads share.

use super::heads::{MAX_HEADS, inverse_root};
use super::{Heads, Mixer, Output};
use crate::keys::is_multiple;
use crate::{
    Activation, Config, Error, FusedLinear, Loader, MlaForm, Ops, RopeConfig, Rows, State, Switches, Temp,
    Vector, WeightMatrix,
};

/// Widths of MLA.
#[derive(Clone, Copy, Debug)]
pub struct MlaShape {
    /// Heads with keys and values of their own. Keys end with the rotated part.
    expanded: Heads,
    /// Width of the rotated part of a key.
    rotary: u32,
    /// Width of the latent row.
    latent: u32,
    /// Width of the compressed queries. 0: queries are projected from the residual stream.
    query_rank: u32,
}

impl MlaShape {
    /// Reads the widths.
    ///
    /// # Errors
    /// A missing key, or widths that no kernel supports.
    pub fn read(loader: &mut Loader<'_>) -> Result<Self, Error> {
        let keys = loader.keys();
        let query = keys.size("attention.head_count")?;
        keys.check("head_count", query, (1..=MAX_HEADS).contains(&query), "it must be between 1 and 4096")?;
        keys.no_windows()?;
        let key = keys.width("attention.key_length_mla")?;
        let value = keys.width("attention.value_length_mla")?;
        let latent = keys.width("attention.kv_lora_rank")?;
        let rule = "it must be at most 1024, the values of one workgroup";
        for (what, width) in [("key_length_mla", key), ("value_length_mla", value), ("kv_lora_rank", latent)]
        {
            keys.check(what, width, width <= 1024, rule)?;
        }
        let rope = RopeConfig::read(keys, key)?;
        let (rotary, rule) = (rope.rotary, "it must be a multiple of 8, and less than the width of a key");
        keys.check("rope.dimension_count", rotary, is_multiple(rotary, 8) && rotary < key, rule)?;
        let scale = keys.multiplier_or("attention.scale", inverse_root(key))?;
        let rope = Some(loader.rope(rope));
        let expanded = Heads { query, kv: query, key, value, scale, window: None, rope, latent: false };
        let query_rank = keys.size_or("attention.q_lora_rank", 0)?;
        Ok(Self { expanded, rotary, latent, query_rank })
    }

    /// Heads that share one key, whose first part is also the value.
    const fn absorbed(&self) -> Heads {
        Heads { kv: 1, key: self.latent + self.rotary, value: self.latent, latent: true, ..self.expanded }
    }

    /// Width of a key without its rotated part.
    const fn nope(&self) -> u32 {
        self.expanded.key - self.rotary
    }

    /// Width of the queries that the input projection makes.
    const fn query_inputs(&self) -> u32 {
        if self.query_rank == 0 { self.expanded.query_width() } else { self.query_rank }
    }
}

/// The projections of MLA.
#[derive(Debug)]
pub struct Mla {
    shape: MlaShape,
    inputs: FusedLinear, // (queries or their rank + latent + rotated, hidden)
    query: Option<(Vector, WeightMatrix)>, // (rank), (heads * key, rank)
    norm: Vector,        // (latent)
    key: KeyProjection,
    value: WeightMatrix, // (heads * value, latent)
    output: Output,      // (hidden, heads * value)
}

/// The projection `K_h` of each head from the latent row to the part of its key that is not rotated.
#[derive(Debug)]
enum KeyProjection {
    /// `K_h`: (heads * nope, latent).
    Plain(WeightMatrix),
    /// `K_hᵀ`: (heads * latent, nope).
    Transposed(WeightMatrix),
}

impl Mla {
    /// Loads `<prefix>.attn_{q,kv_a_mqa,kv_a_norm,kv_b,output}.weight`. Compressed queries are `attn_q_a`, `attn_q_a_norm` and
    /// `attn_q_b`. Files may have `attn_k_b` and `attn_v_b` in place of `attn_kv_b`.
    ///
    /// # Errors
    /// A missing tensor, another shape, a device too small.
    pub fn load(
        loader: &mut Loader<'_>,
        prefix: &str,
        config: &Config,
        shape: MlaShape,
    ) -> Result<Self, Error> {
        let name = |part: &str| format!("{prefix}.attn_{part}.weight");
        let MlaShape { expanded, latent, query_rank, .. } = shape;
        let [rank, width, row] = [query_rank, latent, latent + shape.rotary].map(|n| n as usize);
        let query = if query_rank == 0 {
            None
        } else {
            let queries = expanded.query_width() as usize;
            Some((loader.vector(&name("q_a_norm"), rank)?, loader.matrix(&name("q_b"), queries, rank)?))
        };
        let first = name(if query.is_some() { "q_a" } else { "q" });
        let inputs = [(&*first, shape.query_inputs() as usize), (&*name("kv_a_mqa"), row)];
        let inputs = loader.fused_linear(&inputs, config.hidden)?;
        let (key, value) = load_kv(loader, prefix, &shape)?;
        let output = format!("{prefix}.attn_output");
        reserve(loader, &shape);
        Ok(Self {
            shape,
            inputs,
            query,
            norm: loader.vector(&name("kv_a_norm"), width)?,
            key,
            value,
            output: Output::load(loader, &output, config.hidden, expanded.out_width() as usize)?,
        })
    }

    /// The queries: the first columns of the input projection, or those made from compressed queries.
    fn queries(&self, ops: &mut Ops<'_>, inputs: Activation) -> Activation {
        let Some((norm, project)) = &self.query else { return inputs };
        let rank = ops.latent((inputs, 0), norm, (Temp::QueryLatent, self.shape.query_rank));
        ops.enter_module("qkv");
        ops.project(project, None, rank, Temp::Query)
    }

    /// Stores keys and values of all heads, and rotates the queries.
    fn expand(&self, ops: &mut Ops<'_>, inputs: Activation, q: Activation, layer: usize) {
        let (shape, heads) = (&self.shape, &self.shape.expanded);
        let (n_heads, nope, first) = (heads.query, shape.nope(), shape.query_inputs());
        ops.rotate(heads, inputs, (1, first + shape.latent));
        let c = ops.latent((inputs, first), &self.norm, (Temp::Latent, shape.latent));
        ops.enter_module("qkv");
        let keys = ops.activation(Temp::MlaKeys, heads.key_width()).heads(0, heads.key);
        match &self.key {
            KeyProjection::Plain(weight) => {
                let part = ops.project(weight, None, c, Temp::KeyPart).heads(0, nope);
                ops.copy_heads([part, keys], n_heads, nope);
            }
            KeyProjection::Transposed(weight) => {
                ops.head_linear((weight, true), n_heads, [c.heads(0, 0), keys]);
            }
        }
        let rotated = [inputs.heads(first + shape.latent, 0), keys.activation.heads(nope, heads.key)];
        ops.copy_heads(rotated, n_heads, shape.rotary);
        let values = ops.project(&self.value, None, c, Temp::MlaValues);
        ops.store_kv((layer, heads), keys.activation, Some(values));
        ops.rotate(heads, q, (n_heads, nope));
    }

    /// Stores the latent row. Returns the queries that meet it.
    fn absorb(&self, ops: &mut Ops<'_>, inputs: Activation, q: Activation, layer: usize) -> Activation {
        let (shape, heads, absorbed) = (&self.shape, &self.shape.expanded, self.shape.absorbed());
        let (n_heads, nope, first) = (heads.query, shape.nope(), shape.query_inputs());
        let row = ops.latent((inputs, first), &self.norm, (Temp::Latent, absorbed.key));
        ops.rotate(heads, row, (1, shape.latent));
        ops.store_kv((layer, &absorbed), row, None);
        ops.rotate(heads, q, (n_heads, nope));
        ops.enter_module("qkv");
        let to = ops.activation(Temp::AbsorbedQuery, absorbed.query_width());
        let parts = [q.heads(0, heads.key), to.heads(0, absorbed.key)];
        match &self.key {
            KeyProjection::Plain(weight) => ops.head_linear((weight, true), n_heads, parts),
            KeyProjection::Transposed(weight) => ops.head_linear((weight, false), n_heads, parts),
        }
        let rotated = [q.heads(nope, heads.key), to.heads(shape.latent, absorbed.key)];
        ops.copy_heads(rotated, n_heads, shape.rotary);
        to
    }
}

impl Mixer for Mla {
    fn state(&self, switches: &Switches) -> State {
        match switches.mla {
            MlaForm::Expanded => self.shape.expanded.state(),
            MlaForm::Absorbed => self.shape.absorbed().state(),
        }
    }

    fn forward(&self, ops: &mut Ops<'_>, x: Activation, layer: usize) {
        let heads = &self.shape.expanded;
        ops.enter_module("qkv");
        let inputs = ops.project_each(&self.inputs, x, Temp::Qkv);
        let q = self.queries(ops, inputs);
        let out = match ops.switches.mla {
            MlaForm::Expanded => {
                self.expand(ops, inputs, q, layer);
                ops.enter_module("attention");
                ops.attention((layer, heads), q)
            }
            MlaForm::Absorbed => {
                let q = self.absorb(ops, inputs, q, layer);
                ops.enter_module("attention");
                let sums = ops.attention((layer, &self.shape.absorbed()), q);
                ops.enter_module("o");
                let out = ops.activation(Temp::MlaValues, heads.out_width());
                let parts = [sums.heads(0, self.shape.latent), out.heads(0, heads.value)];
                ops.head_linear((&self.value, false), heads.query, parts);
                out
            }
        };
        ops.enter_module("o");
        self.output.forward(ops, out);
    }
}

/// The projections of keys and of values from the latent row.
fn load_kv(
    loader: &mut Loader<'_>,
    prefix: &str,
    shape: &MlaShape,
) -> Result<(KeyProjection, WeightMatrix), Error> {
    let MlaShape { expanded: Heads { query, value, .. }, latent, .. } = *shape;
    let (heads, latent, nope, value) =
        (query as usize, latent as usize, shape.nope() as usize, value as usize);
    let name = |part: &str| format!("{prefix}.attn_{part}.weight");
    let both = name("kv_b");
    let (key, value) = if loader.has(&both) {
        let rule = "it must equal the width of keys without position, where keys and values share a tensor";
        loader.keys().check("value_length_mla", value, value == nope, rule)?;
        let half = |second| Rows::half(&both, heads * (nope + value), nope, second);
        (KeyProjection::Plain(loader.rows(half(false), latent)?), loader.rows(half(true), latent)?)
    } else {
        let keys = loader.rows(Rows::experts(&name("k_b"), heads, latent), nope)?;
        (KeyProjection::Transposed(keys), loader.rows(Rows::experts(&name("v_b"), heads, value), latent)?)
    };
    let (KeyProjection::Plain(weight) | KeyProjection::Transposed(weight)) = &key;
    loader.check_one_binding(weight, "the keys of MLA")?;
    loader.check_one_binding(&value, "the values of MLA")?;
    Ok((key, value))
}

/// Reserves what both forms write.
fn reserve(loader: &mut Loader<'_>, shape: &MlaShape) {
    let (heads, absorbed) = (shape.expanded, shape.absorbed());
    for form in [heads, absorbed] {
        loader.attends(form);
        loader.reserve(Temp::AttnPartials, form.query * (form.value + 4));
        loader.reserve(Temp::AttnOut, form.out_width());
        loader.reserve(Temp::Scores, form.query);
    }
    loader.reserve(Temp::Qkv, shape.query_inputs() + absorbed.key);
    loader.reserve(Temp::Query, heads.query_width());
    loader.reserve(Temp::QueryLatent, shape.query_rank);
    loader.reserve(Temp::Latent, absorbed.key);
    loader.reserve(Temp::KeyPart, heads.query * shape.nope());
    loader.reserve(Temp::MlaKeys, heads.key_width());
    loader.reserve(Temp::MlaValues, heads.value_width());
    loader.reserve(Temp::AbsorbedQuery, absorbed.query_width());
}
