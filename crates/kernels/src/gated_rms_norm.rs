//! Gated RMSNorm of heads in place: the output norm of Gated DeltaNet (Yang et al. 2024) and Mamba-2 (Dao & Gu 2024).

use crate::activation::Activation;
use crate::common::Reduce;
use crate::row_norm::{RowNorm, rms_norm, row_norm_members, widest};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};

kernel! {
    /// head = head / sqrt(mean head² + eps) · gain · silu(z), in place. x is \[n_tokens, n_heads, head_dim\], and the z of
    /// token t are \[n_heads, head_dim\] from z\[t · ld + first\] on. `head_dim`, `ld` and `first` are multiples of 4.
    pub struct GatedRmsNorm("gated_rms_norm") { reduce: Reduce, workgroup_size: u32 }
    params { n_tokens: u32, n_heads: u32, head_dim: u32, ld: u32, first: u32, eps: f32 }
    bindings { x: update array<vec4<f32>>, gain: read array<vec4<f32>>, z: read array<vec4<f32>> }
}

impl GatedRmsNorm {
    /// The variant for this device.
    #[must_use]
    pub fn new(caps: &Caps) -> Self {
        let (reduce, workgroup_size) = widest(caps, 64);
        Self { reduce, workgroup_size }
    }
}

impl Kernel for GatedRmsNorm {
    row_norm_members! { workgroup_sizes: [64] }
    fn flops(&self, p: &Params) -> u64 {
        // Four of RMSNorm, those of SiLU, and a multiply.
        (5 + Activation::Silu.flops()) * shape(p).values()
    }
    fn traffic(&self, p: &Params) -> Bytes {
        let shape = shape(p);
        Bytes { x: 2 * shape.bytes(), gain: shape.row_bytes(), z: shape.bytes() }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        let shape = shape(p);
        let z = shape.strided_bytes(p.n_heads, p.ld, p.first);
        Bytes { x: shape.bytes(), gain: shape.row_bytes(), z }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let (n_tokens, n_heads, head_dim) = (rng.range(1, 5), rng.range(1, 5), 4 * rng.range(1, 70));
        let first = 4 * rng.range(0, 5);
        let ld = first + n_heads * head_dim + 4 * rng.range(0, 9);
        let params = Params { n_tokens, n_heads, head_dim, ld, first, eps: 1e-6 };
        let x = rng.words((n_tokens * n_heads * head_dim) as usize);
        let z = rng.floats((n_tokens * ld) as usize).into_iter().map(|v| (9.0 * v).to_bits()).collect();
        TestInput { params, bindings: vec![x, rng.words(head_dim as usize), z] }
    }
    #[expect(clippy::cast_possible_truncation, reason = "the twin rounds once, at the end")]
    fn reference(&self, p: &Params, host: Host<'_>) {
        let (width, heads) = (p.head_dim as usize, p.n_heads as usize);
        for (i, head) in host.x.chunks_exact_mut(width).enumerate() {
            rms_norm(head, host.gain, p.eps);
            let first = i / heads * p.ld as usize + p.first as usize + i % heads * width;
            for (x, &z) in head.iter_mut().zip(&host.z[first..]) {
                *x = (f64::from(*x) * Activation::Silu.apply(f64::from(z))) as f32;
            }
        }
    }
}

fn shape(p: &Params) -> RowNorm {
    RowNorm::of_heads(p.n_tokens, p.n_heads, p.head_dim)
}
