//! The compute kernels: one file each, with what it binds, what may vary, how it launches, what it costs and what
//! it means (the CPU twin). The WGSL of `src/<kernel>.rs` is `kernel/<kernel>.wgsl` of the shaders crate.
//!
//! Shapes are row-major, outermost first. Weight rows and cache rows are in the *device* layout of their number
//! format (`ridgeline_quant::Spec::pack_row`); strides count vec4 words of 16 bytes. Weight rows lie in a [`WeightLayout`], cache rows one after the other. Columns are a multiple of the
//! format's part.

mod attention_shape;
mod choose;
mod common;
mod layout;
mod linear;
mod tuning;

pub use choose::{
    AttentionKernel, LinearKernel, MAX_KV_SPLITS, SMALL_BATCH, attention_for, attention_workgroups,
    cache_in_texture, kv_split_len, layout_for, linear_for, max_kv_splits, norm_for,
};
pub use common::{Reduce, stride};
pub use layout::WeightLayout;
pub use linear::Epilogue;
pub use tuning::{KvHeads, LinearClass, RowCount, Tuning};

use ridgeline_compute::{AnyKernel, Caps, Error, Kernel, Linker};

/// Lists the kernels: one word makes one part of the crate, of the twin tests, of the shader export.
macro_rules! kernels {
    ($($module:ident::$kernel:ident),* $(,)?) => {
        $(pub mod $module;)*

        /// Every variant of every kernel that a device with `caps` can run.
        #[must_use]
        pub fn all(caps: &Caps) -> Vec<AnyKernel> {
            let mut all = Vec::new();
            $(all.extend(<$module::$kernel as Kernel>::all(caps).into_iter().map(AnyKernel::new));)*
            all
        }
    };
}

kernels! {
    add::Add,
    argmax::Argmax,
    argmax_reduce::ArgmaxReduce,
    attention::Attention,
    attn_reduce::AttnReduce,
    attention_simd::AttentionSimd,
    attn_scores::AttnScores,
    attn_softmax::AttnSoftmax,
    attn_values::AttnValues,
    copy::Copy,
    sample_top_k::SampleTopK,
    embed::Embed,
    empty::Empty,
    qk_norm::QkNorm,
    kv_append::KvAppend,
    mat_mul_coop::MatMulCoop,
    mat_vec_i8::MatVecI8,
    mat_mul::MatMul,
    mat_vec_dual::MatVecDual,
    mat_vec_rows::MatVecRows,
    mat_vec::MatVec,
    rms_norm::RmsNorm,
    rope::Rope,
    rope_append::RopeAppend,
    stream_read::StreamRead,
    swi_glu::SwiGlu,
    triad::Triad,
}

/// The WGSL that ships with this version: names and text.
pub const SHADERS: &[(&str, &str)] = ridgeline_shaders::FILES;

/// The linker over the WGSL that ships with this version.
///
/// # Errors
/// [`Error::Shader`] where a shipped file is not a valid template; a test makes sure that none is.
pub fn linker() -> Result<Linker, Error> {
    Linker::new(SHADERS)
}
