//! Gated RMSNorm of heads in place: the output norm of Gated DeltaNet (Yang et al. 2024) and Mamba-2 (Dao & Gu 2024).

use crate::activation::Activation;
use crate::common::{Reduce, bytes4};
use crate::rms_norm::normalise;
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
        Self { reduce: Reduce::all(caps)[0], workgroup_size: 64 }
    }
}

impl Kernel for GatedRmsNorm {
    fn all(caps: &Caps) -> Vec<Self> {
        Reduce::all(caps).iter().map(|&reduce| Self { reduce, workgroup_size: 64 }).collect()
    }
    fn defines(&self) -> Defines {
        self.reduce.define(Defines::new(self.workgroup_size))
    }
    fn groups(&self, p: &Params) -> u64 {
        u64::from(p.n_tokens) * u64::from(p.n_heads)
    }
    fn flops(&self, p: &Params) -> u64 {
        // Four of RMSNorm, those of SiLU, and a multiply.
        (5 + Activation::Silu.flops()) * values(p)
    }
    fn traffic(&self, p: &Params) -> Bytes {
        let x = bytes4(values(p));
        Bytes { x: 2 * x, gain: bytes4(u64::from(p.head_dim)), z: x }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        let row = u64::from(p.n_heads) * u64::from(p.head_dim);
        let z = u64::from(p.n_tokens - 1) * u64::from(p.ld) + u64::from(p.first) + row;
        Bytes { x: bytes4(values(p)), gain: bytes4(u64::from(p.head_dim)), z: bytes4(z) }
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
            normalise(head, host.gain, p.eps);
            let first = i / heads * p.ld as usize + p.first as usize + i % heads * width;
            for (x, &z) in head.iter_mut().zip(&host.z[first..]) {
                *x = (f64::from(*x) * Activation::Silu.apply(f64::from(z))) as f32;
            }
        }
    }
}

fn values(p: &Params) -> u64 {
    u64::from(p.n_tokens) * u64::from(p.n_heads) * u64::from(p.head_dim)
}
