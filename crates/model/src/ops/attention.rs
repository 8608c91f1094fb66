//! Attention: preparing queries, keys and values, and the fused and unfused kernels.

use super::{Activation, Ops};
use crate::cache::KvLayer;
use crate::config::dim32;
use crate::layers::Heads;
use crate::matrix::Vector;
use crate::scratch::Temp;
use crate::{AttentionPath, Fusion, Part};
use ridgeline_compute::Slice;
use ridgeline_kernels::rope_append::{QkNormBias, RopeAppend};
use ridgeline_kernels::{self as kernels, KvHeads};
use ridgeline_quant::Format;

impl Ops<'_> {
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
        let params = kernels::rope_append::Params {
            n_tokens: self.tokens,
            n_heads: heads.query,
            kv_heads: heads.kv,
            head_dim: heads.key,
            rotary: rope.rotary,
            position: self.position,
            capacity: dim32(self.cache.capacity),
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
        let (qkv, q) = (qkv.slice, out.slice);
        let args = kernels::rope_append::Args { qkv, bias, gains, table, q, keys, values };
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
            self.append(qkv, (heads.kv, heads.key, first_key), (keys, strides[0], self.cache.formats[0]));
            self.append(
                qkv,
                (heads.kv, heads.value, first_value),
                (values, strides[1], self.cache.formats[1]),
            );
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
    fn rope(&mut self, heads: &Heads, x: Activation, (n_heads, first): (u32, u32)) {
        let rope = &self.ropes[heads.rope];
        let params = kernels::rope::Params {
            n_tokens: self.tokens,
            n_heads,
            head_dim: heads.key,
            rotary: rope.rotary,
            position: self.position,
            ld: x.width,
            first,
        };
        let kernel = kernels::rope::Rope { pairing: rope.pairing, workgroup_size: 64 };
        self.recording.run(kernel, params, kernels::rope::Args { x: x.slice, table: rope.slice() });
    }

    /// Stores `n_heads` keys or values of `head_dim` values, beginning at column `first`, in the KV cache with `stride`
    /// vec4s per row.
    fn append(
        &mut self,
        x: Activation,
        (n_heads, head_dim, first): (u32, u32, u32),
        (cache, stride, format): (Slice, u32, Format),
    ) {
        let params = kernels::kv_append::Params {
            n_tokens: self.tokens,
            n_heads,
            head_dim,
            capacity: dim32(self.cache.capacity),
            position: self.position,
            stride,
            ld: x.width,
            first,
        };
        let texture = self.cache.texture;
        let kernel = kernels::kv_append::KvAppend { format, workgroup_size: 64, texture };
        self.recording.run(kernel, params, kernels::kv_append::Args { x: x.slice, cache });
    }

    /// Causal attention over the KV cache of `layer`. Each row of `q` begins with the queries.
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
        let (head, group, n_heads) = (heads.key, heads.group(), heads.query);
        let kernel = kernels::attention_for(self.cache.formats, head, group, self.tokens, self.caps);
        let context = self.position + self.tokens;
        let groups = u64::from(heads.kv) * u64::from(self.tokens.div_ceil(kernel.tokens()));
        // The buffer of partial results limits the number of KV splits.
        let split_len = match self.switches.kv_split_len {
            Some(split_len) => {
                split_len.max(context.div_ceil(kernels::max_kv_splits(self.tokens))).min(context)
            }
            None => {
                let class = KvHeads { count: heads.kv, width: head };
                let wanted = self.tuning.attention_workgroups(class, self.caps);
                kernels::kv_split_len(context, self.tokens, groups, wanted, self.caps)
            }
        };
        let KvLayer { keys, values, strides: [key_stride, value_stride] } = kv;
        let params = kernels::attention::Params {
            n_tokens: self.tokens,
            n_heads,
            capacity: dim32(self.cache.capacity),
            position: self.position,
            key_stride,
            value_stride,
            ld: q.width,
            split_len,
            scale: heads.scale,
        };
        let kv_splits = params.kv_splits();
        let to = if kv_splits == 1 { out.slice } else { self.scratch.buffer(Temp::AttnPartials).all() };
        kernel.record(self.recording, params, kernels::attention::Args { q: q.slice, keys, values, out: to });
        if kv_splits > 1 {
            let params =
                kernels::attn_reduce::Params { n_rows: self.tokens * n_heads, head_dim: head, kv_splits };
            let args = kernels::attn_reduce::Args { partials: to, out: out.slice };
            self.recording.run(kernels::attn_reduce::AttnReduce::new(self.caps), params, args);
        }
    }

    /// Attention as three kernels: scores, softmax, weighted values.
    fn unfused_attention(&mut self, heads: &Heads, q: Activation, kv: KvLayer, out: Activation) {
        let (n_tokens, n_heads, position) = (self.tokens, heads.query, self.position);
        let (group, capacity) = (heads.group(), dim32(self.cache.capacity));
        let KvLayer { keys, values, strides: [stride, value_stride] } = kv;
        let ([cache, value_cache], texture, workgroup_size) = (self.cache.formats, self.cache.texture, 64);
        let scores = self.scratch.buffer(Temp::Scores).all();
        let params = kernels::attn_scores::Params {
            n_tokens,
            n_heads,
            head_dim: heads.key,
            group,
            capacity,
            position,
            stride,
            ld: q.width,
            scale: heads.scale,
        };
        let args = kernels::attn_scores::Args { q: q.slice, keys, scores };
        self.recording.run(kernels::attn_scores::AttnScores { cache, workgroup_size, texture }, params, args);
        let params =
            kernels::attn_softmax::Params { n_rows: n_tokens * n_heads, n_cols: position + n_tokens };
        let reduce = kernels::Reduce::all(self.caps)[0];
        let kernel = kernels::attn_softmax::AttnSoftmax { reduce, workgroup_size };
        self.recording.run(kernel, params, kernels::attn_softmax::Args { scores });
        let (head_dim, stride) = (heads.value, value_stride);
        let params =
            kernels::attn_values::Params { n_tokens, n_heads, head_dim, group, capacity, position, stride };
        let args = kernels::attn_values::Args { weights: scores, values, out: out.slice };
        self.recording.run(
            kernels::attn_values::AttnValues { cache: value_cache, workgroup_size, texture },
            params,
            args,
        );
    }
}
