//! Default kernel variants by shape and device: pure functions, called while recording. Measured choices are in
//! [`Tuning`](crate::Tuning).

use crate::activation::Activation;
use crate::attention::{self, Attention};
use crate::attention_shape::HeadShape;
use crate::attention_simd::{self, AttentionSimd};
use crate::common::Reduce;
use crate::layout::WeightLayout;
use crate::mat_mul::{self, MatMul};
use crate::mat_mul_coop::{self, MatMulCoop};
use crate::mat_vec::{self, MatVec};
use crate::mat_vec_rows::{self, MatVecRows};
use crate::rms_norm::RmsNorm;
use crate::row_norm::widest;
use ridgeline_compute::{AnyKernel, Bindings, Caps, Recording};
use ridgeline_quant::Format;

/// The kernel of a linear layer, y = x·Wᵀ: mat-vec (GEMV) for small batches, matmul (GEMM) for large ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinearKernel {
    /// GEMV for small batches: reduction groups own rows of W, without tiles.
    Vec(MatVec),
    /// GEMV where every lane owns rows of W: for software adapters.
    Rows(MatVecRows),
    /// GEMM for large batches, with tiles in workgroup memory.
    Mul(MatMul),
    /// GEMM with cooperative matrices (tensor cores), which round the operands to f16.
    Coop(MatMulCoop),
}

impl LinearKernel {
    /// The linear kernel of a recorded launch, or `None` for other kernels.
    #[must_use]
    pub fn of(kernel: &AnyKernel) -> Option<Self> {
        let vec = kernel.downcast().copied().map(Self::Vec);
        let row = || kernel.downcast().copied().map(Self::Rows);
        let mul = || kernel.downcast().copied().map(Self::Mul);
        let coop = || kernel.downcast().copied().map(Self::Coop);
        vec.or_else(row).or_else(mul).or_else(coop)
    }

    /// The quantization type of the weights.
    #[must_use]
    pub const fn format(self) -> Format {
        match self {
            Self::Vec(kernel) => kernel.format,
            Self::Rows(kernel) => kernel.format,
            Self::Mul(kernel) => kernel.format,
            Self::Coop(kernel) => kernel.format,
        }
    }

    /// The memory layout that the kernel needs.
    #[must_use]
    pub const fn layout(self) -> WeightLayout {
        match self {
            Self::Vec(_) | Self::Mul(_) | Self::Coop(_) => WeightLayout::Plain,
            Self::Rows(_) => WeightLayout::Interleaved,
        }
    }

    /// Whether the GLU epilogue is available. It needs the gate row and the up row in the same reduction group.
    #[must_use]
    pub const fn can_glu(self) -> bool {
        match self {
            Self::Vec(kernel) => kernel.rows.is_multiple_of(2),
            Self::Rows(_) => true,
            Self::Mul(_) | Self::Coop(_) => false,
        }
    }

    /// The variant whose GLU epilogue has this activation. Kernels without the epilogue stay unchanged.
    #[must_use]
    pub const fn with_activation(self, activation: Activation) -> Self {
        match self {
            Self::Vec(kernel) => Self::Vec(MatVec { activation, ..kernel }),
            Self::Rows(kernel) => Self::Rows(MatVecRows { activation, ..kernel }),
            Self::Mul(_) | Self::Coop(_) => self,
        }
    }

    /// Whether the kernel is a tiled matmul.
    #[must_use]
    pub const fn is_tiled(self) -> bool {
        matches!(self, Self::Mul(_) | Self::Coop(_))
    }

