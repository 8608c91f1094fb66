//! Fused causal attention over the KV cache, with online softmax (FlashAttention, Dao et al. 2022).

use crate::common::{Reduce, bytes4, cache_formats, device_bytes, fits_cache, format_bytes, random_rows, to_u32, stride, with_format};
use crate::attention_shape::{AttentionShape, MASKED, define_masked};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};
use ridgeline_quant::Format;

kernel! {
    /// out\[t, h\] = softmax(scale · q\[t, h\] · Kᵀ) · V over positions 0 to `position` + t. With grouped-query attention,
    /// query head h reads KV head h / `group`. Rows of q are `ld` floats apart and hold \[n_heads, head\]. The cache holds
    /// \[kv heads, capacity\] rows of `head` values.
    ///
    /// A workgroup serves `tokens` queries of one KV head over one KV split of `split_len` positions. With one split, out
    /// is \[n_tokens, n_heads, head\]. With more, it holds the partial results that
    /// [`AttnReduce`](crate::attn_reduce::AttnReduce) combines (flash-decoding, Dao et al. 2023).
    pub struct Attention("attention") {
        keys: Format, values: Format, reduce: Reduce, workgroup_size: u32, head: u32, group: u32, tokens: u32,
    }
    params {
        n_tokens: u32, n_heads: u32, capacity: u32, position: u32, key_stride: u32, value_stride: u32, ld: u32,
        split_len: u32, scale: f32,
    }
    bindings {
        q: read array<vec4<f32>>, keys: read array<vec4<u32>>, values: read array<vec4<u32>>,
        out: write array<vec4<f32>>,
    }
}

impl Attention {
    /// Workgroup memory in bytes: queries, maxima and weights, the final sum over lanes, the reduction's own array.
    #[must_use]
    pub const fn workgroup_bytes(self) -> u32 {
        let rows = self.group * self.tokens;
        4 * (rows * self.head + 2 * rows * self.workgroup_size + 4 * self.workgroup_size + 2 * self.workgroup_size)
    }

    const fn heads(self, p: &Params) -> AttentionShape {
        let &Params { n_tokens, n_heads, capacity, position, .. } = p;
        AttentionShape { n_tokens, n_heads, head_dim: self.head, group: self.group, capacity, position, stride: 0 }
    }

    fn out_bytes(self, p: &Params) -> u64 {
        let rows = u64::from(p.n_tokens) * u64::from(p.n_heads);
        bytes4(match p.kv_splits() {
            1 => rows * u64::from(self.head),
            kv_splits => u64::from(kv_splits) * rows * u64::from(self.head + 4),
        })
    }
}

impl Params {
    /// Number of KV splits: ⌈(`position` + `n_tokens`) / `split_len`⌉.
    #[must_use]
    pub const fn kv_splits(&self) -> u32 {
        (self.position + self.n_tokens).div_ceil(self.split_len)
    }
}

/// Head widths and group sizes to test: those of the shipped models and of some others in use. `attention_for` makes the
/// variant for any other.
pub(crate) const SHAPES: [(u32, u32); 18] = [
    (16, 1), (16, 2), (32, 2), (32, 4), (64, 1), (64, 2), (64, 3), (64, 4), (64, 7), (64, 8), (80, 4), (128, 2), (128, 4),
    (128, 6), (128, 8), (256, 2), (256, 4), (256, 8),
];

/// Target maximum of query rows per workgroup. More would spill the accumulators from registers. A larger group of query
/// heads exceeds it, with one token.
const MAX_QUERY_ROWS: u32 = 8;

/// Token counts per workgroup whose query rows, tokens · `group`, fit [`MAX_QUERY_ROWS`]. They are powers of two, to keep
/// variants few.
pub(crate) fn queries(group: u32) -> impl DoubleEndedIterator<Item = u32> {
    (0..=3).map(|power| 1 << power).filter(move |tokens| *tokens == 1 || tokens * group <= MAX_QUERY_ROWS)
}

