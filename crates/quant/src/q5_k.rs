//! `Q5_K`: super-blocks of 256 five-bit quants in 8 sub-blocks of 32; weight `i` of sub-block `g` is
//! `d · scale[g] · q[i] − dmin · min[g]`. `d` and `dmin` are binary16, scales and minima six bits each.
//!
//! ```text
//! file and device  | d f16 | dmin f16 | scales 12 bytes | qh 32 bytes | qs 128 bytes | ...     176 = 11 × 16 bytes
//! ```
//!
//! Scales and minima are packed as in `q4_k.rs`. The low four bits of weight `64j + l` (l < 32) are the low nibble of
//! `qs[32j + l]`, those of weight `64j + 32 + l` its high nibble. Bit `g` of `qh[l]` is the fifth bit of weight
//! `32g + l`.
//! Reference: `dequantize_row_q5_K` in <https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-quants.c>.

use bytemuck::{Pod, Zeroable};

use crate::{
    Spec,
    blocks::{self, QuantBlock},
    q4_k::scale_and_min,
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
    /// The fifth bits.
    qh: [u8; 32],
    /// The low four bits.
    qs: [u8; 128],
}
const _: () = assert!(size_of::<Block>() == 176);

pub(crate) const SPEC: Spec = Spec {
    name: "Q5_K",
    gguf_type: 13,
    gguf_file_type: 16,
    block_len: Block::LEN,
    block_bytes: size_of::<Block>(),
    unpack_len: 32,
    runs: 2,
    run_step: 32,
    chunks_per_header: 8,
    has_table: false,
    kv_block: None,
    wgsl: "format/q5_k.wgsl",
    decode: blocks::decode::<Block>,
    rounding: Rounding::Search,
    encode: Some(crate::search::q5_k),
    bound_scales: blocks::bound_scales::<Block>,
    row_words: blocks::row_words::<Block>,
    pack_row: blocks::pack_row::<Block>,
    unpack_row: blocks::unpack_row::<Block>,
    decode_row: blocks::decode_row::<Block>,
};

impl QuantBlock for Block {
    const LEN: usize = 256;
    const PLANES: &'static [std::ops::Range<usize>] = &[std::ops::Range { start: 0, end: size_of::<Self>() }];

    fn decode(&self, values: &mut [f32]) {
        let (d, dmin) = (blocks::half(self.d), blocks::half(self.dmin));
        for (g, values) in values.chunks_exact_mut(32).enumerate() {
            let (scale, min) = scale_and_min(self.scales, g);
            let (scale, min) = (d * f32::from(scale), dmin * f32::from(min));
            for ((value, low), high) in values.iter_mut().zip(&self.qs[g / 2 * 32..]).zip(self.qh) {
                let q = ((low >> (g % 2 * 4)) & 15) | (((high >> g) & 1) << 4);
                *value = scale * f32::from(q) - min;
            }
        }
    }

    fn bound_scales(&mut self) {
        self.d = blocks::bound_half(self.d, 1.0 / 1953.0);
        self.dmin = blocks::bound_half(self.dmin, 1.0 / 63.0);
    }
}
