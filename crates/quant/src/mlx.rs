//! MLX's affine groups: `GROUP` weights of `BITS` bits with a scale and a bias; weight `i` is `scale · q[i] + bias`.
//!
//! ```text
//! file    | qs, BITS · GROUP / 8 bytes | scale f32 | bias f32 | qs | ...
//! device  | qs of all groups | scale, bias of all groups | zeros
//! ```
//!
//! The quants are a stream of bits, least significant first. MLX stores three tensors (`weight`, `scales`, `biases`)
//! and no blocks: the safetensors reader interleaves them into the file layout above. It widens scales and biases to
//! single precision, because files have them as F16, BF16 or F32. That costs 4 bytes per group more than half precision.
//! Reference: `affine_dequantize` in <https://github.com/ml-explore/mlx/blob/main/mlx/backend/metal/kernels/quantized.h>.

use crate::{
    Spec,
    spec::Rounding,
    words::{pack_bytes, pad_words, unpack_bytes},
};

/// Bytes of a scale and a bias.
const AFFINE: usize = 8;

/// The quantization type of one width and group size.
pub(crate) struct Affine<const BITS: usize, const GROUP: usize>;

impl<const BITS: usize, const GROUP: usize> Affine<BITS, GROUP> {
    /// Bytes of a group's quants.
    const QUANTS: usize = BITS * GROUP / 8;

    const BLOCK: usize = Self::QUANTS + AFFINE;

    const NAMES: [&'static str; 2] = match (BITS, GROUP) {
        (2, 32) => ["MLX2_G32", "format/mlx2_g32.wgsl"],
        (2, 64) => ["MLX2_G64", "format/mlx2_g64.wgsl"],
        (3, 32) => ["MLX3_G32", "format/mlx3_g32.wgsl"],
        (3, 64) => ["MLX3_G64", "format/mlx3_g64.wgsl"],
        (4, 32) => ["MLX4_G32", "format/mlx4_g32.wgsl"],
        (4, 64) => ["MLX4_G64", "format/mlx4_g64.wgsl"],
        (6, 32) => ["MLX6_G32", "format/mlx6_g32.wgsl"],
        (6, 64) => ["MLX6_G64", "format/mlx6_g64.wgsl"],
        (8, 32) => ["MLX8_G32", "format/mlx8_g32.wgsl"],
        (8, 64) => ["MLX8_G64", "format/mlx8_g64.wgsl"],
        _ => panic!("MLX has no such width or group"),
    };

    pub(crate) const SPEC: Spec = Spec {
        name: Self::NAMES[0],
        gguf_type: Spec::NOT_IN_GGUF,
        gguf_file_type: Spec::NOT_IN_GGUF,
        block_len: GROUP,
        block_bytes: Self::BLOCK,
        unpack_len: 32,
        runs: 1,
        run_step: 32,
        chunks_per_header: 1,
        has_table: false,
        kv_block: None,
        wgsl: Self::NAMES[1],
        decode: Self::decode,
        rounding: Rounding::Nearest,
        encode: None,
        bound_scales: Self::bound_scales,
        row_words: Self::row_words,
        pack_row: Self::pack_row,
        unpack_row: Self::unpack_row,
        decode_row: Self::decode_row,
    };

    fn decode(bytes: &[u8], values: &mut [f32]) {
        assert_eq!(bytes.len() / Self::BLOCK * GROUP, values.len(), "the values must fill the blocks");
        for (block, values) in bytes.chunks_exact(Self::BLOCK).zip(values.chunks_exact_mut(GROUP)) {
            let (quants, affine) = block.split_at(Self::QUANTS);
            let (scale, bias) = affine.split_at(AFFINE / 2);
            let (scale, bias) = (single(scale), single(bias));
            for (i, value) in values.iter_mut().enumerate() {
                *value = scale * f32::from(quant(quants, i * BITS, BITS)) + bias;
            }
        }
    }

    /// Sets scales for which the quants span at most 1, and biases of at most 1/2.
    fn bound_scales(bytes: &mut [u8]) {
        let largest = 1.0 / f32::from(1_u16 << BITS);
        for block in bytes.chunks_exact_mut(Self::BLOCK) {
            let (scale, bias) = block[Self::QUANTS..].split_at_mut(AFFINE / 2);
            let fraction = |field: &[u8]| f32::from(i16::from_le_bytes([field[0], field[1]])) / 32768.0;
            let (s, b) = (fraction(scale) * largest, fraction(bias) / 2.0);
            scale.copy_from_slice(&s.to_le_bytes());
            bias.copy_from_slice(&b.to_le_bytes());
        }
    }

    fn row_words(n_cols: usize) -> usize {
        pad_words(n_cols / GROUP * Self::BLOCK / 4)
    }

    fn pack_row(bytes: &[u8], words: &mut [u32]) {
        let blocks = bytes.chunks_exact(Self::BLOCK);
        let planes = blocks.clone().map(|it| &it[..Self::QUANTS]).chain(blocks.map(|it| &it[Self::QUANTS..]));
        pack_bytes(&planes.flatten().copied().collect::<Vec<u8>>(), words);
    }

    fn unpack_row(words: &[u32], bytes: &mut [u8]) {
        let mut planes = vec![0; bytes.len()];
        unpack_bytes(words, &mut planes);
        let (quants, affine) = planes.split_at(bytes.len() / Self::BLOCK * Self::QUANTS);
        let fields = quants.chunks_exact(Self::QUANTS).zip(affine.chunks_exact(AFFINE));
        for (block, (quants, affine)) in bytes.chunks_exact_mut(Self::BLOCK).zip(fields) {
            block[..Self::QUANTS].copy_from_slice(quants);
            block[Self::QUANTS..].copy_from_slice(affine);
        }
    }

    fn decode_row(words: &[u32], values: &mut [f32]) {
        let mut bytes = vec![0; values.len() / GROUP * Self::BLOCK];
        Self::unpack_row(words, &mut bytes);
        Self::decode(&bytes, values);
    }
}

/// The `width` bits (at most eight) of a stream that start at bit `at`.
fn quant(stream: &[u8], at: usize, width: usize) -> u8 {
    let next = stream.get(at / 8 + 1).copied().unwrap_or(0);
    let pair = u16::from_le_bytes([stream[at / 8], next]) >> (at % 8);
    pair.to_le_bytes()[0] & (u8::MAX >> (8 - width))
}

fn single(bytes: &[u8]) -> f32 {
    f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}
