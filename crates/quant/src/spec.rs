//! [`Spec`]: the sizes and functions of one quantization type.

/// Values of whole blocks to file bytes.
pub type Encode = fn(&[f32], &mut [u8]);

/// How an encoder chooses scales and quants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rounding {
    /// Scales in closed form, each value rounded to the nearest: the same bytes as ggml's reference quantizer.
    Nearest,
    /// A search for the scales of least error; its bytes may differ from ggml's.
    Search,
}

/// All properties of a quantization type that the rest of the workspace uses.
///
/// A *row* is one row of a weight matrix: `n_cols` weights, a whole number of blocks. Functions on slices infer the
/// number of weights from the slice without padding (file bytes or values). They panic on lengths that do not match.
#[derive(Debug)]
pub struct Spec {
    /// The GGUF spelling, for instance `"Q8_0"`; also the serialized form of a [`Format`](crate::Format).
    pub name: &'static str,
    /// The `ggml_type` id, or [`Spec::NOT_IN_GGUF`].
    pub gguf_type: u32,
    /// `general.file_type` (`llama_ftype`) of a file whose matrices are mostly of this type.
    pub gguf_file_type: u32,
    /// Weights per block.
    pub block_len: usize,
    /// File bytes per block.
    pub block_bytes: usize,
    /// Weights that one call of the WGSL `unpack` yields: a *chunk*. Every row is a whole number of chunks.
    ///
    /// A chunk is not ggml's sub-block, although both may have 32 weights. A chunk of `Q4_K` is 16 consecutive weights
    /// of each of two sub-blocks, because a byte holds one weight of each.
    pub unpack_len: usize,
    /// Runs of consecutive weights that a chunk consists of: 1, or more where a word of the file holds weights that
    /// lie apart. `Q4_K` has 2.
    pub runs: usize,
    /// Weights from the start of one run of a chunk to the start of its next; other chunks have those between. 32 for
    /// `Q4_K`.
    pub run_step: usize,
    /// Chunks that share one super-block header, which the WGSL code reads once for all of them; 1 without a header.
    pub chunks_per_header: usize,
    /// Whether quants are indices of 16 levels, which a kernel may look up in workgroup memory.
    pub has_table: bool,
    /// The rows of a KV cache of this type must be a multiple of this many values; `None` if it cannot hold a cache.
    pub kv_block: Option<usize>,
    /// Path of the WGSL decoder in the shaders crate, for instance `"format/q8_0.wgsl"`.
    pub wgsl: &'static str,
    /// File bytes of whole blocks to values.
    pub decode: fn(&[u8], &mut [f32]),
    /// How `encode` chooses scales and quants.
    pub rounding: Rounding,
    /// Values to file bytes of whole blocks.
    pub encode: Option<Encode>,
    /// Changes the scales of random file bytes, and nothing else, so that weights lie between about -2 and 2. Tests
    /// and measurements get weights this way without an encoder.
    pub bound_scales: fn(&mut [u8]),
    /// Words (`u32`) of one packed device row of `n_cols` weights: a multiple of four, so that every row
    /// starts on a 16-byte boundary.
    pub row_words: fn(n_cols: usize) -> usize,
    /// File bytes of one row to its device row; padding words become zero.
    pub pack_row: fn(&[u8], &mut [u32]),
    /// A device row back to the file bytes of that row: the exact inverse of [`Spec::pack_row`].
    pub unpack_row: fn(&[u32], &mut [u8]),
    /// A device row to values, for the CPU references of kernels.
    pub decode_row: fn(&[u32], &mut [f32]),
}

impl Spec {
    /// Instead of a `ggml_type` id: GGUF has no such type.
    pub const NOT_IN_GGUF: u32 = u32::MAX;
}