impl Kernel for Attention {
    fn all(caps: &Caps) -> Vec<Self> {
        let mut all = Vec::new();
        for keys in cache_formats() {
            for &reduce in Reduce::all(caps) {
                for (head, group) in SHAPES {
                    for tokens in queries(group) {
                        all.push(Self { keys, values: keys, reduce, workgroup_size: 64, head, group, tokens });
                    }
                }
                for values in cache_formats().filter(|values| *values != keys) {
                    all.push(Self { keys, values, reduce, workgroup_size: 64, head: 64, group: 4, tokens: 1 });
                }
            }
        }
        all.retain(|k| k.workgroup_bytes() <= caps.max_workgroup_memory && [k.keys, k.values].iter().all(|f| fits_cache(*f, k.head)));
        all
    }
    fn defines(&self) -> Defines {
        let d = with_format(define_masked(self.reduce.define(Defines::new(self.workgroup_size))), "keys_file", self.keys);
        let d = d.value("values_file", self.values.spec().wgsl);
        let d = d.u32("HEAD", self.head).u32("GROUP", self.group).u32("TOKENS", self.tokens);
        d.u32("ROWS", self.group * self.tokens)
    }
    fn groups(&self, p: &Params) -> u64 {
        let queries = u64::from(p.n_heads / self.group) * u64::from(p.n_tokens.div_ceil(self.tokens));
        queries * u64::from(p.kv_splits())
    }
    fn flops(&self, p: &Params) -> u64 {
        self.heads(p).flops()
    }
    fn traffic(&self, p: &Params) -> Bytes {
        let heads = self.heads(p);
        let [keys, values] = [self.keys, self.values].map(|f| format_bytes(f, heads.rows_read(), self.head));
        Bytes { q: bytes4(heads.query_values()), keys, values, out: self.out_bytes(p) }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        let heads = self.heads(p);
        let [keys, values] = [p.key_stride, p.value_stride].map(|s| device_bytes(heads.rows_required(), s));
        let q = u64::from(p.n_tokens - 1) * u64::from(p.ld) + u64::from(p.n_heads * self.head);
        Bytes { q: bytes4(q), keys, values, out: self.out_bytes(p) }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let n_heads = self.group * rng.range(1, 3);
        let (n_tokens, position) = (rng.range(1, 9), rng.pick(&[0, 1, 62, 63, 64, 65, 150]));
        let capacity = position + n_tokens + rng.range(0, 3);
        let [key_stride, value_stride] = [self.keys, self.values].map(|f| stride(f, self.head as usize));
        let ld = n_heads * self.head + 4 * rng.range(0, 3);
        let split_len = rng.pick(&[1000, 64, 50]);
        let params =
            Params { n_tokens, n_heads, capacity, position, key_stride, value_stride, ld, split_len, scale: 0.7 };
        let rows = to_u32(self.heads(&params).rows_required());
        let keys = random_rows(rng, self.keys, rows, self.head);
        let values = random_rows(rng, self.values, rows, self.head);
        TestInput { params, bindings: vec![rng.words((n_tokens * ld) as usize), keys, values, vec![]] }
    }
    #[expect(clippy::cast_possible_truncation, reason = "the twin rounds once, at the end")]
    fn reference(&self, p: &Params, host: Host<'_>) {
        let (width, kv_splits) = (self.head as usize, p.kv_splits() as usize);
        let keys = AttentionShape { stride: p.key_stride, ..self.heads(p) };
        let values = AttentionShape { stride: p.value_stride, ..self.heads(p) };
        let rows = host.q.chunks(p.ld as usize).flat_map(|row| row.chunks_exact(width).take(p.n_heads as usize));
        let queries = (p.n_tokens * p.n_heads) as usize;
        for (query, q) in rows.take(queries).enumerate() {
            let keys = keys.rows(query, self.keys, host.keys);
            let values = values.rows(query, self.values, host.values);
            let scores = keys.iter().map(|k| f64::from(p.scale) * f64::from(crate::common::dot(q, k)));
            let scores: Vec<f64> = scores.collect();
            for split in 0..kv_splits {
                let split_len = p.split_len as usize;
                // Visible positions of this split. A later split may begin after the query's last position: then it is empty.
                let seen = split * split_len..scores.len().min((split + 1) * split_len).max(split * split_len);
                let (scores, values) = (scores.get(seen.clone()), values.get(seen));
                let (scores, values) = (scores.unwrap_or(&[]), values.unwrap_or(&[]));
                let top = scores.iter().copied().fold(f64::from(MASKED), f64::max);
                let weights: Vec<f64> = scores.iter().map(|s| (s - top).exp()).collect();
                let total: f64 = weights.iter().sum();
                let sum = |i| weights.iter().zip(values).map(|(w, v)| w * f64::from(v[i])).sum::<f64>();
                if kv_splits == 1 {
                    let out = &mut host.out[query * width..][..width];
                    out.iter_mut().enumerate().for_each(|(i, out)| *out = (sum(i) / total) as f32);
                } else {
                    let out = &mut host.out[(split * queries + query) * (width + 4)..][..width + 4];
                    let (out, tail) = out.split_at_mut(width);
                    out.iter_mut().enumerate().for_each(|(i, out)| *out = sum(i) as f32);
                    tail.copy_from_slice(&[top as f32, total as f32, 0.0, 0.0]);
                }
            }
        }
    }
}
