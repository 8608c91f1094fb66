//! RMSNorm (Zhang & Sennrich 2019, "Root Mean Square Layer Normalization").

use crate::common::{Reduce, bytes4};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};

kernel! {
    /// y\[r, c\] = x\[row0 + r, c\] / sqrt(mean_c x² + eps) · gain\[c\] for `n_rows` rows of `n_cols` (a multiple of 4).
    pub struct RmsNorm("rms_norm") { reduce: Reduce, workgroup_size: u32 }
    params { n_rows: u32, n_cols: u32, row0: u32, eps: f32 }
    bindings { x: read array<vec4<f32>>, gain: read array<vec4<f32>>, y: write array<vec4<f32>> }
}

/// x = x / sqrt(mean x² + eps) · gain, in f64 and rounded once.
#[expect(clippy::cast_possible_truncation, reason = "the twin rounds once, at the end")]
pub(crate) fn normalise(x: &mut [f32], gain: &[f32], eps: f32) {
    let squares: f64 = x.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
    let scale = 1.0 / (squares / x.len() as f64 + f64::from(eps)).sqrt();
    for (x, &gain) in x.iter_mut().zip(gain) {
        *x = (f64::from(*x) * scale * f64::from(gain)) as f32;
    }
}

impl Kernel for RmsNorm {
    fn all(caps: &Caps) -> Vec<Self> {
        let with = |&reduce: &Reduce| [64, 256].map(|workgroup_size| Self { reduce, workgroup_size });
        Reduce::all(caps).iter().flat_map(with).collect()
    }
    fn defines(&self) -> Defines {
        self.reduce.define(Defines::new(self.workgroup_size))
    }
    fn groups(&self, p: &Params) -> u64 {
        u64::from(p.n_rows)
    }
    fn flops(&self, p: &Params) -> u64 {
        4 * u64::from(p.n_rows) * u64::from(p.n_cols)
    }
    fn traffic(&self, p: &Params) -> Bytes {
        let row = bytes4(u64::from(p.n_cols));
        let rows = u64::from(p.n_rows) * row;
        Bytes { x: rows, gain: row, y: rows }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        let row = bytes4(u64::from(p.n_cols));
        Bytes { x: u64::from(p.row0 + p.n_rows) * row, gain: row, y: u64::from(p.n_rows) * row }
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
            normalise(y, host.gain, p.eps);
        }
    }
}
