//! `Q8_0`: blocks of 32 signed bytes with one binary16 scale; weight `i` is `d · qs[i]`.
//!
//! ```text
//! file    | d f16 (2 bytes) | qs i8 × 32 | d | qs | ...                          34 bytes per block
//! device  | qs of all blocks, 4 per word | d of all blocks, 2 per word | zeros    a row of words
//! ```
//!
//! The 34-byte file block leaves every second block on an odd half-word, so the device row splits it into a
//! plane of quants (two 16-byte loads per block) and a plane of scales, both in block order.
//! Reference: `quantize_row_q8_0_ref` in <https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-quants.c>.

use bytemuck::{Pod, Zeroable};
use half::f16;

use crate::{
    Spec,
    words::{half_word, pad_words},
};

const LEN: usize = 32;
/// Words of quants in one block.
const QS_WORDS: usize = LEN / 4;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Block {
    /// The scale, binary16, little-endian.
    d: [u8; 2],
    /// The quants, in the order of the weights.
    qs: [i8; LEN],
}
const _: () = assert!(size_of::<Block>() == 34);

pub(crate) const SPEC: Spec = Spec {
    name: "Q8_0",
    gguf_type: 8,
    gguf_file_type: 7,
    block_len: LEN,
    block_bytes: size_of::<Block>(),
    part: 16,
    kv_block: None,
    wgsl: "format/q8_0.wgsl",
    decode,
    encode: Some(encode),
    row_words,
    pack_row,
    unpack_row,
    decode_row,
};

fn decode(bytes: &[u8], values: &mut [f32]) {
    let blocks: &[Block] = bytemuck::cast_slice(bytes);
    assert_eq!(blocks.len() * LEN, values.len(), "one Q8_0 block is 32 weights");
    for (values, block) in values.chunks_exact_mut(LEN).zip(blocks) {
        let d = f16::from_le_bytes(block.d).to_f32();
        for (value, &q) in values.iter_mut().zip(&block.qs) {
            *value = d * f32::from(q);
        }
    }
}

fn encode(values: &[f32], bytes: &mut [u8]) {
    let blocks: &mut [Block] = bytemuck::cast_slice_mut(bytes);
    assert_eq!(blocks.len() * LEN, values.len(), "one Q8_0 block is 32 weights");
    for (values, block) in values.chunks_exact(LEN).zip(blocks) {
        let largest = values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let d = largest / 127.0;
        // Dividing by the unrounded scale, as the reference does: the stored scale is rounded afterwards.
        let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
        block.d = f16::from_f32(d).to_le_bytes();
        for (q, &value) in block.qs.iter_mut().zip(values) {
            *q = round_to_i8(value * inverse);
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a saturating cast is what is wanted")]
fn round_to_i8(value: f32) -> i8 {
    value.round() as i8 // half away from zero, like C's roundf
}

fn row_words(n_cols: usize) -> usize {
    let n_blocks = n_cols / LEN;
    pad_words(n_blocks * QS_WORDS + n_blocks.div_ceil(2))
}

fn pack_row(bytes: &[u8], words: &mut [u32]) {
    let blocks: &[Block] = bytemuck::cast_slice(bytes);
    let (qs, scales) = words.split_at_mut(blocks.len() * QS_WORDS);
    for (words, block) in qs.chunks_exact_mut(QS_WORDS).zip(blocks) {
        for (word, quad) in words.iter_mut().zip(bytemuck::cast_slice::<i8, [u8; 4]>(&block.qs)) {
            *word = u32::from_le_bytes(*quad);
        }
    }
    assert!(scales.len() * 2 >= blocks.len(), "the device row is too short for the scales");
    scales.fill(0);
    for (i, block) in blocks.iter().enumerate() {
        scales[i / 2] |= u32::from(u16::from_le_bytes(block.d)) << (16 * (i % 2));
    }
}

fn unpack_row(words: &[u32], bytes: &mut [u8]) {
    let blocks: &mut [Block] = bytemuck::cast_slice_mut(bytes);
    let (qs, scales) = words.split_at(blocks.len() * QS_WORDS);
    for (i, (block, words)) in blocks.iter_mut().zip(qs.chunks_exact(QS_WORDS)).enumerate() {
        block.d = half_word(scales, i).to_le_bytes();
        for (quad, word) in bytemuck::cast_slice_mut::<i8, [u8; 4]>(&mut block.qs).iter_mut().zip(words) {
            *quad = word.to_le_bytes();
        }
    }
}

fn decode_row(words: &[u32], values: &mut [f32]) {
    let (qs, scales) = words.split_at(values.len() / 4);
    for (i, (values, words)) in values.chunks_exact_mut(LEN).zip(qs.chunks_exact(QS_WORDS)).enumerate() {
        let d = f16::from_bits(half_word(scales, i)).to_f32();
        for (values, word) in values.chunks_exact_mut(4).zip(words) {
            for (value, q) in values.iter_mut().zip(word.to_le_bytes()) {
                *value = d * f32::from(q.cast_signed());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hand-made block: scale 0.5, quants -3, -2, ..., 28.
    fn block(d: f32) -> Vec<u8> {
        let mut bytes = f16::from_f32(d).to_le_bytes().to_vec();
        bytes.extend((0..32_i8).map(|i| (i - 3).cast_unsigned()));
        bytes
    }

    #[test]
    fn a_hand_made_block_decodes() {
        let mut values = [0.0; 32];
        decode(&block(0.5), &mut values);
        assert_eq!(values[..5], [-1.5, -1.0, -0.5, 0.0, 0.5]);
        assert_eq!(values[31], 14.0);
    }

    #[test]
    fn the_device_row_has_two_planes() {
        let bytes = [block(0.5), block(2.0), block(1.0)].concat();
        let mut words = vec![u32::MAX; row_words(96)];
        pack_row(&bytes, &mut words);
        assert_eq!(words.len(), 28);
        assert_eq!(words[0], u32::from_le_bytes([0xfd, 0xfe, 0xff, 0]));
        assert_eq!(words[8], words[0]);
        assert_eq!(words[24], 0x4000_3800, "scales 0.5 (low half) and 2.0 (high half)");
        assert_eq!(words[25], 0x3c00);
        assert_eq!(words[26..], [0, 0]);
    }

    #[test]
    fn encoding_an_all_zero_block_gives_zero_scale() {
        let mut bytes = [0xaa; 34];
        encode(&[0.0; 32], &mut bytes);
        assert_eq!(bytes, [0; 34]);
    }
}
