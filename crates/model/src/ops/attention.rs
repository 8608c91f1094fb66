//! Attention: preparing queries, keys and values, and the fused and unfused kernels.

use super::{Activation, Ops};
use crate::cache::KvLayer;
use crate::config::dim32;
use crate::layers::Heads;
use crate::matrix::Vector;
use crate::scratch::Temp;
use crate::session::token_table::TokensSeen;
use crate::{AttentionPath, Fusion, Part};
use ridgeline_compute::Slice;
use ridgeline_kernels::rope_append::{QkNormBias, RopeAppend};
use ridgeline_kernels::{self as kernels, KvHeads, VisibleRows};
use ridgeline_quant::Format;

impl<'a> Ops<'a> {
    /// Prepares Q, K and V for attention: bias, QK norm, RoPE, and the store to the KV cache of `layer`.
    /// Returns the queries.
    ///
    /// The bias has one value per row of the projections; the gains of QK norm are `[2, key width]`. Ablation removes
    /// either from the fused launch. If RoPE or the store is ablated, the other steps are launches of their own.
    pub fn rope_and_store_kv(
        &mut self,
        (layer, heads): (usize, &Heads),
        qkv: Activation,
        [bias, gains]: [Option<&Vector>; 2],
    ) -> Activation {
        let ablate = self.switches.ablate;
        let bias = bias.filter(|_| !ablate.has(Part::Projection));
        let gains = gains.filter(|_| !ablate.has(Part::Norm));
        let whole = !ablate.has(Part::Rope) && !ablate.has(Part::KvWrite);
        let rope = &self.ropes[heads.rope];
        let fits = RopeAppend::takes(heads.key, rope.rotary, self.caps);
        if !fits || !whole || !self.switches.fusions.has(Fusion::RopeAppend) {
            self.rope_and_store_kv_unfused((layer, heads), qkv, [bias, gains]);
            return qkv;
        }
        self.enter_module("rope");
        let KvLayer { keys, values, strides: [key_stride, value_stride] } = self.cache.kv(layer);
        let out = self.activation(Temp::Query, heads.query_width());
        let seen = self.seen(heads.window);
        let params = kernels::rope_append::Params {
            n_tokens: self.tokens,
            token0: seen.token0,
            n_heads: heads.query,
            kv_heads: heads.kv,
            head_dim: heads.key,
            rotary: rope.rotary,
            positions: kernels::positions(&seen.tokens),
            capacity: dim32(self.cache.capacity),
            end: kernels::stored_end(&seen.tokens),
            ld: qkv.width,
            key_stride,
            value_stride,
            eps: self.config.norm_eps,
        };
        let with = QkNormBias { bias: bias.is_some(), norm: gains.is_some() };
        let kernel = RopeAppend::new(self.caps, self.cache.formats, rope.pairing, with);
        let kernel = RopeAppend { texture: self.cache.texture, ..kernel };
        let table = rope.slice();
        // Absent bias and gains are never read, but each binding needs a buffer.
        let [bias, gains] = [bias, gains].map(|it| it.map_or(table, Vector::slice));
        let (qkv, q, tokens) = (qkv.slice, out.slice, self.token_table);
        let args = kernels::rope_append::Args { qkv, bias, gains, table, tokens, q, keys, values };
        self.recording.run(kernel, params, args);
        out
    }

    /// The same with one launch per step. The queries stay in `qkv`.
    fn rope_and_store_kv_unfused(
        &mut self,
        (layer, heads): (usize, &Heads),
        qkv: Activation,
        [bias, gains]: [Option<&Vector>; 2],
    ) {
        let [first_key, first_value] = [heads.query_width(), heads.query_width() + heads.key_width()];
        if let Some(bias) = bias {
            self.enter_module("qkv_bias");
            self.add(qkv, bias.slice(), bias.len);
        }
        if let Some(gains) = gains {
            self.enter_module("qk_norm");
            self.qk_norm(heads, qkv, gains);
        }
        self.enter_module("rope");
        if !self.ablated {
            self.rope(heads, qkv, (heads.query, 0));
            self.rope(heads, qkv, (heads.kv, first_key));
        }
        self.enter_module("kv_write");
        if !self.ablated {
            let KvLayer { keys, values, strides } = self.cache.kv(layer);
            let [key_format, value_format] = self.cache.formats;
            self.append(heads, qkv, (heads.key, first_key), (keys, strides[0], key_format));
            self.append(heads, qkv, (heads.value, first_value), (values, strides[1], value_format));
        }
    }

