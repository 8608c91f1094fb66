//! Layer normalization (Ba et al. 2016, "Layer Normalization").

use crate::common::Reduce;
use crate::row_norm::{RowNorm, row_norm_members, widest};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};

kernel! {
    /// y\[r, c\] = (x\[row0 + r, c\] − mean) / sqrt(variance + eps) · gain\[c\] + bias\[c\] for `n_rows` rows of `n_cols` (a
    /// multiple of 4). Mean and variance are those of the row, the variance without Bessel's correction.
    pub struct LayerNorm("layer_norm") { reduce: Reduce, workgroup_size: u32 }
    params { n_rows: u32, n_cols: u32, row0: u32, eps: f32 }
    bindings {
        x: read array<vec4<f32>>, gain: read array<vec4<f32>>, bias: read array<vec4<f32>>, y: write array<vec4<f32>>,
    }
}

impl LayerNorm {
    /// The variant for rows of any width.
    #[must_use]
    pub fn new(caps: &Caps) -> Self {
        let (reduce, workgroup_size) = widest(caps, 256);
        Self { reduce, workgroup_size }
    }
}

impl Kernel for LayerNorm {
    row_norm_members! { workgroup_sizes: [64, 256] }
    fn flops(&self, p: &Params) -> u64 {
        // The mean has an addition, the variance a subtraction, a multiply and an addition. The result has another subtraction,
        // two multiplies and an addition.
        8 * shape(p).values()
    }
    fn traffic(&self, p: &Params) -> Bytes {
        let shape = shape(p);
        let (rows, row) = (shape.bytes(), shape.row_bytes());
        Bytes { x: rows, gain: row, bias: row, y: rows }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        Bytes { x: RowNorm::new(p.row0 + p.n_rows, p.n_cols).bytes(), ..self.traffic(p) }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let (n_rows, row0, n_cols) = (rng.range(1, 5), rng.range(0, 2), 4 * rng.range(1, 300));
        // A mean far from zero: a variance from the sum of squares would cancel.
        let x = rng.floats(((row0 + n_rows) * n_cols) as usize).into_iter().map(|v| (v + 4.0).to_bits()).collect();
        let bindings = vec![x, rng.words(n_cols as usize), rng.words(n_cols as usize), vec![]];
        TestInput { params: Params { n_rows, n_cols, row0, eps: 1e-5 }, bindings }
    }
    #[expect(clippy::cast_possible_truncation, reason = "the twin rounds once, at the end")]
    fn reference(&self, p: &Params, host: Host<'_>) {
        let cols = p.n_cols as usize;
        let rows = host.x.chunks_exact(cols).skip(p.row0 as usize);
        for (x, y) in rows.zip(host.y.chunks_exact_mut(cols)) {
            let mean = x.iter().map(|&v| f64::from(v)).sum::<f64>() / cols as f64;
            let variance = x.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / cols as f64;
            let scale = 1.0 / (variance + f64::from(p.eps)).sqrt();
            for (((y, &x), &gain), &bias) in y.iter_mut().zip(x).zip(host.gain).zip(host.bias) {
                *y = ((f64::from(x) - mean) * scale * f64::from(gain) + f64::from(bias)) as f32;
            }
        }
    }
}

fn shape(p: &Params) -> RowNorm {
    RowNorm::new(p.n_rows, p.n_cols)
}
