//! Second step of a split argmax: reduces the splits of each row.

use crate::argmax::{MAX_ARGMAX_SPLITS, rows_with_ties, first_argmax};
use crate::common::{bytes4, without_sums};
use ridgeline_compute::wgsl::array;
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};

kernel! {
    /// picks\[pick0 + r\] = argmax of x\[r, c\] over the candidates c = split_picks\[r, s\], the results of
    /// [`Argmax`](crate::argmax::Argmax) for `n_splits` splits. The lowest index wins a tie. Entries of [`u32::MAX`] do not
    /// count, and a row that has no others gives 0.
    pub struct ArgmaxReduce("argmax_reduce") { workgroup_size: u32 }
    params { n_rows: u32, n_cols: u32, n_splits: u32, pick0: u32 }
    bindings { x: read array<f32>, split_picks: read array<u32>, picks: write array<u32> }
}

impl Kernel for ArgmaxReduce {
    fn all(_caps: &Caps) -> Vec<Self> {
        vec![Self { workgroup_size: 64 }]
    }
    fn defines(&self) -> Defines {
        without_sums(self.workgroup_size)
    }
    fn groups(&self, p: &Params) -> u64 {
        u64::from(p.n_rows)
    }
    fn flops(&self, p: &Params) -> u64 {
        candidates(p)
    }
    fn traffic(&self, p: &Params) -> Bytes {
        Bytes { x: bytes4(candidates(p)), split_picks: bytes4(candidates(p)), picks: bytes4(u64::from(p.n_rows)) }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        let x = bytes4(u64::from(p.n_rows) * u64::from(p.n_cols));
        Bytes { x, picks: bytes4(u64::from(p.pick0) + u64::from(p.n_rows)), ..self.traffic(p) }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let (n_rows, n_splits, pick0) = (rng.range(1, 5), rng.range(1, MAX_ARGMAX_SPLITS + 10), rng.range(0, 4));
        let width = rng.range(1, 20);
        let n_cols = n_splits * width;
        // Any column of the split, or none.
        let column = |rng: &mut TestRng, i: u32| {
            if rng.range(0, 7) == 0 { u32::MAX } else { i % n_splits * width + rng.range(0, width - 1) }
        };
        let parts: Vec<u32> = (0..n_rows * n_splits).map(|i| column(rng, i)).collect();
        let params = Params { n_rows, n_cols, n_splits, pick0 };
        TestInput { params, bindings: vec![rows_with_ties(rng, [n_rows, n_cols]), parts, vec![]] }
    }
    fn reference(&self, p: &Params, host: Host<'_>) {
        let rows = host.x.chunks_exact(p.n_cols as usize).zip(host.split_picks.chunks_exact(p.n_splits as usize));
        for ((row, parts), pick) in rows.zip(&mut host.picks[p.pick0 as usize..]) {
            *pick = first_argmax(row, parts.iter().copied().filter(|c| *c < p.n_cols)).unwrap_or(0);
        }
    }
}

fn candidates(p: &Params) -> u64 {
    u64::from(p.n_rows) * u64::from(p.n_splits)
}
