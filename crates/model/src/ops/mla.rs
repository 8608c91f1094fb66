//! Operations of latent attention: copies of parts of heads, norms of latent rows, and linear layers per head.

use super::{Activation, Ops};
use crate::cache::KvLayer;
use crate::layers::Heads;
use crate::matrix::{Vector, WeightMatrix};
use crate::scratch::Temp;
use ridgeline_kernels as kernels;

/// Heads within the rows of an activation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InRow {
    pub(crate) activation: Activation,
    /// Column of the first head.
    pub(crate) first: u32,
    /// Columns from one head to the next. 0: all heads are the same.
    pub(crate) step: u32,
}

impl Activation {
    /// Heads of which the first begins at column `first`, `step` columns apart.
    pub(crate) const fn heads(self, first: u32, step: u32) -> InRow {
        InRow { activation: self, first, step }
    }
}

impl Ops<'_> {
    /// Copies `width` values of each of `n_heads` heads.
    pub(crate) fn copy_heads(&mut self, [x, y]: [InRow; 2], n_heads: u32, width: u32) {
        if self.ablated {
            return;
        }
        let params = kernels::copy_heads::Params {
            n_tokens: self.tokens,
            n_heads,
            width,
            x_ld: x.activation.width,
            x_first: x.first,
            x_step: x.step,
            y_ld: y.activation.width,
            y_first: y.first,
            y_step: y.step,
        };
        let args = kernels::copy_heads::Args { x: x.activation.slice, y: y.activation.slice };
        self.recording.run(kernels::copy_heads::CopyHeads { workgroup_size: 64 }, params, args);
    }

    /// The first `gain.len` columns of every row from column `first` of x on, copied to `to`, with RMSNorm. Rows of `to` have
    /// `width` values. Those beyond the norm are copies.
    pub(crate) fn latent(
        &mut self,
        (x, first): (Activation, u32),
        gain: &Vector,
        (to, width): (Temp, u32),
    ) -> Activation {
        let y = self.activation(to, width);
        self.enter_module("qkv");
        self.copy_heads([x.heads(first, 0), y.heads(0, 0)], 1, width);
        self.enter_module("qk_norm");
        if !self.ablated {
            let params = kernels::qk_norm::Params {
                n_tokens: self.tokens,
                n_heads: 1,
                kv_heads: 0,
                head_dim: gain.len,
                ld: width,
                eps: self.config.norm_eps,
            };
            let reduce = kernels::Reduce::all(self.caps)[0];
            let args = kernels::qk_norm::Args { x: y.slice, gains: gain.slice() };
            self.recording.run(kernels::qk_norm::QkNorm { reduce, workgroup_size: 64 }, params, args);
        }
        y
    }

    /// `y[h] = W_h · x[h]` for each of `n_heads` heads, or `W_hᵀ · x[h]` if `transposed`.
    pub(crate) fn head_linear(
        &mut self,
        (weight, transposed): (&WeightMatrix, bool),
        n_heads: u32,
        [x, y]: [InRow; 2],
    ) {
        if self.ablated {
            return;
        }
        let params = kernels::head_linear::Params {
            n_tokens: self.tokens,
            n_heads,
            n_rows: weight.rows / n_heads,
            n_cols: weight.cols,
            stride: weight.stride,
            x_ld: x.activation.width,
            x_first: x.first,
            x_step: x.step,
            y_ld: y.activation.width,
            y_first: y.first,
            y_step: y.step,
        };
        let kernel =
            kernels::head_linear::HeadLinear::new(weight.format, weight.layout, transposed, self.caps);
        let (x, y) = (x.activation.slice, y.activation.slice);
        let args = kernels::head_linear::Args { weights: weight.chunks[0].slice, x, y };
        self.recording.run(kernel, params, args);
    }

    /// `V_q` · x for the latent output x of each query head q of attention: (tokens, query heads · decoded width).
    pub(crate) fn decode_values(
        &mut self,
        (decoder, heads): (&WeightMatrix, &Heads),
        x: Activation,
    ) -> Activation {
        let decoded = decoder.rows / heads.query;
        let y = self.activation(Temp::DecodedValues, decoder.rows);
        self.head_linear((decoder, false), heads.query, [x.heads(0, heads.value), y.heads(0, decoded)]);
        y
    }

    /// Rotates the queries, which have `heads.key` values each, from column `first` of each on.
    pub(crate) fn rotate(&mut self, heads: &Heads, x: Activation, (n_heads, first): (u32, u32)) {
        self.enter_module("rope");
        if !self.ablated {
            self.rope(heads, x, (n_heads, first));
        }
    }

    /// Stores keys, and values unless they are parts of the keys, in the KV cache of `layer`.
    pub(crate) fn store_kv(
        &mut self,
        (layer, heads): (usize, &Heads),
        keys: Activation,
        values: Option<Activation>,
    ) {
        self.enter_module("kv_write");
        if self.ablated {
            return;
        }
        let (kv, [key_format, value_format]) = (self.cache.kv(layer), self.cache.formats);
        let KvLayer { strides: [key_stride, value_stride], .. } = kv;
        self.append(heads, keys, (heads.key, 0), (kv.keys, key_stride, key_format));
        if let Some(values) = values {
            self.append(heads, values, (heads.value, 0), (kv.values, value_stride, value_format));
        }
    }
}
