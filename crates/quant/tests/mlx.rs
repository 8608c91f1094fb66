//! MLX's affine types compared with the values that MLX 0.32.4 decodes (`data/mlx.safetensors`).

use ridgeline_quant::Format;
use safetensors::{Dtype, SafeTensors};

const GOLDEN: &[u8] = include_bytes!("data/mlx.safetensors");

fn floats(file: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let view = file.tensor(name).unwrap_or_else(|_| panic!("the golden file has no {name}"));
    let format = match view.dtype() {
        Dtype::F32 => Format::F32,
        Dtype::F16 => Format::F16,
        other => panic!("{name} is stored as {other}"),
    };
    let mut values = vec![0.0; view.data().len() / format.spec().block_bytes];
    (format.spec().decode)(view.data(), &mut values);
    values
}

#[test]
fn every_width_and_group_decodes_within_one_rounding() {
    let file = SafeTensors::deserialize(GOLDEN).expect("the golden file is well formed");
    let mut compared = 0;
    for (stored, precision) in [("f32", f32::EPSILON), ("f16", 1.0 / 1024.0)] {
        for (bits, group) in [2, 3, 4, 6, 8].into_iter().flat_map(|b| [(b, 32), (b, 64)]) {
            let name = |part: &str| format!("{stored}.b{bits}.g{group}.{part}");
            let weight = file.tensor(&name("weight")).expect("the quants").data().to_vec();
            let (scales, biases) = (floats(&file, &name("scales")), floats(&file, &name("biases")));
            let golden = floats(&file, &name("dequant"));

            let format: Format = format!("mlx{bits}_g{group}").parse().expect("every pair is a format");
            let spec = format.spec();
            assert_eq!((spec.block_len, spec.block_bytes), (group, bits * group / 8 + 8));
            assert!(!format.in_gguf() && Format::from_gguf(spec.gguf_type).is_none());
            let mut bytes = Vec::new();
            for ((quants, scale), bias) in weight.chunks(bits * group / 8).zip(&scales).zip(&biases) {
                bytes.extend([quants, &scale.to_le_bytes(), &bias.to_le_bytes()].concat());
            }
            let mut values = vec![f32::NAN; golden.len()];
            (spec.decode)(&bytes, &mut values);
            let levels = f32::from((1_u16 << bits) - 1);
            for (i, (ours, theirs)) in values.iter().zip(&golden).enumerate() {
                // MLX rounds the product and the sum to the storage type; each error scales with its terms.
                let largest = scales[i / group].abs() * levels + biases[i / group].abs();
                assert!(
                    (ours - theirs).abs() <= precision * largest,
                    "{format} {i}: {ours}, MLX has {theirs}"
                );
            }
            compared += 1;
        }
    }
    assert_eq!(compared, 20);
}
