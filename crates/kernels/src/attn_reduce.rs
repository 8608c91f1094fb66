//! Reduction over the KV splits of attention: the second launch of flash-decoding (Dao et al. 2023).

use crate::attention_shape::{MASKED, define_masked};
use crate::choose::MAX_KV_SPLITS;
use crate::common::{bytes4, without_sums};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};

kernel! {
    /// out\[r\] = (Σ_s e^(max_s − max) · sum_s) / (Σ_s e^(max_s − max) · total_s), where max is the largest max_s.
    ///
    /// `partials` is \[kv_splits, n_rows, head_dim + 4\]: the sums of split s, then max_s, total_s and two zeros. With
    /// `row_per_workgroup` a workgroup makes a row. Otherwise every invocation makes one vec4 of the output.
    pub struct AttnReduce("attn_reduce") { workgroup_size: u32, row_per_workgroup: bool }
    params { n_rows: u32, head_dim: u32, kv_splits: u32 }
    bindings { partials: read array<vec4<f32>>, out: write array<vec4<f32>> }
}

impl AttnReduce {
    /// The variant for this device. A software adapter has no memory latency to hide, and its barriers are slow.
    #[must_use]
    pub const fn new(caps: &Caps) -> Self {
        Self { workgroup_size: 64, row_per_workgroup: !caps.software }
    }
}

impl Kernel for AttnReduce {
    fn all(_caps: &Caps) -> Vec<Self> {
        [true, false].map(|row_per_workgroup| Self { workgroup_size: 64, row_per_workgroup }).to_vec()
    }
    fn defines(&self) -> Defines {
        let d = define_masked(without_sums(self.workgroup_size)).u32("MAX_KV_SPLITS", MAX_KV_SPLITS);
        d.value("ROW_PER_WORKGROUP", self.row_per_workgroup)
    }
    fn groups(&self, p: &Params) -> u64 {
        if self.row_per_workgroup { u64::from(p.n_rows) } else { (values(p) / 4).div_ceil(u64::from(self.workgroup_size)) }
    }
    fn flops(&self, p: &Params) -> u64 {
        u64::from(p.kv_splits) * (2 * values(p) + 5 * u64::from(p.n_rows))
    }
    fn traffic(&self, p: &Params) -> Bytes {
        let partials = u64::from(p.kv_splits) * u64::from(p.n_rows) * u64::from(p.head_dim + 4);
        Bytes { partials: bytes4(partials), out: bytes4(values(p)) }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        self.traffic(p)
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        // Rows narrower and wider than the workgroup. Few splits, and as many as are allowed.
        let head_dim = rng.pick(&[8, 40, 64, 80, 128, 256, 320]);
        let params = Params { n_rows: rng.range(1, 9), head_dim, kv_splits: rng.pick(&[2, 3, 5, 33, MAX_KV_SPLITS]) };
        let mut partials = rng.floats(crate::common::to_u32(self.traffic(&params).partials / 4) as usize);
        let visible_split = rng.range(0, params.kv_splits - 1);
        for (i, partial) in (0..).zip(partials.chunks_exact_mut(params.head_dim as usize + 4)) {
            // A query may see no row of a split, but it sees one of some split.
            let seen = i / params.n_rows == visible_split || rng.range(0, 3) > 0;
            let tail = if seen { [10.0 * rng.float(), 1.0 + rng.float().abs()] } else { [MASKED, 0.0] };
            partial[params.head_dim as usize..][..2].copy_from_slice(&tail);
            if !seen {
                partial[..params.head_dim as usize].fill(0.0);
            }
        }
        TestInput { params, bindings: vec![partials.into_iter().map(f32::to_bits).collect(), vec![]] }
    }
    #[expect(clippy::cast_possible_truncation, reason = "the twin rounds once, at the end")]
    fn reference(&self, p: &Params, host: Host<'_>) {
        let (width, rows) = (p.head_dim as usize, p.n_rows as usize);
        for (row, out) in host.out.chunks_exact_mut(width).enumerate() {
            let partials = host.partials.chunks_exact(width + 4).skip(row).step_by(rows);
            let partials: Vec<&[f32]> = partials.take(p.kv_splits as usize).collect();
            let top = partials.iter().map(|partial| partial[width]).fold(f32::MIN, f32::max);
            let rescale = |partial: &[f32]| (f64::from(partial[width]) - f64::from(top)).exp();
            let total: f64 = partials.iter().map(|partial| rescale(partial) * f64::from(partial[width + 1])).sum();
            for (i, out) in out.iter_mut().enumerate() {
                let sum: f64 = partials.iter().map(|partial| rescale(partial) * f64::from(partial[i])).sum();
                *out = (sum / total) as f32;
            }
        }
    }
}

fn values(p: &Params) -> u64 {
    u64::from(p.n_rows) * u64::from(p.head_dim)
}
