//! `Q4_1`: blocks of 32 four-bit numbers with a binary16 scale and minimum; weight `i` is `d · q[i] + m`.
//!
//! ```text
//! file    | d f16 | m f16 | qs 16 bytes | d | m | qs | ...     20 bytes per block
//! device  | qs of all blocks, 4 words each | d and m of all blocks, 1 word each | zeros
//! ```
//!
//! Byte `j` of `qs` holds weight `j` in its low nibble and weight `j + 16` in its high nibble.
//! Reference: `quantize_row_q4_1_ref` in <https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-quants.c>.

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
    /// The quants.
    qs: Nibbles,
}
const _: () = assert!(size_of::<Block>() == 20);

pub(crate) const SPEC: Spec = Spec {
    name: "Q4_1",
    gguf_type: 3,
    gguf_file_type: 3,
    block_len: Block::LEN,
    block_bytes: size_of::<Block>(),
    unpack_len: 32,
    runs: 1,
    run_step: 32,
    chunks_per_header: 1,
    has_table: false,
    kv_block: None,
    wgsl: "format/q4_1.wgsl",
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
    const PLANES: &'static [std::ops::Range<usize>] = &[4..20, 0..4];

    fn decode(&self, values: &mut [f32]) {
        let (d, m) = (blocks::half(self.d), blocks::half(self.m));
        for (value, q) in values.iter_mut().zip(blocks::nibbles(&self.qs)) {
            *value = d * f32::from(q) + m;
        }
    }

    fn bound_scales(&mut self) {
        self.d = blocks::bound_half(self.d, 0.125);
        self.m = blocks::bound_half(self.m, 1.0);
    }
}

impl RoundBlock for Block {
    fn encode(values: &[f32]) -> Self {
        let (least, greatest) = blocks::min_max(values);
        let d = (greatest - least) / 15.0;
        let inverse = blocks::inverse(d);
        let quants = std::array::from_fn(|i| blocks::level((values[i] - least) * inverse, 0.5, 15));
        Self { d: blocks::to_half(d), m: blocks::to_half(least), qs: blocks::to_nibbles(quants) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_value_is_the_minimum_and_constant_blocks_have_no_scale() {
        let values: [f32; 32] = std::array::from_fn(|i| i as f32 / 2.0 % 7.5 - 1.0);
        let block = Block::encode(&values);
        assert_eq!((blocks::half(block.d), blocks::half(block.m)), (blocks::half(blocks::to_half(7.0 / 15.0)), -1.0));
        let block = Block::encode(&[3.0; 32]);
        let mut again = [f32::NAN; 32];
        block.decode(&mut again);
        assert_eq!((again, block.qs), ([3.0; 32], [0; 16]));
    }
}
