//! One encoder per format: runs the search, quantizes with its scales, and writes the fields in GGUF's order.

use super::{
    ErrorWeighting, QK_K, affine, byte, finite, half_bytes,
    levels::{IntLevels, Iq4Levels, Levels},
    nearest, reciprocal, symmetric,
};

/// Encodes block by block.
fn blocks<const LEN: usize, const BYTES: usize>(
    values: &[f32],
    bytes: &mut [u8],
    encode: impl Fn(&[f32; LEN]) -> [u8; BYTES],
) {
    assert_eq!(values.len() * BYTES, bytes.len() * LEN, "a block is {LEN} weights and {BYTES} bytes");
    for (values, bytes) in values.chunks_exact(LEN).zip(bytes.as_chunks_mut::<BYTES>().0) {
        *bytes = encode(&finite(values));
    }
}

/// A super-block transposed for SIMD: `[i][j]` is value `i` of sub-block `j`.
fn split<const N: usize, const S: usize>(x: &[f32; QK_K]) -> [[f32; S]; N] {
    std::array::from_fn(|i| std::array::from_fn(|j| x[N * j + i]))
}

#[inline(always)]
fn symmetric_codes<L: Levels, const N: usize, const S: usize>(
    x: &[[f32; S]; N],
    found: &symmetric::Scales<S>,
) -> [u8; QK_K] {
    let inverses = found.scales.map(|it| reciprocal(found.d * it));
    let mut codes = [0; QK_K];
    for (i, x) in x.iter().enumerate() {
        for j in 0..S {
            codes[N * j + i] = L::code(x[j] * inverses[j]);
        }
    }
    codes
}

#[inline(always)]
fn affine_codes<const HIGHEST: u8, const N: usize, const S: usize>(
    x: &[[f32; S]; N],
    found: &affine::Scales<S>,
) -> [u8; QK_K] {
    let inverses = found.scales.map(|it| reciprocal(found.d * it));
    let mins = found.mins.map(|it| found.dmin * it);
    let mut codes = [0; QK_K];
    for (i, x) in x.iter().enumerate() {
        for j in 0..S {
            codes[N * j + i] = byte(nearest((x[j] + mins[j]) * inverses[j], 0.0, f32::from(HIGHEST)));
        }
    }
    codes
}

/// The low two bits of each quant: byte `l` of 32 holds quants `l`, `l + 32`, `l + 64`, `l + 96` of 128.
fn two_bits(codes: &[u8; QK_K], out: &mut [u8]) {
    for (out, codes) in out.chunks_exact_mut(32).zip(codes.chunks_exact(128)) {
        for (l, out) in out.iter_mut().enumerate() {
            *out = (0..4).fold(0, |it, j| it | (codes[l + 32 * j] & 3) << (2 * j));
        }
    }
}

/// The low four bits of each quant: byte `l` of `half` holds quants `l` and `l + half` of `2 · half`.
fn four_bits(codes: &[u8], half: usize, out: &mut [u8]) {
    for (out, codes) in out.chunks_exact_mut(half).zip(codes.chunks_exact(2 * half)) {
        for (l, out) in out.iter_mut().enumerate() {
            *out = codes[l] & 15 | codes[l + half] << 4;
        }
    }
}

/// Eight scales and eight minima of six bits in twelve bytes, the inverse of ggml's `get_scale_min_k4`.
/// The first four of each are whole bytes; the top two bits of the last four fill the bits above them.
fn six_bit_pairs(scales: [u8; 8], mins: [u8; 8]) -> [u8; 12] {
    let mut out = [0; 12];
    for j in 0..4 {
        out[j] = scales[j] | (scales[j + 4] >> 4) << 6;
        out[j + 4] = mins[j] | (mins[j + 4] >> 4) << 6;
        out[j + 8] = scales[j + 4] & 15 | mins[j + 4] << 4;
    }
    out
}

/// Values to `Q2_K`: scales and minima 16, quants 64, d, dmin.
pub(crate) fn q2_k(values: &[f32], bytes: &mut [u8]) {
    blocks(values, bytes, |x| {
        let x = split::<16, 16>(x);
        let found = affine::search::<3, 16, 16>(&x, 15.0, ErrorWeighting::Large);
        let mut block = [0; 84];
        for (j, out) in block[..16].iter_mut().enumerate() {
            *out = byte(found.scales[j]) | byte(found.mins[j]) << 4;
        }
        two_bits(&affine_codes::<3, 16, 16>(&x, &found), &mut block[16..80]);
        block[80..82].copy_from_slice(&half_bytes(found.d));
        block[82..].copy_from_slice(&half_bytes(found.dmin));
        block
    });
}

