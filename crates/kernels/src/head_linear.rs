//! A linear layer with a matrix per head: the absorbed projections of MLA (DeepSeek-AI 2024).

use crate::common::{Reduce, bytes4, dot, format_bytes, random_rows, stride, to_u32, with_format};
use crate::layout::{WeightLayout, decode_layout_row, to_layout};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};
use ridgeline_quant::Format;

kernel! {
    /// y\[t, h\] = W_h · x\[t, h\], or W_hᵀ · x\[t, h\] if `transposed`. W_h is rows h · `n_rows` to (h + 1) · `n_rows` − 1 of the
    /// weights, of `n_cols` values.
    ///
    /// Head h of token t begins at x\[t · x_ld + x_first + h · x_step\] and at y\[t · y_ld + y_first + h · y_step\]. With an
    /// `x_step` of 0, all heads read the same values. Offsets of x and y are multiples of 4, `stride` counts vec4s per row.
    ///
    /// A reduction group computes a value. If `transposed`, an invocation computes four, without a reduction.
    pub struct HeadLinear("head_linear") {
        format: Format, layout: WeightLayout, reduce: Reduce, workgroup_size: u32, blocks: u32, transposed: bool,
    }
    params {
        n_tokens: u32, n_heads: u32, n_rows: u32, n_cols: u32, stride: u32, x_ld: u32, x_first: u32, x_step: u32, y_ld: u32,
        y_first: u32, y_step: u32,
    }
    bindings { weights: read array<vec4<u32>>, x: read array<vec4<f32>>, y: write array<f32> }
}

impl HeadLinear {
    /// The variant for a device with `caps`.
    #[must_use]
    pub fn new(format: Format, layout: WeightLayout, transposed: bool, caps: &Caps) -> Self {
        let (reduce, workgroup_size) = (Reduce::all(caps)[0], 64);
        let blocks = reduce.groups_per_workgroup(caps, workgroup_size);
        Self { format, layout, reduce, workgroup_size, blocks, transposed }
    }

    /// Values that a head reads and writes.
    const fn widths(self, p: &Params) -> [u32; 2] {
        if self.transposed { [p.n_rows, p.n_cols] } else { [p.n_cols, p.n_rows] }
    }
}

impl Kernel for HeadLinear {
    fn all(caps: &Caps) -> Vec<Self> {
        let mut all = Vec::new();
        for &format in Format::ALL {
            for layout in [WeightLayout::Plain, WeightLayout::Interleaved] {
                all.extend([false, true].map(|transposed| Self::new(format, layout, transposed, caps)));
            }
        }
        let plain = Self::new(Format::HALF, WeightLayout::Plain, false, caps);
        all.push(Self { reduce: Reduce::Workgroup, blocks: 1, ..plain });
        all
    }
    fn defines(&self) -> Defines {
        let d = with_format(self.reduce.define(Defines::new(self.workgroup_size)), "weights_file", self.format);
        self.layout.define(d).u32("BLOCKS", self.blocks).value("TRANSPOSED", self.transposed)
    }
    fn in_texture(&self, binding: &str) -> bool {
        binding == "weights" && self.layout.in_texture()
    }
    fn groups(&self, p: &Params) -> u64 {
        let outputs = heads(p) * u64::from(self.widths(p)[1]);
        match self.transposed {
            true => (outputs / 4).div_ceil(u64::from(self.workgroup_size)),
            false => outputs.div_ceil(u64::from(self.blocks)),
        }
    }
    fn flops(&self, p: &Params) -> u64 {
        2 * heads(p) * u64::from(p.n_rows) * u64::from(p.n_cols)
    }
    fn traffic(&self, p: &Params) -> Bytes {
        let [read, written] = self.widths(p).map(u64::from);
        let heads_read = if p.x_step == 0 { u64::from(p.n_tokens) } else { heads(p) };
        let weights = format_bytes(self.format, u64::from(p.n_heads * p.n_rows), p.n_cols);
        Bytes { weights, x: bytes4(heads_read * read), y: bytes4(heads(p) * written) }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        let [read, written] = self.widths(p);
        let last = |ld, end: u32| bytes4(u64::from(p.n_tokens - 1) * u64::from(ld) + u64::from(end));
        Bytes {
            weights: self.layout.bytes(u64::from(p.n_heads * p.n_rows), p.stride),
            x: last(p.x_ld, p.x_first + (p.n_heads - 1) * p.x_step + read),
            y: last(p.y_ld, p.y_first + (p.n_heads - 1) * p.y_step + written),
        }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let unit = to_u32(self.format.spec().unpack_len.max(self.format.spec().block_len));
        let (n_cols, n_rows) = (rng.range(1, 4) * unit, 4 * rng.range(1, 9));
        let (n_tokens, n_heads) = (rng.range(1, 5), rng.range(1, 4));
        let [read, written] = if self.transposed { [n_rows, n_cols] } else { [n_cols, n_rows] };
        let mut some = |least: u32| least + 4 * rng.range(0, 3);
        let (x_first, y_first, y_step) = (some(0), some(0), some(written));
        let x_step = if some(0) == 0 { 0 } else { some(read) };
        let (x_ld, y_ld) = (some(x_first + n_heads * x_step.max(read)), some(y_first + n_heads * y_step));
        let stride = stride(self.format, n_cols as usize);
        let rows = random_rows(rng, self.format, n_heads * n_rows, n_cols);
        let weights = to_layout(self.layout, &rows, stride);
        let params =
            Params { n_tokens, n_heads, n_rows, n_cols, stride, x_ld, x_first, x_step, y_ld, y_first, y_step };
        TestInput { params, bindings: vec![weights, rng.words((n_tokens * x_ld) as usize), vec![]] }
    }
    #[expect(clippy::cast_possible_truncation, reason = "the twin rounds once, at the end")]
    fn reference(&self, p: &Params, host: Host<'_>) {
        let [read, written] = self.widths(p).map(|n| n as usize);
        for h in 0..p.n_heads {
            let row = |r: u32| {
                let mut row = vec![0.0; p.n_cols as usize];
                decode_layout_row((self.format, self.layout), host.weights, (h * p.n_rows + r, p.stride), &mut row);
                row
            };
            let rows: Vec<Vec<f32>> = (0..p.n_rows).map(row).collect();
            for t in 0..p.n_tokens {
                let x = &host.x[(t * p.x_ld + p.x_first + h * p.x_step) as usize..][..read];
                let y = &mut host.y[(t * p.y_ld + p.y_first + h * p.y_step) as usize..][..written];
                if self.transposed {
                    for (c, y) in y.iter_mut().enumerate() {
                        let terms = rows.iter().zip(x).map(|(row, &x)| f64::from(row[c]) * f64::from(x));
                        *y = terms.sum::<f64>() as f32;
                    }
                } else {
                    y.iter_mut().zip(&rows).for_each(|(y, row)| *y = dot(row, x));
                }
            }
        }
    }
}

fn heads(p: &Params) -> u64 {
    u64::from(p.n_tokens) * u64::from(p.n_heads)
}
