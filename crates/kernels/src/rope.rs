//! Rotary position embedding (Su et al. 2021).

use crate::common::{bytes4, elementwise};
use ridgeline_compute::wgsl::array;
use ridgeline_compute::{Caps, Defines, Kernel, Sample, Sampler, kernel};

/// Which two values of a head one rotation turns.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Pairing {
    /// Values 2i and 2i + 1: the paper's, and GGUF's llama family.
    Interleaved,
    /// Values i and i + rotary/2: Hugging Face's.
    HalfSplit,
}

kernel! {
    /// Rotates the first `rotary` values of every head of x \[n_tokens, n_heads, head_dim\] in place; token t stands at
    /// `position` + t. `table` \[positions, rotary/2, 2\] holds cosine and sine.
    pub struct Rope("rope") { pairing: Pairing, lanes: u32 }
    params { n_tokens: u32, n_heads: u32, head_dim: u32, rotary: u32, position: u32 }
    slots { x: update array<f32>, table: read array<f32> }
}

impl Kernel for Rope {
    fn all(_caps: &Caps) -> Vec<Self> {
        [Pairing::Interleaved, Pairing::HalfSplit].map(|pairing| Self { pairing, lanes: 64 }).to_vec()
    }
    fn defines(&self) -> Defines {
        let step = if self.pairing == Pairing::Interleaved { 2 } else { 1 };
        elementwise(self.lanes).u32("PAIR_STEP", step)
    }
    fn groups(&self, p: &Params) -> u64 {
        pairs(p).div_ceil(u64::from(self.lanes))
    }
    fn flops(&self, p: &Params) -> u64 {
        6 * pairs(p)
    }
    fn traffic(&self, p: &Params) -> Bytes {
        Bytes { x: 2 * bytes4(2 * pairs(p)), table: bytes4(u64::from(p.n_tokens) * u64::from(p.rotary)) }
    }
    fn extent(&self, p: &Params) -> Bytes {
        let x = u64::from(p.n_tokens) * u64::from(p.n_heads) * u64::from(p.head_dim);
        Bytes { x: bytes4(x), table: bytes4(u64::from(p.position + p.n_tokens) * u64::from(p.rotary)) }
    }
    fn sample(&self, rng: &mut Sampler) -> Sample<Params> {
        let (n_tokens, n_heads, position) = (rng.range(1, 5), rng.range(1, 5), rng.range(0, 7));
        let head_dim = rng.pick(&[16, 32, 64, 80]);
        let rotary = if rng.range(0, 1) == 0 { head_dim } else { head_dim / 2 };
        let x = rng.words((n_tokens * n_heads * head_dim) as usize);
        let table = rng.words(((position + n_tokens) * rotary) as usize);
        Sample { params: Params { n_tokens, n_heads, head_dim, rotary, position }, slots: vec![x, table] }
    }
    fn reference(&self, p: &Params, host: Host<'_>) {
        let (heads, half) = (p.n_heads as usize, p.rotary as usize / 2);
        for (head, x) in host.x.chunks_exact_mut(p.head_dim as usize).enumerate() {
            let position = p.position as usize + head / heads;
            for (pair, turn) in host.table.chunks_exact(2).skip(position * half).take(half).enumerate() {
                let (i, j) = match self.pairing {
                    Pairing::Interleaved => (2 * pair, 2 * pair + 1),
                    Pairing::HalfSplit => (pair, pair + half),
                };
                let (a, b) = (x[i], x[j]);
                x[i] = a * turn[0] - b * turn[1];
                x[j] = b * turn[0] + a * turn[1];
            }
        }
    }
}

fn pairs(p: &Params) -> u64 {
    u64::from(p.n_tokens) * u64::from(p.n_heads) * u64::from(p.rotary / 2)
}
