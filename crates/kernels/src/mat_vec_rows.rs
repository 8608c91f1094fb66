//! Mat-vec (GEMV), y = W·x, for small batches, where every lane owns rows: for software adapters.

use crate::activation::Activation;
use crate::common::{without_sums, with_format};
use crate::layout::WeightLayout;
use crate::linear::{Epilogue, LinearShape, MAX_TEST_ROWS, linear_members};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};
use ridgeline_quant::Format;

kernel! {
    /// y\[v, row0 + r\] = Σ_c W\[r, c\] · x\[v, c\], then the `epilogue` ([`Epilogue`]). A GLU needs an even `rows`, and
    /// `activation` is its function.
    /// Each of eight lanes computes `rows` rows of W for `vecs` vectors. The rows are
    /// [interleaved](WeightLayout::Interleaved). `stride` counts vec4s per row of W, `ld` floats per row of y.
    ///
    /// Made for software adapters. Their loads run lane by lane whatever the addresses, their workgroup memory is as slow as
    /// any other, and their broadcasts are nearly free.
    pub struct MatVecRows("mat_vec_rows") { format: Format, activation: Activation, rows: u32, vecs: u32 }
    params { n_rows: u32, n_cols: u32, n_vecs: u32, stride: u32, ld: u32, row0: u32, epilogue: u32 }
    bindings { weights: read array<vec4<u32>>, x: read array<vec4<f32>>, y: update array<f32> }
}

impl MatVecRows {
    /// The variant for `vecs` vectors at a time. `None` where subgroups are missing or may have fewer than eight lanes.
    #[must_use]
    pub fn new(format: Format, caps: &Caps, rows: u32, vecs: u32) -> Option<Self> {
        let activation = Activation::Silu;
        caps.subgroup.filter(|&(least, _)| least >= WORKGROUP_SIZE).map(|_| Self { format, activation, rows, vecs })
    }

    /// The default variant for a batch of `vectors`: the fewest passes over the weights, then the smallest `vecs`.
    #[must_use]
    pub fn for_batch(format: Format, caps: &Caps, vectors: u32) -> Option<Self> {
        let passes = |vecs: u32| vectors.max(1).div_ceil(vecs);
        let (rows, vecs) = SHAPES.into_iter().min_by_key(|&(_, vecs)| (passes(vecs), vecs))?;
        Self::new(format, caps, rows, vecs)
    }
}

/// Invocations of a workgroup. The subgroup must be at least this large.
const WORKGROUP_SIZE: u32 = 8;

/// Rows and vectors of an invocation's block. Larger blocks spill. For the same number of vectors, the first is the default.
const SHAPES: [(u32, u32); 7] = [(8, 1), (4, 2), (4, 3), (4, 4), (4, 6), (4, 8), (4, 1)];

impl Kernel for MatVecRows {
    fn all(caps: &Caps) -> Vec<Self> {
        let with = |(rows, vecs): (u32, u32)| {
            Format::ALL.iter().filter_map(move |&format| Self::new(format, caps, rows, vecs))
        };
        // The epilogue depends neither on the type of the weights nor on the shape. So the other activations have one of each.
        let one = Self::new(Format::HALF, caps, 4, 2);
        let other = |&activation: &Activation| one.map(|it| Self { activation, ..it });
        SHAPES.into_iter().flat_map(with).chain(Activation::ALL[1..].iter().filter_map(other)).collect()
    }
    fn defines(&self) -> Defines {
        let d = with_format(without_sums(WORKGROUP_SIZE), "weights_file", self.format);
        self.activation.define(d).u32("ROWS", self.rows).u32("VECS", self.vecs)
    }
    fn in_texture(&self, binding: &str) -> bool {
        binding == "weights"
    }
    fn groups(&self, p: &Params) -> u64 {
        let outputs = if p.epilogue == Epilogue::Glu as u32 { self.rows / 2 } else { self.rows };
        u64::from(p.n_rows.div_ceil(WORKGROUP_SIZE * outputs)) * u64::from(p.n_vecs.div_ceil(self.vecs))
    }
    linear_members! {
        layout: WeightLayout::Interleaved,
        activation: |it| it.activation,
        test_size: |it| [MAX_TEST_ROWS, 2 * it.vecs + 1],
        epilogues: Epilogue::supported(true),
    }
}
