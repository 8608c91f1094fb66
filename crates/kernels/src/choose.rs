//! Which variant serves a shape on a device: pure functions, called while recording.

use crate::attention::Attention;
use crate::common::Reduce;
use crate::mat_mul::{MatMul, Tile};
use crate::mat_vec::MatVec;
use crate::rms_norm::RmsNorm;
use ridgeline_compute::Caps;
use ridgeline_quant::Format;

/// The kernel that computes a matrix product.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProductChoice {
    /// A few vectors at a time, no tiles.
    Vec(MatVec),
    /// Tiles in workgroup memory.
    Mul(MatMul),
}

/// Most vectors that the tile-free product is used for.
pub const SMALL_BATCH: u32 = 16;

/// The product of a weight matrix with `n_vecs` vectors. Software adapters run barriers as coroutines and have no
/// faster memory to put a tile in, so they stay with the tile-free product at any size; each of their loads costs as
/// much as several multiply-adds, so that their blocks are larger than a GPU's registers would bear.
#[must_use]
pub fn product_for(format: Format, n_vecs: u32, caps: &Caps) -> ProductChoice {
    let (rows, cols) = match n_vecs {
        _ if caps.subgroup.is_none() => match n_vecs {
            0 | 1 => (4, 1),
            2..=4 => (4, 4),
            _ => (2, 8),
        },
        n if caps.software => (8, [1, 1, 2, 4, 4].get(n as usize).copied().unwrap_or(8)),
        0 | 1 => (4, 1),
        2..=4 => (4, n_vecs),
        5 | 6 => (2, n_vecs),
        7 | 8 => (2, 8),
        _ => (2, 16),
    };
    if n_vecs > SMALL_BATCH && !caps.software {
        return ProductChoice::Mul(MatMul { format, tile: Tile::F32, depth: 32 });
    }
    ProductChoice::Vec(MatVec::new(format, caps, rows, cols))
}

/// The norm of rows of any width.
#[must_use]
pub fn norm_for(caps: &Caps) -> RmsNorm {
    RmsNorm { reduce: Reduce::all(caps)[0], lanes: caps.max_invocations.min(256) }
}

/// Attention of `n_tokens` queries over keys and values in `cache` formats: as many queries per workgroup as keep eight
/// query rows, so that the accumulators stay in registers, and as fit the workgroup memory.
#[must_use]
pub fn attention_for(cache: [Format; 2], head: u32, group: u32, n_tokens: u32, caps: &Caps) -> Attention {
    let ([keys, values], reduce) = (cache, Reduce::all(caps)[0]);
    let lanes = if head > 256 { head / 4 } else { 64 };
    let most = (8 / group).clamp(1, n_tokens.max(1));
    let variant = |tokens| Attention { keys, values, reduce, lanes, head, group, tokens };
    let fits = |tokens: &u32| variant(*tokens).workgroup_bytes() <= caps.max_workgroup_memory;
    variant((1..=most).rev().find(fits).unwrap_or(1))
}

/// Most parts that the positions of one attention are cut into.
pub const MAX_SPLITS: u32 = 32;

/// Positions that one workgroup of attention covers, where the queries by themselves make `groups` workgroups: cut only
/// so far that a device with many cores has work for them, and never under 256 positions, below which adding up the
/// parts costs more than it saves.
#[must_use]
pub fn span_for(context: u32, groups: u64, caps: &Caps) -> u32 {
    // A GPU of the larger kind runs a few hundred workgroups of this kernel at a time; two threads do not.
    let wanted: u64 = if caps.software { 2 } else { 256 };
    let splits = u32::try_from(wanted / groups.max(1)).unwrap_or(MAX_SPLITS).clamp(1, MAX_SPLITS);
    if splits == 1 {
        return context.max(1);
    }
    context.div_ceil(splits).max(256).next_multiple_of(64)
}
