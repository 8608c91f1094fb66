//! Stores new keys or values in the KV cache.

use crate::common::{bytes4, cache_formats, device_bytes, without_sums, encode_row, format_bytes, random_head, stride, with_format};
use crate::token_info::{TestTokens, TokenInfo, tokens};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};
use ridgeline_quant::Format;

kernel! {
    /// Cache row (head · capacity + row) = the `head_dim` values from x\[t · ld + first + head · head_dim\] on. The row is
    /// that of tokens\[token0 + t\] ([`TokenInfo`]), and below `end`. Only those rows are written. `ld` and `first` are
    /// multiples of 4, `stride` counts vec4s per cache row. The cache is in a buffer or in a `texture`.
    pub struct KvAppend("kv_append") { format: Format, workgroup_size: u32, texture: bool }
    params {
        n_tokens: u32, token0: u32, n_heads: u32, head_dim: u32, capacity: u32, end: u32, stride: u32, ld: u32, first: u32,
    }
    bindings { x: read array<vec4<f32>>, tokens: read array<vec4<u32>>, cache: write array<vec4<u32>> }
}

impl Kernel for KvAppend {
    fn all(_caps: &Caps) -> Vec<Self> {
        let with = |format| [false, true].map(|texture| Self { format, workgroup_size: 64, texture });
        cache_formats().flat_map(with).collect()
    }
    fn defines(&self) -> Defines {
        with_format(without_sums(self.workgroup_size), "cache_file", self.format).value("TEXTURE", self.texture)
    }
    fn in_texture(&self, binding: &str) -> bool {
        self.texture && binding == "cache"
    }
    fn groups(&self, p: &Params) -> u64 {
        (rows(p) * u64::from(p.stride)).div_ceil(u64::from(self.workgroup_size))
    }
    fn flops(&self, _p: &Params) -> u64 {
        0
    }
    fn traffic(&self, p: &Params) -> Bytes {
        let x = bytes4(rows(p) * u64::from(p.head_dim));
        let tokens = u64::from(p.n_tokens) * TokenInfo::PLACE_BYTES;
        Bytes { x, tokens, cache: format_bytes(self.format, rows(p), p.head_dim) }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        let row = u64::from(p.first) + u64::from(p.n_heads) * u64::from(p.head_dim);
        let x = bytes4(u64::from(p.n_tokens - 1) * u64::from(p.ld) + row);
        let last = u64::from(p.n_heads - 1) * u64::from(p.capacity) + u64::from(p.end);
        let tokens = u64::from(p.token0 + p.n_tokens) * TokenInfo::BYTES;
        Bytes { x, tokens, cache: device_bytes(last, p.stride) }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let (n_tokens, n_heads, depth) = (rng.range(1, 9), rng.range(1, 4), rng.range(0, 9));
        let tokens = TestTokens::sample(rng, n_tokens, depth);
        let (token0, end) = (tokens.token0, tokens.stored_end());
        let head_dim = random_head(rng, self.format);
        let capacity = end + rng.range(0, 3);
        let stride = stride(self.format, head_dim as usize);
        let first = 4 * rng.range(0, 3);
        let ld = first + n_heads * head_dim + 4 * rng.range(0, 3);
        let params = Params { n_tokens, token0, n_heads, head_dim, capacity, end, stride, ld, first };
        TestInput { params, bindings: vec![rng.words((n_tokens * ld) as usize), tokens.words(), vec![]] }
    }
    fn reference(&self, p: &Params, host: Host<'_>) {
        let words = p.stride as usize * 4;
        let tokens = &tokens(host.tokens)[p.token0 as usize..];
        for (token, row) in tokens.iter().zip(host.x.chunks(p.ld as usize)) {
            let heads = row[p.first as usize..].chunks_exact(p.head_dim as usize);
            for (head, x) in heads.take(p.n_heads as usize).enumerate() {
                let row = head * p.capacity as usize + token.row as usize;
                encode_row(self.format, x, &mut host.cache[row * words..][..words]);
            }
        }
    }
}

fn rows(p: &Params) -> u64 {
    u64::from(p.n_tokens) * u64::from(p.n_heads)
}
