//! Fused causal attention over the key/value cache, with online softmax.

use crate::common::{Reduce, bytes4, cache_formats, device_bytes, fits_cache, format_bytes, random_rows, small, stride, with_format};
use crate::heads::Heads;
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, Sample, Sampler, kernel};
use ridgeline_quant::Format;

kernel! {
    /// out\[t, h\] = softmax(scale · q\[t, h\] · Kᵀ) · V over positions 0 to `position` + t, where query heads
    /// h share key/value head h / `group`. q and out are \[n_tokens, n_heads, head\]; cache rows are \[kv heads, capacity\]
    /// rows of `head` values. A workgroup serves `tokens` queries of one key/value head.
    pub struct Attention("attention") { cache: Format, reduce: Reduce, lanes: u32, head: u32, group: u32, tokens: u32 }
    params { n_tokens: u32, n_heads: u32, capacity: u32, position: u32, stride: u32, scale: f32 }
    slots {
        q: read array<vec4<f32>>, keys: read array<vec4<u32>>, values: read array<vec4<u32>>,
        out: write array<vec4<f32>>,
    }
}

impl Attention {
    /// Workgroup memory in bytes: queries, maxima and weights, the final fold, the reduction's own.
    #[must_use]
    pub const fn workgroup_bytes(self) -> u32 {
        let rows = self.group * self.tokens;
        4 * (rows * self.head + 2 * rows * self.lanes + 4 * self.lanes + 2 * self.lanes)
    }

    const fn heads(self, p: &Params) -> Heads {
        let (n_tokens, n_heads, capacity, position) = (p.n_tokens, p.n_heads, p.capacity, p.position);
        Heads { n_tokens, n_heads, head_dim: self.head, group: self.group, capacity, position, stride: p.stride }
    }
}

/// Head widths and group sizes of the models in use; `attention_for` makes the variant of any other.
const SHAPES: [(u32, u32); 11] =
    [(16, 1), (16, 2), (32, 4), (64, 1), (64, 2), (64, 3), (64, 4), (64, 8), (80, 4), (128, 4), (128, 8)];

impl Kernel for Attention {
    fn all(caps: &Caps) -> Vec<Self> {
        let mut all = Vec::new();
        for cache in cache_formats() {
            for &reduce in Reduce::all(caps) {
                for (head, group) in SHAPES {
                    for tokens in [1, (8 / group).max(1)] {
                        all.push(Self { cache, reduce, lanes: 64, head, group, tokens });
                    }
                }
            }
        }
        // A group of eight leaves room for one query, which is both ends.
        all.dedup();
        all.retain(|k| k.workgroup_bytes() <= caps.max_workgroup_memory && fits_cache(k.cache, k.head));
        all
    }
    fn defines(&self) -> Defines {
        let d = with_format(self.reduce.define(Defines::new(self.lanes)), "cache_file", self.cache);
        let d = d.u32("HEAD", self.head).u32("GROUP", self.group).u32("TOKENS", self.tokens);
        d.u32("ROWS", self.group * self.tokens)
    }
    fn groups(&self, p: &Params) -> u64 {
        u64::from(p.n_heads / self.group) * u64::from(p.n_tokens.div_ceil(self.tokens))
    }
    fn flops(&self, p: &Params) -> u64 {
        self.heads(p).flops()
    }
    fn traffic(&self, p: &Params) -> Bytes {
        let heads = self.heads(p);
        let cache = format_bytes(self.cache, heads.rows_read(), self.head);
        Bytes { q: bytes4(heads.query_values()), keys: cache, values: cache, out: bytes4(heads.query_values()) }
    }
    fn extent(&self, p: &Params) -> Bytes {
        let heads = self.heads(p);
        let cache = device_bytes(heads.rows_held(), p.stride);
        Bytes { q: bytes4(heads.query_values()), keys: cache, values: cache, out: bytes4(heads.query_values()) }
    }
    fn sample(&self, rng: &mut Sampler) -> Sample<Params> {
        let n_heads = self.group * rng.range(1, 3);
        let (n_tokens, position) = (rng.range(1, 9), rng.pick(&[0, 1, 62, 63, 64, 65, 150]));
        let capacity = position + n_tokens + rng.range(0, 3);
        let stride = stride(self.cache, self.head as usize);
        let params = Params { n_tokens, n_heads, capacity, position, stride, scale: 0.7 };
        let heads = self.heads(&params);
        let rows = small(heads.rows_held());
        let keys = random_rows(rng, self.cache, rows, self.head);
        let values = random_rows(rng, self.cache, rows, self.head);
        let q = rng.words(small(heads.query_values()) as usize);
        Sample { params, slots: vec![q, keys, values, vec![]] }
    }
    #[expect(clippy::cast_possible_truncation, reason = "the twin rounds once, at the end")]
    fn reference(&self, p: &Params, host: Host<'_>) {
        let heads = self.heads(p);
        let width = self.head as usize;
        for (query, (q, out)) in host.q.chunks_exact(width).zip(host.out.chunks_exact_mut(width)).enumerate() {
            let keys = heads.rows(query, self.cache, host.keys);
            let scores = keys.iter().map(|k| f64::from(p.scale) * f64::from(crate::common::dot(q, k)));
            let scores: Vec<f64> = scores.collect();
            let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|s| (s - top).exp()).collect();
            let total: f64 = weights.iter().sum();
            let values = heads.rows(query, self.cache, host.values);
            for (i, out) in out.iter_mut().enumerate() {
                let sum: f64 = weights.iter().zip(&values).map(|(w, v)| w * f64::from(v[i])).sum();
                *out = (sum / total) as f32;
            }
        }
    }
}
