//! Attention: preparing queries, keys and values, and the fused and unfused kernels.

use super::{Activation, Ops};
use crate::config::dim32;
use crate::matrix::Vector;
use crate::scratch::Temp;
use crate::session::token_table::TokensSeen;
use crate::{AttentionPath, Fusion, Part};
use ridgeline_compute::Slice;
use ridgeline_kernels::rope_append::{QkNormBias, RopeAppend};
use ridgeline_kernels::{self as kernels, HeadShape, KvHeads, VisibleRows};

impl<'a> Ops<'a> {
    /// Prepares Q, K and V for attention: bias, QK norm, RoPE, and the store to the KV cache of `layer`.
    /// Returns the queries.
    ///
    /// The bias has one value per row of the projections; the gains of QK norm are `[2, head_dim]`. Ablation removes
    /// either from the fused launch. If RoPE or the store is ablated, the other steps are launches of their own.
    pub fn rope_and_store_kv(
        &mut self,
        layer: usize,
        qkv: Activation,
        [bias, gains]: [Option<&Vector>; 2],
    ) -> Activation {
        let ablate = self.switches.ablate;
        let bias = bias.filter(|_| !ablate.has(Part::Projection));
        let gains = gains.filter(|_| !ablate.has(Part::Norm));
        let whole = !ablate.has(Part::Rope) && !ablate.has(Part::KvWrite);
        let fits = RopeAppend::takes(dim32(self.config.head_dim), dim32(self.config.rope.rotary), self.caps);
        if !fits || !whole || !self.switches.fusions.has(Fusion::RopeAppend) {
            self.rope_and_store_kv_unfused(layer, qkv, [bias, gains]);
            return qkv;
        }
        self.enter_module("rope");
        let (heads, kv_heads) = (dim32(self.config.heads), dim32(self.config.kv_heads));
        let [keys, values] = [self.cache.keys(layer).all(), self.cache.values(layer).all()];
        let out = self.activation(Temp::Query, dim32(self.config.q_width()));
        let [key_stride, value_stride] = self.cache.strides;
        let seen = self.seen(self.config.window);
        let params = kernels::rope_append::Params {
            n_tokens: self.tokens,
            token0: seen.token0,
            n_heads: heads,
            kv_heads,
            head_dim: dim32(self.config.head_dim),
            rotary: dim32(self.config.rope.rotary),
            positions: kernels::positions(&seen.tokens),
            capacity: dim32(self.cache.capacity),
            end: kernels::stored_end(&seen.tokens),
            ld: qkv.width,
            key_stride,
            value_stride,
            eps: self.config.norm_eps,
        };
        let with = QkNormBias { bias: bias.is_some(), norm: gains.is_some() };
        let kernel = RopeAppend::new(self.caps, self.cache.formats, self.config.rope.pairing, with);
        let kernel = RopeAppend { texture: self.cache.texture, ..kernel };
        // Absent bias and gains are never read, but each binding needs a buffer.
        let [bias, gains] = [bias, gains].map(|it| it.map_or(self.rope_table, Vector::slice));
        let (qkv, q, table, tokens) = (qkv.slice, out.slice, self.rope_table, self.token_table);
        let args = kernels::rope_append::Args { qkv, bias, gains, table, tokens, q, keys, values };
        self.recording.run(kernel, params, args);
        out
    }

    /// The same with one launch per step. The queries stay in `qkv`.
    fn rope_and_store_kv_unfused(
        &mut self,
        layer: usize,
        qkv: Activation,
        [bias, gains]: [Option<&Vector>; 2],
    ) {
        let (heads, kv_heads) = (dim32(self.config.heads), dim32(self.config.kv_heads));
        let [q_width, kv_width] = [self.config.q_width(), self.config.kv_width()].map(dim32);
        if let Some(bias) = bias {
            self.enter_module("qkv_bias");
            self.add(qkv, bias.slice(), bias.len);
        }
        if let Some(gains) = gains {
            self.enter_module("qk_norm");
            self.qk_norm(qkv, gains);
        }
        self.enter_module("rope");
        if !self.ablated {
            self.rope(qkv, heads, 0);
            self.rope(qkv, kv_heads, q_width);
        }
        self.enter_module("kv_write");
        if !self.ablated {
            self.append(qkv, q_width, (self.cache.keys(layer).all(), 0));
            self.append(qkv, q_width + kv_width, (self.cache.values(layer).all(), 1));
        }
    }

