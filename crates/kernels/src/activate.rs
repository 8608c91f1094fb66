//! Elementwise activation in place, with an optional bias before it: the hidden layer of an ungated feed-forward block.

use crate::activation::Activation;
use crate::common::{bytes4, without_sums};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};

kernel! {
    /// x\[i\] = f(x\[i\] + bias\[i mod period\]) for `n` values, where f is the `activation`. In the variant without `bias`,
    /// x\[i\] = f(x\[i\]) and the binding is not read. `n` and `period` are multiples of 4.
    pub struct Activate("activate") { activation: Activation, bias: bool, workgroup_size: u32 }
    params { n: u32, period: u32 }
    bindings { x: update array<vec4<f32>>, bias: read array<vec4<f32>> }
}

impl Kernel for Activate {
    fn all(_caps: &Caps) -> Vec<Self> {
        let with = |activation| [false, true].map(|bias| Self { activation, bias, workgroup_size: 64 });
        Activation::ALL.into_iter().flat_map(with).collect()
    }
    fn defines(&self) -> Defines {
        self.activation.define(without_sums(self.workgroup_size)).value("BIAS", self.bias)
    }
    fn groups(&self, p: &Params) -> u64 {
        u64::from(p.n / 4).div_ceil(u64::from(self.workgroup_size))
    }
    fn flops(&self, p: &Params) -> u64 {
        (self.activation.flops() + u64::from(self.bias)) * u64::from(p.n)
    }
    fn traffic(&self, p: &Params) -> Bytes {
        Bytes { x: 2 * bytes4(u64::from(p.n)), ..self.min_binding_size(p) }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        let bias = if self.bias { bytes4(u64::from(p.period.min(p.n))) } else { 0 };
        Bytes { x: bytes4(u64::from(p.n)), bias }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let period = 4 * rng.range(1, 200);
        let n = period * rng.range(1, 4);
        let x = rng.floats(n as usize).into_iter().map(|v| (12.0 * v).to_bits()).collect();
        TestInput { params: Params { n, period }, bindings: vec![x, rng.words(period as usize)] }
    }
    #[expect(clippy::cast_possible_truncation, reason = "the twin rounds once, at the end")]
    fn reference(&self, p: &Params, host: Host<'_>) {
        for (i, x) in host.x.iter_mut().enumerate() {
            let bias = if self.bias { host.bias[i % p.period as usize] } else { 0.0 };
            *x = self.activation.apply(f64::from(*x) + f64::from(bias)) as f32;
        }
    }
}
