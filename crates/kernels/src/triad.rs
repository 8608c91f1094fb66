//! Bandwidth probe: the triad of STREAM (McCalpin 1995).

use crate::common::{bytes4, without_sums};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};

kernel! {
    /// to = a + factor · b for `n` values (a multiple of 4), `rounds` times in one launch.
    pub struct Triad("triad") { workgroup_size: u32, items: u32 }
    params { n: u32, rounds: u32, factor: f32 }
    bindings { a: read array<vec4<f32>>, b: read array<vec4<f32>>, to: write array<vec4<f32>> }
}

impl Kernel for Triad {
    fn all(_caps: &Caps) -> Vec<Self> {
        [(64, 8), (256, 4)].map(|(workgroup_size, items)| Self { workgroup_size, items }).to_vec()
    }
    fn defines(&self) -> Defines {
        without_sums(self.workgroup_size).u32("ITEMS", self.items)
    }
    fn groups(&self, p: &Params) -> u64 {
        u64::from(p.n / 4).div_ceil(u64::from(self.workgroup_size * self.items)) * u64::from(p.rounds)
    }
    fn flops(&self, p: &Params) -> u64 {
        2 * u64::from(p.n) * u64::from(p.rounds)
    }
    fn traffic(&self, p: &Params) -> Bytes {
        let n = bytes4(u64::from(p.n) * u64::from(p.rounds));
        Bytes { a: n, b: n, to: n }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        self.traffic(&Params { rounds: 1, ..*p })
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let n = 4 * rng.range(1, 5000);
        let bindings = vec![rng.words(n as usize), rng.words(n as usize), vec![]];
        TestInput { params: Params { n, rounds: rng.range(1, 3), factor: 3.0 }, bindings }
    }
    fn reference(&self, p: &Params, host: Host<'_>) {
        for ((to, &a), &b) in host.to.iter_mut().zip(host.a).zip(host.b) {
            *to = a + p.factor * b;
        }
    }
}