    /// Records a launch. All linear kernels take the same parameters.
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

/// Whether this device should use kernels that read weights and the KV cache from textures.
const fn reads_textures(caps: &Caps) -> bool {
    caps.software && caps.max_texture > 0
}

/// The layout of weights on a device: interleaved where [`MatVecRows`] serves the linear layers.
#[must_use]
pub fn layout_for(caps: &Caps) -> WeightLayout {
    // Availability depends on subgroups alone, so any type and shape will do.
    let lanes_own_rows = reads_textures(caps) && MatVecRows::new(Format::SINGLE, caps, 4, 1).is_some();
    if lanes_own_rows { WeightLayout::Interleaved } else { WeightLayout::Plain }
}

/// Largest batch that the mat-vec kernels serve. Larger ones use a tiled matmul, except on software adapters.
pub const SMALL_BATCH: u32 = 16;

/// The default kernel for a linear layer with a batch of `n_vecs` vectors: GEMV up to [`SMALL_BATCH`], GEMM beyond.
///
/// A software adapter (`DeviceType::Cpu` of wgpu, such as llvmpipe) uses GEMV for every batch size. A tile would gain
/// nothing, because workgroup memory is no faster than other memory. A barrier is slow, because the driver suspends
/// each invocation as a coroutine. A load costs as much as several multiply-adds. In [`MatVecRows`] each lane keeps
/// whole rows, so it loads scales once for all chunks of a header. If subgroups may have fewer than eight lanes,
/// [`MatVec`] is used, with blocks of 8 rows.
#[must_use]
pub fn linear_for(format: Format, n_vecs: u32, caps: &Caps) -> LinearKernel {
    if layout_for(caps) == WeightLayout::Interleaved
        && let Some(kernel) = MatVecRows::for_batch(format, caps, n_vecs)
    {
        return LinearKernel::Rows(kernel);
    }
    // On a GPU, a block has at most 32 accumulators. `Tuning` replaces these defaults with measured choices.
    let (rows, vecs) = match n_vecs {
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
        let tiles = LinearKernel::Mul(MatMul::new(format, caps));
        return MatMulCoop::for_batch(format, caps, n_vecs).map_or(tiles, LinearKernel::Coop);
    }
    LinearKernel::Vec(MatVec::new(format, caps, rows, vecs))
}

/// Pairs of a token and an expert, per expert, from which a mixture decodes weights once for several pairs.
const PAIRS_PER_EXPERT: u32 = 2;

/// Whether the linear layers of a mixture use [`MatMulId`](crate::mat_mul_id::MatMulId), which needs pairs sorted by expert.
///
/// A pair is a token and one of `n_experts` experts; there are `n_pairs`. For fewer pairs, [`MatVecId`](crate::mat_vec_id::MatVecId) has less to do.
#[must_use]
pub const fn groups_by_expert(n_pairs: u32, n_experts: u32) -> bool {
    n_pairs / PAIRS_PER_EXPERT >= n_experts
}

/// The RMSNorm kernel for rows of any width.
#[must_use]
pub fn norm_for(caps: &Caps) -> RmsNorm {
    let (reduce, workgroup_size) = widest(caps, 256);
    RmsNorm { reduce, workgroup_size }
}

/// The kernel of fused attention: FlashAttention, with KV splits for long contexts (flash-decoding).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttentionKernel {
    /// Invocations of a workgroup share queries and softmax weights through workgroup memory.
    Workgroup(Attention),
    /// Eight lanes of a subgroup share them with `subgroupBroadcast`: for software adapters.
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

