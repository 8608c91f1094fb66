//! Greedy sampling on the device: argmax of every row of logits, in splits of the columns.

use crate::common::{bytes4, without_sums};
use ridgeline_compute::wgsl::array;
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};

kernel! {
    /// picks\[pick0 + r · n_splits + s\] = argmax of x\[r, c\] over split s of the columns. The lowest index wins a tie,
    /// and NaN never wins.
    ///
    /// Every split has ⌈n_cols / n_splits⌉ columns, except the last ones, which may have fewer or none. A split with
    /// only NaN, or without columns, gives [`u32::MAX`]. With `n_splits` = 1, a row of only NaN gives 0, a valid token id.
    pub struct Argmax("argmax") { workgroup_size: u32 }
    params { n_rows: u32, n_cols: u32, n_splits: u32, pick0: u32 }
    bindings { x: read array<f32>, picks: write array<u32> }
}

/// Most splits of a row.
pub const MAX_ARGMAX_SPLITS: u32 = 64;

/// Fewest columns of a split: eight per invocation of a workgroup of 256.
const MIN_SPLIT_COLS: u32 = 2048;

/// Number of splits for a row of `n_cols`. On a GPU one workgroup cannot saturate memory bandwidth. On a software adapter
/// more workgroups gain nothing.
#[must_use]
pub fn argmax_splits_for(n_cols: u32, caps: &Caps) -> u32 {
    if caps.software { 1 } else { (n_cols / MIN_SPLIT_COLS).clamp(1, MAX_ARGMAX_SPLITS) }
}

impl Kernel for Argmax {
    fn all(_caps: &Caps) -> Vec<Self> {
        vec![Self { workgroup_size: 64 }, Self { workgroup_size: 256 }]
    }
    fn defines(&self) -> Defines {
        without_sums(self.workgroup_size)
    }
    fn groups(&self, p: &Params) -> u64 {
        picks(p)
    }
    fn flops(&self, p: &Params) -> u64 {
        u64::from(p.n_rows) * u64::from(p.n_cols)
    }
    fn traffic(&self, p: &Params) -> Bytes {
        Bytes { x: bytes4(u64::from(p.n_rows) * u64::from(p.n_cols)), picks: bytes4(picks(p)) }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        Bytes { picks: bytes4(u64::from(p.pick0) + picks(p)), ..self.traffic(p) }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let (n_rows, n_cols, pick0) = (rng.range(1, 5), rng.range(1, 700), rng.range(0, 4));
        let params = Params { n_rows, n_cols, n_splits: rng.range(1, 6), pick0 };
        TestInput { params, bindings: vec![rows_with_ties(rng, [n_rows, n_cols]), vec![]] }
    }
    fn reference(&self, p: &Params, host: Host<'_>) {
        let width = p.n_cols.div_ceil(p.n_splits);
        let mut picks = host.picks[p.pick0 as usize..].iter_mut();
        for row in host.x.chunks_exact(p.n_cols as usize) {
            for (split, pick) in (0..p.n_splits).zip(&mut picks) {
                let [first, end] = [split, split + 1].map(|it| (it * width).min(p.n_cols));
                let none = if p.n_splits == 1 { 0 } else { u32::MAX };
                *pick = first_argmax(row, first..end).unwrap_or(none);
            }
        }
    }
}

fn picks(p: &Params) -> u64 {
    u64::from(p.n_rows) * u64::from(p.n_splits)
}

/// Rows of few distinct values, so that ties are common. Some rows are mostly NaN, as a broken model gives.
pub(crate) fn rows_with_ties(rng: &mut TestRng, [n_rows, n_cols]: [u32; 2]) -> Vec<u32> {
    let mut x = Vec::new();
    for _ in 0..n_rows {
        let numbers = rng.pick(&[0, 1, 16, 16]);
        let mut value = || {
            let number = rng.pick(&[-2.25, -0.75, 0.5, 1.75, f32::NEG_INFINITY]);
            if rng.range(0, 15) < numbers { number } else { f32::NAN }
        };
        x.extend((0..n_cols).map(|_| value().to_bits()));
    }
    x
}

/// The lowest of `columns` with the largest value, ignoring NaN. `None` if all are NaN.
pub(crate) fn first_argmax(row: &[f32], columns: impl Iterator<Item = u32>) -> Option<u32> {
    let value = |c: u32| row[c as usize];
    columns.filter(|&c| !value(c).is_nan()).reduce(|best, c| if value(c) > value(best) { c } else { best })
}
