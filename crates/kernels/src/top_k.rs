//! Router of a mixture of experts: softmax and top-k over the logits of every token (Shazeer et al. 2017, Fedus et al. 2021).

use crate::common::{Reduce, bytes4};
use ridgeline_compute::wgsl::array;
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};

kernel! {
    /// experts\[r, i\] = the expert with the i-th largest logit of row r of x \[n_rows, n_experts\], for i < `top_k`. The lower
    /// id wins a tie. Logits are in the total order of IEEE 754, so that a row with NaN still gives distinct valid ids.
    ///
    /// weights\[r, i\] = `scale` · exp(logit) / Σ exp. The sum is over all experts, or over the chosen ones with
    /// `renormalise` = 1. The latter equals a softmax after the selection, and a softmax before it that is divided by the
    /// sum of the chosen weights. `top_k` is at most `n_experts` and [`MAX_K`].
    pub struct TopK("top_k") { reduce: Reduce, workgroup_size: u32 }
    params { n_rows: u32, n_experts: u32, top_k: u32, renormalise: u32, scale: f32 }
    bindings { x: read array<f32>, experts: write array<u32>, weights: write array<f32> }
}

/// Largest `top_k`.
pub const MAX_K: u32 = 64;

impl TopK {
    /// The variant for this device.
    #[must_use]
    pub fn new(caps: &Caps) -> Self {
        Self { reduce: Reduce::all(caps)[0], workgroup_size: 64 }
    }
}

impl Kernel for TopK {
    fn all(caps: &Caps) -> Vec<Self> {
        Reduce::all(caps).iter().map(|&reduce| Self { reduce, workgroup_size: 64 }).collect()
    }
    fn defines(&self) -> Defines {
        self.reduce.define(Defines::new(self.workgroup_size)).u32("MAX_K", MAX_K)
    }
    fn groups(&self, p: &Params) -> u64 {
        u64::from(p.n_rows)
    }
    fn flops(&self, p: &Params) -> u64 {
        // A subtraction, exp and addition for each term of the sum. The same subtraction and exp, a multiply and a division
        // for each weight. Comparisons are not counted.
        let terms = if p.renormalise == 0 { p.n_experts } else { p.top_k };
        u64::from(p.n_rows) * (3 * u64::from(terms) + 4 * u64::from(p.top_k))
    }
    fn traffic(&self, p: &Params) -> Bytes {
        let [x, chosen] = [p.n_experts, p.top_k].map(|n| bytes4(u64::from(p.n_rows) * u64::from(n)));
        Bytes { x, experts: chosen, weights: chosen }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        self.traffic(p)
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let (n_rows, n_experts) = (rng.range(1, 5), rng.range(1, 300));
        let params = Params {
            n_rows,
            n_experts,
            top_k: rng.range(1, n_experts.min(MAX_K)),
            renormalise: rng.range(0, 1),
            scale: rng.pick(&[1.0, 2.5]),
        };
        // Half of the inputs have few distinct values, so that ties are common.
        let coarse = rng.range(0, 1) == 0;
        let value = |v: f32| if coarse { (4.0 * v).round() / 2.0 + 0.25 } else { 5.0 * v };
        let x = rng.floats((n_rows * n_experts) as usize).into_iter().map(|v| value(v).to_bits()).collect();
        TestInput { params, bindings: vec![x, vec![], vec![]] }
    }
    #[expect(clippy::cast_possible_truncation, reason = "the twin rounds once, at the end")]
    fn reference(&self, p: &Params, host: Host<'_>) {
        let k = p.top_k as usize;
        let chosen = host.experts.chunks_exact_mut(k).zip(host.weights.chunks_exact_mut(k));
        for (row, (experts, weights)) in host.x.chunks_exact(p.n_experts as usize).zip(chosen) {
            let mut order: Vec<(u32, f32)> = (0..).zip(row.iter().copied()).collect();
            order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            let exp = |v: f32| (f64::from(v) - f64::from(order[0].1)).exp();
            let terms = if p.renormalise == 0 { order.len() } else { k };
            let sum: f64 = order[..terms].iter().map(|(_, v)| exp(*v)).sum();
            for ((expert, weight), (id, v)) in experts.iter_mut().zip(weights).zip(&order) {
                (*expert, *weight) = (*id, (f64::from(p.scale) * exp(*v) / sum) as f32);
            }
        }
    }
}
