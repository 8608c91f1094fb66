//! `Q3_K`: super-blocks of 256 three-bit quants in 16 sub-blocks of 16; weight `i` of sub-block `g` is
//! `d · (scale[g] − 32) · (q[i] − 4)`. `d` is a binary16, scales are six bits each.
//!
//! ```text
//! file    | hmask 32 bytes | qs 64 bytes | scales 12 bytes | d f16 | ...     110 bytes per super-block
//! device  | hmask of all super-blocks, 8 words each | qs, 16 words each | scales, 3 words each | d, 2 per word | zeros
//! ```
//!
//! Weight `128h + 32j + l` (l < 32): its low two bits are bits 2j and 2j + 1 of `qs[32h + l]`, its high bit is bit
//! `4h + j` of `hmask[l]`.
//! Scale `g`: its low four bits are nibble `g / 8` of `scales[g % 8]`, its high two bits are bits `2(g / 4)` and up of
//! `scales[8 + g % 4]`.
//! Reference: `dequantize_row_q3_K` in <https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-quants.c>.

use bytemuck::{Pod, Zeroable};

use crate::{
    Spec,
    blocks::{self, QuantBlock},
    spec::Rounding,
};

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Block {
    /// The high bits of the quants.
    hmask: [u8; 32],
    /// The low two bits of the quants.
    qs: [u8; 64],
    /// The scales of the sub-blocks, six bits each.
    scales: [u8; 12],
    /// The unit of the scales, binary16.
    d: [u8; 2],
}
const _: () = assert!(size_of::<Block>() == 110);

pub(crate) const SPEC: Spec = Spec {
    name: "Q3_K",
    gguf_type: 11,
    gguf_file_type: 11,
    block_len: Block::LEN,
    block_bytes: size_of::<Block>(),
    unpack_len: 32,
    runs: 2,
    run_step: 32,
    chunks_per_header: 8,
    has_table: false,
    kv_block: None,
    wgsl: "format/q3_k.wgsl",
    decode: blocks::decode::<Block>,
    rounding: Rounding::Search,
    encode: Some(crate::search::q3_k),
    bound_scales: blocks::bound_scales::<Block>,
    row_words: blocks::row_words::<Block>,
    pack_row: blocks::pack_row::<Block>,
    unpack_row: blocks::unpack_row::<Block>,
    decode_row: blocks::decode_row::<Block>,
};

/// Scale `g` of a super-block, from -32 to 31.
fn scale(scales: [u8; 12], g: usize) -> i8 {
    let low = (scales[g % 8] >> (g / 8 * 4)) & 15;
    let high = (scales[8 + g % 4] >> (g / 4 * 2)) & 3;
    (low | (high << 4)).cast_signed() - 32
}

impl QuantBlock for Block {
    const LEN: usize = 256;
    const PLANES: &'static [std::ops::Range<usize>] = &[0..32, 32..96, 96..108, 108..110];

    fn decode(&self, values: &mut [f32]) {
        let d = blocks::half(self.d);
        for (i, value) in values.iter_mut().enumerate() {
            let low = (self.qs[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3;
            let high = (self.hmask[i % 32] >> (i / 32)) & 1;
            let q = f32::from(low | (high << 2)) - 4.0;
            *value = d * f32::from(scale(self.scales, i / 16)) * q;
        }
    }

    fn bound_scales(&mut self) {
        self.d = blocks::bound_half(self.d, 1.0 / 128.0);
    }
}
