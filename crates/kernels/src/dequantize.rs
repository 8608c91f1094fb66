//! Dequantization of a whole matrix, so that the kernels of F16 and F32 weights can multiply it.

use crate::common::{encode_row, format_bytes, random_rows, stride, to_u32, with_format, without_sums};
use crate::layout::{WeightLayout, decode_layout_row, to_layout};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};
use ridgeline_quant::Format;

/// The type of the values that [`Dequantize`] stores.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Output {
    /// 16-bit floats, two per word, rounded as the device does: AMD and DX12 round towards zero. The device needs no f16 in
    /// shaders. What it stores for a magnitude beyond 65504 is unspecified.
    F16,
    /// 32-bit floats.
    F32,
}

impl Output {
    /// The quantization type as which the linear kernels read the values.
    #[must_use]
    pub const fn format(self) -> Format {
        match self {
            Self::F16 => Format::HALF,
            Self::F32 => Format::SINGLE,
        }
    }
}

kernel! {
    /// values\[r, c\] = weights\[r, c\], for `n_rows` rows of `n_cols` columns. `weights` are device rows of `format`,
    /// and `stride` counts vec4s per row.
    ///
    /// `values` are device rows of the `output`'s [format](Output::format), in the same `layout`. So the linear kernels
    /// take `values` as weights. Their stride is [`stride`]`(output.format(), n_cols)` vec4s.
    ///
    /// The rows that pad an interleaved matrix are dequantized too. Size of `values`: [`WeightLayout::bytes`] of
    /// `n_rows` and that stride.
    pub struct Dequantize("dequantize") { format: Format, output: Output, layout: WeightLayout, workgroup_size: u32 }
    params { n_rows: u32, n_cols: u32, stride: u32 }
    bindings { weights: read array<vec4<u32>>, values: write array<vec4<u32>> }
}

impl Dequantize {
    /// The default variant for a matrix of `format` in `layout`.
    #[must_use]
    pub const fn new(format: Format, output: Output, layout: WeightLayout) -> Self {
        Self { format, output, layout, workgroup_size: 64 }
    }

    /// Rows with those of the padding.
    fn padded_rows(&self, p: &Params) -> u32 {
        p.n_rows.next_multiple_of(to_u32(self.layout.rows_interleaved()))
    }
}

impl Kernel for Dequantize {
    fn all(_caps: &Caps) -> Vec<Self> {
        let layouts = [WeightLayout::Plain, WeightLayout::Interleaved];
        let with = |layout| [Output::F16, Output::F32].map(|output| (output, layout));
        let all = |(output, layout)| Format::ALL.iter().map(move |&format| Self::new(format, output, layout));
        layouts.into_iter().flat_map(with).flat_map(all).collect()
    }
    fn defines(&self) -> Defines {
        let d = with_format(without_sums(self.workgroup_size), "weights_file", self.format);
        // A vec4 of values is 16 bytes, a quad is four values.
        let quads_per_vec4 = if self.output == Output::F16 { 2 } else { 1 };
        let d = d.u32("ROWS_INTERLEAVED", to_u32(self.layout.rows_interleaved()));
        self.layout.define(d.u32("QUADS_PER_VEC4", quads_per_vec4))
    }
    fn in_texture(&self, _binding: &str) -> bool {
        self.layout.in_texture()
    }
    fn groups(&self, p: &Params) -> u64 {
        let chunks = u64::from(p.n_cols / to_u32(self.format.spec().unpack_len));
        (u64::from(self.padded_rows(p)) * chunks).div_ceil(u64::from(self.workgroup_size))
    }
    // Unpacking counts no operations, as in the linear kernels.
    fn flops(&self, _p: &Params) -> u64 {
        0
    }
    fn traffic(&self, p: &Params) -> Bytes {
        let bytes = |format| format_bytes(format, u64::from(p.n_rows), p.n_cols);
        Bytes { weights: bytes(self.format), values: bytes(self.output.format()) }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        let bytes = |stride| self.layout.bytes(u64::from(p.n_rows), stride);
        Bytes { weights: bytes(p.stride), values: bytes(stride(self.output.format(), p.n_cols as usize)) }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let unit = to_u32(self.format.spec().unpack_len.max(self.format.spec().block_len));
        let (n_rows, n_cols) = (rng.range(1, 40), rng.range(1, 6) * unit);
        let stride = stride(self.format, n_cols as usize);
        let weights = to_layout(self.layout, &random_rows(rng, self.format, n_rows, n_cols), stride);
        TestInput { params: Params { n_rows, n_cols, stride }, bindings: vec![weights, vec![]] }
    }
    fn reference(&self, p: &Params, host: Host<'_>) {
        let to = self.output.format();
        let to_stride = stride(to, p.n_cols as usize);
        let mut row = vec![0.0; p.n_cols as usize];
        let mut rows = vec![0; (self.padded_rows(p) * to_stride * 4) as usize];
        for (r, words) in (0..).zip(rows.chunks_exact_mut(to_stride as usize * 4)) {
            decode_layout_row((self.format, self.layout), host.weights, (r, p.stride), &mut row);
            encode_row(to, &row, words);
        }
        host.values.copy_from_slice(&to_layout(self.layout, &rows, to_stride));
    }
}