/// Values to `Q3_K`: the third bits 32, the lower two 64, scales 12, d.
pub(crate) fn q3_k(values: &[f32], bytes: &mut [u8]) {
    blocks(values, bytes, |x| {
        let x = split::<16, 16>(x);
        let found = symmetric::search::<IntLevels<4>, 16, 16>(&x, (-32.0, 31.0), ErrorWeighting::Large);
        let codes = symmetric_codes::<IntLevels<4>, 16, 16>(&x, &found);
        let mut block = [0; 110];
        for (l, out) in block[..32].iter_mut().enumerate() {
            *out = (0..8).fold(0, |it, j| it | (codes[l + 32 * j] >> 2) << j);
        }
        two_bits(&codes, &mut block[32..96]);
        let scales = found.scales.map(|it| byte(it + 32.0));
        let out = &mut block[96..108];
        for j in 0..8 {
            out[j] = scales[j] & 15 | scales[j + 8] << 4;
        }
        for j in 0..4 {
            out[8 + j] = (0..4).fold(0, |it, k| it | (scales[j + 4 * k] >> 4) << (2 * k));
        }
        block[108..].copy_from_slice(&half_bytes(found.d));
        block
    });
}

/// Values to `Q4_K`: d, dmin, scales and minima 12, quants 128.
pub(crate) fn q4_k(values: &[f32], bytes: &mut [u8]) {
    blocks(values, bytes, |x| {
        let x = split::<32, 8>(x);
        let found = affine::search::<15, 32, 8>(&x, 63.0, ErrorWeighting::Equal);
        let mut block = [0; 144];
        block[..2].copy_from_slice(&half_bytes(found.d));
        block[2..4].copy_from_slice(&half_bytes(found.dmin));
        block[4..16].copy_from_slice(&six_bit_pairs(found.scales.map(byte), found.mins.map(byte)));
        four_bits(&affine_codes::<15, 32, 8>(&x, &found), 32, &mut block[16..]);
        block
    });
}

/// Values to `Q5_K`: d, dmin, scales and minima 12, the fifth bits 32, the lower four 128.
pub(crate) fn q5_k(values: &[f32], bytes: &mut [u8]) {
    blocks(values, bytes, |x| {
        let x = split::<32, 8>(x);
        let found = affine::search::<31, 32, 8>(&x, 63.0, ErrorWeighting::Equal);
        let codes = affine_codes::<31, 32, 8>(&x, &found);
        let mut block = [0; 176];
        block[..2].copy_from_slice(&half_bytes(found.d));
        block[2..4].copy_from_slice(&half_bytes(found.dmin));
        block[4..16].copy_from_slice(&six_bit_pairs(found.scales.map(byte), found.mins.map(byte)));
        for (l, out) in block[16..48].iter_mut().enumerate() {
            *out = (0..8).fold(0, |it, j| it | (codes[l + 32 * j] >> 4) << j);
        }
        four_bits(&codes, 32, &mut block[48..]);
        block
    });
}

/// Values to `Q6_K`: the lower four bits 128, the upper two 64, scales 16, d.
pub(crate) fn q6_k(values: &[f32], bytes: &mut [u8]) {
    blocks(values, bytes, |x| {
        let x = split::<16, 16>(x);
        let found = symmetric::search::<IntLevels<32>, 16, 16>(&x, (-128.0, 127.0), ErrorWeighting::Equal);
        let codes = symmetric_codes::<IntLevels<32>, 16, 16>(&x, &found);
        let mut block = [0; 210];
        four_bits(&codes, 64, &mut block[..128]);
        two_bits(&codes.map(|it| it >> 4), &mut block[128..192]);
        for (out, scale) in block[192..208].iter_mut().zip(found.scales) {
            *out = byte(if scale < 0.0 { scale + 256.0 } else { scale });
        }
        block[208..].copy_from_slice(&half_bytes(found.d));
        block
    });
}

/// Values to `IQ4_NL`: d, quants 16.
pub(crate) fn iq4_nl(values: &[f32], bytes: &mut [u8]) {
    // The blocks are independent; eight fill the SIMD lanes that sub-blocks fill elsewhere.
    for (values, bytes) in values.chunks(QK_K).zip(bytes.chunks_mut(8 * 18)) {
        let x = split::<32, 8>(&finite(values));
        let scales = symmetric::single::<Iq4Levels, 32, 8>(&x);
        for (j, block) in bytes.as_chunks_mut::<18>().0.iter_mut().enumerate() {
            let inverse = reciprocal(scales[j]);
            block[..2].copy_from_slice(&half_bytes(scales[j]));
            four_bits(&x.map(|x| Iq4Levels::code(x[j] * inverse)), 16, &mut block[2..]);
        }
    }
}

/// Values to `IQ4_XS`: d, upper two bits of the scales 2, lower four 4, quants 128.
pub(crate) fn iq4_xs(values: &[f32], bytes: &mut [u8]) {
    blocks(values, bytes, |x| {
        let x = split::<32, 8>(x);
        let found = symmetric::search::<Iq4Levels, 32, 8>(&x, (-32.0, 31.0), ErrorWeighting::Equal);
        let scales = found.scales.map(|it| byte(it + 32.0));
        let upper = (0..8).fold(0, |it, j| it | u16::from(scales[j] >> 4) << (2 * j));
        let mut block = [0; 136];
        block[..2].copy_from_slice(&half_bytes(found.d));
        block[2..4].copy_from_slice(&upper.to_le_bytes());
        for (out, pair) in block[4..8].iter_mut().zip(scales.chunks_exact(2)) {
            *out = pair[0] & 15 | pair[1] << 4;
        }
        four_bits(&symmetric_codes::<Iq4Levels, 32, 8>(&x, &found), 16, &mut block[8..]);
        block
    });
}