    /// Query heads per workgroup.
    #[must_use]
    pub const fn heads(self) -> u32 {
        match self {
            Self::Workgroup(kernel) => kernel.heads,
            Self::Simd(kernel) => kernel.heads,
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

    /// Records a launch. Both kernels take the same parameters.
    pub fn record(self, recording: &mut Recording, params: attention::Params, args: attention::Args) {
        let attention::Args { q, keys, values, tokens, out } = args;
        match self {
            Self::Workgroup(kernel) => recording.run(kernel, params, args),
            Self::Simd(kernel) => {
                recording.run(
                    kernel,
                    bytemuck::cast(params),
                    attention_simd::Args { q, keys, values, tokens, out },
                );
            }
        }
    }
}

/// The default attention kernel for `n_tokens` queries and a KV cache of the types `cache` (keys, values). It takes as
/// many queries per workgroup as registers and workgroup memory allow, so that K and V are read less often.
#[must_use]
pub fn attention_for(cache: [Format; 2], shape: HeadShape, n_tokens: u32, caps: &Caps) -> AttentionKernel {
    let serves = |tokens: u32| tokens <= n_tokens.max(1);
    if reads_textures(caps) {
        let mut kernels = AttentionSimd::variants(cache, shape, caps).into_iter();
        if let Some(kernel) = kernels.find(|kernel| serves(kernel.tokens)) {
            return AttentionKernel::Simd(kernel);
        }
    }
    let kernels = Attention::variants(cache, Reduce::all(caps)[0], shape, caps);
    // If even one token does not fit, the model's session refuses it with an error.
    let kernel = kernels.iter().find(|kernel| serves(kernel.tokens)).or(kernels.last());
    AttentionKernel::Workgroup(*kernel.expect("there is a variant for every shape"))
}

/// Whether the device allows the bindings of fused attention. If not, unfused attention takes its place.
#[must_use]
pub const fn can_fuse_attention(caps: &Caps) -> bool {
    caps.max_storage_buffers as usize >= <Attention as Bindings>::BINDINGS.len()
}

/// Whether the KV cache is in textures: where [`attention_for`] chooses the kernel that reads textures.
#[must_use]
pub fn cache_in_texture(cache: [Format; 2], shape: HeadShape, caps: &Caps) -> bool {
    matches!(attention_for(cache, shape, 1, caps), AttentionKernel::Simd(_))
}

/// Most KV splits of one attention launch.
pub const MAX_KV_SPLITS: u32 = 64;

/// KV splits that the buffer of partial results has room for with `n_tokens` queries. It is sized for [`MAX_KV_SPLITS`]
/// splits of [`SMALL_BATCH`] tokens.
#[must_use]
pub fn max_kv_splits(n_tokens: u32) -> u32 {
    (MAX_KV_SPLITS * SMALL_BATCH / n_tokens.max(1)).clamp(1, MAX_KV_SPLITS)
}

/// Workgroups that attention should have, where no measurement says otherwise. A large GPU has more than a hundred
/// cores, and each needs several workgroups. A software adapter needs only enough to balance a few threads.
#[must_use]
pub const fn attention_workgroups(caps: &Caps) -> u32 {
    if caps.software { 24 } else { 512 }
}

/// Fewest positions of a KV split. On a GPU it is one iteration of a workgroup. On a software adapter it is several,
/// because the overhead of a split equals the time for many positions.
const fn min_split_len(caps: &Caps) -> u32 {
    if caps.software { MAX_UNSPLIT_CONTEXT } else { 64 }
}

/// Contexts up to this many positions are not split. The reduction over splits would be a second launch.
const MAX_UNSPLIT_CONTEXT: u32 = 256;

/// Positions per KV split of attention (flash-decoding's split-K). `groups` is the number of workgroups without splits,
/// and `wanted` the number that keeps the device busy.
///
/// splits = wanted / groups, limited by [`max_kv_splits`]; the length is context / splits, rounded up to 64. Short
/// contexts and launches with enough workgroups are not split, and the length is the context.
#[must_use]
pub fn kv_split_len(context: u32, n_tokens: u32, groups: u64, wanted: u32, caps: &Caps) -> u32 {
    let kv_splits = u64::from(wanted) / groups.max(1);
    let kv_splits = u32::try_from(kv_splits).unwrap_or(MAX_KV_SPLITS).clamp(1, max_kv_splits(n_tokens));
    // On a software adapter the reduction over splits of a large batch costs more than idle cores.
    let large_batch = caps.software && n_tokens > SMALL_BATCH;
    if kv_splits == 1 || context <= MAX_UNSPLIT_CONTEXT || large_batch {
        return context.max(1);
    }
    context.div_ceil(kv_splits).max(min_split_len(caps)).next_multiple_of(64)
}

#[cfg(test)]
mod tests {
    use super::{MAX_KV_SPLITS, SMALL_BATCH, kv_split_len, max_kv_splits};
    use ridgeline_compute::Caps;

    #[test]
    fn attention_is_split_only_where_it_helps() {
        let gpu = Caps::webgpu();
        let split_len = |context, groups, wanted| kv_split_len(context, 1, groups, wanted, &gpu);
        assert_eq!(split_len(256, 8, 512), 256, "a short context is not split");
        assert_eq!(split_len(300, 8, 512), 64, "a split has at least 64 positions");
        assert_eq!(split_len(8192, 8, 512), 128, "64 splits");
        assert_eq!(split_len(8192, 128, 512), 2048, "4 splits");
        assert_eq!(split_len(8192, 512, 512), 8192, "there are enough workgroups");
        assert_eq!(split_len(8192, 1000, 512), 8192);
        assert_eq!(split_len(0, 0, 0), 1);
        let software = Caps { software: true, ..gpu };
        assert_eq!(kv_split_len(8192, 1, 4, 24, &software), 1408, "6 splits, in multiples of 64");
        assert_eq!(kv_split_len(1000, 1, 3, 24, &software), 256);
        assert_eq!(
            [kv_split_len(1000, 17, 3, 512, &gpu), kv_split_len(1000, 17, 3, 512, &software)],
            [64, 1000]
        );
    }

    #[test]
    fn kv_splits_fit_the_partials_buffer() {
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
