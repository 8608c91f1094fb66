//! Sampling on the device: top-k, top-p, min-p and temperature over one row of logits.

use crate::common::{bytes4, without_sums, to_u32};
use ridgeline_compute::wgsl::array;
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};

kernel! {
    /// picks\[pick0\] = a token sampled from the logits x. Three filters choose the candidates, one after the other:
    ///
    /// 1. top-k: the `top_k` largest logits, from 1 to [`MAX_K`]. The lowest id wins a tie.
    /// 2. top-p: the smallest set whose probability, at temperature 1, is at least `top_p`. `top_p` ≥ 1 keeps all.
    /// 3. min-p: those with a logit of at least the largest plus `min_p_ln`, the logarithm of min-p.
    ///
    /// Their probabilities are proportional to exp(x / `temperature`). `random` in \[0, 1) is the uniform random number: it
    /// selects a token on the cumulative distribution in the order of ids. The pick is [`u32::MAX`] where x holds NaN or +∞, or
    /// nothing finite.
    ///
    /// A lane keeps its `kept` largest logits, 2 or more. It reads its columns again when all of them are selected.
    pub struct SampleTopK("sample_top_k") { workgroup_size: u32, kept: u32 }
    params { n_cols: u32, pick0: u32, top_k: u32, top_p: f32, min_p_ln: f32, temperature: f32, random: f32 }
    bindings { x: read array<f32>, picks: write array<u32> }
}

/// Largest `top_k`.
pub const MAX_K: u32 = 64;

impl SampleTopK {
    /// The default variant. On a GPU, four logits a lane make a rescan rare: at top-40 over 256 lanes, two would need about
    /// three a token. A software adapter has one thread for the workgroup, and a rescan costs it less than keeping more.
    #[must_use]
    pub fn new(caps: &Caps) -> Self {
        Self { workgroup_size: caps.max_invocations.min(256), kept: if caps.software { 2 } else { 4 } }
    }
}

impl Kernel for SampleTopK {
    fn all(_caps: &Caps) -> Vec<Self> {
        let all = [(64, 2), (256, 2), (64, 4), (256, 4)];
        all.map(|(workgroup_size, kept)| Self { workgroup_size, kept }).to_vec()
    }
    fn defines(&self) -> Defines {
        without_sums(self.workgroup_size).u32("MAX_K", MAX_K).value("KEPT", self.kept)
    }
    fn groups(&self, _p: &Params) -> u64 {
        1
    }
    fn flops(&self, p: &Params) -> u64 {
        // A comparison per logit, and the weights of the candidates.
        u64::from(p.n_cols) + 4 * u64::from(p.top_k)
    }
    fn traffic(&self, p: &Params) -> Bytes {
        Bytes { x: bytes4(u64::from(p.n_cols)), picks: bytes4(1) }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        Bytes { picks: bytes4(u64::from(p.pick0) + 1), ..self.traffic(p) }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let n_cols = rng.range(1, 700);
        // Few distinct values, so that ties are common. Some tokens are ruled out by −∞, and some rows are invalid.
        let value = |rng: &mut TestRng| {
            if rng.range(0, 15) == 0 { f32::NEG_INFINITY } else { f32::from(rng.pick(&[-19_i8, -3, 0, 2, 5, 7])) / 4.0 }
        };
        let mut x: Vec<f32> = (0..n_cols).map(|_| value(rng)).collect();
        if rng.range(0, 7) == 0 {
            x[rng.range(0, n_cols - 1) as usize] = rng.pick(&[f32::NAN, f32::INFINITY]);
        }
        let mut params = Params {
            n_cols,
            pick0: rng.range(0, 3),
            top_k: rng.range(1, MAX_K),
            top_p: rng.pick(&[0.0, 0.371, 0.853, 1.0]),
            min_p_ln: rng.pick(&[-30.0, -3.01, -0.51]),
            temperature: rng.pick(&[0.25, 0.8, 2.0]),
            random: 0.0,
        };
        // In the middle of a token's probability, far from where rounding could select a neighbour.
        let candidates = candidates(&x, &params);
        if !candidates.is_empty() {
            let i = rng.range(0, to_u32(candidates.len()) - 1) as usize;
            let below: f64 = candidates[..i].iter().map(|candidate| candidate.1).sum();
            params.random = to_f32(below + candidates[i].1 / 2.0);
        }
        TestInput { params, bindings: vec![x.into_iter().map(f32::to_bits).collect(), vec![]] }
    }
    fn reference(&self, p: &Params, host: Host<'_>) {
        let row = &host.x[..p.n_cols as usize];
        let invalid = row.iter().any(|v| v.is_nan() || *v == f32::INFINITY);
        let mut left = f64::from(p.random);
        let candidates = if invalid { Vec::new() } else { candidates(row, p) };
        let chosen = candidates.iter().find(|candidate| {
            left -= candidate.1;
            left < 0.0
        });
        host.picks[p.pick0 as usize] = chosen.or(candidates.last()).map_or(u32::MAX, |candidate| candidate.0);
    }
}

/// The candidates in the order of ids, and the probability of each.
fn candidates(row: &[f32], p: &Params) -> Vec<(u32, f64)> {
    let mut left: Vec<(u32, f64)> =
        (0..).zip(row).filter(|(_, v)| v.is_finite()).map(|(id, &v)| (id, f64::from(v))).collect();
    left.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    left.truncate(p.top_k as usize);
    let Some(&(_, largest)) = left.first() else { return left };
    let sum = |of: &[(u32, f64)]| of.iter().map(|(_, v)| (v - largest).exp()).sum::<f64>();
    if p.top_p < 1.0 {
        let enough = f64::from(p.top_p) * sum(&left);
        let reach = (1..left.len()).find(|&n| sum(&left[..n]) >= enough).unwrap_or(left.len());
        left.truncate(reach);
    }
    left.retain(|(_, v)| *v >= largest + f64::from(p.min_p_ln));
    left.sort_by_key(|(id, _)| *id);
    let weight = |v: f64| ((v - largest) / f64::from(p.temperature)).exp();
    let all: f64 = left.iter().map(|(_, v)| weight(*v)).sum();
    left.into_iter().map(|(id, v)| (id, weight(v) / all)).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "f32 is what the device has")]
fn to_f32(v: f64) -> f32 {
    v as f32
}