    /// QK norm in place.
    fn qk_norm(&mut self, heads: &Heads, x: Activation, gains: &Vector) {
        let params = kernels::qk_norm::Params {
            n_tokens: self.tokens,
            n_heads: heads.query,
            kv_heads: heads.kv,
            head_dim: heads.key,
            ld: x.width,
            eps: self.config.norm_eps,
        };
        let kernel =
            kernels::qk_norm::QkNorm { reduce: kernels::Reduce::all(self.caps)[0], workgroup_size: 64 };
        let args = kernels::qk_norm::Args { x: x.slice, gains: gains.slice() };
        self.recording.run(kernel, params, args);
    }

    /// RoPE of `n_heads` heads in place, beginning at column `first`.
    pub(super) fn rope(&mut self, heads: &Heads, x: Activation, (n_heads, first): (u32, u32)) {
        let (rope, seen) = (&self.ropes[heads.rope], self.seen(heads.window));
        let params = kernels::rope::Params {
            n_tokens: self.tokens,
            token0: seen.token0,
            n_heads,
            head_dim: heads.key,
            rotary: rope.rotary,
            positions: kernels::positions(&seen.tokens),
            ld: x.width,
            first,
        };
        let kernel = kernels::rope::Rope { pairing: rope.pairing, workgroup_size: 64 };
        let (table, tokens) = (rope.slice(), self.token_table);
        self.recording.run(kernel, params, kernels::rope::Args { x: x.slice, table, tokens });
    }

    /// Stores the keys or the values, heads of `head_dim` values from column `first` on, in the KV cache with `stride` vec4s
    /// per row.
    pub(super) fn append(
        &mut self,
        heads: &Heads,
        x: Activation,
        (head_dim, first): (u32, u32),
        (cache, stride, format): (Slice, u32, Format),
    ) {
        let seen = self.seen(heads.window);
        let params = kernels::kv_append::Params {
            n_tokens: self.tokens,
            token0: seen.token0,
            n_heads: heads.kv,
            head_dim,
            capacity: dim32(self.cache.capacity),
            end: kernels::stored_end(&seen.tokens),
            stride,
            ld: x.width,
            first,
        };
        let texture = self.cache.texture;
        let kernel = kernels::kv_append::KvAppend { format, workgroup_size: 64, texture };
        let args = kernels::kv_append::Args { x: x.slice, tokens: self.token_table, cache };
        self.recording.run(kernel, params, args);
    }

