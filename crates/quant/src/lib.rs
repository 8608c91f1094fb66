//! Number formats of language-model weights: layout, decode, encode. No IO and no GPU.
//!
//! What the bytes of a format mean is said in one file per format, which ends in one `SPEC`. Everything
//! else — file readers, kernels, cost models, reports — asks [`Format::spec`] and never names a format.
//! A format has two layouts: the *file* layout (as GGUF stores it) and the *device* layout, the same bits
//! rearranged into 32-bit words so that a shader can load them aligned; see [`Spec::pack_row`].

mod format;
mod ggml;
mod spec;
mod words;

pub use format::UnknownFormat;
pub use ggml::{GgmlType, MAX_GGML_TYPE};
pub use spec::{Encode, Spec};

// The one list of formats: each entry names the variant and the file that holds its `SPEC`.
format::formats! {
    F32 = f32,
    F16 = f16,
    BF16 = bf16,
    Q8_0 = q8_0,
}
