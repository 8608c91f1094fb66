//! Fused attention over the KV cache, with online softmax (FlashAttention, Dao et al. 2022).

use crate::common::{Reduce, bytes4, cache_formats, device_bytes, format_bytes, random_rows, to_u32, stride, with_format};
use crate::attention_shape::{AttentionShape, HeadShape, Loops, MASKED, SHAPES, define_heads, define_masked};
use crate::token_info::{TestTokens, TokenInfo, VisibleRows, range, tokens, widest_range};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};
use ridgeline_quant::Format;

kernel! {
    /// out\[t, h\] = softmax(scale · q\[t, h\] · Kᵀ) · V over the cache rows that token t sees ([`TokenInfo`]). With
    /// grouped-query attention, query head h reads KV head h / `group`. Rows of q are `ld` floats apart and hold
    /// \[n_heads, key\]. The cache holds \[kv heads, capacity\] rows of `key` and of `value` values. Visible rows are below
    /// `end`. The widths are those of [`HeadShape`].
    ///
    /// The launch's tokens begin at index `token0` of `tokens`. They see `visible` rows, of which `unique` are distinct.
    ///
    /// A workgroup serves `tokens` queries of `heads` heads of one group over one of `kv_splits` KV splits. Split s is
    /// `split_len` rows, s · `split_len` after the first row that any of its queries sees. With one split, out is
    /// \[n_tokens, n_heads, value\]. With more, it holds the partial results that
    /// [`AttnReduce`](crate::attn_reduce::AttnReduce) combines (flash-decoding, Dao et al. 2023).
    pub struct Attention("attention") {
        keys: Format, values: Format, reduce: Reduce, workgroup_size: u32, shape: HeadShape, heads: u32,
        tokens: u32, loops: Loops,
    }
    params {
        n_tokens: u32, token0: u32, n_heads: u32, capacity: u32, end: u32, visible: u32, unique: u32, key_stride: u32,
        value_stride: u32, ld: u32, kv_splits: u32, split_len: u32, scale: f32,
    }
    bindings {
        q: read array<vec4<f32>>, keys: read array<vec4<u32>>, values: read array<vec4<u32>>,
        tokens: read array<vec4<u32>>, out: write array<vec4<f32>>,
    }
}

impl Attention {
    /// The variants for a shape that fit the device, by tokens per workgroup, most first. If none fits, the smallest.
    pub(crate) fn variants([keys, values]: [Format; 2], reduce: Reduce, shape: HeadShape, caps: &Caps) -> Vec<Self> {
        // Each vec4 of a value needs an invocation.
        let workgroup_size = if shape.value > 256 { shape.value / 4 } else { 64 };
        let loops = Loops::of(caps);
        let smallest = Self { keys, values, reduce, workgroup_size, shape, heads: 1, tokens: 1, loops };
        let fits = |kernel: &Self| kernel.workgroup_bytes() <= caps.max_workgroup_memory;
        let heads = shape.parts().find(|&heads| fits(&Self { heads, ..smallest })).unwrap_or(1);
        let variants: Vec<Self> =
            queries(heads).rev().map(|tokens| Self { heads, tokens, ..smallest }).filter(fits).collect();
        if variants.is_empty() { vec![smallest] } else { variants }
    }

    /// Workgroup memory in bytes: queries, maxima and weights, the final sum over lanes, the reduction's own array.
    #[must_use]
    pub const fn workgroup_bytes(self) -> u32 {
        let rows = self.heads * self.tokens;
        4 * (rows * self.shape.key + 2 * rows * self.workgroup_size + 4 * self.workgroup_size + 2 * self.workgroup_size)
    }

    /// Queries and keys.
    const fn keys_shape(self, p: &Params) -> AttentionShape {
        let (&Params { n_tokens, n_heads, capacity, visible, unique, end, key_stride, .. }, group) = (p, self.shape.group);
        let (head_dim, stride) = (self.shape.key, key_stride);
        AttentionShape { n_tokens, n_heads, head_dim, group, capacity, visible, unique, end, stride }
    }

    /// Values, as wide as their rows of the cache.
    const fn values_shape(self, p: &Params) -> AttentionShape {
        AttentionShape { head_dim: self.shape.value_cols(), stride: p.value_stride, ..self.keys_shape(p) }
    }

    fn out_bytes(self, p: &Params) -> u64 {
        let rows = u64::from(p.n_tokens) * u64::from(p.n_heads);
        bytes4(match p.kv_splits {
            1 => rows * u64::from(self.shape.value),
            kv_splits => u64::from(kv_splits) * rows * u64::from(self.shape.value + 4),
        })
    }
}

/// Target maximum of query rows per workgroup. More would spill the accumulators from registers. More heads exceed it, with
/// one token.
const MAX_QUERY_ROWS: u32 = 8;

/// Token counts per workgroup whose query rows, tokens · `heads`, fit [`MAX_QUERY_ROWS`]. They are powers of two, to keep
/// variants few.
pub(crate) fn queries(heads: u32) -> impl DoubleEndedIterator<Item = u32> {
    (0..=3).map(|power| 1 << power).filter(move |tokens| *tokens == 1 || tokens * heads <= MAX_QUERY_ROWS)
}

