//! The traffic that kernels declare for weights and cache rows equals the size of the quantization type, to the byte.

use ridgeline_compute::{Caps, Kernel};
use ridgeline_kernels::{dequantize, embed, kv_append, mat_mul, mat_mul_coop, mat_vec, mat_vec_rows, stride};
use ridgeline_quant::Format;

/// Bytes of 256 weights, by GGUF name, from the block sizes of ggml. They are written out here, independent of the code
/// under test. So is the rule for MLX's affine groups below.
const BYTES_OF_256: [(&str, u64); 16] = [
    ("F32", 1024),
    ("F16", 512),
    ("BF16", 512),
    ("Q8_0", 272),
    ("Q4_0", 144),
    ("Q4_1", 160),
    ("Q5_0", 176),
    ("Q5_1", 192),
    ("Q2_K", 84),
    ("Q3_K", 110),
    ("Q4_K", 144),
    ("Q5_K", 176),
    ("Q6_K", 210),
    ("IQ4_NL", 144),
    ("IQ4_XS", 136),
    ("MXFP4", 136),
];

const ROWS: u32 = 7;
const COLS: u32 = 768;

fn table(format: Format) -> u64 {
    let name = format.spec().name;
    let row = BYTES_OF_256.iter().find(|row| row.0 == name).map(|row| row.1);
    let bytes =
        row.or_else(|| affine(name)).unwrap_or_else(|| panic!("{name} is not in BYTES_OF_256: add it"));
    bytes * u64::from(COLS / 256)
}

/// 256 quants of `MLX<bits>_G<group>`, and a scale and a bias in single precision per group.
fn affine(name: &str) -> Option<u64> {
    let (bits, group) = name.strip_prefix("MLX")?.split_once("_G")?;
    Some(32 * bits.parse::<u64>().ok()? + 256 / group.parse::<u64>().ok()? * 8)
}

#[test]
fn linear_and_embed_traffic_is_exactly_the_bytes_of_the_type() {
    let caps = Caps::everything();
    for &format in Format::ALL {
        let (n_rows, n_cols, ld, row0) = (ROWS, COLS, ROWS, 0);
        let stride = stride(format, COLS as usize);
        let rows = u64::from(ROWS) * table(format);
        for k in mat_vec::MatVec::all(&caps).into_iter().filter(|k| k.format == format) {
            let p = mat_vec::Params { n_rows, n_cols, n_vecs: 2, stride, ld, row0, epilogue: 0 };
            assert_eq!(k.traffic(&p).weights, rows, "{k:?}");
        }
        for k in mat_vec_rows::MatVecRows::all(&caps).into_iter().filter(|k| k.format == format) {
            let p = mat_vec_rows::Params { n_rows, n_cols, n_vecs: 2, stride, ld, row0, epilogue: 0 };
            assert_eq!(k.traffic(&p).weights, rows, "{k:?}");
        }
        for k in mat_mul::MatMul::all(&caps).into_iter().filter(|k| k.format == format) {
            let p = mat_mul::Params { n_rows, n_cols, n_vecs: 40, stride, ld, row0, epilogue: 0 };
            assert_eq!(k.traffic(&p).weights, rows, "{k:?}");
        }
        for k in mat_mul_coop::MatMulCoop::all(&caps).into_iter().filter(|k| k.format == format) {
            let p = mat_mul_coop::Params { n_rows, n_cols, n_vecs: 40, stride, ld, row0, epilogue: 0 };
            assert_eq!(k.traffic(&p).weights, rows, "{k:?}");
        }
        for k in embed::Embed::all(&caps).into_iter().filter(|k| k.format == format) {
            let p = embed::Params { n_tokens: 3, n_rows, n_cols, stride, row0, token0: 0, scale: 1.0 };
            assert_eq!(k.traffic(&p).table, 3 * table(format), "{k:?}");
        }
    }
}

#[test]
fn dequantize_traffic_is_exactly_the_bytes_of_both_types() {
    for k in dequantize::Dequantize::all(&Caps::everything()) {
        let stride = stride(k.format, COLS as usize);
        let moved = k.traffic(&dequantize::Params { n_rows: ROWS, n_cols: COLS, stride });
        let bytes = |format| u64::from(ROWS) * table(format);
        assert_eq!([moved.weights, moved.values], [k.format, k.output.format()].map(bytes), "{k:?}");
    }
}

#[test]
fn kv_append_traffic_is_exactly_the_bytes_of_the_type() {
    for k in kv_append::KvAppend::all(&Caps::everything()) {
        let stride = stride(k.format, COLS as usize);
        let p = kv_append::Params {
            n_tokens: 5,
            token0: 0,
            n_heads: 2,
            head_dim: COLS,
            capacity: 9,
            end: 9,
            stride,
            ld: 2 * COLS,
            first: 0,
        };
        assert_eq!(k.traffic(&p).cache, 10 * table(k.format), "{k:?}");
    }
}

#[test]
fn device_rows_are_rounded_up_to_a_vec4() {
    for &format in Format::ALL {
        assert_eq!(u64::from(stride(format, COLS as usize)), table(format).div_ceil(16), "{format}");
    }
}
