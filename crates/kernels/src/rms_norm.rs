//! RMSNorm (Zhang & Sennrich 2019, "Root Mean Square Layer Normalization").

use crate::common::Reduce;
use crate::row_norm::{RowNorm, rms_norm, row_norm_members};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};

kernel! {
    /// y\[r, c\] = x\[row0 + r, c\] / sqrt(mean_c x² + eps) · gain\[c\] for `n_rows` rows of `n_cols` (a multiple of 4).
    pub struct RmsNorm("rms_norm") { reduce: Reduce, workgroup_size: u32 }
    params { n_rows: u32, n_cols: u32, row0: u32, eps: f32 }
    bindings { x: read array<vec4<f32>>, gain: read array<vec4<f32>>, y: write array<vec4<f32>> }
}

impl Kernel for RmsNorm {
    row_norm_members! { workgroup_sizes: [64, 256] }
    fn flops(&self, p: &Params) -> u64 {
        4 * shape(p).values()
    }
    fn traffic(&self, p: &Params) -> Bytes {
        let shape = shape(p);
        Bytes { x: shape.bytes(), gain: shape.row_bytes(), y: shape.bytes() }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        Bytes { x: RowNorm::new(p.row0 + p.n_rows, p.n_cols).bytes(), ..self.traffic(p) }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let (n_rows, row0, n_cols) = (rng.range(1, 5), rng.range(0, 2), 4 * rng.range(1, 300));
        let x = rng.words(((row0 + n_rows) * n_cols) as usize);
        let bindings = vec![x, rng.words(n_cols as usize), vec![]];
        TestInput { params: Params { n_rows, n_cols, row0, eps: 1e-5 }, bindings }
    }
    fn reference(&self, p: &Params, host: Host<'_>) {
        let cols = p.n_cols as usize;
        let rows = host.x.chunks_exact(cols).skip(p.row0 as usize);
        for (x, y) in rows.zip(host.y.chunks_exact_mut(cols)) {
            y.copy_from_slice(x);
            rms_norm(y, host.gain, p.eps);
        }
    }
}

fn shape(p: &Params) -> RowNorm {
    RowNorm::new(p.n_rows, p.n_cols)
}
