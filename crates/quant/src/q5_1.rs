//! `Q5_1`: blocks of 32 five-bit numbers with a binary16 scale and minimum; weight `i` is `d · q[i] + m`.
//!
//! ```text
//! file    | d f16 | m f16 | qh 4 bytes | qs 16 bytes | ...     24 bytes per block
//! device  | qs of all blocks, 4 words each | d, m and qh of all blocks, 2 words each | zeros
//! ```
//!
//! Byte `j` of `qs` holds the low four bits of weight `j` in its low nibble and those of weight `j + 16` in its high
//! one. Bit `i` of `qh` is the fifth bit of weight `i`.
//! Reference: `quantize_row_q5_1_ref` in <https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-quants.c>.

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
    /// The minimum, binary16.
    m: [u8; 2],
    /// The fifth bits.
    qh: [u8; 4],
    /// The low four bits.
    qs: Nibbles,
}
const _: () = assert!(size_of::<Block>() == 24);

pub(crate) const SPEC: Spec = Spec {
    name: "Q5_1",
    gguf_type: 7,
    gguf_file_type: 9,
    block_len: Block::LEN,
    block_bytes: size_of::<Block>(),
    unpack_len: 32,
    runs: 1,
    run_step: 32,
    chunks_per_header: 1,
    has_table: false,
    kv_block: None,
    wgsl: "format/q5_1.wgsl",
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
    const PLANES: &'static [std::ops::Range<usize>] = &[8..24, 0..8];

    fn decode(&self, values: &mut [f32]) {
        let (d, m) = (blocks::half(self.d), blocks::half(self.m));
        for (value, q) in values.iter_mut().zip(blocks::five_bits(&self.qs, self.qh)) {
            *value = d * f32::from(q) + m;
        }
    }

    fn bound_scales(&mut self) {
        self.d = blocks::bound_half(self.d, 0.0625);
        self.m = blocks::bound_half(self.m, 1.0);
    }
}

impl RoundBlock for Block {
    fn encode(values: &[f32]) -> Self {
        let (least, greatest) = blocks::min_max(values);
        let d = (greatest - least) / 31.0;
        let inverse = blocks::inverse(d);
        let quants = std::array::from_fn(|i| blocks::level((values[i] - least) * inverse, 0.5, 31));
        let (d, m) = (blocks::to_half(d), blocks::to_half(least));
        Self { d, m, qh: blocks::fifth_bits(quants), qs: blocks::to_nibbles(quants) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_is_reached() {
        let values: [f32; 32] = std::array::from_fn(|i| 2.0 * i as f32 - 5.0);
        let block = Block::encode(&values);
        assert_eq!((blocks::half(block.d), blocks::half(block.m)), (2.0, -5.0));
        let mut again = [f32::NAN; 32];
        block.decode(&mut again);
        assert_eq!(again, values);
    }
}