    /// QK norm in place.
    fn qk_norm(&mut self, x: Activation, gains: &Vector) {
        let params = kernels::qk_norm::Params {
            n_tokens: self.tokens,
            n_heads: dim32(self.config.heads),
            kv_heads: dim32(self.config.kv_heads),
            head_dim: dim32(self.config.head_dim),
            ld: x.width,
            eps: self.config.norm_eps,
        };
        let kernel =
            kernels::qk_norm::QkNorm { reduce: kernels::Reduce::all(self.caps)[0], workgroup_size: 64 };
        let args = kernels::qk_norm::Args { x: x.slice, gains: gains.slice() };
        self.recording.run(kernel, params, args);
    }

    /// RoPE of `n_heads` heads in place, beginning at column `first`.
    fn rope(&mut self, x: Activation, n_heads: u32, first: u32) {
        let seen = self.seen(self.config.window);
        let params = kernels::rope::Params {
            n_tokens: self.tokens,
            token0: seen.token0,
            n_heads,
            head_dim: dim32(self.config.head_dim),
            rotary: dim32(self.config.rope.rotary),
            positions: kernels::positions(&seen.tokens),
            ld: x.width,
            first,
        };
        let kernel = kernels::rope::Rope { pairing: self.config.rope.pairing, workgroup_size: 64 };
        let (table, tokens) = (self.rope_table, self.token_table);
        self.recording.run(kernel, params, kernels::rope::Args { x: x.slice, table, tokens });
    }

    /// Stores keys (`which` 0) or values (1), beginning at column `first`, in the KV cache.
    fn append(&mut self, x: Activation, first: u32, (cache, which): (Slice, usize)) {
        let seen = self.seen(self.config.window);
        let params = kernels::kv_append::Params {
            n_tokens: self.tokens,
            token0: seen.token0,
            n_heads: dim32(self.config.kv_heads),
            head_dim: dim32(self.config.head_dim),
            capacity: dim32(self.cache.capacity),
            end: kernels::stored_end(&seen.tokens),
            stride: self.cache.strides[which],
            ld: x.width,
            first,
        };
        let (format, texture) = (self.cache.formats[which], self.cache.texture);
        let kernel = kernels::kv_append::KvAppend { format, workgroup_size: 64, texture };
        let args = kernels::kv_append::Args { x: x.slice, tokens: self.token_table, cache };
        self.recording.run(kernel, params, args);
    }

