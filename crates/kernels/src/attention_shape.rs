//! The shape that the attention kernels share: which cache rows a query sees, and what that costs.

use crate::common::{decode_row, random_head, stride};
use ridgeline_compute::{Defines, TestRng};
use ridgeline_quant::Format;

/// The score of a masked position, and the running maximum before any position is visible. Finite, because some shader
/// compilers assume that infinities do not occur.
pub(crate) const MASKED: f32 = -3.0e38;

/// Adds [`MASKED`] to the WGSL of an attention kernel.
pub(crate) fn define_masked(defines: Defines) -> Defines {
    defines.f32("MASKED", MASKED)
}

/// Queries `[n_tokens, n_heads, head_dim]` against a cache of `[n_heads / group, capacity]` rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttentionShape {
    pub(crate) n_tokens: u32,
    pub(crate) n_heads: u32,
    pub(crate) head_dim: u32,
    pub(crate) group: u32,
    pub(crate) capacity: u32,
    pub(crate) position: u32,
    pub(crate) stride: u32,
}

impl AttentionShape {
    /// Values of q, and of the output.
    pub(crate) fn query_values(self) -> u64 {
        u64::from(self.n_tokens) * u64::from(self.n_heads) * u64::from(self.head_dim)
    }

    /// Positions that the last query sees.
    pub(crate) fn context(self) -> u64 {
        u64::from(self.position) + u64::from(self.n_tokens)
    }

    /// Distinct cache rows read: every position that the last query sees, once per KV head.
    pub(crate) fn rows_read(self) -> u64 {
        u64::from(self.n_heads / self.group) * self.context()
    }

    /// Cache rows that must exist.
    pub(crate) fn rows_required(self) -> u64 {
        u64::from(self.n_heads / self.group - 1) * u64::from(self.capacity) + self.context()
    }

    /// Scores that the causal mask leaves: Σ over tokens of (position + t + 1), for every head.
    pub(crate) fn scores(self) -> u64 {
        let n = u64::from(self.n_tokens);
        u64::from(self.n_heads) * (n * u64::from(self.position) + n * (n + 1) / 2)
    }

    /// Floating-point operations: two per multiply-add of scores and values, and 5 per score for the softmax.
    pub(crate) fn flops(self) -> u64 {
        self.scores() * (4 * u64::from(self.head_dim) + 5)
    }

    /// A random shape for twin tests.
    pub(crate) fn sample(rng: &mut TestRng, format: Format) -> Self {
        let group = rng.range(1, 3);
        let (n_tokens, n_heads, position) = (rng.range(1, 5), group * rng.range(1, 3), rng.range(0, 40));
        let head_dim = random_head(rng, format);
        let capacity = position + n_tokens + rng.range(0, 3);
        let stride = stride(format, head_dim as usize);
        Self { n_tokens, n_heads, head_dim, group, capacity, position, stride }
    }

    /// The decoded cache rows that query row `query` (`token · n_heads + head`) sees.
    pub(crate) fn rows(self, query: usize, format: Format, cache: &[u32]) -> Vec<Vec<f32>> {
        let heads = self.n_heads as usize;
        let kv_head = (query % heads) / self.group as usize;
        let seen = self.position as usize + query / heads + 1;
        let decode = |at: usize| {
            let mut row = vec![0.0; self.head_dim as usize];
            let index = crate::common::to_u32(kv_head * self.capacity as usize + at);
            decode_row(format, cache, index, self.stride, &mut row);
            row
        };
        (0..seen).map(decode).collect()
    }
}
