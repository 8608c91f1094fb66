//! `IQ4_XS`: super-blocks of 256 four-bit indices into the table of `iq4_nl.rs`, in 8 sub-blocks of 32; weight `i` of
//! sub-block `g` is `d · (scale[g] − 32) · table[q[i]]`. `d` is a binary16, scales are six bits each.
//!
//! ```text
//! file    | d f16 | scales_h 2 bytes | scales_l 4 bytes | qs 128 bytes | ...     136 bytes per super-block
//! device  | qs of all super-blocks, 32 words each | d, scales_h and scales_l, 2 words each | zeros
//! ```
//!
//! Nibble `g` of `scales_l` holds the low four bits of scale `g`, bits 2g and 2g + 1 of `scales_h` the high two.
//! Byte `16g + j` of `qs` holds weight `32g + j` in its low nibble and weight `32g + j + 16` in its high nibble.
//! Reference: `dequantize_row_iq4_xs` in <https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-quants.c>.

use bytemuck::{Pod, Zeroable};

use crate::{
    Spec,
    blocks::{self, QuantBlock, Nibbles},
    iq4_nl::TABLE,
    spec::Rounding,
};

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Block {
    /// The unit of the scales, binary16.
    d: [u8; 2],
    /// The high two bits of the scales.
    scales_h: [u8; 2],
    /// The low four bits of the scales.
    scales_l: [u8; 4],
    /// The indices.
    qs: [Nibbles; 8],
}
const _: () = assert!(size_of::<Block>() == 136);

pub(crate) const SPEC: Spec = Spec {
    name: "IQ4_XS",
    gguf_type: 23,
    gguf_file_type: 30,
    block_len: Block::LEN,
    block_bytes: size_of::<Block>(),
    unpack_len: 32,
    runs: 1,
    run_step: 32,
    chunks_per_header: 1,
    has_table: true,
    kv_block: None,
    wgsl: "format/iq4_xs.wgsl",
    decode: blocks::decode::<Block>,
    rounding: Rounding::Search,
    encode: Some(crate::search::iq4_xs),
    bound_scales: blocks::bound_scales::<Block>,
    row_words: blocks::row_words::<Block>,
    pack_row: blocks::pack_row::<Block>,
    unpack_row: blocks::unpack_row::<Block>,
    decode_row: blocks::decode_row::<Block>,
};

impl QuantBlock for Block {
    const LEN: usize = 256;
    const PLANES: &'static [std::ops::Range<usize>] = &[8..136, 0..8];

    fn decode(&self, values: &mut [f32]) {
        let d = blocks::half(self.d);
        for (g, (values, qs)) in values.chunks_exact_mut(32).zip(&self.qs).enumerate() {
            let low = (self.scales_l[g / 2] >> (g % 2 * 4)) & 15;
            let high = (self.scales_h[g / 4] >> (g % 4 * 2)) & 3;
            let scale = d * (f32::from(low | (high << 4)) - 32.0);
            for (value, q) in values.iter_mut().zip(blocks::nibbles(qs)) {
                *value = scale * f32::from(TABLE[usize::from(q)]);
            }
        }
    }

    fn bound_scales(&mut self) {
        self.d = blocks::bound_half(self.d, 1.0 / 4064.0);
    }
}
