//! `Q8_0`: blocks of 32 signed bytes with one binary16 scale; weight `i` is `d · qs[i]`.
//!
//! ```text
//! file    | d f16 (2 bytes) | qs i8 × 32 | d | qs | ...                          34 bytes per block
//! device  | qs of all blocks, 4 per word | d of all blocks, 2 per word | zeros    a row of words
//! ```
//!
//! File blocks of 34 bytes are not aligned to words. The device row therefore has a plane of quants, two 16-byte
//! loads per block, and a plane of scales.
//! Reference: `quantize_row_q8_0_ref` in <https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-quants.c>.

use bytemuck::{Pod, Zeroable};

use crate::{
    Spec,
    blocks::{self, QuantBlock, RoundBlock},
    spec::Rounding,
};

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Block {
    /// The scale, binary16.
    d: [u8; 2],
    /// The quants, in the order of the weights.
    qs: [i8; 32],
}
const _: () = assert!(size_of::<Block>() == 34);

pub(crate) const SPEC: Spec = Spec {
    name: "Q8_0",
    gguf_type: 8,
    gguf_file_type: 7,
    block_len: Block::LEN,
    block_bytes: size_of::<Block>(),
    unpack_len: 16,
    runs: 1,
    run_step: 16,
    chunks_per_header: 16,
    has_table: false,
    kv_block: Some(32),
    wgsl: "format/q8_0.wgsl",
    decode: blocks::decode::<Block>,
    rounding: Rounding::Nearest,
    encode: Some(blocks::encode::<Block>),
    bound_scales: blocks::bound_scales::<Block>,
    row_words: blocks::row_words::<Block>,
    pack_row: blocks::pack_row::<Block>,
    unpack_row: blocks::unpack_row::<Block>,
    decode_row: blocks::decode_row::<Block>,
};

impl QuantBlock for Block {
    const LEN: usize = 32;
    const PLANES: &'static [std::ops::Range<usize>] = &[2..34, 0..2];

    fn decode(&self, values: &mut [f32]) {
        let d = blocks::half(self.d);
        for (value, &q) in values.iter_mut().zip(&self.qs) {
            *value = d * f32::from(q);
        }
    }

    fn bound_scales(&mut self) {
        self.d = blocks::bound_half(self.d, 1.0 / 128.0);
    }
}

impl RoundBlock for Block {
    fn encode(values: &[f32]) -> Self {
        let d = blocks::amax(values) / 127.0;
        // Like the reference, divide by the scale before it is rounded to binary16.
        let inverse = blocks::inverse(d);
        Self { d: blocks::to_half(d), qs: std::array::from_fn(|i| round_to_i8(values[i] * inverse)) }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the cast must saturate")]
fn round_to_i8(value: f32) -> i8 {
    value.round() as i8 // half away from zero, like C's roundf
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::f16;

    /// A hand-made block: scale 0.5, quants -3, -2, ..., 28.
    fn block(d: f32) -> Vec<u8> {
        let mut bytes = f16::from_f32(d).to_le_bytes().to_vec();
        bytes.extend((0..32_i8).map(|i| (i - 3).cast_unsigned()));
        bytes
    }

    #[test]
    fn a_hand_made_block_decodes() {
        let mut values = [0.0; 32];
        (SPEC.decode)(&block(0.5), &mut values);
        assert_eq!(values[..5], [-1.5, -1.0, -0.5, 0.0, 0.5]);
        assert_eq!(values[31], 14.0);
    }

    #[test]
    fn the_device_row_has_two_planes() {
        let bytes = [block(0.5), block(2.0), block(1.0)].concat();
        let mut words = vec![u32::MAX; (SPEC.row_words)(96)];
        (SPEC.pack_row)(&bytes, &mut words);
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
        (SPEC.encode.unwrap())(&[0.0; 32], &mut bytes);
        assert_eq!(bytes, [0; 34]);
    }
}
