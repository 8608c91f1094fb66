//! The shape that the attention kernels share: which cache rows a query sees, and what that costs.

use crate::common::{decode_row, fits_cache, random_head, stride};
use crate::token_info::{TestTokens, VisibleRows};
use ridgeline_compute::{Caps, Defines, TestRng};
use ridgeline_quant::Format;

/// The score of a masked position, and the running maximum before any position is visible. Finite, because some shader
/// compilers assume that infinities do not occur.
pub(crate) const MASKED: f32 = -3.0e38;

/// Adds [`MASKED`] to the WGSL of an attention kernel.
pub(crate) fn define_masked(defines: Defines) -> Defines {
    defines.f32("MASKED", MASKED)
}

/// Adds the sizes of a workgroup of fused attention, which serves some heads of a group and some tokens.
pub(crate) fn define_heads(defines: Defines, shape: HeadShape, [heads, tokens]: [u32; 2]) -> Defines {
    let d = defines.u32("KEY", shape.key).u32("VALUE", shape.value).u32("VALUE_COLS", shape.value_cols());
    d.u32("GROUP", shape.group).u32("HEADS", heads).u32("TOKENS", tokens).u32("ROWS", heads * tokens)
}

/// How the inner loops of attention are written. The order of sums is the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Loops {
    /// A product is rounded before it is added, and values are loaded one by one: for software adapters. There a fused
    /// multiply-add may be a call of a function.
    Plain,
    /// Fused multiply-adds, and loads of four values at a time, whose latencies overlap: for GPUs.
    Unrolled,
}

impl Loops {
    /// The loops for a device.
    pub(crate) const fn of(caps: &Caps) -> Self {
        if caps.software { Self::Plain } else { Self::Unrolled }
    }

    /// Adds them to a template, as `UNROLLED`.
    pub(crate) fn define(self, defines: Defines) -> Defines {
        defines.value("UNROLLED", self == Self::Unrolled)
    }
}

/// The heads of an attention layer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct HeadShape {
    /// Width of a query and of a key.
    pub key: u32,
    /// Width of a value.
    pub value: u32,
    /// Query heads per KV head.
    pub group: u32,
    /// Whether values are the first `value` of the `key` values of a key, as in absorbed MLA (DeepSeek-AI 2024). Keys and
    /// values are then the same rows of the cache.
    pub latent: bool,
}

impl HeadShape {
    /// Keys and values of one width.
    #[must_use]
    pub const fn of_width(width: u32, group: u32) -> Self {
        Self { key: width, value: width, group, latent: false }
    }

    /// Values in the cache row that a value is read from.
    #[must_use]
    pub const fn value_cols(self) -> u32 {
        if self.latent { self.key } else { self.value }
    }

    /// Whether the KV cache can store keys and values in these quantization types.
    pub(crate) fn fits(self, [keys, values]: [Format; 2]) -> bool {
        fits_cache(keys, self.key)
            && fits_cache(values, self.value_cols())
            && (!self.latent || keys == values)
    }

    /// Heads that a workgroup may serve, most first: divisors of the group up to [`MAX_HEADS`].
    pub(crate) fn parts(self) -> impl Iterator<Item = u32> {
        (1..=self.group.min(MAX_HEADS)).rev().filter(move |heads| self.group.is_multiple_of(*heads))
    }
}

/// Most heads of a group in one workgroup.
const MAX_HEADS: u32 = 16;

/// Shapes to test: those of the shipped models and of some others in use. `attention_for` makes the variant for any other.
pub(crate) const SHAPES: [HeadShape; 23] = [
    HeadShape::of_width(16, 1),
    HeadShape::of_width(16, 2),
    HeadShape::of_width(32, 2),
    HeadShape::of_width(32, 4),
    HeadShape::of_width(64, 1),
    HeadShape::of_width(64, 2),
    HeadShape::of_width(64, 3),
    HeadShape::of_width(64, 4),
    HeadShape::of_width(64, 7),
    HeadShape::of_width(64, 8),
    HeadShape::of_width(80, 4),
    HeadShape::of_width(128, 2),
    HeadShape::of_width(128, 4),
    HeadShape::of_width(128, 6),
    HeadShape::of_width(128, 8),
    HeadShape::of_width(256, 2),
    HeadShape::of_width(256, 4),
    HeadShape::of_width(256, 8),
    // MLA, expanded: keys of nope + RoPE values. The larger one is that of PLM and DeepSeek-V2.
    HeadShape { key: 32, value: 16, group: 1, latent: false },
    HeadShape { key: 192, value: 128, group: 1, latent: false },
    // MLA, absorbed: all query heads share a row of latent + RoPE values.
    HeadShape { key: 48, value: 32, group: 4, latent: true },
    HeadShape { key: 96, value: 64, group: 4, latent: true },
    HeadShape { key: 576, value: 512, group: 16, latent: true },
];

/// Queries `[n_tokens, n_heads, head_dim]` against a cache of `[n_heads / group, capacity]` rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttentionShape {
    pub(crate) n_tokens: u32,
    pub(crate) n_heads: u32,
    pub(crate) head_dim: u32,
    pub(crate) group: u32,
    pub(crate) capacity: u32,
    /// Σ over the tokens of their visible rows.
    pub(crate) visible: u32,
    /// Distinct visible rows.
    pub(crate) unique: u32,
    /// One past the last visible row.
    pub(crate) end: u32,
    pub(crate) stride: u32,
}

impl AttentionShape {
    /// Values of q, and of the output.
    pub(crate) fn query_values(self) -> u64 {
        u64::from(self.n_tokens) * u64::from(self.n_heads) * u64::from(self.head_dim)
    }

    /// Distinct cache rows read: every row that a token sees, once per KV head.
    pub(crate) fn rows_read(self) -> u64 {
        u64::from(self.n_heads / self.group) * u64::from(self.unique)
    }

    /// Cache rows that must exist.
    pub(crate) fn rows_required(self) -> u64 {
        u64::from(self.n_heads / self.group - 1) * u64::from(self.capacity) + u64::from(self.end)
    }

    /// Scores that the masks leave, for every head.
    pub(crate) fn scores(self) -> u64 {
        u64::from(self.n_heads) * u64::from(self.visible)
    }

    /// A random shape and its tokens, for twin tests.
    pub(crate) fn sample(rng: &mut TestRng, format: Format) -> (Self, TestTokens) {
        let group = rng.range(1, 3);
        let (n_tokens, n_heads, depth) = (rng.range(1, 5), group * rng.range(1, 3), rng.range(0, 40));
        let head_dim = random_head(rng, format);
        let tokens = TestTokens::sample(rng, n_tokens, depth);
        let VisibleRows { visible, unique, end, .. } = tokens.visible();
        let capacity = tokens.stored_end() + rng.range(0, 3);
        let stride = stride(format, head_dim as usize);
        (Self { n_tokens, n_heads, head_dim, group, capacity, visible, unique, end, stride }, tokens)
    }

    /// Row `row` of the cache of query head `head`, decoded.
    pub(crate) fn row(self, head: u32, row: u32, format: Format, cache: &[u32]) -> Vec<f32> {
        let mut values = vec![0.0; self.head_dim as usize];
        decode_row(format, cache, head / self.group * self.capacity + row, self.stride, &mut values);
        values
    }
}
