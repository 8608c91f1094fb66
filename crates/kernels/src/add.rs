//! Elementwise addition in place: the residual connection, or a bias on every row.

use crate::common::{bytes4, without_sums};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};

kernel! {
    /// x\[i\] += delta\[i mod period\] for `n` values. `n` and `period` are multiples of 4.
    pub struct Add("add") { workgroup_size: u32 }
    params { n: u32, period: u32 }
    bindings { x: update array<vec4<f32>>, delta: read array<vec4<f32>> }
}

impl Kernel for Add {
    fn all(_caps: &Caps) -> Vec<Self> {
        vec![Self { workgroup_size: 64 }]
    }
    fn defines(&self) -> Defines {
        without_sums(self.workgroup_size)
    }
    fn groups(&self, p: &Params) -> u64 {
        u64::from(p.n / 4).div_ceil(u64::from(self.workgroup_size))
    }
    fn flops(&self, p: &Params) -> u64 {
        u64::from(p.n)
    }
    fn traffic(&self, p: &Params) -> Bytes {
        Bytes { x: 2 * bytes4(u64::from(p.n)), delta: bytes4(u64::from(p.period.min(p.n))) }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        Bytes { x: bytes4(u64::from(p.n)), delta: bytes4(u64::from(p.period.min(p.n))) }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let period = 4 * rng.range(1, 200);
        let n = period * rng.range(1, 4);
        let bindings = vec![rng.words(n as usize), rng.words(period as usize)];
        TestInput { params: Params { n, period }, bindings }
    }
    fn reference(&self, _p: &Params, host: Host<'_>) {
        for (x, &delta) in host.x.iter_mut().zip(host.delta.iter().cycle()) {
            *x += delta;
        }
    }
}
