//! Gated linear units (Shazeer 2020, "GLU Variants Improve Transformer"): SwiGLU, GeGLU and the like.

use crate::activation::Activation;
use crate::common::{bytes4, without_sums};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};

kernel! {
    /// out\[r, c\] = f(gate_up\[r, c\]) · gate_up\[r, n_cols + c\], where f is the `activation`. Rows of `gate_up` hold the gate
    /// values, then the up values. `n_cols` is a multiple of 4.
    pub struct Glu("glu") { activation: Activation, workgroup_size: u32 }
    params { n_rows: u32, n_cols: u32 }
    bindings { gate_up: read array<vec4<f32>>, out: write array<vec4<f32>> }
}

impl Kernel for Glu {
    fn all(_caps: &Caps) -> Vec<Self> {
        Activation::ALL.map(|activation| Self { activation, workgroup_size: 64 }).to_vec()
    }
    fn defines(&self) -> Defines {
        self.activation.define(without_sums(self.workgroup_size))
    }
    fn groups(&self, p: &Params) -> u64 {
        (values(p) / 4).div_ceil(u64::from(self.workgroup_size))
    }
    fn flops(&self, p: &Params) -> u64 {
        glu_flops(self.activation) * values(p)
    }
    fn traffic(&self, p: &Params) -> Bytes {
        Bytes { gate_up: bytes4(2 * values(p)), out: bytes4(values(p)) }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        self.traffic(p)
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let (n_rows, n_cols) = (rng.range(1, 5), 4 * rng.range(1, 60));
        let gate_up = rng.floats((2 * n_rows * n_cols) as usize).into_iter().map(|v| (30.0 * v).to_bits()).collect();
        TestInput { params: Params { n_rows, n_cols }, bindings: vec![gate_up, vec![]] }
    }
    fn reference(&self, p: &Params, host: Host<'_>) {
        let cols = p.n_cols as usize;
        for (gate_up, out) in host.gate_up.chunks_exact(2 * cols).zip(host.out.chunks_exact_mut(cols)) {
            let (gates, ups) = gate_up.split_at(cols);
            for ((out, &gate), &up) in out.iter_mut().zip(gates).zip(ups) {
                *out = glu(self.activation, f64::from(gate), f64::from(up));
            }
        }
    }
}

/// Floating-point operations per output: the activation and a multiply. SwiGLU has five.
pub(crate) const fn glu_flops(activation: Activation) -> u64 {
    activation.flops() + 1
}

/// f(gate) · up, in f64 and rounded once.
#[expect(clippy::cast_possible_truncation, reason = "the twin rounds once, at the end")]
pub(crate) fn glu(activation: Activation, gate: f64, up: f64) -> f32 {
    (activation.apply(gate) * up) as f32
}

fn values(p: &Params) -> u64 {
    u64::from(p.n_rows) * u64::from(p.n_cols)
}
