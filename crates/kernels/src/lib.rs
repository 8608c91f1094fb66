//! The compute kernels, one file each. A file declares a kernel's bindings, variants, launch size, cost, test input and
//! CPU reference. The WGSL of `src/<kernel>.rs` is `kernel/<kernel>.wgsl` of the shaders crate.
//!
//! The CPU reference is called the kernel's *twin*: obvious code with f64 accumulation, which the tests compare with the
//! device.
//!
//! Shapes are row-major, outermost dimension first. Rows of weights and of the KV cache are packed for the device
//! (`ridgeline_quant::Spec::pack_row`), and strides count vec4s of 16 bytes. Weights have a [`WeightLayout`], the
//! cache is row-major. The number of columns is a multiple of the values that one `unpack` call of the shaders dequantizes
//! (a *chunk*).

mod activation;
mod attention_shape;
mod choose;
mod common;
mod layout;
mod linear;
mod row_norm;
mod token_info;
mod tuning;

pub use activation::Activation;
pub use attention_shape::{HeadShape, Loops};
pub use choose::{
    AttentionKernel, LinearKernel, MAX_KV_SPLITS, SMALL_BATCH, attention_for, attention_workgroups,
    cache_in_texture, can_fuse_attention, groups_by_expert, kv_split_len, layout_for, linear_for,
    max_kv_splits, norm_for,
};
pub use common::{Reduce, stride};
pub use layout::WeightLayout;
pub use linear::Epilogue;
pub use token_info::{TokenInfo, VisibleRows, positions, stored_end, widest_range};
pub use tuning::{KvHeads, LinearClass, RowCount, Tuning};

use ridgeline_compute::{AnyKernel, Caps, Error, Kernel, Linker};

/// Lists the kernels. One entry adds a kernel to the crate, to the twin tests and to the shader export.
macro_rules! kernels {
    ($($module:ident::$kernel:ident),* $(,)?) => {
        $(pub mod $module;)*

        /// The variants of all kernels that tests compile and compare on a device with `caps`.
        #[must_use]
        pub fn all(caps: &Caps) -> Vec<AnyKernel> {
            let mut all = Vec::new();
            $(all.extend(<$module::$kernel as Kernel>::all(caps).into_iter().map(AnyKernel::new));)*
            all
        }
    };
}

kernels! {
    activate::Activate,
    add::Add,
    argmax::Argmax,
    argmax_reduce::ArgmaxReduce,
    attention::Attention,
    attention_simd::AttentionSimd,
    attn_reduce::AttnReduce,
    attn_scores::AttnScores,
    attn_softmax::AttnSoftmax,
    attn_values::AttnValues,
    combine_experts::CombineExperts,
    conv1d::Conv1d,
    copy::Copy,
    copy_heads::CopyHeads,
    dequantize::Dequantize,
    embed::Embed,
    empty::Empty,
    head_linear::HeadLinear,
    gated_delta_rule::GatedDeltaRule,
    gated_rms_norm::GatedRmsNorm,
    glu::Glu,
    group_by_expert::GroupByExpert,
    kv_append::KvAppend,
    l2_norm::L2Norm,
    layer_norm::LayerNorm,
    mat_mul::MatMul,
    mat_mul_coop::MatMulCoop,
    mat_mul_id::MatMulId,
    mat_vec::MatVec,
    mat_vec_dual::MatVecDual,
    mat_vec_i8::MatVecI8,
    mat_vec_id::MatVecId,
    mat_vec_rows::MatVecRows,
    qk_norm::QkNorm,
    rms_norm::RmsNorm,
    rms_norm_add::RmsNormAdd,
    rope::Rope,
    rope_append::RopeAppend,
    sample_top_k::SampleTopK,
    sigmoid_gate::SigmoidGate,
    stream_read::StreamRead,
    top_k::TopK,
    triad::Triad,
}

/// The WGSL that ships with this version: names and text.
pub const SHADERS: &[(&str, &str)] = ridgeline_shaders::FILES;

/// The linker over the WGSL that ships with this version.
///
/// # Errors
/// [`Error::Shader`] where a shipped file is not a valid template. A test checks that all are valid.
pub fn linker() -> Result<Linker, Error> {
    Linker::new(SHADERS)
}
