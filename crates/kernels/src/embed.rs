//! Embedding lookup (`GET_ROWS` in ggml).

use crate::common::{bytes4, without_sums, format_bytes, random_rows, to_u32, stride, with_format};
use crate::layout::{WeightLayout, decode_layout_row, to_layout};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};
use ridgeline_quant::Format;

kernel! {
    /// y\[t, c\] = scale · table\[tokens\[token0 + t\] − row0, c\]. A table beyond the
    /// binding limit is split by rows. This launch sees rows `row0` to `row0 + n_rows`. For other tokens, y stays unchanged.
    pub struct Embed("embed") { format: Format, layout: WeightLayout, workgroup_size: u32 }
    params { n_tokens: u32, n_rows: u32, n_cols: u32, stride: u32, row0: u32, token0: u32, scale: f32 }
    bindings { table: read array<vec4<u32>>, tokens: read array<u32>, y: write array<vec4<f32>> }
}

impl Kernel for Embed {
    fn all(_caps: &Caps) -> Vec<Self> {
        let with = |layout| Format::ALL.iter().map(move |&format| Self { format, layout, workgroup_size: 64 });
        [WeightLayout::Plain, WeightLayout::Interleaved].into_iter().flat_map(with).collect()
    }
    fn defines(&self) -> Defines {
        self.layout.define(with_format(without_sums(self.workgroup_size), "weights_file", self.format))
    }
    fn in_texture(&self, binding: &str) -> bool {
        binding == "table" && self.layout.in_texture()
    }
    fn groups(&self, p: &Params) -> u64 {
        (u64::from(p.n_tokens) * u64::from(p.n_cols / 4)).div_ceil(u64::from(self.workgroup_size))
    }
    fn flops(&self, p: &Params) -> u64 {
        u64::from(p.n_tokens) * u64::from(p.n_cols)
    }
    fn traffic(&self, p: &Params) -> Bytes {
        let n = u64::from(p.n_tokens);
        Bytes {
            table: format_bytes(self.format, n, p.n_cols),
            tokens: bytes4(n),
            y: bytes4(n * u64::from(p.n_cols)),
        }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        let n = u64::from(p.n_tokens);
        let table = self.layout.bytes(u64::from(p.n_rows), p.stride);
        Bytes { table, tokens: bytes4(u64::from(p.token0) + n), y: bytes4(n * u64::from(p.n_cols)) }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let unit = to_u32(self.format.spec().unpack_len.max(self.format.spec().block_len));
        let n_cols = rng.range(1, 6) * unit;
        let (n_tokens, n_rows, row0) = (rng.range(1, 9), rng.range(1, 40), rng.range(0, 5));
        let token0 = rng.range(0, 4);
        let stride = stride(self.format, n_cols as usize);
        let tokens = (0..token0 + n_tokens).map(|_| rng.range(0, row0 + n_rows + 3)).collect();
        let table = to_layout(self.layout, &random_rows(rng, self.format, n_rows, n_cols), stride);
        let params = Params { n_tokens, n_rows, n_cols, stride, row0, token0, scale: 1.5 };
        TestInput { params, bindings: vec![table, tokens, vec![]] }
    }
    fn reference(&self, p: &Params, host: Host<'_>) {
        let tokens = &host.tokens[p.token0 as usize..];
        for (&token, y) in tokens.iter().zip(host.y.chunks_exact_mut(p.n_cols as usize)) {
            let row = token.wrapping_sub(p.row0);
            if row < p.n_rows {
                decode_layout_row((self.format, self.layout), host.table, (row, p.stride), y);
                y.iter_mut().for_each(|v| *v *= p.scale);
            }
        }
    }
}
