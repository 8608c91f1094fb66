//! SwiGLU (Shazeer 2020, "GLU Variants Improve Transformer").

use crate::common::{bytes4, elementwise};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, Sample, Sampler, kernel};

kernel! {
    /// out\[i\] = gate\[i\] / (1 + exp(−gate\[i\])) · up\[i\] for `n` values, a multiple of 4.
    pub struct SwiGlu("swi_glu") { lanes: u32 }
    params { n: u32 }
    slots { gate: read array<vec4<f32>>, up: read array<vec4<f32>>, out: write array<vec4<f32>> }
}

impl Kernel for SwiGlu {
    fn all(_caps: &Caps) -> Vec<Self> {
        vec![Self { lanes: 64 }]
    }
    fn defines(&self) -> Defines {
        elementwise(self.lanes)
    }
    fn groups(&self, p: &Params) -> u64 {
        u64::from(p.n / 4).div_ceil(u64::from(self.lanes))
    }
    fn flops(&self, p: &Params) -> u64 {
        5 * u64::from(p.n)
    }
    fn traffic(&self, p: &Params) -> Bytes {
        let n = bytes4(u64::from(p.n));
        Bytes { gate: n, up: n, out: n }
    }
    fn extent(&self, p: &Params) -> Bytes {
        self.traffic(p)
    }
    fn sample(&self, rng: &mut Sampler) -> Sample<Params> {
        let n = 4 * rng.range(1, 200);
        let gate = rng.floats(n as usize).into_iter().map(|v| (30.0 * v).to_bits()).collect();
        Sample { params: Params { n }, slots: vec![gate, rng.words(n as usize), vec![]] }
    }
    #[expect(clippy::cast_possible_truncation, reason = "the twin rounds once, at the end")]
    fn reference(&self, _p: &Params, host: Host<'_>) {
        for ((out, &gate), &up) in host.out.iter_mut().zip(host.gate).zip(host.up) {
            let g = f64::from(gate);
            *out = (g / (1.0 + (-g).exp()) * f64::from(up)) as f32;
        }
    }
}
