//! Shared code of the types with many weights per block: the functions of a [`Spec`](crate::Spec), derived from
//! [`QuantBlock`].
//!
//! A device row is a struct of arrays, called *planes* here: one field of all blocks of the row, in block order.
//! So a field of 16 bytes is an aligned load. Every byte of a block is in exactly one plane.

use std::ops::Range;

use bytemuck::Pod;
use half::f16;

use crate::words::pad_words;

/// A block in the file layout: a struct of byte arrays, without padding and with alignment 1.
pub(crate) trait QuantBlock: Pod {
    /// Weights per block.
    const LEN: usize;
    /// The byte range of each plane within a block, in the order of the planes. Planes start on words, so a range
    /// that is not a multiple of four bytes must come last.
    const PLANES: &'static [Range<usize>];

    /// Writes the `LEN` values of the block.
    fn decode(&self, values: &mut [f32]);

    /// Replaces random scales by ordinary ones; see [`Spec::bound_scales`](crate::Spec::bound_scales).
    fn bound_scales(&mut self);
}

/// A block whose values are rounded one by one, like ggml's `quantize_row_*_ref`.
pub(crate) trait RoundBlock: QuantBlock {
    /// The block of `LEN` values.
    fn encode(values: &[f32]) -> Self;
}

/// 32 nibbles: weight `j` is the low nibble of byte `j`, weight `j + 16` the high one.
pub(crate) type Nibbles = [u8; 16];

pub(crate) fn decode<B: QuantBlock>(bytes: &[u8], values: &mut [f32]) {
    let blocks: &[B] = bytemuck::cast_slice(bytes);
    assert_eq!(blocks.len() * B::LEN, values.len(), "the values must fill the blocks");
    for (block, values) in blocks.iter().zip(values.chunks_exact_mut(B::LEN)) {
        block.decode(values);
    }
}

pub(crate) fn encode<B: RoundBlock>(values: &[f32], bytes: &mut [u8]) {
    let blocks: &mut [B] = bytemuck::cast_slice_mut(bytes);
    assert_eq!(blocks.len() * B::LEN, values.len(), "the values must fill the blocks");
    for (block, values) in blocks.iter_mut().zip(values.chunks_exact(B::LEN)) {
        *block = B::encode(values);
    }
}

pub(crate) fn bound_scales<B: QuantBlock>(bytes: &mut [u8]) {
    let blocks: &mut [B] = bytemuck::cast_slice_mut(bytes);
    blocks.iter_mut().for_each(B::bound_scales);
}

pub(crate) fn row_words<B: QuantBlock>(n_cols: usize) -> usize {
    pad_words((n_cols / B::LEN * size_of::<B>()).div_ceil(4))
}

pub(crate) fn pack_row<B: QuantBlock>(bytes: &[u8], words: &mut [u32]) {
    words.fill(0);
    let row: &mut [u8] = bytemuck::cast_slice_mut(words);
    let mut at = 0;
    for plane in B::PLANES {
        for block in bytes.chunks_exact(size_of::<B>()) {
            row[at..at + plane.len()].copy_from_slice(&block[plane.clone()]);
            at += plane.len();
        }
    }
    // The file is little-endian; a no-op on little-endian hosts.
    words.iter_mut().for_each(|word| *word = u32::from_le(*word));
}

pub(crate) fn unpack_row<B: QuantBlock>(words: &[u32], bytes: &mut [u8]) {
    let row: Vec<u32> = words.iter().map(|word| word.to_le()).collect();
    let row: &[u8] = bytemuck::cast_slice(&row);
    let mut at = 0;
    for plane in B::PLANES {
        for block in bytes.chunks_exact_mut(size_of::<B>()) {
            block[plane.clone()].copy_from_slice(&row[at..at + plane.len()]);
            at += plane.len();
        }
    }
}

pub(crate) fn decode_row<B: QuantBlock>(words: &[u32], values: &mut [f32]) {
    let mut blocks = vec![B::zeroed(); values.len() / B::LEN];
    unpack_row::<B>(words, bytemuck::cast_slice_mut(&mut blocks));
    decode::<B>(bytemuck::cast_slice(&blocks), values);
}

/// A little-endian binary16 field.
pub(crate) fn half(field: [u8; 2]) -> f32 {
    f16::from_le_bytes(field).to_f32()
}

/// A value as a little-endian binary16 field, rounded to nearest even.
pub(crate) fn to_half(value: f32) -> [u8; 2] {
    f16::from_f32(value).to_le_bytes()
}

