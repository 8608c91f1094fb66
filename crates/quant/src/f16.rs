//! F16: IEEE 754 binary16, little-endian. A block is one weight; `halves.rs` shows the layout.
//!
//! Encoding rounds to nearest, ties to even, as ggml does.

use half::f16;

use crate::{
    Spec,
    halves::{self, Block, Half},
    spec::Rounding,
    words::{pack_bytes, unpack_bytes},
};

pub(crate) const SPEC: Spec = Spec {
    name: "F16",
    gguf_type: 1,
    gguf_file_type: 1,
    block_len: 1,
    block_bytes: size_of::<Block>(),
    unpack_len: 8,
    runs: 1,
    run_step: 8,
    chunks_per_header: 1,
    has_table: false,
    kv_block: Some(8),
    wgsl: "format/f16.wgsl",
    decode: halves::decode::<f16>,
    rounding: Rounding::Nearest,
    encode: Some(halves::encode::<f16>),
    bound_scales: halves::bound_scales::<f16>,
    row_words: halves::row_words,
    pack_row: pack_bytes,
    unpack_row: unpack_bytes,
    decode_row: halves::decode_row::<f16>,
};

impl Half for f16 {
    fn widen(bits: u16) -> f32 {
        Self::from_bits(bits).to_f32()
    }

    fn narrow(value: f32) -> u16 {
        Self::from_f32(value).to_bits()
    }
}
