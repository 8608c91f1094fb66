//! Bandwidth probe: reads only.

use crate::common::{Reduce, bytes4};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};

kernel! {
    /// sums\[g\] = sum of workgroup g's share of `n` values (a multiple of 4). A launch reads the values `rounds` times, so
    /// that even a working set of a few KiB takes longer than the launch overhead. They are in a buffer or in a `texture`.
    pub struct StreamRead("stream_read") { reduce: Reduce, workgroup_size: u32, items: u32, texture: bool }
    params { n: u32, rounds: u32 }
    bindings { from_words: read array<vec4<f32>>, sums: write array<f32> }
}

impl StreamRead {
    /// Workgroups that read the values once.
    fn shares(self, p: &Params) -> u64 {
        u64::from(p.n / 4).div_ceil(u64::from(self.workgroup_size * self.items))
    }
}

impl Kernel for StreamRead {
    fn all(caps: &Caps) -> Vec<Self> {
        let mut all = Vec::new();
        for (&reduce, texture) in Reduce::all(caps).iter().flat_map(|reduce| [(reduce, false), (reduce, true)]) {
            let with = |(workgroup_size, items)| Self { reduce, workgroup_size, items, texture };
            all.extend([(64, 8), (64, 32), (64, 64), (256, 4), (256, 16)].map(with));
        }
        all
    }
    fn defines(&self) -> Defines {
        self.reduce.define(Defines::new(self.workgroup_size)).u32("ITEMS", self.items).value("TEXTURE", self.texture)
    }
    fn in_texture(&self, binding: &str) -> bool {
        binding == "from_words" && self.texture
    }
    fn groups(&self, p: &Params) -> u64 {
        self.shares(p) * u64::from(p.rounds)
    }
    fn flops(&self, p: &Params) -> u64 {
        u64::from(p.n) * u64::from(p.rounds)
    }
    fn traffic(&self, p: &Params) -> Bytes {
        let values = u64::from(p.n) * u64::from(p.rounds);
        Bytes { from_words: bytes4(values), sums: bytes4(Kernel::groups(self, p)) }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        Bytes { from_words: bytes4(u64::from(p.n)), sums: bytes4(self.shares(p)) }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let n = 4 * rng.range(1, 5000);
        TestInput { params: Params { n, rounds: rng.range(1, 3) }, bindings: vec![rng.words(n as usize), vec![]] }
    }
    #[expect(clippy::cast_possible_truncation, reason = "the twin rounds once, at the end")]
    fn reference(&self, _p: &Params, host: Host<'_>) {
        let share = 4 * (self.workgroup_size * self.items) as usize;
        for (values, sum) in host.from_words.chunks(share).zip(host.sums) {
            *sum = values.iter().map(|&v| f64::from(v)).sum::<f64>() as f32;
        }
    }
}
