//! `Q6_K`: super-blocks of 256 six-bit quants in 16 sub-blocks of 16; weight `i` of sub-block `g` is
//! `d · scale[g] · (q[i] − 32)`. `d` is a binary16, scales are signed bytes.
//!
//! ```text
//! file    | ql 128 bytes | qh 64 bytes | scales 16 bytes | d f16 | ...     210 bytes per super-block
//! device  | ql of all super-blocks, 32 words each | qh, 16 words each | scales, 4 words each | d, 2 per word | zeros
//! ```
//!
//! Weight `128h + 32j + l` (l < 32): its low four bits are nibble `j / 2` of `ql[64h + 32(j % 2) + l]`, its high two
//! bits are bits 2j and 2j + 1 of `qh[32h + l]`.
//! Reference: `dequantize_row_q6_K` in <https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-quants.c>.

use bytemuck::{Pod, Zeroable};

use crate::{
    Spec,
    blocks::{self, QuantBlock},
    spec::Rounding,
};

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Block {
    /// The low four bits of the quants.
    ql: [u8; 128],
    /// The high two bits of the quants.
    qh: [u8; 64],
    /// The scales of the sub-blocks.
    scales: [i8; 16],
    /// The unit of the scales, binary16.
    d: [u8; 2],
}
const _: () = assert!(size_of::<Block>() == 210);

pub(crate) const SPEC: Spec = Spec {
    name: "Q6_K",
    gguf_type: 14,
    gguf_file_type: 18,
    block_len: Block::LEN,
    block_bytes: size_of::<Block>(),
    unpack_len: 32,
    runs: 2,
    run_step: 64,
    chunks_per_header: 8,
    has_table: false,
    kv_block: None,
    wgsl: "format/q6_k.wgsl",
    decode: blocks::decode::<Block>,
    rounding: Rounding::Search,
    encode: Some(crate::search::q6_k),
    bound_scales: blocks::bound_scales::<Block>,
    row_words: blocks::row_words::<Block>,
    pack_row: blocks::pack_row::<Block>,
    unpack_row: blocks::unpack_row::<Block>,
    decode_row: blocks::decode_row::<Block>,
};

impl QuantBlock for Block {
    const LEN: usize = 256;
    const PLANES: &'static [std::ops::Range<usize>] = &[0..128, 128..192, 192..208, 208..210];

    fn decode(&self, values: &mut [f32]) {
        let d = blocks::half(self.d);
        for (i, value) in values.iter_mut().enumerate() {
            let (h, j, l) = (i / 128, i % 128 / 32, i % 32);
            let low = (self.ql[64 * h + 32 * (j % 2) + l] >> (j / 2 * 4)) & 15;
            let high = (self.qh[32 * h + l] >> (2 * j)) & 3;
            let q = f32::from(low | (high << 4)) - 32.0;
            *value = d * f32::from(self.scales[i / 16]) * q;
        }
    }

    fn bound_scales(&mut self) {
        self.d = blocks::bound_half(self.d, 1.0 / 4096.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::f16;

    #[test]
    fn an_eighth_of_the_bounded_scales_is_subnormal() {
        let subnormal = |bits: u16| {
            let mut block = Block::zeroed();
            block.d = bits.to_le_bytes();
            block.bound_scales();
            f16::from_le_bytes(block.d).classify() == std::num::FpCategory::Subnormal
        };
        let count = (0..=u16::MAX).filter(|&bits| subnormal(bits)).count();
        assert_eq!(count, 65_536 / 8);
    }
}
