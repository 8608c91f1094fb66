//! `IQ4_NL`: blocks of 32 four-bit indices into a fixed table of 16 unevenly spaced numbers, with one binary16
//! scale; weight `i` is `d · table[q[i]]`.
//!
//! ```text
//! file    | d f16 (2 bytes) | qs 16 bytes | d | qs | ...     18 bytes per block
//! device  | qs of all blocks, 4 words each | d of all blocks, 2 per word | zeros
//! ```
//!
//! Byte `j` of `qs` holds weight `j` in its low nibble and weight `j + 16` in its high nibble.
//! Reference: `dequantize_row_iq4_nl` in <https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-quants.c>.

use bytemuck::{Pod, Zeroable};

use crate::{
    Spec,
    blocks::{self, QuantBlock, Nibbles},
    spec::Rounding,
};

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Block {
    /// The scale, binary16.
    d: [u8; 2],
    /// The indices.
    qs: Nibbles,
}
const _: () = assert!(size_of::<Block>() == 18);

pub(crate) const SPEC: Spec = Spec {
    name: "IQ4_NL",
    gguf_type: 20,
    gguf_file_type: 25,
    block_len: Block::LEN,
    block_bytes: size_of::<Block>(),
    unpack_len: 32,
    runs: 1,
    run_step: 32,
    chunks_per_header: 1,
    has_table: true,
    kv_block: None,
    wgsl: "format/iq4_nl.wgsl",
    decode: blocks::decode::<Block>,
    rounding: Rounding::Search,
    encode: Some(crate::search::iq4_nl),
    bound_scales: blocks::bound_scales::<Block>,
    row_words: blocks::row_words::<Block>,
    pack_row: blocks::pack_row::<Block>,
    unpack_row: blocks::unpack_row::<Block>,
    decode_row: blocks::decode_row::<Block>,
};

/// The levels: `kvalues_iq4nl` of
/// <https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-common.h>.
pub(crate) const TABLE: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

impl QuantBlock for Block {
    const LEN: usize = 32;
    const PLANES: &'static [std::ops::Range<usize>] = &[2..18, 0..2];

    fn decode(&self, values: &mut [f32]) {
        let d = blocks::half(self.d);
        for (value, q) in values.iter_mut().zip(blocks::nibbles(&self.qs)) {
            *value = d * f32::from(TABLE[usize::from(q)]);
        }
    }

    fn bound_scales(&mut self) {
        self.d = blocks::bound_half(self.d, 1.0 / 127.0);
    }
}
