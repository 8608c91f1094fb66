//! `Q4_0`: blocks of 32 four-bit numbers with one binary16 scale; weight `i` is `d · (q[i] − 8)`.
//!
//! ```text
//! file    | d f16 (2 bytes) | qs 16 bytes | d | qs | ...     18 bytes per block
//! device  | qs of all blocks, 4 words each | d of all blocks, 2 per word | zeros
//! ```
//!
//! Byte `j` of `qs` holds weight `j` in its low nibble and weight `j + 16` in its high nibble. On the
//! device, the quants of a block are one 16-byte load.
//! Reference: `quantize_row_q4_0_ref` in <https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-quants.c>.

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
    /// The quants, biased by 8.
    qs: Nibbles,
}
const _: () = assert!(size_of::<Block>() == 18);

pub(crate) const SPEC: Spec = Spec {
    name: "Q4_0",
    gguf_type: 2,
    gguf_file_type: 2,
    block_len: Block::LEN,
    block_bytes: size_of::<Block>(),
    unpack_len: 32,
    runs: 1,
    run_step: 32,
    chunks_per_header: 1,
    has_table: false,
    kv_block: Some(32),
    wgsl: "format/q4_0.wgsl",
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
    const PLANES: &'static [std::ops::Range<usize>] = &[2..18, 0..2];

    fn decode(&self, values: &mut [f32]) {
        let d = blocks::half(self.d);
        for (value, q) in values.iter_mut().zip(blocks::nibbles(&self.qs)) {
            *value = d * (f32::from(q) - 8.0);
        }
    }

    fn bound_scales(&mut self) {
        self.d = blocks::bound_half(self.d, 0.125);
    }
}

impl RoundBlock for Block {
    fn encode(values: &[f32]) -> Self {
        // The value farthest from zero becomes -8, the only level without a positive counterpart.
        let d = blocks::signed_amax(values) / -8.0;
        // Like the reference, divide by the scale before it is rounded to binary16.
        let inverse = blocks::inverse(d);
        let quants = std::array::from_fn(|i| blocks::level(values[i] * inverse, 8.5, 15));
        Self { d: blocks::to_half(d), qs: blocks::to_nibbles(quants) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_farthest_value_takes_the_quant_minus_eight() {
        let mut values = [0.0; 32];
        (values[3], values[20]) = (-4.0, 3.5);
        let block = Block::encode(&values);
        assert_eq!(blocks::half(block.d), 0.5);
        assert_eq!((block.qs[3], block.qs[4]), (0x80, 0xf8));
        let mut again = [f32::NAN; 32];
        block.decode(&mut again);
        assert_eq!(again, values);
    }
}
