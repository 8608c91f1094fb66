//! Greedy choice on the device.

use crate::common::{bytes4, elementwise};
use ridgeline_compute::wgsl::array;
use ridgeline_compute::{Caps, Defines, Kernel, Sample, Sampler, kernel};

kernel! {
    /// picks\[pick0 + r\] = index of the largest x\[r, c\]; the lowest index wins a tie.
    pub struct Argmax("argmax") { lanes: u32 }
    params { n_rows: u32, n_cols: u32, pick0: u32 }
    slots { x: read array<f32>, picks: write array<u32> }
}

impl Kernel for Argmax {
    fn all(_caps: &Caps) -> Vec<Self> {
        vec![Self { lanes: 64 }, Self { lanes: 256 }]
    }
    fn defines(&self) -> Defines {
        elementwise(self.lanes)
    }
    fn groups(&self, p: &Params) -> u64 {
        u64::from(p.n_rows)
    }
    fn flops(&self, p: &Params) -> u64 {
        u64::from(p.n_rows) * u64::from(p.n_cols)
    }
    fn traffic(&self, p: &Params) -> Bytes {
        Bytes { x: bytes4(u64::from(p.n_rows) * u64::from(p.n_cols)), picks: bytes4(u64::from(p.n_rows)) }
    }
    fn extent(&self, p: &Params) -> Bytes {
        Bytes { picks: bytes4(u64::from(p.pick0) + u64::from(p.n_rows)), ..self.traffic(p) }
    }
    fn sample(&self, rng: &mut Sampler) -> Sample<Params> {
        let (n_rows, n_cols, pick0) = (rng.range(1, 5), rng.range(1, 700), rng.range(0, 4));
        // Few distinct values, so that ties are common.
        let x = (0..n_rows * n_cols).map(|_| (f32::from(rng.pick(&[-9_i8, -3, 2, 7])) / 4.0).to_bits()).collect();
        Sample { params: Params { n_rows, n_cols, pick0 }, slots: vec![x, vec![]] }
    }
    fn reference(&self, p: &Params, host: Host<'_>) {
        for (row, pick) in host.x.chunks_exact(p.n_cols as usize).zip(&mut host.picks[p.pick0 as usize..]) {
            let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let first = row.iter().position(|&v| v == top).unwrap_or(0);
            *pick = crate::common::small(first);
        }
    }
}
