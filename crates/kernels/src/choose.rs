//! Which variant serves a shape on a device: pure functions, called while recording.

use crate::attention::{self, Attention};
use crate::attention_simd::{self, AttentionSimd};
use crate::common::Reduce;
use crate::layout::WeightLayout;
use crate::mat_mul::{self, MatMul, Tile};
use crate::mat_mul_coop::{self, MatMulCoop};
use crate::mat_vec::{self, MatVec};
use crate::mat_vec_rows::{self, MatVecRows};
use crate::rms_norm::RmsNorm;
use ridgeline_compute::{AnyKernel, Caps, Recording};
use ridgeline_quant::Format;

/// The kernel that computes a matrix product.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinearKernel {
    /// A few vectors at a time, no tiles.
    Vec(MatVec),
    /// The same where lanes own rows.
    Rows(MatVecRows),
    /// Tiles in workgroup memory.
    Mul(MatMul),
    /// The same by cooperative matrices, which round operands to 16 bits.
    Coop(MatMulCoop),
}

impl LinearKernel {
    /// The choice that a launch was recorded with, if it is a product.
    #[must_use]
    pub fn of(kernel: &AnyKernel) -> Option<Self> {
        let vec = kernel.downcast().copied().map(Self::Vec);
        let row = || kernel.downcast().copied().map(Self::Rows);
        let mul = || kernel.downcast().copied().map(Self::Mul);
        let coop = || kernel.downcast().copied().map(Self::Coop);
        vec.or_else(row).or_else(mul).or_else(coop)
    }

    /// What the matrix is stored in.
    #[must_use]
    pub const fn format(self) -> Format {
        match self {
            Self::Vec(kernel) => kernel.format,
            Self::Rows(kernel) => kernel.format,
            Self::Mul(kernel) => kernel.format,
            Self::Coop(kernel) => kernel.format,
        }
    }

    /// How the matrix must lie.
    #[must_use]
    pub const fn layout(self) -> WeightLayout {
        match self {
            Self::Vec(_) | Self::Mul(_) | Self::Coop(_) => WeightLayout::Plain,
            Self::Rows(_) => WeightLayout::Interleaved,
        }
    }

    /// Whether the sums may be gated: where a gate and the up row are in the same hands.
    #[must_use]
    pub const fn can_swiglu(self) -> bool {
        match self {
            Self::Vec(kernel) => kernel.rows.is_multiple_of(2),
            Self::Rows(_) => true,
            Self::Mul(_) | Self::Coop(_) => false,
        }
    }

    /// Whether operands meet in tiles.
    #[must_use]
    pub const fn is_tiled(self) -> bool {
        matches!(self, Self::Mul(_) | Self::Coop(_))
    }

    /// Records the product; all of them take the same parameters.
    pub fn record(self, recording: &mut Recording, params: mat_vec::Params, args: mat_vec::Args) {
        let mat_vec::Args { weights, x, y } = args;
        match self {
            Self::Vec(kernel) => recording.run(kernel, params, args),
            Self::Rows(kernel) => {
                recording.run(kernel, bytemuck::cast(params), mat_vec_rows::Args { weights, x, y });
            }
            Self::Mul(kernel) => {
                recording.run(kernel, bytemuck::cast(params), mat_mul::Args { weights, x, y });
            }
            Self::Coop(kernel) => {
                recording.run(kernel, bytemuck::cast(params), mat_mul_coop::Args { weights, x, y });
            }
        }
    }
}

impl From<AttentionKernel> for AnyKernel {
    fn from(choice: AttentionKernel) -> Self {
        match choice {
            AttentionKernel::Workgroup(kernel) => Self::new(kernel),
            AttentionKernel::Simd(kernel) => Self::new(kernel),
        }
    }
}

impl From<LinearKernel> for AnyKernel {
    fn from(choice: LinearKernel) -> Self {
        match choice {
            LinearKernel::Vec(kernel) => Self::new(kernel),
            LinearKernel::Rows(kernel) => Self::new(kernel),
            LinearKernel::Mul(kernel) => Self::new(kernel),
            LinearKernel::Coop(kernel) => Self::new(kernel),
        }
    }
}

/// Whether what is read most, weights and the cache, lies in textures where a kernel takes it so.
const fn reads_textures(caps: &Caps) -> bool {
    caps.software && caps.max_texture > 0
}

