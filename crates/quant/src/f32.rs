//! F32: IEEE 754 binary32, little-endian. A block is one weight.
//!
//! ```text
//! file    | w0 (4 bytes) | w1 | w2 | ...
//! device  | w0 (1 word)  | w1 | w2 | ... | zero words up to a multiple of 4
//! ```

use crate::{
    Spec,
    spec::Rounding,
    words::{pack_bytes, pad_words, unpack_bytes},
};

type Block = [u8; 4];
const _: () = assert!(size_of::<Block>() == 4);

pub(crate) const SPEC: Spec = Spec {
    name: "F32",
    gguf_type: 0,
    gguf_file_type: 0,
    block_len: 1,
    block_bytes: size_of::<Block>(),
    unpack_len: 8,
    runs: 1,
    run_step: 8,
    chunks_per_header: 1,
    has_table: false,
    kv_block: Some(8),
    wgsl: "format/f32.wgsl",
    decode,
    rounding: Rounding::Nearest,
    encode: Some(encode),
    bound_scales,
    row_words,
    pack_row: pack_bytes,
    unpack_row: unpack_bytes,
    decode_row,
};

fn decode(bytes: &[u8], values: &mut [f32]) {
    let blocks: &[Block] = bytemuck::cast_slice(bytes);
    assert_eq!(blocks.len(), values.len(), "one F32 block is one weight");
    for (value, &block) in values.iter_mut().zip(blocks) {
        *value = f32::from_le_bytes(block);
    }
}

fn encode(values: &[f32], bytes: &mut [u8]) {
    let blocks: &mut [Block] = bytemuck::cast_slice_mut(bytes);
    assert_eq!(blocks.len(), values.len(), "one F32 block is one weight");
    for (block, value) in blocks.iter_mut().zip(values) {
        *block = value.to_le_bytes();
    }
}

/// Reads the upper 16 bits as a signed fraction of 2¹⁵.
fn bound_scales(bytes: &mut [u8]) {
    for block in bytemuck::cast_slice_mut::<u8, Block>(bytes) {
        *block = (f32::from(i16::from_le_bytes([block[2], block[3]])) / 32_768.0).to_le_bytes();
    }
}

fn row_words(n_cols: usize) -> usize {
    pad_words(n_cols)
}

fn decode_row(words: &[u32], values: &mut [f32]) {
    assert!(words.len() >= values.len(), "the device row is too short");
    for (value, &word) in values.iter_mut().zip(words) {
        *value = f32::from_bits(word);
    }
}
