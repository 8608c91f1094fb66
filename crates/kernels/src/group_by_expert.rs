//! Sorts the pairs of tokens and experts by expert, for [`MatMulId`](crate::mat_mul_id::MatMulId).

use crate::common::{bytes4, without_sums};
use ridgeline_compute::wgsl::array;
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};

kernel! {
    /// `order` has the indices 0 to `n_pairs` − 1, sorted by experts\[index\], equal ones ascending (a counting sort). Those of
    /// expert e begin at starts\[e\] and end before starts\[e + 1\]. Ids are below `n_experts`.
    pub struct GroupByExpert("group_by_expert") { workgroup_size: u32 }
    params { n_pairs: u32, n_experts: u32 }
    bindings { experts: read array<u32>, order: write array<u32>, starts: write array<u32> }
}

impl Kernel for GroupByExpert {
    fn all(_caps: &Caps) -> Vec<Self> {
        vec![Self { workgroup_size: 64 }]
    }
    fn defines(&self) -> Defines {
        without_sums(self.workgroup_size)
    }
    fn groups(&self, p: &Params) -> u64 {
        u64::from((p.n_experts + 1).div_ceil(self.workgroup_size))
    }
    fn flops(&self, _p: &Params) -> u64 {
        0
    }
    fn traffic(&self, p: &Params) -> Bytes {
        self.min_binding_size(p)
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        let pairs = bytes4(u64::from(p.n_pairs));
        Bytes { experts: pairs, order: pairs, starts: bytes4(u64::from(p.n_experts) + 1) }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let params = Params { n_pairs: rng.range(1, 300), n_experts: rng.range(1, 150) };
        let experts = (0..params.n_pairs).map(|_| rng.range(0, params.n_experts - 1)).collect();
        TestInput { params, bindings: vec![experts, vec![], vec![]] }
    }
    fn reference(&self, p: &Params, host: Host<'_>) {
        let (order, starts) = grouped(&host.experts[..p.n_pairs as usize], p.n_experts);
        host.order[..order.len()].copy_from_slice(&order);
        host.starts[..starts.len()].copy_from_slice(&starts);
    }
}

/// The order of the pairs, and where those of each expert begin.
pub(crate) fn grouped(experts: &[u32], n_experts: u32) -> (Vec<u32>, Vec<u32>) {
    let mut order: Vec<u32> = (0..).take(experts.len()).collect();
    order.sort_by_key(|&pair| experts[pair as usize]);
    let below = |expert| (0..).zip(&order).take_while(|(_, pair)| experts[**pair as usize] < expert).count();
    let starts = (0..=n_experts).map(|expert| crate::common::to_u32(below(expert))).collect();
    (order, starts)
}
