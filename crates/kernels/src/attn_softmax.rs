//! Unfused attention, step 2 of 3: softmax in place.

use crate::attention_shape::{MASKED, define_masked};
use crate::common::{Reduce, bytes4};
use ridgeline_compute::wgsl::array;
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};

kernel! {
    /// scores\[r\] = softmax(scores\[r\]) for `n_rows` rows of `n_cols` scores.
    pub struct AttnSoftmax("attn_softmax") { reduce: Reduce, workgroup_size: u32 }
    params { n_rows: u32, n_cols: u32 }
    bindings { scores: update array<f32> }
}

impl Kernel for AttnSoftmax {
    fn all(caps: &Caps) -> Vec<Self> {
        Reduce::all(caps).iter().map(|&reduce| Self { reduce, workgroup_size: 64 }).collect()
    }
    fn defines(&self) -> Defines {
        define_masked(self.reduce.define(Defines::new(self.workgroup_size)))
    }
    fn groups(&self, p: &Params) -> u64 {
        u64::from(p.n_rows)
    }
    fn flops(&self, p: &Params) -> u64 {
        5 * values(p)
    }
    fn traffic(&self, p: &Params) -> Bytes {
        Bytes { scores: 2 * bytes4(values(p)) }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        Bytes { scores: bytes4(values(p)) }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let (n_rows, n_cols) = (rng.range(1, 9), rng.range(1, 300));
        let mut scores = rng.words((n_rows * n_cols) as usize);
        // Some columns are masked, but a row has one that is not.
        scores.iter_mut().filter(|_| rng.range(0, 3) == 0).for_each(|s| *s = MASKED.to_bits());
        for row in scores.chunks_exact_mut(n_cols as usize) {
            row[rng.range(0, n_cols - 1) as usize] = rng.float().to_bits();
        }
        TestInput { params: Params { n_rows, n_cols }, bindings: vec![scores] }
    }
    #[expect(clippy::cast_possible_truncation, reason = "the twin rounds once, at the end")]
    fn reference(&self, p: &Params, host: Host<'_>) {
        for row in host.scores.chunks_exact_mut(p.n_cols as usize) {
            let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let e: Vec<f64> = row.iter().map(|&s| (f64::from(s) - f64::from(top)).exp()).collect();
            let total: f64 = e.iter().sum();
            row.iter_mut().zip(e).for_each(|(s, e)| *s = (e / total) as f32);
        }
    }
}

fn values(p: &Params) -> u64 {
    u64::from(p.n_rows) * u64::from(p.n_cols)
}