    /// What the tokens see in layers with that window.
    fn seen(&self, window: Option<u32>) -> &'a TokensSeen {
        let of_window = |it: &&TokensSeen| it.window == window;
        self.seen.iter().find(of_window).expect("the session has the windows of all layers")
    }

    /// Attention over the KV cache of `layer`. Each row of `q` begins with the queries.
    pub fn attention(&mut self, (layer, heads): (usize, &Heads), q: Activation) -> Activation {
        let out = self.activation(Temp::AttnOut, heads.out_width());
        if self.ablated {
            // Rows of unfused queries are further apart than the output projection reads, but of more values.
            return Activation { width: out.width, ..q };
        }
        let kv = self.cache.kv(layer);
        match self.switches.attention {
            AttentionPath::Fused => self.fused_attention(heads, q, kv, out),
            AttentionPath::Unfused => self.unfused_attention(heads, q, kv, out),
        }
        out
    }

    /// Attention in one kernel with online softmax. Several KV splits need a second launch, which reduces their partial
    /// results (flash-decoding, Dao et al. 2023).
    fn fused_attention(&mut self, heads: &Heads, q: Activation, kv: KvLayer, out: Activation) {
        let (seen, n_heads) = (self.seen(heads.window), heads.query);
        let kernel = kernels::attention_for(self.cache.formats, heads.shape(), self.tokens, self.caps);
        let range = kernels::widest_range(&seen.tokens, kernel.tokens());
        let groups = u64::from(n_heads / kernel.heads()) * u64::from(self.tokens.div_ceil(kernel.tokens()));
        // The buffer of partial results limits the number of KV splits.
        let split_len = match self.switches.kv_split_len {
            Some(split_len) => split_len.max(range.div_ceil(kernels::max_kv_splits(self.tokens))).min(range),
            None => {
                let class = KvHeads { count: heads.kv, width: heads.key };
                let wanted = self.tuning.attention_workgroups(class, self.caps);
                kernels::kv_split_len(range, self.tokens, groups, wanted, self.caps)
            }
        };
        let KvLayer { keys, values, strides: [key_stride, value_stride] } = kv;
        let (VisibleRows { visible, unique, end, .. }, kv_splits) = (seen.rows, range.div_ceil(split_len));
        let params = kernels::attention::Params {
            n_tokens: self.tokens,
            token0: seen.token0,
            n_heads,
            capacity: dim32(self.cache.capacity),
            end,
            visible,
            unique,
            key_stride,
            value_stride,
            ld: q.width,
            kv_splits,
            split_len,
            scale: heads.scale,
        };
        let to = if kv_splits == 1 { out.slice } else { self.scratch.buffer(Temp::AttnPartials).all() };
        let (q, tokens) = (q.slice, self.token_table);
        kernel.record(self.recording, params, kernels::attention::Args { q, keys, values, tokens, out: to });
        if kv_splits > 1 {
            let params = kernels::attn_reduce::Params {
                n_rows: self.tokens * n_heads,
                head_dim: heads.value,
                kv_splits,
            };
            let args = kernels::attn_reduce::Args { partials: to, out: out.slice };
            self.recording.run(kernels::attn_reduce::AttnReduce::new(self.caps), params, args);
        }
    }

    /// Attention as three kernels: scores, softmax, weighted values.
    fn unfused_attention(&mut self, heads: &Heads, q: Activation, kv: KvLayer, out: Activation) {
        let (n_tokens, n_heads, tokens) = (self.tokens, heads.query, self.token_table);
        let &TokensSeen { token0, rows: VisibleRows { visible, unique, first, end }, .. } =
            self.seen(heads.window);
        let n_cols = end - first;
        let (group, capacity) = (heads.group(), dim32(self.cache.capacity));
        let KvLayer { keys, values, strides: [stride, value_stride] } = kv;
        let ([cache, value_cache], texture, workgroup_size) = (self.cache.formats, self.cache.texture, 64);
        let scores = self.scratch.buffer(Temp::Scores).all();
        let params = kernels::attn_scores::Params {
            n_tokens,
            token0,
            n_heads,
            head_dim: heads.key,
            group,
            capacity,
            first,
            n_cols,
            visible,
            unique,
            stride,
            ld: q.width,
            scale: heads.scale,
        };
        let args = kernels::attn_scores::Args { q: q.slice, keys, tokens, scores };
        let kernel = kernels::attn_scores::AttnScores::new(cache, texture, self.caps);
        self.recording.run(kernel, params, args);
        let params = kernels::attn_softmax::Params { n_rows: n_tokens * n_heads, n_cols };
        let reduce = kernels::Reduce::all(self.caps)[0];
        let kernel = kernels::attn_softmax::AttnSoftmax { reduce, workgroup_size };
        self.recording.run(kernel, params, kernels::attn_softmax::Args { scores });
        let params = kernels::attn_values::Params {
            n_tokens,
            token0,
            n_heads,
            head_dim: heads.value,
            group,
            row_values: heads.shape().value_cols(),
            capacity,
            first,
            n_cols,
            visible,
            unique,
            stride: value_stride,
        };
        let args = kernels::attn_values::Args { weights: scores, values, tokens, out: out.slice };
        self.recording.run(
            kernels::attn_values::AttnValues { cache: value_cache, workgroup_size, texture },
            params,
            args,
        );
    }
}
