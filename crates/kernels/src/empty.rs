//! Launch-overhead probe.

use crate::common::without_sums;
use ridgeline_compute::wgsl::array;
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};

kernel! {
    /// to\[0\] = value, by one workgroup: the least work that shows that the launch ran.
    pub struct Empty("empty") { workgroup_size: u32 }
    params { value: u32 }
    bindings { to: write array<u32> }
}

impl Kernel for Empty {
    fn all(_caps: &Caps) -> Vec<Self> {
        vec![Self { workgroup_size: 1 }, Self { workgroup_size: 64 }]
    }
    fn defines(&self) -> Defines {
        without_sums(self.workgroup_size)
    }
    fn groups(&self, _p: &Params) -> u64 {
        1
    }
    fn flops(&self, _p: &Params) -> u64 {
        0
    }
    fn traffic(&self, _p: &Params) -> Bytes {
        Bytes { to: 4 }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        self.traffic(p)
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        TestInput { params: Params { value: rng.range(1, 99) }, bindings: vec![vec![]] }
    }
    fn reference(&self, p: &Params, host: Host<'_>) {
        host.to[0] = p.value;
    }
}
