//! Bandwidth probe: copy.

use crate::common::{bytes4, without_sums};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};

kernel! {
    /// to = from for `n` words (a multiple of 4), `rounds` times in one launch.
    pub struct Copy("copy") { workgroup_size: u32, items: u32 }
    params { n: u32, rounds: u32 }
    bindings { from_words: read array<vec4<u32>>, to: write array<vec4<u32>> }
}

impl Kernel for Copy {
    fn all(_caps: &Caps) -> Vec<Self> {
        [(64, 8), (256, 4)].map(|(workgroup_size, items)| Self { workgroup_size, items }).to_vec()
    }
    fn defines(&self) -> Defines {
        without_sums(self.workgroup_size).u32("ITEMS", self.items)
    }
    fn groups(&self, p: &Params) -> u64 {
        u64::from(p.n / 4).div_ceil(u64::from(self.workgroup_size * self.items)) * u64::from(p.rounds)
    }
    fn flops(&self, _p: &Params) -> u64 {
        0
    }
    fn traffic(&self, p: &Params) -> Bytes {
        let n = bytes4(u64::from(p.n) * u64::from(p.rounds));
        Bytes { from_words: n, to: n }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        self.traffic(&Params { rounds: 1, ..*p })
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let n = 4 * rng.range(1, 5000);
        TestInput { params: Params { n, rounds: rng.range(1, 3) }, bindings: vec![rng.words(n as usize), vec![]] }
    }
    fn reference(&self, _p: &Params, host: Host<'_>) {
        host.to.copy_from_slice(host.from_words);
    }
}
