//! Unfused attention, step 1 of 3: the scores.

use crate::common::{bytes4, cache_formats, device_bytes, dot, without_sums, format_bytes, random_rows, to_u32, with_format};
use crate::attention_shape::{AttentionShape, Loops, MASKED, define_masked};
use crate::token_info::{TokenInfo, tokens};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};
use ridgeline_quant::Format;

kernel! {
    /// scores\[t, h, c\] = scale · q\[t, h\] · k\[h / group, first + c\] for the `n_cols` cache rows from `first` on. Rows that
    /// token t does not see ([`TokenInfo`]) are masked: they get −3e38. Rows of q are `ld` floats apart. Keys are in a buffer
    /// or in a `texture`.
    ///
    /// The launch's tokens begin at index `token0` of `tokens`. They see `visible` rows, of which `unique` are distinct.
    pub struct AttnScores("attn_scores") { cache: Format, workgroup_size: u32, texture: bool, loops: Loops }
    params {
        n_tokens: u32, token0: u32, n_heads: u32, head_dim: u32, group: u32, capacity: u32, first: u32, n_cols: u32,
        visible: u32, unique: u32, stride: u32, ld: u32, scale: f32,
    }
    bindings {
        q: read array<vec4<f32>>, keys: read array<vec4<u32>>, tokens: read array<vec4<u32>>, scores: write array<f32>,
    }
}

impl AttnScores {
    /// The variant for a device.
    #[must_use]
    pub const fn new(cache: Format, texture: bool, caps: &Caps) -> Self {
        Self { cache, workgroup_size: 64, texture, loops: Loops::of(caps) }
    }
}

impl Kernel for AttnScores {
    fn all(caps: &Caps) -> Vec<Self> {
        cache_formats().flat_map(|cache| [false, true].map(|texture| Self::new(cache, texture, caps))).collect()
    }
    fn defines(&self) -> Defines {
        let d = self.loops.define(define_masked(without_sums(self.workgroup_size)));
        with_format(d, "cache_file", self.cache).value("TEXTURE", self.texture)
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
        let tokens = u64::from(p.n_tokens) * TokenInfo::BYTES;
        Bytes { q: bytes4(heads(p).query_values()), keys, tokens, scores: bytes4(score_values(p)) }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        let keys = device_bytes(heads(p).rows_required(), p.stride);
        let q = u64::from(p.n_tokens - 1) * u64::from(p.ld) + u64::from(p.n_heads * p.head_dim);
        let tokens = u64::from(p.token0 + p.n_tokens) * TokenInfo::BYTES;
        Bytes { q: bytes4(q), keys, tokens, scores: bytes4(score_values(p)) }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let (shape, tokens) = AttentionShape::sample(rng, self.cache);
        let AttentionShape { n_tokens, n_heads, head_dim, group, capacity, visible, unique, end, stride } = shape;
        let (token0, first) = (tokens.token0, tokens.visible().first);
        let ld = n_heads * head_dim + 4 * rng.range(0, 3);
        let n_cols = end - first;
        let params = Params {
            n_tokens, token0, n_heads, head_dim, group, capacity, first, n_cols, visible, unique, stride, ld, scale: 0.3,
        };
        let q = rng.words((n_tokens * ld) as usize);
        let keys = random_rows(rng, self.cache, to_u32(heads(&params).rows_required()), head_dim);
        TestInput { params, bindings: vec![q, keys, tokens.words(), vec![]] }
    }
    fn reference(&self, p: &Params, host: Host<'_>) {
        let width = p.head_dim as usize;
        let rows = host.q.chunks(p.ld as usize).zip(host.scores.chunks_exact_mut((p.n_heads * p.n_cols) as usize));
        for ((row, scores), token) in rows.zip(&tokens(host.tokens)[p.token0 as usize..]) {
            scores.fill(MASKED);
            let heads_of = row.chunks_exact(width).zip(scores.chunks_exact_mut(p.n_cols as usize));
            for (head, (q, scores)) in (0..p.n_heads).zip(heads_of) {
                for row in token.rows() {
                    let k = heads(p).row(head, row, self.cache, host.keys);
                    scores[(row - p.first) as usize] = p.scale * dot(q, &k);
                }
            }
        }
    }
}

const fn heads(p: &Params) -> AttentionShape {
    let &Params { n_tokens, n_heads, head_dim, group, capacity, visible, unique, stride, .. } = p;
    let end = p.first + p.n_cols;
    AttentionShape { n_tokens, n_heads, head_dim, group, capacity, visible, unique, end, stride }
}

fn score_values(p: &Params) -> u64 {
    u64::from(p.n_tokens) * u64::from(p.n_heads) * u64::from(p.n_cols)
}