    /// What the tokens see in layers with that window.
    fn seen(&self, window: Option<usize>) -> &'a TokensSeen {
        let of_window = |it: &&TokensSeen| it.window == window;
        self.seen.iter().find(of_window).expect("the session has the windows of all layers")
    }

    /// Attention over the KV cache of `layer`. Each row of `q` begins with the queries.
    pub fn attention(&mut self, layer: usize, q: Activation) -> Activation {
        let out = self.activation(Temp::AttnOut, dim32(self.config.q_width()));
        if self.ablated {
            // Rows of unfused queries are further apart than the output projection reads, but of more values.
            return Activation { width: out.width, ..q };
        }
        let (keys, values) = (self.cache.keys(layer).all(), self.cache.values(layer).all());
        match self.switches.attention {
            AttentionPath::Fused => self.fused_attention(q, [keys, values], out),
            AttentionPath::Unfused => self.unfused_attention(q, [keys, values], out),
        }
        out
    }

    /// Attention in one kernel with online softmax. Several KV splits need a second launch, which reduces their partial
    /// results (flash-decoding, Dao et al. 2023).
    fn fused_attention(&mut self, q: Activation, [keys, values]: [Slice; 2], out: Activation) {
        let (head, group) = (dim32(self.config.head_dim), dim32(self.config.group()));
        let shape = HeadShape::of_width(head, group);
        let kernel = kernels::attention_for(self.cache.formats, shape, self.tokens, self.caps);
        let (seen, n_heads) = (self.seen(self.config.window), dim32(self.config.heads));
        let range = kernels::widest_range(&seen.tokens, kernel.tokens());
        let groups = u64::from(n_heads / kernel.heads()) * u64::from(self.tokens.div_ceil(kernel.tokens()));
        // The buffer of partial results limits the number of KV splits.
        let split_len = match self.switches.kv_split_len {
            Some(split_len) => {
                split_len.max(range.div_ceil(kernels::max_kv_splits(self.tokens))).min(range)
            }
            None => {
                let heads = KvHeads { count: n_heads / group, width: head };
                let wanted = self.tuning.attention_workgroups(heads, self.caps);
                kernels::kv_split_len(range, self.tokens, groups, wanted, self.caps)
            }
        };
        let [key_stride, value_stride] = self.cache.strides;
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
            scale: self.attention_scale(),
        };
        let to = if kv_splits == 1 { out.slice } else { self.scratch.buffer(Temp::AttnPartials).all() };
        let (q, tokens) = (q.slice, self.token_table);
        kernel.record(self.recording, params, kernels::attention::Args { q, keys, values, tokens, out: to });
        if kv_splits > 1 {
            let params =
                kernels::attn_reduce::Params { n_rows: self.tokens * n_heads, head_dim: head, kv_splits };
            let args = kernels::attn_reduce::Args { partials: to, out: out.slice };
            self.recording.run(kernels::attn_reduce::AttnReduce::new(self.caps), params, args);
        }
    }

    /// Attention as three kernels: scores, softmax, weighted values.
    fn unfused_attention(&mut self, q: Activation, [keys, values]: [Slice; 2], out: Activation) {
        let (n_tokens, n_heads, tokens) = (self.tokens, dim32(self.config.heads), self.token_table);
        let &TokensSeen { token0, rows: VisibleRows { visible, unique, first, end }, .. } =
            self.seen(self.config.window);
        let n_cols = end - first;
        let (head_dim, group) = (dim32(self.config.head_dim), dim32(self.config.group()));
        let (capacity, [stride, value_stride]) = (dim32(self.cache.capacity), self.cache.strides);
        let ([cache, value_cache], texture, workgroup_size) = (self.cache.formats, self.cache.texture, 64);
        let scores = self.scratch.buffer(Temp::Scores).all();
        let scale = self.attention_scale();
        let params = kernels::attn_scores::Params {
            n_tokens,
            token0,
            n_heads,
            head_dim,
            group,
            capacity,
            first,
            n_cols,
            visible,
            unique,
            stride,
            ld: q.width,
            scale,
        };
        let args = kernels::attn_scores::Args { q: q.slice, keys, tokens, scores };
        self.recording.run(kernels::attn_scores::AttnScores { cache, workgroup_size, texture }, params, args);
        let params = kernels::attn_softmax::Params { n_rows: n_tokens * n_heads, n_cols };
        let reduce = kernels::Reduce::all(self.caps)[0];
        let kernel = kernels::attn_softmax::AttnSoftmax { reduce, workgroup_size };
        self.recording.run(kernel, params, kernels::attn_softmax::Args { scores });
        let params = kernels::attn_values::Params {
            n_tokens,
            token0,
            n_heads,
            head_dim,
            group,
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

    #[expect(clippy::cast_possible_truncation, reason = "the kernels take f32")]
    fn attention_scale(&self) -> f32 {
        (1.0 / (self.config.head_dim as f64).sqrt()) as f32
    }
}
