//! Unfused attention, step 3 of 3: the weighted sum of values.

use crate::common::{bytes4, cache_formats, device_bytes, without_sums, format_bytes, random_rows, to_u32, with_format};
use crate::attention_shape::AttentionShape;
use crate::token_info::{TokenInfo, tokens};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};
use ridgeline_quant::Format;

kernel! {
    /// out\[t, h\] = Σ_c weights\[t, h, c\] · v\[h / group, first + c\] over the rows that token t sees ([`TokenInfo`]). Weights
    /// have a column for each of the `n_cols` cache rows from `first` on. A value is the first `head_dim` of the
    /// `row_values` values of a cache row. Values are in a buffer or in a `texture`.
    ///
    /// The launch's tokens begin at index `token0` of `tokens`. They see `visible` rows, of which `unique` are distinct.
    pub struct AttnValues("attn_values") { cache: Format, workgroup_size: u32, texture: bool }
    params {
        n_tokens: u32, token0: u32, n_heads: u32, head_dim: u32, group: u32, row_values: u32, capacity: u32,
        first: u32, n_cols: u32, visible: u32, unique: u32, stride: u32,
    }
    bindings {
        weights: read array<f32>, values: read array<vec4<u32>>, tokens: read array<vec4<u32>>, out: write array<vec4<f32>>,
    }
}

impl Kernel for AttnValues {
    fn all(_caps: &Caps) -> Vec<Self> {
        let with = |cache| [false, true].map(|texture| Self { cache, workgroup_size: 64, texture });
        cache_formats().flat_map(with).collect()
    }
    fn defines(&self) -> Defines {
        with_format(without_sums(self.workgroup_size), "cache_file", self.cache).value("TEXTURE", self.texture)
    }
    fn in_texture(&self, binding: &str) -> bool {
        self.texture && binding == "values"
    }
    fn groups(&self, p: &Params) -> u64 {
        (heads(p).query_values() / 4).div_ceil(u64::from(self.workgroup_size))
    }
    fn flops(&self, p: &Params) -> u64 {
        heads(p).scores() * 2 * u64::from(p.head_dim)
    }
    fn traffic(&self, p: &Params) -> Bytes {
        let values = format_bytes(self.cache, heads(p).rows_read(), p.head_dim);
        let tokens = u64::from(p.n_tokens) * TokenInfo::BYTES;
        Bytes { weights: bytes4(heads(p).scores()), values, tokens, out: bytes4(heads(p).query_values()) }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        let values = device_bytes(heads(p).rows_required(), p.stride);
        let tokens = u64::from(p.token0 + p.n_tokens) * TokenInfo::BYTES;
        Bytes { weights: bytes4(weight_values(p)), values, tokens, out: bytes4(heads(p).query_values()) }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let (shape, tokens) = AttentionShape::sample(rng, self.cache);
        let AttentionShape { n_tokens, n_heads, head_dim, group, capacity, visible, unique, end, stride } = shape;
        let (token0, first) = (tokens.token0, tokens.visible().first);
        let (row_values, n_cols) = (head_dim, end - first);
        // Sometimes rows are wider than values, as in latent attention.
        let head_dim = if rng.range(0, 2) == 0 { row_values / 2 } else { row_values };
        let params = Params {
            n_tokens, token0, n_heads, head_dim, group, row_values, capacity, first, n_cols, visible, unique, stride,
        };
        // Random weights of rows that a token does not see, too: the kernel skips them.
        let weights = rng.words(to_u32(weight_values(&params)) as usize);
        let values = random_rows(rng, self.cache, to_u32(heads(&params).rows_required()), row_values);
        TestInput { params, bindings: vec![weights, values, tokens.words(), vec![]] }
    }
    #[expect(clippy::cast_possible_truncation, reason = "the twin rounds once, at the end")]
    fn reference(&self, p: &Params, host: Host<'_>) {
        let queries = host.weights.chunks_exact(p.n_cols as usize).zip(host.out.chunks_exact_mut(p.head_dim as usize));
        let tokens = &tokens(host.tokens)[p.token0 as usize..];
        for (query, (weights, out)) in (0..).zip(queries) {
            let (token, head) = (tokens[(query / p.n_heads) as usize], query % p.n_heads);
            let mut sums = vec![0.0; out.len()];
            for row in token.rows() {
                let weight = f64::from(weights[(row - p.first) as usize]);
                let rows = AttentionShape { head_dim: p.row_values, ..heads(p) };
                let values = rows.row(head, row, self.cache, host.values);
                sums.iter_mut().zip(values).for_each(|(sum, v)| *sum += weight * f64::from(v));
            }
            out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum as f32);
        }
    }
}

const fn heads(p: &Params) -> AttentionShape {
    let &Params { n_tokens, n_heads, head_dim, group, capacity, visible, unique, stride, .. } = p;
    let end = p.first + p.n_cols;
    AttentionShape { n_tokens, n_heads, head_dim, group, capacity, visible, unique, end, stride }
}

fn weight_values(p: &Params) -> u64 {
    u64::from(p.n_tokens) * u64::from(p.n_heads) * u64::from(p.n_cols)
}