/// A scale of either sign between `largest / 2` and `largest`, chosen by the random bits of the field.
///
/// One in eight is 256 times smaller. In types with small scales it is a subnormal f16, as many are in real models. So a
/// device that flushes those to zero fails the tests.
pub(crate) fn bound_half(field: [u8; 2], largest: f32) -> [u8; 2] {
    let [low, high] = field;
    let size = largest * (1.0 + f32::from(low) / 256.0) / 2.0;
    let size = if high & 0b1110 == 0 { size / 256.0 } else { size };
    to_half(if high.is_multiple_of(2) { size } else { -size })
}

/// The 32 nibbles in the order of the weights.
pub(crate) fn nibbles(field: &Nibbles) -> impl Iterator<Item = u8> {
    field.iter().map(|byte| byte & 15).chain(field.iter().map(|byte| byte >> 4))
}

/// Packs the low four bits of 32 quants, the inverse of [`nibbles`].
pub(crate) fn to_nibbles(quants: [u8; 32]) -> Nibbles {
    std::array::from_fn(|j| (quants[j] & 15) | (quants[j + 16] << 4))
}

/// 32 five-bit quants, from their low four bits and their fifth bits, in the order of the weights.
pub(crate) fn five_bits(field: &Nibbles, fifth: [u8; 4]) -> impl Iterator<Item = u8> {
    nibbles(field).zip(0..).map(move |(low, i): (u8, usize)| low | ((fifth[i / 8] >> (i % 8)) & 1) << 4)
}

/// The fifth bits of 32 quants: bit `i` is that of quant `i`.
pub(crate) fn fifth_bits(quants: [u8; 32]) -> [u8; 4] {
    std::array::from_fn(|byte| (0..8).fold(0, |bits, i| bits | (quants[8 * byte + i] >> 4 & 1) << i))
}

/// The value farthest from zero, with its sign; the first of equals.
pub(crate) fn signed_amax(values: &[f32]) -> f32 {
    let size = amax(values);
    if size > 0.0 { values.iter().copied().find(|it| it.abs() == size).unwrap_or(size) } else { 0.0 }
}

/// The largest absolute value, ggml's `amax`.
pub(crate) fn amax(values: &[f32]) -> f32 {
    const LANES: usize = 8; // independent maxima, so that the loop vectorizes
    let mut lanes = [0.0_f32; LANES];
    for values in values.chunks(LANES) {
        for (lane, value) in lanes.iter_mut().zip(values) {
            *lane = if value.abs() > *lane { value.abs() } else { *lane };
        }
    }
    lanes.into_iter().fold(0.0, f32::max)
}

/// The least and the greatest value.
pub(crate) fn min_max(values: &[f32]) -> (f32, f32) {
    let least = values.iter().copied().fold(f32::MAX, |a, b| if b < a { b } else { a });
    let greatest = values.iter().copied().fold(f32::MIN, |a, b| if b > a { b } else { a });
    (least, greatest)
}

/// 1 / d, or zero for a scale of zero.
pub(crate) fn inverse(d: f32) -> f32 {
    if d == 0.0 { 0.0 } else { 1.0 / d }
}

/// Rounds `value + offset` towards zero into `0..=most`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast must saturate")]
pub(crate) fn level(value: f32, offset: f32, most: u8) -> u8 {
    ((value + offset) as u8).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Format;

    #[test]
    fn nibbles_come_back() {
        let quants: [u8; 32] = std::array::from_fn(|i| u8::try_from(i * 7 % 16).unwrap());
        let field = to_nibbles(quants);
        assert!(nibbles(&field).eq(quants));
        let quants: [u8; 32] = std::array::from_fn(|i| u8::try_from(i * 7 % 32).unwrap());
        assert!(five_bits(&to_nibbles(quants), fifth_bits(quants)).eq(quants));
    }

    #[test]
    fn bounded_scales_are_bounded_and_keep_both_signs() {
        let scales = (0..=u16::MAX).map(|bits| half(bound_half(bits.to_le_bytes(), 0.5)));
        let (least, greatest) = min_max(&scales.collect::<Vec<_>>());
        assert!((-0.5..=-0.49).contains(&least) && (0.49..=0.5).contains(&greatest), "{least} {greatest}");
    }

    #[test]
    fn bounded_blocks_are_finite_in_every_format() {
        for &format in Format::ALL {
            let spec = format.spec();
            let n = 4 * spec.block_len;
            for fill in [0x00_u8, 0x5a, 0xff] {
                let mut bytes = vec![fill; 4 * spec.block_bytes];
                (spec.bound_scales)(&mut bytes);
                let mut values = vec![f32::NAN; n];
                (spec.decode)(&bytes, &mut values);
                assert!(values.iter().all(|it| it.abs() < 8.0), "{format}, {fill:#x}: {values:?}");
            }
        }
    }
}
