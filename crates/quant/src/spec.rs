//! What a number format is: one table row of sizes and functions.

/// Values of whole blocks to file bytes.
pub type Encode = fn(&[f32], &mut [u8]);

/// How an encoder finds the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rounding {
    /// Each value is rounded by itself, to the bytes that ggml's reference quantiser makes.
    Nearest,
    /// Scales are searched for, so that two good encoders need not make the same bytes.
    Search,
}

/// Everything the rest of the workspace may know about a number format.
///
/// A *row* is one row of a weight matrix: `n_cols` weights, a whole number of blocks. Functions that take
/// slices infer the number of weights from the slice that has no padding (file bytes or values), and panic
/// if the lengths do not fit together, because callers size them from this same table.
#[derive(Debug)]
pub struct Spec {
    /// The GGUF spelling, for instance `"Q8_0"`; also the serialised form of a [`Format`](crate::Format).
    pub name: &'static str,
    /// The ggml type id that GGUF stores for this format, or [`Spec::NOT_IN_GGUF`].
    pub gguf_type: u32,
    /// The id that `general.file_type` stores for a file whose matrices are mostly of this format.
    pub gguf_file_type: u32,
    /// Weights per block.
    pub block_len: usize,
    /// File bytes per block.
    pub block_bytes: usize,
    /// Weights that one `unpack` of the WGSL twin yields; divides the weights of every row.
    pub unpack_len: usize,
    /// Runs of consecutive weights that a part consists of. More than one where a word of the file holds bits of weights
    /// that lie apart.
    pub runs: usize,
    /// Weights from the beginning of a run to the beginning of the part's next; between them lie those of other parts.
    pub run_step: usize,
    /// Parts that share a head, which is what the WGSL twin reads their scales from; 1 where it has none.
    pub chunks_per_header: usize,
    /// Values that the rows of a key/value cache must be a multiple of; `None` if the format cannot hold a cache.
    pub kv_block: Option<usize>,
    /// Path of the WGSL twin inside the shaders crate, for instance `"format/q8_0.wgsl"`.
    pub wgsl: &'static str,
    /// File bytes of whole blocks to values.
    pub decode: fn(&[u8], &mut [f32]),
    /// How `encode` finds the bytes.
    pub rounding: Rounding,
    /// Values to file bytes of whole blocks.
    pub encode: Option<Encode>,
    /// Makes file bytes of whole blocks that were drawn at random stand for weights between about -2 and 2, by
    /// changing nothing but scales: weights for tests and measurements that need no encoder.
    pub bound_scales: fn(&mut [u8]),
    /// Words (`u32`) of one packed device row of `n_cols` weights: a multiple of four, so that every row
    /// starts on a 16-byte boundary.
    pub row_words: fn(n_cols: usize) -> usize,
    /// File bytes of one row to its device row; padding words become zero.
    pub pack_row: fn(&[u8], &mut [u32]),
    /// A device row back to the file bytes of that row: the exact inverse of [`Spec::pack_row`].
    pub unpack_row: fn(&[u32], &mut [u8]),
    /// A device row to values, for the CPU twins of kernels.
    pub decode_row: fn(&[u32], &mut [f32]),
}

impl Spec {
    /// In place of a ggml type id: GGUF has no such format.
    pub const NOT_IN_GGUF: u32 = u32::MAX;
}
