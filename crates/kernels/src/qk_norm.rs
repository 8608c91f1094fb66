//! QK-norm: RMSNorm of each head of queries and keys, as in the Qwen3 technical report (2025).
//!
//! The idea is from Dehghani et al. 2023, "Scaling Vision Transformers to 22 Billion Parameters".

use crate::common::{Reduce, bytes4};
use crate::row_norm::{RowNorm, rms_norm, row_norm_members};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};

kernel! {
    /// head = head / sqrt(mean head² + eps) · gain, in place. Rows of x are \[n_tokens, ld\], and their first columns are
    /// \[n_heads + kv_heads, head_dim\]. `gains` \[2, head_dim\] holds the gain of queries, then that of keys. With no
    /// `kv_heads`, it has the first only. `ld` and `head_dim` are multiples of 4.
    pub struct QkNorm("qk_norm") { reduce: Reduce, workgroup_size: u32 }
    params { n_tokens: u32, n_heads: u32, kv_heads: u32, head_dim: u32, ld: u32, eps: f32 }
    bindings { x: update array<vec4<f32>>, gains: read array<vec4<f32>> }
}

impl Kernel for QkNorm {
    row_norm_members! { workgroup_sizes: [64] }
    fn flops(&self, p: &Params) -> u64 {
        4 * shape(p).values()
    }
    fn traffic(&self, p: &Params) -> Bytes {
        Bytes { x: 2 * shape(p).bytes(), gains: gain_bytes(p) }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        Bytes { x: shape(p).strided_bytes(p.n_heads + p.kv_heads, p.ld, 0), gains: gain_bytes(p) }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let (n_tokens, kv_heads, head_dim) = (rng.range(1, 5), rng.range(0, 3), 4 * rng.range(1, 70));
        let n_heads = kv_heads.max(1) * rng.range(1, 3);
        let ld = (n_heads + kv_heads) * head_dim + 4 * rng.range(0, 9);
        let bindings = vec![rng.words((n_tokens * ld) as usize), rng.words(2 * head_dim as usize)];
        TestInput { params: Params { n_tokens, n_heads, kv_heads, head_dim, ld, eps: 1e-5 }, bindings }
    }
    fn reference(&self, p: &Params, host: Host<'_>) {
        let (width, n_heads) = (p.head_dim as usize, p.n_heads as usize);
        for row in host.x.chunks_mut(p.ld as usize) {
            let heads = row.chunks_exact_mut(width).take(n_heads + p.kv_heads as usize);
            for (head, x) in heads.enumerate() {
                let first = if head < n_heads { 0 } else { width };
                rms_norm(x, &host.gains[first..][..width], p.eps);
            }
        }
    }
}

fn shape(p: &Params) -> RowNorm {
    RowNorm::of_heads(p.n_tokens, p.n_heads + p.kv_heads, p.head_dim)
}

fn gain_bytes(p: &Params) -> u64 {
    let gains = if p.kv_heads == 0 { 1 } else { 2 };
    bytes4(gains * u64::from(p.head_dim))
}
