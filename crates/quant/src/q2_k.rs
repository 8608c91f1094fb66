//! `Q2_K`: super-blocks of 256 two-bit quants in 16 sub-blocks of 16; weight `i` of sub-block `g` is
//! `d · scale[g] · q[i] − dmin · min[g]`. `d` and `dmin` are binary16, scales and minima four bits each.
//!
//! ```text
//! file    | scales 16 bytes | qs 64 bytes | d f16 | dmin f16 | ...     84 bytes per super-block
//! device  | qs of all super-blocks, 16 words each | scales, 4 words each | d and dmin, 1 word each | zeros
//! ```
//!
//! The low nibble of `scales[g]` is the scale, the high nibble the minimum. Weight `128h + 32j + l` (l < 32) is in
//! bits 2j and 2j + 1 of byte `32h + l`.
//! Reference: `dequantize_row_q2_K` in <https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-quants.c>.

use bytemuck::{Pod, Zeroable};

use crate::{
    Spec,
    blocks::{self, QuantBlock},
    spec::Rounding,
};

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Block {
    /// Scales and minima of the sub-blocks.
    scales: [u8; 16],
    /// The quants.
    qs: [u8; 64],
    /// The unit of the scales, binary16.
    d: [u8; 2],
    /// The unit of the minima, binary16.
    dmin: [u8; 2],
}
const _: () = assert!(size_of::<Block>() == 84);

pub(crate) const SPEC: Spec = Spec {
    name: "Q2_K",
    gguf_type: 10,
    gguf_file_type: 10,
    block_len: Block::LEN,
    block_bytes: size_of::<Block>(),
    unpack_len: 32,
    runs: 2,
    run_step: 32,
    chunks_per_header: 8,
    has_table: false,
    kv_block: None,
    wgsl: "format/q2_k.wgsl",
    decode: blocks::decode::<Block>,
    rounding: Rounding::Search,
    encode: Some(crate::search::q2_k),
    bound_scales: blocks::bound_scales::<Block>,
    row_words: blocks::row_words::<Block>,
    pack_row: blocks::pack_row::<Block>,
    unpack_row: blocks::unpack_row::<Block>,
    decode_row: blocks::decode_row::<Block>,
};

impl QuantBlock for Block {
    const LEN: usize = 256;
    const PLANES: &'static [std::ops::Range<usize>] = &[16..80, 0..16, 80..84];

    fn decode(&self, values: &mut [f32]) {
        let (d, dmin) = (blocks::half(self.d), blocks::half(self.dmin));
        for (i, value) in values.iter_mut().enumerate() {
            let scale = self.scales[i / 16];
            let q = (self.qs[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3;
            *value = d * f32::from(scale & 15) * f32::from(q) - dmin * f32::from(scale >> 4);
        }
    }

    fn bound_scales(&mut self) {
        self.d = blocks::bound_half(self.d, 1.0 / 45.0);
        self.dmin = blocks::bound_half(self.dmin, 1.0 / 15.0);
    }
}
