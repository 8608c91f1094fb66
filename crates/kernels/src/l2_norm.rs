//! L2 normalization of heads in place: queries and keys of the delta rule (Yang et al. 2024, "Gated Delta Networks").

use crate::common::Reduce;
use crate::row_norm::{RowNorm, row_norm_members, widest};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};

kernel! {
    /// head = head / sqrt(Σ head² + eps), in place. Rows of x are \[n_tokens, ld\], and their first columns are
    /// \[n_heads, head_dim\]. `ld` and `head_dim` are multiples of 4.
    pub struct L2Norm("l2_norm") { reduce: Reduce, workgroup_size: u32 }
    params { n_tokens: u32, n_heads: u32, head_dim: u32, ld: u32, eps: f32 }
    bindings { x: update array<vec4<f32>> }
}

impl L2Norm {
    /// The variant for this device.
    #[must_use]
    pub fn new(caps: &Caps) -> Self {
        let (reduce, workgroup_size) = widest(caps, 64);
        Self { reduce, workgroup_size }
    }
}

impl Kernel for L2Norm {
    row_norm_members! { workgroup_sizes: [64] }
    fn flops(&self, p: &Params) -> u64 {
        3 * shape(p).values()
    }
    fn traffic(&self, p: &Params) -> Bytes {
        Bytes { x: 2 * shape(p).bytes() }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        Bytes { x: shape(p).strided_bytes(p.n_heads, p.ld, 0) }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let (n_tokens, n_heads, head_dim) = (rng.range(1, 5), rng.range(1, 5), 4 * rng.range(1, 70));
        let ld = n_heads * head_dim + 4 * rng.range(0, 9);
        let params = Params { n_tokens, n_heads, head_dim, ld, eps: 1e-6 };
        TestInput { params, bindings: vec![rng.words((n_tokens * ld) as usize)] }
    }
    #[expect(clippy::cast_possible_truncation, reason = "the twin rounds once, at the end")]
    fn reference(&self, p: &Params, host: Host<'_>) {
        for row in host.x.chunks_mut(p.ld as usize).take(p.n_tokens as usize) {
            for head in row.chunks_exact_mut(p.head_dim as usize).take(p.n_heads as usize) {
                let squares: f64 = head.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
                let scale = 1.0 / (squares + f64::from(p.eps)).sqrt();
                head.iter_mut().for_each(|v| *v = (f64::from(*v) * scale) as f32);
            }
        }
    }
}

fn shape(p: &Params) -> RowNorm {
    RowNorm::of_heads(p.n_tokens, p.n_heads, p.head_dim)
}