/// How weights lie on a device: interleaved where lanes own rows.
#[must_use]
pub fn layout_for(caps: &Caps) -> WeightLayout {
    let lanes_own_rows = reads_textures(caps) && MatVecRows::new(Format::SINGLE, caps, 4, 1).is_some();
    if lanes_own_rows { WeightLayout::Interleaved } else { WeightLayout::Plain }
}

/// Most vectors that the tile-free product is used for.
pub const SMALL_BATCH: u32 = 16;

/// The product of a weight matrix with `n_vecs` vectors. Software adapters run barriers as coroutines and have no
/// faster memory to put a tile in, so they stay without tiles at any size; each of their loads costs as much as several
/// multiply-adds wherever it leads, so that lanes own rows there, or, where subgroups are too small for that, blocks are
/// larger than a GPU's registers would bear.
#[must_use]
pub fn linear_for(format: Format, n_vecs: u32, caps: &Caps) -> LinearKernel {
    if layout_for(caps) == WeightLayout::Interleaved
        && let Some(kernel) = MatVecRows::for_batch(format, caps, n_vecs)
    {
        return LinearKernel::Rows(kernel);
    }
    let (rows, cols) = match n_vecs {
        n if caps.software && caps.subgroup.is_some() => {
            (8, [1, 1, 2, 4, 4].get(n as usize).copied().unwrap_or(8))
        }
        0 | 1 => (4, 1),
        2..=4 => (4, n_vecs),
        5 | 6 => (2, n_vecs),
        7 | 8 => (2, 8),
        _ => (2, 16),
    };
    if n_vecs > SMALL_BATCH && !caps.software {
        let tiles = LinearKernel::Mul(MatMul { format, tile: Tile::F32, depth: 32 });
        return MatMulCoop::for_batch(format, caps, n_vecs).map_or(tiles, LinearKernel::Coop);
    }
    LinearKernel::Vec(MatVec::new(format, caps, rows, cols))
}

/// The norm of rows of any width.
#[must_use]
pub fn norm_for(caps: &Caps) -> RmsNorm {
    RmsNorm { reduce: Reduce::all(caps)[0], lanes: caps.max_invocations.min(256) }
}

/// The kernel that computes fused attention.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttentionKernel {
    /// A workgroup that shares what it read.
    Workgroup(Attention),
    /// Eight lanes that hand around what they read.
    Simd(AttentionSimd),
}

impl AttentionKernel {
    /// Queries per workgroup.
    #[must_use]
    pub const fn tokens(self) -> u32 {
        match self {
            Self::Workgroup(kernel) => kernel.tokens,
            Self::Simd(kernel) => kernel.tokens,
        }
    }

    /// Bytes of workgroup memory.
    #[must_use]
    pub const fn workgroup_bytes(self) -> u32 {
        match self {
            Self::Workgroup(kernel) => kernel.workgroup_bytes(),
            Self::Simd(_) => 0,
        }
    }

    /// Records the attention; both take the same parameters.
    pub fn record(self, recording: &mut Recording, params: attention::Params, args: attention::Args) {
        let attention::Args { q, keys, values, out } = args;
        match self {
            Self::Workgroup(kernel) => recording.run(kernel, params, args),
            Self::Simd(kernel) => {
                recording.run(kernel, bytemuck::cast(params), attention_simd::Args { q, keys, values, out });
            }
        }
    }
}

/// Attention of `n_tokens` queries over keys and values in `cache` formats: as many queries per workgroup as its registers
/// and its memory bear.
#[must_use]
pub fn attention_for(
    cache: [Format; 2],
    head: u32,
    group: u32,
    n_tokens: u32,
    caps: &Caps,
) -> AttentionKernel {
    let most_first = || attention::queries(group).rev().filter(|tokens| *tokens <= n_tokens.max(1));
    if reads_textures(caps)
        && let Some(kernel) =
            most_first().find_map(|tokens| AttentionSimd::new(cache, head, group, tokens, caps))
    {
        return AttentionKernel::Simd(kernel);
    }
    let ([keys, values], reduce) = (cache, Reduce::all(caps)[0]);
    let lanes = if head > 256 { head / 4 } else { 64 };
    let variant = |tokens| Attention { keys, values, reduce, lanes, head, group, tokens };
    let fits = |tokens: &u32| variant(*tokens).workgroup_bytes() <= caps.max_workgroup_memory;
    AttentionKernel::Workgroup(variant(most_first().find(fits).unwrap_or(1)))
}

