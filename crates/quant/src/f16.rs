//! F16: IEEE 754 binary16, little-endian. A block is one weight.
//!
//! ```text
//! file    | w0 (2 bytes) | w1 | w2 | w3 | ...
//! device  | w0 low half, w1 high half (1 word) | w2, w3 | ... | zero words up to a multiple of 4
//! ```
//!
//! Encoding rounds to nearest, ties to even, as ggml does.

use half::f16;

use crate::{
    Spec,
    spec::Rounding,
    words::{half_word, pack_bytes, pad_words, unpack_bytes},
};

type Block = [u8; 2];
const _: () = assert!(size_of::<Block>() == 2);

pub(crate) const SPEC: Spec = Spec {
    name: "F16",
    gguf_type: 1,
    gguf_file_type: 1,
    block_len: 1,
    block_bytes: size_of::<Block>(),
    part: 8,
    kv_block: Some(8),
    wgsl: "format/f16.wgsl",
    decode,
    rounding: Rounding::Nearest,
    encode: Some(encode),
    tame,
    row_words,
    pack_row: pack_bytes,
    unpack_row: unpack_bytes,
    decode_row,
};

fn decode(bytes: &[u8], values: &mut [f32]) {
    let blocks: &[Block] = bytemuck::cast_slice(bytes);
    assert_eq!(blocks.len(), values.len(), "one F16 block is one weight");
    for (value, &block) in values.iter_mut().zip(blocks) {
        *value = f16::from_le_bytes(block).to_f32();
    }
}

fn encode(values: &[f32], bytes: &mut [u8]) {
    let blocks: &mut [Block] = bytemuck::cast_slice_mut(bytes);
    assert_eq!(blocks.len(), values.len(), "one F16 block is one weight");
    for (block, &value) in blocks.iter_mut().zip(values) {
        *block = f16::from_f32(value).to_le_bytes();
    }
}

/// The bits become a fraction of 2¹⁵.
fn tame(bytes: &mut [u8]) {
    for block in bytemuck::cast_slice_mut::<u8, Block>(bytes) {
        *block = f16::from_f32(f32::from(i16::from_le_bytes(*block)) / 32_768.0).to_le_bytes();
    }
}

fn row_words(n_cols: usize) -> usize {
    pad_words(n_cols.div_ceil(2))
}

fn decode_row(words: &[u32], values: &mut [f32]) {
    for (i, value) in values.iter_mut().enumerate() {
        *value = f16::from_bits(half_word(words, i)).to_f32();
    }
}
