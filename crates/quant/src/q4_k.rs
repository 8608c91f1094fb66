//! `Q4_K`: super-blocks of 256 four-bit quants in 8 sub-blocks of 32; weight `i` of sub-block `g` is
//! `d · scale[g] · q[i] − dmin · min[g]`. `d` and `dmin` are binary16, scales and minima six bits each.
//!
//! ```text
//! file and device  | d f16 | dmin f16 | scales 12 bytes | qs 128 bytes | ...     144 bytes = 9 × 16 per super-block
//! ```
//!
//! Scale and minimum of sub-block `g` < 4 are the low six bits of `scales[g]` and `scales[g + 4]`.
//! Those of `g` ≥ 4 have their low four bits in the low and the high nibble of `scales[g + 4]`. Their high two bits
//! are the top bits of `scales[g − 4]` and `scales[g]`.
//! Weight `64j + l` (l < 32) is in the low nibble of `qs[32j + l]`, weight `64j + 32 + l` in its high nibble.
//! Reference: `dequantize_row_q4_K` in <https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-quants.c>.

use bytemuck::{Pod, Zeroable};

use crate::{
    Spec,
    blocks::{self, QuantBlock},
    spec::Rounding,
};

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Block {
    /// The unit of the scales, binary16.
    d: [u8; 2],
    /// The unit of the minima, binary16.
    dmin: [u8; 2],
    /// Scales and minima of the sub-blocks, six bits each.
    scales: [u8; 12],
    /// The quants.
    qs: [u8; 128],
}
const _: () = assert!(size_of::<Block>() == 144);

pub(crate) const SPEC: Spec = Spec {
    name: "Q4_K",
    gguf_type: 12,
    gguf_file_type: 14,
    block_len: Block::LEN,
    block_bytes: size_of::<Block>(),
    unpack_len: 32,
    runs: 2,
    run_step: 32,
    chunks_per_header: 8,
    has_table: false,
    kv_block: None,
    wgsl: "format/q4_k.wgsl",
    decode: blocks::decode::<Block>,
    rounding: Rounding::Search,
    encode: Some(crate::search::q4_k),
    bound_scales: blocks::bound_scales::<Block>,
    row_words: blocks::row_words::<Block>,
    pack_row: blocks::pack_row::<Block>,
    unpack_row: blocks::unpack_row::<Block>,
    decode_row: blocks::decode_row::<Block>,
};

/// Scale and minimum of sub-block `g` (ggml's `get_scale_min_k4`), for `Q4_K` and `Q5_K`.
pub(crate) fn scale_and_min(scales: [u8; 12], g: usize) -> (u8, u8) {
    if g < 4 {
        (scales[g] & 63, scales[g + 4] & 63)
    } else {
        let both = scales[g + 4];
        ((both & 15) | (scales[g - 4] >> 6 << 4), (both >> 4) | (scales[g] >> 6 << 4))
    }
}

impl QuantBlock for Block {
    const LEN: usize = 256;
    const PLANES: &'static [std::ops::Range<usize>] = &[std::ops::Range { start: 0, end: size_of::<Self>() }];

    fn decode(&self, values: &mut [f32]) {
        let (d, dmin) = (blocks::half(self.d), blocks::half(self.dmin));
        for (g, values) in values.chunks_exact_mut(32).enumerate() {
            let (scale, min) = scale_and_min(self.scales, g);
            let (scale, min) = (d * f32::from(scale), dmin * f32::from(min));
            for (value, byte) in values.iter_mut().zip(&self.qs[g / 2 * 32..]) {
                *value = scale * f32::from((byte >> (g % 2 * 4)) & 15) - min;
            }
        }
    }

    fn bound_scales(&mut self) {
        self.d = blocks::bound_half(self.d, 1.0 / 945.0);
        self.dmin = blocks::bound_half(self.dmin, 1.0 / 63.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_and_minima_are_six_bits_each() {
        // Scales 1, 2, ..., 8 and minima 63, 62, ..., 56.
        let low = |top: u8, value: u8| (top << 6) | value;
        let mut packed = [0; 12];
        for g in 0..4_u8 {
            let (scale, min) = (g + 5, 59 - g);
            packed[usize::from(g)] = low(scale >> 4, g + 1);
            packed[usize::from(g) + 4] = low(min >> 4, 63 - g);
            packed[usize::from(g) + 8] = (scale & 15) | (min << 4);
        }
        for g in 0..8_u8 {
            assert_eq!(scale_and_min(packed, usize::from(g)), (g + 1, 63 - g));
        }
    }
}
