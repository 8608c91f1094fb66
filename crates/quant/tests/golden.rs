//! Bit-exact agreement with ggml, and the device layout as an exact inverse of the file layout.
//!
//! `data/golden.safetensors` holds one source tensor, and its bytes and decoded values per type from ggml's reference
//! functions.

use proptest::prelude::*;
use ridgeline_quant::{Format, Rounding};
use safetensors::SafeTensors;

const GOLDEN: &[u8] = include_bytes!("data/golden.safetensors");

fn tensor(name: &str) -> (Vec<usize>, Vec<u8>) {
    let file = SafeTensors::deserialize(GOLDEN).expect("the golden file is well formed");
    let view = file.tensor(name).unwrap_or_else(|_| panic!("the golden file has no {name}"));
    (view.shape().to_vec(), view.data().to_vec())
}

fn floats(name: &str) -> (Vec<usize>, Vec<f32>) {
    let (shape, bytes) = tensor(name);
    (shape, bytes.as_chunks().0.iter().map(|&it| f32::from_le_bytes(it)).collect())
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|it| it.to_bits()).collect()
}

/// The golden bytes of a type; those of F32 are the source.
fn golden_bytes(format: Format) -> Vec<u8> {
    let name = format.spec().name;
    tensor(&if name == "F32" { "source".to_owned() } else { format!("{name}.bytes") }).1
}

#[test]
fn encoding_equals_ggml_byte_for_byte() {
    let (_, source) = floats("source");
    for &format in Format::ALL {
        let (Some(encode), Rounding::Nearest) = (format.spec().encode, format.spec().rounding) else {
            continue;
        };
        let golden = golden_bytes(format);
        assert_eq!(golden.len() as u64, format.bytes(source.len() as u64), "{format}");
        let mut bytes = vec![0xaa; golden.len()];
        encode(&source, &mut bytes);
        assert_eq!(bytes, golden, "{format}");
    }
}

#[test]
fn decoding_equals_ggml_bit_for_bit_in_both_layouts() {
    for &format in Format::ALL.iter().filter(|it| it.in_gguf()) {
        let spec = format.spec();
        let name = if spec.name == "F32" { "source".to_owned() } else { format!("{}.dequant", spec.name) };
        let (shape, golden) = floats(&name);
        let bytes = golden_bytes(format);
        let mut values = vec![f32::NAN; golden.len()];
        (spec.decode)(&bytes, &mut values);
        assert_eq!(bits(&values), bits(&golden), "{format}: file layout");

        let [n_rows, n_cols] = shape[..] else { panic!("the golden tensor is a matrix") };
        let mut words = vec![u32::MAX; (spec.row_words)(n_cols)];
        let mut row = vec![f32::NAN; n_cols];
        for (file_row, golden_row) in bytes.chunks(bytes.len() / n_rows).zip(golden.chunks(n_cols)) {
            (spec.pack_row)(file_row, &mut words);
            (spec.decode_row)(&words, &mut row);
            assert_eq!(bits(&row), bits(golden_row), "{format}: device layout");
        }
    }
}

#[test]
fn encoding_decoded_values_changes_nothing_for_float_formats() {
    for &format in Format::ALL {
        let spec = format.spec();
        let (Some(encode), 1) = (spec.encode, spec.block_len) else { continue };
        let golden = golden_bytes(format);
        let mut values = vec![0.0; golden.len() / spec.block_bytes];
        (spec.decode)(&golden, &mut values);
        let mut again = vec![0; golden.len()];
        encode(&values, &mut again);
        assert_eq!(again, golden, "{format}");
    }
}

proptest! {
    /// Any bytes survive file → device → file, at any row length in whole blocks.
    #[test]
    fn packing_is_exactly_reversible(n_units in 1_usize..40, seed in any::<u64>()) {
        for &format in Format::ALL {
            let spec = format.spec();
            let n_cols = n_units * spec.block_len;
            let mut state = seed;
            let bytes: Vec<u8> = std::iter::repeat_with(|| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                state.to_be_bytes()[0]
            })
            .take(n_units * spec.block_bytes)
            .collect();
            let n_words = (spec.row_words)(n_cols);
            prop_assert_eq!(n_words % 4, 0);
            let mut words = vec![u32::MAX; n_words];
            (spec.pack_row)(&bytes, &mut words);
            let mut again = vec![0xaa; bytes.len()];
            (spec.unpack_row)(&words, &mut again);
            prop_assert_eq!(&again, &bytes, "{}", format);

            let (mut from_file, mut from_device) = (vec![0.0; n_cols], vec![0.0; n_cols]);
            (spec.decode)(&bytes, &mut from_file);
            (spec.decode_row)(&words, &mut from_device);
            prop_assert_eq!(bits(&from_file), bits(&from_device), "{}", format);
        }
    }
}