impl Kernel for Attention {
    fn all(caps: &Caps) -> Vec<Self> {
        let mut all = Vec::new();
        for keys in cache_formats() {
            for &reduce in Reduce::all(caps) {
                for shape in SHAPES {
                    all.extend(Self::variants([keys; 2], reduce, shape, caps));
                }
                for values in cache_formats().filter(|values| *values != keys) {
                    let variants = Self::variants([keys, values], reduce, HeadShape::of_width(64, 4), caps);
                    all.extend(variants.last());
                }
            }
        }
        all.retain(|k| k.workgroup_bytes() <= caps.max_workgroup_memory && k.shape.fits([k.keys, k.values]));
        all
    }
    fn defines(&self) -> Defines {
        let d = with_format(define_masked(self.reduce.define(Defines::new(self.workgroup_size))), "keys_file", self.keys);
        let d = d.value("values_file", self.values.spec().wgsl);
        define_heads(self.loops.define(d), self.shape, [self.heads, self.tokens])
    }
    fn groups(&self, p: &Params) -> u64 {
        let queries = u64::from(p.n_heads / self.heads) * u64::from(p.n_tokens.div_ceil(self.tokens));
        queries * u64::from(p.kv_splits)
    }
    fn flops(&self, p: &Params) -> u64 {
        // Two per multiply-add of scores and values, and 5 per score for the softmax.
        self.keys_shape(p).scores() * (2 * u64::from(self.shape.key + self.shape.value) + 5)
    }
    fn traffic(&self, p: &Params) -> Bytes {
        let (queries, rows) = (self.keys_shape(p).query_values(), self.keys_shape(p).rows_read());
        let keys = format_bytes(self.keys, rows, self.shape.key);
        // Latent values are parts of the keys, which are read once.
        let values = if self.shape.latent { 0 } else { format_bytes(self.values, rows, self.shape.value) };
        let tokens = u64::from(p.n_tokens) * TokenInfo::BYTES;
        Bytes { q: bytes4(queries), keys, values, tokens, out: self.out_bytes(p) }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        let rows = self.keys_shape(p).rows_required();
        let [keys, values] = [p.key_stride, p.value_stride].map(|stride| device_bytes(rows, stride));
        let q = u64::from(p.n_tokens - 1) * u64::from(p.ld) + u64::from(p.n_heads * self.shape.key);
        let tokens = u64::from(p.token0 + p.n_tokens) * TokenInfo::BYTES;
        Bytes { q: bytes4(q), keys, values, tokens, out: self.out_bytes(p) }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let HeadShape { key, latent, group, .. } = self.shape;
        let n_heads = group * rng.range(1, 3);
        let (n_tokens, depth) = (rng.range(1, 9), rng.pick(&[0, 1, 62, 63, 64, 65, 150]));
        let tokens = TestTokens::sample(rng, n_tokens, depth);
        let VisibleRows { visible, unique, end, .. } = tokens.visible();
        let (token0, capacity) = (tokens.token0, tokens.stored_end() + rng.range(0, 3));
        let key_stride = stride(self.keys, key as usize);
        let value_stride = stride(self.values, self.shape.value_cols() as usize);
        let ld = n_heads * key + 4 * rng.range(0, 3);
        let split_len = rng.pick(&[1000, 64, 50]);
        let kv_splits = widest_range(tokens.launched(), self.tokens).div_ceil(split_len);
        let params = Params {
            n_tokens, token0, n_heads, capacity, end, visible, unique, key_stride, value_stride, ld, kv_splits, split_len,
            scale: 0.7,
        };
        let rows = to_u32(self.keys_shape(&params).rows_required());
        let keys = random_rows(rng, self.keys, rows, key);
        let values = if latent { keys.clone() } else { random_rows(rng, self.values, rows, self.shape.value) };
        TestInput { params, bindings: vec![rng.words((n_tokens * ld) as usize), keys, values, tokens.words(), vec![]] }
    }
    #[expect(clippy::cast_possible_truncation, reason = "the twin rounds once, at the end")]
    fn reference(&self, p: &Params, host: Host<'_>) {
        let [key, width] = [self.shape.key, self.shape.value].map(|n| n as usize);
        let (keys, values) = (self.keys_shape(p), self.values_shape(p));
        let tokens = &tokens(host.tokens)[p.token0 as usize..];
        let starts = tokens.chunks(self.tokens as usize).flat_map(|served| served.iter().map(|_| range(served)[0]));
        let queries = host.q.chunks(p.ld as usize).zip(tokens.iter().zip(starts)).enumerate();
        for (t, (row, (token, start))) in queries {
            for (head, q) in (0..p.n_heads).zip(row.chunks_exact(key)) {
                let score = |row| {
                    let k = keys.row(head, row, self.keys, host.keys);
                    f64::from(p.scale) * f64::from(crate::common::dot(q, &k))
                };
                let scores: Vec<(u32, f64)> = token.rows().map(|row| (row, score(row))).collect();
                for split in 0..p.kv_splits {
                    // A token may see no row of a split.
                    let of_split: Vec<_> =
                        scores.iter().filter(|(row, _)| (row - start) / p.split_len == split).copied().collect();
                    let top = of_split.iter().map(|it| it.1).fold(f64::from(MASKED), f64::max);
                    let (mut sums, mut total) = (vec![0.0; width], 0.0);
                    for (row, score) in of_split {
                        let weight = (score - top).exp();
                        let v = values.row(head, row, self.values, host.values);
                        sums.iter_mut().zip(v).for_each(|(sum, v)| *sum += weight * f64::from(v));
                        total += weight;
                    }
                    let query = t * p.n_heads as usize + head as usize;
                    if p.kv_splits == 1 {
                        let out = &mut host.out[query * width..][..width];
                        out.iter_mut().zip(sums).for_each(|(out, sum)| *out = (sum / total) as f32);
                    } else {
                        let first = split as usize * (p.n_tokens * p.n_heads) as usize + query;
                        let (out, tail) = host.out[first * (width + 4)..][..width + 4].split_at_mut(width);
                        out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum as f32);
                        tail.copy_from_slice(&[top as f32, total as f32, 0.0, 0.0]);
                    }
                }
            }
        }
    }
}
