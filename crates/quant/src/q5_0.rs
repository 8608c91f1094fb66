//! `Q5_0`: blocks of 32 five-bit numbers with one binary16 scale; weight `i` is `d · (q[i] − 16)`.
//!
//! ```text
//! file    | d f16 (2 bytes) | qh 4 bytes | qs 16 bytes | ...     22 bytes per block
//! device  | qs of all blocks, 4 words each | qh, 1 word each | d, 2 per word | zeros
//! ```
//!
//! Byte `j` of `qs` holds the low four bits of weight `j` in its low nibble and those of weight `j + 16` in its high
//! one. Bit `i` of `qh` is the fifth bit of weight `i`.
//! Reference: `quantize_row_q5_0_ref` in <https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-quants.c>.

use bytemuck::{Pod, Zeroable};

use crate::{
    Spec,
    blocks::{self, QuantBlock, RoundBlock, Nibbles},
    spec::Rounding,
};

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Block {
    /// The scale, binary16.
    d: [u8; 2],
    /// The fifth bits.
    qh: [u8; 4],
    /// The low four bits.
    qs: Nibbles,
}
const _: () = assert!(size_of::<Block>() == 22);

pub(crate) const SPEC: Spec = Spec {
    name: "Q5_0",
    gguf_type: 6,
    gguf_file_type: 8,
    block_len: Block::LEN,
    block_bytes: size_of::<Block>(),
    unpack_len: 32,
    runs: 1,
    run_step: 32,
    chunks_per_header: 1,
    has_table: false,
    kv_block: None,
    wgsl: "format/q5_0.wgsl",
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
    const PLANES: &'static [std::ops::Range<usize>] = &[6..22, 2..6, 0..2];

    fn decode(&self, values: &mut [f32]) {
        let d = blocks::half(self.d);
        for (value, q) in values.iter_mut().zip(blocks::five_bits(&self.qs, self.qh)) {
            *value = d * (f32::from(q) - 16.0);
        }
    }

    fn bound_scales(&mut self) {
        self.d = blocks::bound_half(self.d, 0.0625);
    }
}

impl RoundBlock for Block {
    fn encode(values: &[f32]) -> Self {
        // The value farthest from zero becomes -16, the only level without a positive counterpart.
        let d = blocks::signed_amax(values) / -16.0;
        let inverse = blocks::inverse(d);
        let quants = std::array::from_fn(|i| blocks::level(values[i] * inverse, 16.5, 31));
        Self { d: blocks::to_half(d), qh: blocks::fifth_bits(quants), qs: blocks::to_nibbles(quants) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifth_bits_belong_to_their_weights() {
        let values: [f32; 32] = std::array::from_fn(|i| i as f32 - 16.0);
        let block = Block::encode(&values);
        assert_eq!((blocks::half(block.d), block.qh), (1.0, [0, 0, 0xff, 0xff]));
        let mut again = [f32::NAN; 32];
        block.decode(&mut again);
        assert_eq!(again, values);
    }
}
