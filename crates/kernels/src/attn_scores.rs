//! Unfused attention, step 1 of 3: the scores.

use crate::common::{bytes4, cache_formats, device_bytes, dot, without_sums, format_bytes, random_rows, to_u32, with_format};
use crate::attention_shape::{AttentionShape, MASKED, define_masked};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};
use ridgeline_quant::Format;

kernel! {
    /// scores\[t, h, p\] = scale · q\[t, h\] · k\[h / group, p\] for p up to `position` + t. Later positions are masked:
    /// they get −3e38. Rows of scores have `position` + `n_tokens` values, rows of q are `ld` floats apart. Keys are in a
    /// buffer or in a `texture`.
    pub struct AttnScores("attn_scores") { cache: Format, workgroup_size: u32, texture: bool }
    params { n_tokens: u32, n_heads: u32, head_dim: u32, group: u32, capacity: u32, position: u32, stride: u32, ld: u32, scale: f32 }
    bindings { q: read array<vec4<f32>>, keys: read array<vec4<u32>>, scores: write array<f32> }
}

impl Kernel for AttnScores {
    fn all(_caps: &Caps) -> Vec<Self> {
        let with = |cache| [false, true].map(|texture| Self { cache, workgroup_size: 64, texture });
        cache_formats().flat_map(with).collect()
    }
    fn defines(&self) -> Defines {
        with_format(define_masked(without_sums(self.workgroup_size)), "cache_file", self.cache).value("TEXTURE", self.texture)
    }
    fn in_texture(&self, binding: &str) -> bool {
        self.texture && binding == "keys"
    }
    fn groups(&self, p: &Params) -> u64 {
        score_values(p).div_ceil(u64::from(self.workgroup_size))
    }
    fn flops(&self, p: &Params) -> u64 {
        heads(p).scores() * 2 * u64::from(p.head_dim)
    }
    fn traffic(&self, p: &Params) -> Bytes {
        let keys = format_bytes(self.cache, heads(p).rows_read(), p.head_dim);
        Bytes { q: bytes4(heads(p).query_values()), keys, scores: bytes4(score_values(p)) }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        let keys = device_bytes(heads(p).rows_required(), p.stride);
        let q = u64::from(p.n_tokens - 1) * u64::from(p.ld) + u64::from(p.n_heads * p.head_dim);
        Bytes { q: bytes4(q), keys, scores: bytes4(score_values(p)) }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let AttentionShape { n_tokens, n_heads, head_dim, group, capacity, position, stride } = AttentionShape::sample(rng, self.cache);
        let ld = n_heads * head_dim + 4 * rng.range(0, 3);
        let params = Params { n_tokens, n_heads, head_dim, group, capacity, position, stride, ld, scale: 0.3 };
        let q = rng.words((n_tokens * ld) as usize);
        let keys = random_rows(rng, self.cache, to_u32(heads(&params).rows_required()), head_dim);
        TestInput { params, bindings: vec![q, keys, vec![]] }
    }
    fn reference(&self, p: &Params, host: Host<'_>) {
        let context = (p.position + p.n_tokens) as usize;
        let (width, heads_of) = (p.head_dim as usize, p.n_heads as usize);
        let rows = host.q.chunks(p.ld as usize).flat_map(|row| row.chunks_exact(width).take(heads_of));
        let queries = rows.zip(host.scores.chunks_exact_mut(context));
        for (query, (q, scores)) in queries.enumerate() {
            scores.fill(MASKED);
            for (score, k) in scores.iter_mut().zip(heads(p).rows(query, self.cache, host.keys)) {
                *score = p.scale * dot(q, &k);
            }
        }
    }
}

const fn heads(p: &Params) -> AttentionShape {
    let &Params { n_tokens, n_heads, head_dim, group, capacity, position, stride, .. } = p;
    AttentionShape { n_tokens, n_heads, head_dim, group, capacity, position, stride }
}

fn score_values(p: &Params) -> u64 {
    u64::from(p.n_tokens) * u64::from(p.n_heads) * heads(p).context()
}
