//! Mat-vec (GEMV), y = W·x, for small batches of 8-bit activations, with integer dot products (DP4A).

use crate::activation::Activation;
use crate::common::{Reduce, device_bytes, format_bytes, random_rows, stride, with_format};
use crate::layout::{WeightLayout, decode_layout_row};
use crate::linear::{Epilogue, LinearShape, MAX_TEST_ROWS};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};
use ridgeline_quant::Format;

kernel! {
    /// y\[v, row0 + r\] = Σ_c W\[r, c\] · x\[v, c\], then the `epilogue` ([`Epilogue`]). x has the type
    /// [`Format::INT8_ACTIVATIONS`] and rows of `x_stride` vec4s. A reduction group computes a block of `rows` rows of W,
    /// an even number, by `vecs` vectors. A workgroup computes `blocks` of them. `stride` counts vec4s per row of W, `ld`
    /// floats per row of y. `activation` is the function of the GLU epilogue.
    ///
    /// Integer sums are exact. The only approximation beyond f32 rounding is the 8-bit quantization of x.
    pub struct MatVecI8("mat_vec_i8") {
        format: Format, layout: WeightLayout, activation: Activation, reduce: Reduce, workgroup_size: u32, blocks: u32,
        rows: u32, vecs: u32
    }
    params { n_rows: u32, n_cols: u32, n_vecs: u32, stride: u32, ld: u32, row0: u32, epilogue: u32, x_stride: u32 }
    bindings { weights: read array<vec4<u32>>, x: read array<vec4<u32>>, y: update array<f32> }
}

/// Rows and vectors of a reduction group's block.
const SHAPES: [(u32, u32); 3] = [(4, 1), (4, 4), (2, 8)];

impl MatVecI8 {
    /// Whether the kernel takes weights of this type: the format file must have `_packed` and `_header`
    /// (`shared/affine.wgsl`).
    #[must_use]
    pub const fn takes(format: Format) -> bool {
        format.spec().chunks_per_header > 1
    }

    /// The default variant for a batch of `vectors` on this device.
    #[must_use]
    pub fn for_batch(format: Format, layout: WeightLayout, caps: &Caps, vectors: u32) -> Self {
        let (rows, vecs) = SHAPES.into_iter().find(|shape| shape.1 >= vectors).unwrap_or(SHAPES[2]);
        Self::new(format, layout, (Reduce::all(caps)[0], caps), (rows, vecs))
    }

    fn new(format: Format, layout: WeightLayout, (reduce, caps): (Reduce, &Caps), (rows, vecs): (u32, u32)) -> Self {
        let (workgroup_size, blocks) = (64, reduce.groups_per_workgroup(caps, 64));
        Self { format, layout, activation: Activation::Silu, reduce, workgroup_size, blocks, rows, vecs }
    }
}

impl Kernel for MatVecI8 {
    fn all(caps: &Caps) -> Vec<Self> {
        let mut all = Vec::new();
        for &format in Format::ALL.iter().filter(|&&format| Self::takes(format)) {
            for layout in [WeightLayout::Plain, WeightLayout::Interleaved] {
                for &reduce in Reduce::all(caps) {
                    all.extend(SHAPES.map(|shape| Self::new(format, layout, (reduce, caps), shape)));
                }
            }
        }
        // The other activations do not depend on the type of the weights.
        if let Some(&one) = all.first() {
            all.extend(Activation::ALL[1..].iter().map(|&activation| Self { activation, ..one }));
        }
        all
    }
    fn defines(&self) -> Defines {
        let bytes = Format::INT8_ACTIVATIONS.spec().wgsl;
        let d = self.reduce.define(Defines::new(self.workgroup_size)).value("x_file", bytes);
        let d = self.layout.define(with_format(d, "weights_file", self.format));
        self.activation.define(d).u32("BLOCKS", self.blocks).u32("ROWS", self.rows).u32("VECS", self.vecs)
    }
    fn in_texture(&self, binding: &str) -> bool {
        binding == "weights" && self.layout.in_texture()
    }
    fn groups(&self, p: &Params) -> u64 {
        let outputs = if p.epilogue == Epilogue::Glu as u32 { self.rows / 2 } else { self.rows };
        u64::from(p.n_rows.div_ceil(self.blocks * outputs)) * u64::from(p.n_vecs.div_ceil(self.vecs))
    }
    fn flops(&self, p: &Params) -> u64 {
        linear(p).flops(self.activation)
    }
    fn traffic(&self, p: &Params) -> Bytes {
        let [weights, _, y] = linear(p).traffic(self.format);
        Bytes { weights, x: format_bytes(Format::INT8_ACTIVATIONS, u64::from(p.n_vecs), p.n_cols), y }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        let [weights, _, y] = linear(p).min_binding_size(self.layout);
        Bytes { weights, x: device_bytes(u64::from(p.n_vecs), p.x_stride), y }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let (p, mut bindings) = LinearShape::sample(rng, (self.format, self.layout), [MAX_TEST_ROWS, 2 * self.vecs + 1], Epilogue::supported(true));
        bindings[1] = random_rows(rng, Format::INT8_ACTIVATIONS, p.n_vecs, p.n_cols);
        let x_stride = stride(Format::INT8_ACTIVATIONS, p.n_cols as usize);
        let LinearShape { n_rows, n_cols, n_vecs, stride, ld, row0, epilogue } = p;
        TestInput { params: Params { n_rows, n_cols, n_vecs, stride, ld, row0, epilogue, x_stride }, bindings }
    }
    fn reference(&self, p: &Params, host: Host<'_>) {
        let mut x = vec![0.0; (p.n_vecs * p.n_cols) as usize];
        for (v, row) in (0..).zip(x.chunks_exact_mut(p.n_cols as usize)) {
            decode_layout_row((Format::INT8_ACTIVATIONS, WeightLayout::Plain), host.x, (v, p.x_stride), row);
        }
        linear(p).reference((self.format, self.layout, self.activation), host.weights, &x, host.y);
    }
}

fn linear(p: &Params) -> LinearShape {
    let &Params { n_rows, n_cols, n_vecs, stride, ld, row0, epilogue, .. } = p;
    LinearShape { n_rows, n_cols, n_vecs, stride, ld, row0, epilogue }
}
