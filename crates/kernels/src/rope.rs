//! Rotary position embedding, RoPE (Su et al. 2021, "RoFormer").

use crate::common::{bytes4, without_sums};
use crate::token_info::{TestTokens, TokenInfo, tokens};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};

/// Which two values of a head form a rotated pair.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Pairing {
    /// Values 2i and 2i + 1, as in the paper and in GGUF files of the llama family (`NORM` in llama.cpp).
    Interleaved,
    /// Values i and i + rotary/2, as in Hugging Face transformers (`NEOX` in llama.cpp).
    HalfSplit,
}

impl Pairing {
    /// Distance between the first values of neighbouring pairs.
    pub(crate) const fn step(self) -> u32 {
        match self {
            Self::Interleaved => 2,
            Self::HalfSplit => 1,
        }
    }
}

/// Rotates the first pairs of one head. `cos_sin` holds cosine and sine of each pair.
pub(crate) fn rotate(pairing: Pairing, x: &mut [f32], cos_sin: &[f32]) {
    let half = cos_sin.len() / 2;
    for (pair, angle) in cos_sin.chunks_exact(2).enumerate() {
        let (i, j) = match pairing {
            Pairing::Interleaved => (2 * pair, 2 * pair + 1),
            Pairing::HalfSplit => (pair, pair + half),
        };
        let (a, b) = (x[i], x[j]);
        x[i] = a * angle[0] - b * angle[1];
        x[j] = b * angle[0] + a * angle[1];
    }
}

kernel! {
    /// Rotates the first `rotary` values of `n_heads` heads in place. The heads of token t begin at x\[t · ld + first\]. Its
    /// position is in tokens\[token0 + t\] ([`TokenInfo`]). `table` \[positions, rotary/2, 2\] holds cosine and sine.
    pub struct Rope("rope") { pairing: Pairing, workgroup_size: u32 }
    params { n_tokens: u32, token0: u32, n_heads: u32, head_dim: u32, rotary: u32, positions: u32, ld: u32, first: u32 }
    bindings { x: update array<f32>, table: read array<f32>, tokens: read array<vec4<u32>> }
}

impl Kernel for Rope {
    fn all(_caps: &Caps) -> Vec<Self> {
        [Pairing::Interleaved, Pairing::HalfSplit].map(|pairing| Self { pairing, workgroup_size: 64 }).to_vec()
    }
    fn defines(&self) -> Defines {
        without_sums(self.workgroup_size).u32("PAIR_STEP", self.pairing.step())
    }
    fn groups(&self, p: &Params) -> u64 {
        pairs(p).div_ceil(u64::from(self.workgroup_size))
    }
    fn flops(&self, p: &Params) -> u64 {
        6 * pairs(p)
    }
    fn traffic(&self, p: &Params) -> Bytes {
        let table = bytes4(u64::from(p.n_tokens) * u64::from(p.rotary));
        Bytes { x: 2 * bytes4(2 * pairs(p)), table, tokens: u64::from(p.n_tokens) * TokenInfo::PLACE_BYTES }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        // Values of the last head beyond `rotary` are not read.
        let row = p.first + (p.n_heads - 1) * p.head_dim + p.rotary;
        let x = u64::from(p.n_tokens - 1) * u64::from(p.ld) + u64::from(row);
        let table = bytes4(u64::from(p.positions) * u64::from(p.rotary));
        Bytes { x: bytes4(x), table, tokens: u64::from(p.token0 + p.n_tokens) * TokenInfo::BYTES }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let (n_tokens, n_heads, depth) = (rng.range(1, 5), rng.range(1, 5), rng.range(0, 7));
        let tokens = TestTokens::sample(rng, n_tokens, depth);
        let (token0, positions) = (tokens.token0, tokens.positions());
        let head_dim = rng.pick(&[16, 32, 64, 80]);
        let rotary = if rng.range(0, 1) == 0 { head_dim } else { head_dim / 2 };
        let first = rng.range(0, 9);
        let ld = first + n_heads * head_dim + rng.range(0, 9);
        let x = rng.words((n_tokens * ld) as usize);
        let table = rng.words((positions * rotary) as usize);
        let params = Params { n_tokens, token0, n_heads, head_dim, rotary, positions, ld, first };
        TestInput { params, bindings: vec![x, table, tokens.words()] }
    }
    fn reference(&self, p: &Params, host: Host<'_>) {
        let half = p.rotary as usize / 2;
        let tokens = &tokens(host.tokens)[p.token0 as usize..];
        for (token, row) in tokens.iter().zip(host.x.chunks_mut(p.ld as usize)) {
            let cos_sin = &host.table[2 * token.position as usize * half..][..2 * half];
            let heads = row[p.first as usize..].chunks_mut(p.head_dim as usize);
            heads.take(p.n_heads as usize).for_each(|head| rotate(self.pairing, head, cos_sin));
        }
    }
}

fn pairs(p: &Params) -> u64 {
    u64::from(p.n_tokens) * u64::from(p.n_heads) * u64::from(p.rotary / 2)
}
