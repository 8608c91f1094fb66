//! RMSNorm that is added to the residual stream: the post-norm of Gemma 2 and 3 (Gemma Team 2024).

use crate::common::Reduce;
use crate::row_norm::{RowNorm, rms_norm, row_norm_members, widest};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};

kernel! {
    /// y\[r, c\] += x\[r, c\] / sqrt(mean_c x² + eps) · gain\[c\] for `n_rows` rows of `n_cols` (a multiple of 4).
    ///
    /// It is a kernel beside [`RmsNorm`](crate::rms_norm::RmsNorm), whose y is not read.
    pub struct RmsNormAdd("rms_norm_add") { reduce: Reduce, workgroup_size: u32 }
    params { n_rows: u32, n_cols: u32, eps: f32 }
    bindings { x: read array<vec4<f32>>, gain: read array<vec4<f32>>, y: update array<vec4<f32>> }
}

impl RmsNormAdd {
    /// The variant for rows of any width.
    #[must_use]
    pub fn new(caps: &Caps) -> Self {
        let (reduce, workgroup_size) = widest(caps, 256);
        Self { reduce, workgroup_size }
    }
}

impl Kernel for RmsNormAdd {
    row_norm_members! { workgroup_sizes: [64, 256] }
    fn flops(&self, p: &Params) -> u64 {
        // Four of RMSNorm, and the addition.
        5 * shape(p).values()
    }
    fn traffic(&self, p: &Params) -> Bytes {
        Bytes { y: 2 * shape(p).bytes(), ..self.min_binding_size(p) }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        let shape = shape(p);
        Bytes { x: shape.bytes(), gain: shape.row_bytes(), y: shape.bytes() }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let (n_rows, n_cols) = (rng.range(1, 5), 4 * rng.range(1, 300));
        let mut rows = || rng.words((n_rows * n_cols) as usize);
        let (x, y) = (rows(), rows());
        TestInput { params: Params { n_rows, n_cols, eps: 1e-5 }, bindings: vec![x, rng.words(n_cols as usize), y] }
    }
    fn reference(&self, p: &Params, host: Host<'_>) {
        let cols = p.n_cols as usize;
        let mut normed = vec![0.0; cols];
        for (x, y) in host.x.chunks_exact(cols).zip(host.y.chunks_exact_mut(cols)) {
            normed.copy_from_slice(x);
            rms_norm(&mut normed, host.gain, p.eps);
            y.iter_mut().zip(&normed).for_each(|(y, normed)| *y += normed);
        }
    }
}

fn shape(p: &Params) -> RowNorm {
    RowNorm::new(p.n_rows, p.n_cols)
}
