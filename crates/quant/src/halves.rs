//! Shared code of F16 and BF16: one 16-bit float per weight.
//!
//! ```text
//! file    | w0 (2 bytes) | w1 | w2 | w3 | ...
//! device  | w0 low half, w1 high half (1 word) | w2, w3 | ... | zero words up to a multiple of 4
//! ```

use crate::words::pad_words;

/// A 16-bit float.
pub(crate) trait Half {
    /// The value of the bits.
    fn widen(bits: u16) -> f32;
    /// The bits of the nearest float, ties to even.
    fn narrow(value: f32) -> u16;
}

/// A weight in the file layout.
pub(crate) type Block = [u8; 2];

pub(crate) fn decode<H: Half>(bytes: &[u8], values: &mut [f32]) {
    let blocks: &[Block] = bytemuck::cast_slice(bytes);
    assert_eq!(blocks.len(), values.len(), "one block is one weight");
    for (value, &block) in values.iter_mut().zip(blocks) {
        *value = H::widen(u16::from_le_bytes(block));
    }
}

pub(crate) fn encode<H: Half>(values: &[f32], bytes: &mut [u8]) {
    let blocks: &mut [Block] = bytemuck::cast_slice_mut(bytes);
    assert_eq!(blocks.len(), values.len(), "one block is one weight");
    for (block, &value) in blocks.iter_mut().zip(values) {
        *block = H::narrow(value).to_le_bytes();
    }
}

/// Reads the bits as a signed fraction of 2¹⁵.
pub(crate) fn bound_scales<H: Half>(bytes: &mut [u8]) {
    for block in bytemuck::cast_slice_mut::<u8, Block>(bytes) {
        *block = H::narrow(f32::from(i16::from_le_bytes(*block)) / 32_768.0).to_le_bytes();
    }
}

pub(crate) fn row_words(n_cols: usize) -> usize {
    pad_words(n_cols.div_ceil(2))
}

pub(crate) fn decode_row<H: Half>(words: &[u32], values: &mut [f32]) {
    for (i, value) in values.iter_mut().enumerate() {
        *value = H::widen(half_word(words, i));
    }
}

/// The `i`-th 16-bit half of a sequence of words, low halves first.
fn half_word(words: &[u32], i: usize) -> u16 {
    let [a, b, c, d] = words[i / 2].to_le_bytes();
    u16::from_le_bytes(if i.is_multiple_of(2) { [a, b] } else { [c, d] })
}
