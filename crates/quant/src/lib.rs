//! Quantization types of language-model weights (`ggml_type`): layout, decode, encode. No IO and no GPU.
//!
//! Each type has one file, which documents its bytes and defines its `SPEC`. File readers, kernels, cost models and
//! reports ask [`Format::spec`] and name no type.
//! A type has two layouts. The *file* layout is GGUF's. The *device* layout has the same bits, rearranged into
//! 32-bit words for aligned loads in shaders; see [`Spec::pack_row`].

mod blocks;
mod format;
mod ggml;
mod halves;
mod mix;
mod mlx;
mod search;
mod spec;
mod words;

pub use format::UnknownFormat;
pub use ggml::{GgmlType, MAX_GGML_TYPE};
pub use mix::{Mix, ModelTraits, TensorCategory, UnknownMix};
pub use spec::{Encode, Rounding, Spec};

// The only list of types: variant = file that defines its `SPEC`.
format::formats! {
    F32 = f32,
    F16 = f16,
    BF16 = bf16,
    Q8_0 = q8_0,
    Q4_0 = q4_0,
    Q4_1 = q4_1,
    Q5_0 = q5_0,
    Q5_1 = q5_1,
    Q2K = q2_k,
    Q3K = q3_k,
    Q4K = q4_k,
    Q5K = q5_k,
    Q6K = q6_k,
    Iq4Nl = iq4_nl,
    Iq4Xs = iq4_xs,
    Mxfp4 = mxfp4;
    // One file for the family: bits per weight, weights per group.
    mlx::Affine:
    Mlx2G32 = 2 32,
    Mlx2G64 = 2 64,
    Mlx3G32 = 3 32,
    Mlx3G64 = 3 64,
    Mlx4G32 = 4 32,
    Mlx4G64 = 4 64,
    Mlx6G32 = 6 32,
    Mlx6G64 = 6 64,
    Mlx8G32 = 8 32,
    Mlx8G64 = 8 64,
}
