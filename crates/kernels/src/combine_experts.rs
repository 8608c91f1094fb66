//! Weighted sum of the outputs of a token's experts, added to the residual stream.

use crate::common::{bytes4, without_sums};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};

kernel! {
    /// x\[t, c\] += Σ_i weights\[t, i\] · y\[t, i, c\] over the `top_k` experts of each of `n_tokens` tokens. `n_cols` is a
    /// multiple of 4.
    pub struct CombineExperts("combine_experts") { workgroup_size: u32 }
    params { n_tokens: u32, n_cols: u32, top_k: u32 }
    bindings { y: read array<vec4<f32>>, weights: read array<f32>, x: update array<vec4<f32>> }
}

impl Kernel for CombineExperts {
    fn all(_caps: &Caps) -> Vec<Self> {
        vec![Self { workgroup_size: 64 }]
    }
    fn defines(&self) -> Defines {
        without_sums(self.workgroup_size)
    }
    fn groups(&self, p: &Params) -> u64 {
        (values(p) / 4).div_ceil(u64::from(self.workgroup_size))
    }
    fn flops(&self, p: &Params) -> u64 {
        2 * u64::from(p.top_k) * values(p)
    }
    fn traffic(&self, p: &Params) -> Bytes {
        Bytes { x: 2 * bytes4(values(p)), ..self.min_binding_size(p) }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        let k = u64::from(p.top_k);
        Bytes { y: bytes4(k * values(p)), weights: bytes4(k * u64::from(p.n_tokens)), x: bytes4(values(p)) }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let (n_tokens, n_cols, top_k) = (rng.range(1, 5), 4 * rng.range(1, 90), rng.range(1, 9));
        let params = Params { n_tokens, n_cols, top_k };
        let y = rng.words((n_tokens * top_k * n_cols) as usize);
        let weights = rng.words((n_tokens * top_k) as usize);
        TestInput { params, bindings: vec![y, weights, rng.words((n_tokens * n_cols) as usize)] }
    }
    #[expect(clippy::cast_possible_truncation, reason = "the twin rounds once, at the end")]
    fn reference(&self, p: &Params, host: Host<'_>) {
        let (cols, k) = (p.n_cols as usize, p.top_k as usize);
        for (t, row) in host.x.chunks_exact_mut(cols).enumerate() {
            for (c, x) in row.iter_mut().enumerate() {
                let term = |i: usize| f64::from(host.weights[i]) * f64::from(host.y[i * cols + c]);
                *x = (f64::from(*x) + (t * k..(t + 1) * k).map(term).sum::<f64>()) as f32;
            }
        }
    }
}

fn values(p: &Params) -> u64 {
    u64::from(p.n_tokens) * u64::from(p.n_cols)
}