/// Whether keys and values lie in textures: where [`attention_for`] gives the kernel that reads them so.
#[must_use]
pub fn cache_in_texture(cache: [Format; 2], head: u32, group: u32, caps: &Caps) -> bool {
    matches!(attention_for(cache, head, group, 1, caps), AttentionKernel::Simd(_))
}

/// Most parts that the positions of one attention are cut into.
pub const MAX_KV_SPLITS: u32 = 64;

/// Parts that there is memory for where so many tokens attend: all for [`SMALL_BATCH`] of them.
#[must_use]
pub fn max_kv_splits(n_tokens: u32) -> u32 {
    (MAX_KV_SPLITS * SMALL_BATCH / n_tokens.max(1)).clamp(1, MAX_KV_SPLITS)
}

/// Workgroups that attention over the cache is split into where nobody measured: a GPU of the larger kind has more than a
/// hundred cores that each want several of them; a few threads need only so many as let them finish together.
#[must_use]
pub const fn attention_workgroups(caps: &Caps) -> u32 {
    if caps.software { 24 } else { 512 }
}

/// Fewest positions of a part: a workgroup's turn on a GPU, several on a software adapter, where parts cost what positions do.
const fn min_split_len(caps: &Caps) -> u32 {
    if caps.software { MAX_UNSPLIT_CONTEXT } else { 64 }
}

/// Positions up to which attention is one launch: adding up parts is another.
const MAX_UNSPLIT_CONTEXT: u32 = 256;

/// Positions that one workgroup of attention covers, where `n_tokens` queries by themselves make `groups` workgroups and the
/// device wants `wanted`: cut only so far that all its cores have work, and not at all where that is soon done.
#[must_use]
pub fn kv_split_len(context: u32, n_tokens: u32, groups: u64, wanted: u32, caps: &Caps) -> u32 {
    let kv_splits = u64::from(wanted) / groups.max(1);
    let kv_splits = u32::try_from(kv_splits).unwrap_or(MAX_KV_SPLITS).clamp(1, max_kv_splits(n_tokens));
    // On a software adapter the parts of many queries cost more than cores that wait.
    let many = caps.software && n_tokens > SMALL_BATCH;
    if kv_splits == 1 || context <= MAX_UNSPLIT_CONTEXT || many {
        return context.max(1);
    }
    context.div_ceil(kv_splits).max(min_split_len(caps)).next_multiple_of(64)
}

#[cfg(test)]
mod tests {
    use super::{MAX_KV_SPLITS, SMALL_BATCH, kv_split_len, max_kv_splits};
    use ridgeline_compute::Caps;

    #[test]
    fn attention_is_cut_as_far_as_it_helps() {
        let gpu = Caps::webgpu();
        let split_len = |context, groups, wanted| kv_split_len(context, 1, groups, wanted, &gpu);
        assert_eq!(split_len(256, 8, 512), 256, "short ones are in one piece");
        assert_eq!(split_len(300, 8, 512), 64, "a part is a workgroup's turn at least");
        assert_eq!(split_len(8192, 8, 512), 128, "64 parts");
        assert_eq!(split_len(8192, 128, 512), 2048, "4 parts");
        assert_eq!(split_len(8192, 512, 512), 8192, "there is work enough");
        assert_eq!(split_len(8192, 1000, 512), 8192);
        assert_eq!(split_len(0, 0, 0), 1);
        let software = Caps { software: true, ..gpu };
        assert_eq!(kv_split_len(8192, 1, 4, 24, &software), 1408, "6 parts in whole steps of 64");
        assert_eq!(kv_split_len(1000, 1, 3, 24, &software), 256);
        assert_eq!(
            [kv_split_len(1000, 17, 3, 512, &gpu), kv_split_len(1000, 17, 3, 512, &software)],
            [64, 1000]
        );
    }

    #[test]
    fn parts_fit_their_memory() {
        for n_tokens in [1, 15, 16, 17, 18, 64, 512, 1024, 5000] {
            let most = max_kv_splits(n_tokens);
            assert!(most == 1 || most * n_tokens <= MAX_KV_SPLITS * SMALL_BATCH, "{n_tokens}: {most}");
            for context in [1, 255, 257, 5000, 1 << 20] {
                let split_len = kv_split_len(context, n_tokens, 1, u32::MAX, &Caps::webgpu());
                assert!(context.div_ceil(split_len) <= most, "{context}: {split_len}");
            }
        }
    }
}
