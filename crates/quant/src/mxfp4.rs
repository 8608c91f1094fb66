//! `MXFP4`: blocks of 32 E2M1 floats (sign, two exponent bits, one mantissa bit) with an E8M0 scale; weight `i` is `2^(e − 127) · float[q[i]]`.
//!
//! ```text
//! file    | e (1 byte) | qs 16 bytes | e | qs | ...     17 bytes per block
//! device  | qs of all blocks, 4 words each | e of all blocks, 4 per word | zeros
//! ```
//!
//! Byte `j` of `qs` holds weight `j` in its low nibble and weight `j + 16` in its high nibble. As in ggml, the
//! table holds twice the floats, which are integers, and the scale is halved.
//! Format: OCP Microscaling 1.0, <https://www.opencompute.org/documents/ocp-microscaling-formats-mx-v1-0-spec-final-pdf>.
//! Reference: `quantize_row_mxfp4_ref` in <https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-quants.c>.

use bytemuck::{Pod, Zeroable};

use crate::{
    Spec,
    blocks::{self, QuantBlock, RoundBlock, Nibbles},
    spec::Rounding,
};

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Block {
    /// The biased exponent of the scale.
    e: u8,
    /// The floats.
    qs: Nibbles,
}
const _: () = assert!(size_of::<Block>() == 17);

pub(crate) const SPEC: Spec = Spec {
    name: "MXFP4",
    gguf_type: 39,
    gguf_file_type: 38,
    block_len: Block::LEN,
    block_bytes: size_of::<Block>(),
    unpack_len: 32,
    runs: 1,
    run_step: 32,
    chunks_per_header: 1,
    has_table: true,
    kv_block: None,
    wgsl: "format/mxfp4.wgsl",
    decode: blocks::decode::<Block>,
    rounding: Rounding::Nearest,
    encode: Some(blocks::encode::<Block>),
    bound_scales: blocks::bound_scales::<Block>,
    row_words: blocks::row_words::<Block>,
    pack_row: blocks::pack_row::<Block>,
    unpack_row: blocks::unpack_row::<Block>,
    decode_row: blocks::decode_row::<Block>,
};

/// Twice the floats, `kvalues_mxfp4` of ggml-common.h.
const TABLE: [f32; 16] =
    [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 0.0, -1.0, -2.0, -3.0, -4.0, -6.0, -8.0, -12.0];

/// `2^(e − 128)`, exactly; the two smallest are subnormal. As in ggml, `e = 255` is no NaN.
fn half_scale(e: u8) -> f32 {
    f32::from_bits(match e {
        0 | 1 => 0x0020_0000 << e,
        _ => u32::from(e - 1) << 23,
    })
}

/// The exponent for a block whose largest absolute value is `largest`; the largest float is 6 = 1.5 · 2².
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast must saturate")]
fn exponent(largest: f32) -> u8 {
    if largest > 0.0 { (largest.log2().floor() + 125.0) as u8 } else { 0 }
}

/// The midpoints of the nonnegative table entries. Multiplying one by a power of two is exact.
const BORDERS: [f32; 7] = [0.5, 1.5, 2.5, 3.5, 5.0, 7.0, 10.0];

/// The index of the nearest entry, the smaller one on a tie. Minus zero is never stored.
fn nearest(value: f32, scale: f32) -> u8 {
    let size = value.abs();
    let index = BORDERS.iter().fold(0, |index, border| index + u8::from(size > border * scale));
    let sign = u8::from(value < 0.0 && index > 0);
    index | sign << 3
}

impl QuantBlock for Block {
    const LEN: usize = 32;
    const PLANES: &'static [std::ops::Range<usize>] = &[1..17, 0..1];

    fn decode(&self, values: &mut [f32]) {
        let scale = half_scale(self.e);
        for (value, q) in values.iter_mut().zip(blocks::nibbles(&self.qs)) {
            *value = TABLE[usize::from(q)] * scale;
        }
    }

    fn bound_scales(&mut self) {
        self.e = 117 + self.e % 8;
    }
}

impl RoundBlock for Block {
    fn encode(values: &[f32]) -> Self {
        let e = exponent(blocks::amax(values));
        let scale = half_scale(e);
        Self { e, qs: blocks::to_nibbles(std::array::from_fn(|i| nearest(values[i], scale))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_exact_powers_of_two_at_both_ends() {
        assert_eq!(half_scale(128), 1.0);
        assert_eq!(half_scale(2), f32::MIN_POSITIVE);
        assert_eq!((half_scale(1), half_scale(0)), (f32::MIN_POSITIVE / 2.0, f32::MIN_POSITIVE / 4.0));
        assert_eq!(half_scale(255), 2.0_f32.powi(127));
        assert!((1..=255).all(|e| half_scale(e) == 2.0 * half_scale(e - 1)));
    }

    #[test]
    fn no_other_index_is_nearer() {
        for e in [0, 1, 2, 127, 250] {
            let scale = half_scale(e);
            for i in -448..=448_i16 {
                let value = f32::from(i) / 32.0 * scale;
                let error = |index: usize| (TABLE[index] * scale - value).abs();
                let first = (0..16).fold(0, |best, index| if error(index) < error(best) { index } else { best });
                assert_eq!(usize::from(nearest(value, scale)), first, "{value} in units of {scale}");
            }
        }
        assert_eq!((nearest(-0.5, 1.0), nearest(f32::NAN, 1.0)), (0, 0));
    }

    #[test]
    fn representable_values_come_back() {
        let values: [f32; 32] = std::array::from_fn(|i| TABLE[i % 16] / 8.0);
        let block = Block::encode(&values);
        let mut again = [f32::NAN; 32];
        block.decode(&mut again);
        assert_eq!(again, values);
        assert_eq!(Block::encode(&[0.0; 32]).qs, [0; 16]);
    }
}
