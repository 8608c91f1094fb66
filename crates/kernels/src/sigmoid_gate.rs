//! Sigmoid gates in place: the output gate of gated attention (Qiu et al. 2025) and the gate of a shared expert.

use crate::common::{bytes4, to_u32, without_sums};
use ridgeline_compute::wgsl::array;
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};

kernel! {
    /// x\[r, c\] = x\[r, c\] / (1 + exp(−g)) for `n_rows` rows of `n_cols`. The gate g is
    /// gates\[r · ld + first + (c / group) · group_ld + (c mod group) · step\], and `group` divides `n_cols`.
    ///
    /// With `step` = 1 each value has a gate. A group is then a head, whose gates may lie between other values of the row.
    /// With `step` = 0 a group shares one gate, such as a whole row where `group` = `n_cols`.
    pub struct SigmoidGate("sigmoid_gate") { workgroup_size: u32 }
    params { n_rows: u32, n_cols: u32, ld: u32, first: u32, group: u32, group_ld: u32, step: u32 }
    bindings { x: update array<f32>, gates: read array<f32> }
}

impl Kernel for SigmoidGate {
    fn all(_caps: &Caps) -> Vec<Self> {
        vec![Self { workgroup_size: 64 }]
    }
    fn defines(&self) -> Defines {
        without_sums(self.workgroup_size)
    }
    fn groups(&self, p: &Params) -> u64 {
        values(p).div_ceil(u64::from(self.workgroup_size))
    }
    fn flops(&self, p: &Params) -> u64 {
        // Negate, exp, add, divide, as one value of SiLU.
        4 * values(p)
    }
    fn traffic(&self, p: &Params) -> Bytes {
        let per_group = if p.step == 0 { 1 } else { u64::from(p.group) };
        let gates = u64::from(p.n_rows) * u64::from(p.n_cols / p.group) * per_group;
        Bytes { x: 2 * bytes4(values(p)), gates: bytes4(gates) }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        let row = u64::from(p.n_cols / p.group - 1) * u64::from(p.group_ld) + u64::from((p.group - 1) * p.step) + 1;
        let gates = u64::from(p.n_rows - 1) * u64::from(p.ld) + u64::from(p.first) + row;
        Bytes { x: bytes4(values(p)), gates: bytes4(gates) }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let (n_rows, group, n_groups) = (rng.range(1, 5), rng.range(1, 40), rng.range(1, 5));
        let (n_cols, step, first) = (group * n_groups, rng.range(0, 1), rng.range(0, 7));
        let group_ld = 1 + (group - 1) * step + rng.range(0, 9);
        let ld = first + n_groups * group_ld + rng.range(0, 9);
        let params = Params { n_rows, n_cols, ld, first, group, group_ld, step };
        let n_gates = to_u32(self.min_binding_size(&params).gates / 4) as usize;
        let gates = rng.floats(n_gates).into_iter().map(|v| (9.0 * v).to_bits()).collect();
        TestInput { params, bindings: vec![rng.words((n_rows * n_cols) as usize), gates] }
    }
    #[expect(clippy::cast_possible_truncation, reason = "the twin rounds once, at the end")]
    fn reference(&self, p: &Params, host: Host<'_>) {
        for (r, row) in (0..).zip(host.x.chunks_exact_mut(p.n_cols as usize)) {
            for (c, x) in (0..).zip(row) {
                let at = r * p.ld + p.first + c / p.group * p.group_ld + c % p.group * p.step;
                let gate = f64::from(host.gates[at as usize]);
                *x = (f64::from(*x) / (1.0 + (-gate).exp())) as f32;
            }
        }
    }
}

fn values(p: &Params) -> u64 {
    u64::from(p.n_rows) * u64::from(p.n_cols)
}
