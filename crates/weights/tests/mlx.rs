//! Folders in MLX's format: three tensors become one matrix, and tensors that do not match are errors.

use ridgeline_quant::Format;
use ridgeline_weights::{Checkpoint, Error, write_gguf};
use safetensors::tensor::{Dtype, TensorView};
use std::path::Path;

/// A model of two layers without weights, except for an embedding \[2, 64\] in 4 bits, groups of 32, and a norm.
fn write(folder: &Path, bits: usize, scales: [usize; 2], with_biases: bool) {
    let config = serde_json::json!({
        "model_type": "llama", "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1,
        "num_attention_heads": 1, "num_key_value_heads": 1, "vocab_size": 2, "rms_norm_eps": 1e-5,
        "max_position_embeddings": 16, "tie_word_embeddings": true,
        "quantization": { "group_size": 32, "bits": 8, "model.embed_tokens": { "group_size": 32, "bits": bits } },
    });
    std::fs::write(folder.join("config.json"), config.to_string()).expect("a file");
    // Row 0 holds 0, 1, …, 15 over and over, row 1 holds 15 everywhere.
    let mut words: Vec<u8> =
        [0x7654_3210_u32, 0xfedc_ba98].repeat(4).iter().flat_map(|it| it.to_le_bytes()).collect();
    words.extend([0xff; 32]);
    let halves = |values: &[f32]| -> Vec<u8> {
        let mut bytes = vec![0; 2 * values.len()];
        Format::BF16.spec().encode.expect("it has an encoder")(values, &mut bytes);
        bytes
    };
    let (scale, bias) = (halves(&[1.0, 0.5, -2.0, 1e20]), halves(&[-8.0, 0.25, 3.0, 0.0]));
    let norm = halves(&[1.0; 64]);
    let view = |dtype, shape: &[usize], data| TensorView::new(dtype, shape.to_vec(), data).expect("it fits");
    let mut tensors = vec![
        ("model.embed_tokens.weight", view(Dtype::U32, &[2, 8], &words)),
        ("model.embed_tokens.scales", view(Dtype::BF16, &scales, &scale)),
        ("model.norm.weight", view(Dtype::BF16, &[64], &norm)),
    ];
    if with_biases {
        tensors.push(("model.embed_tokens.biases", view(Dtype::BF16, &scales, &bias)));
    }
    let file = safetensors::serialize(tensors, None).expect("a file");
    std::fs::write(folder.join("model.safetensors"), file).expect("a file");
}

/// The folder may be removed, because a checkpoint keeps its files mapped.
fn open(bits: usize, scales: [usize; 2], with_biases: bool) -> Result<Checkpoint, Error> {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), bits, scales, with_biases);
    Checkpoint::open(folder.path())
}

#[test]
fn three_tensors_become_one_matrix() {
    let checkpoint = open(4, [2, 2], true).expect("a folder as MLX writes it");
    let names: Vec<_> = checkpoint.tensors().map(|it| (it.name, it.format)).collect();
    assert!(names.contains(&("token_embd.weight", Format::Mlx4G32)), "{names:?}");
    assert_eq!(names.len(), 2, "scales and biases are part of their matrix");
    let matrix = checkpoint.expect("token_embd.weight", &[2, 64]).expect("the matrix");
    let values = matrix.to_f32();
    assert_eq!(values[..4], [-8.0, -7.0, -6.0, -5.0]);
    assert_eq!(values[32..36], [0.25, 0.75, 1.25, 1.75]);
    assert_eq!(values[64..66], [-27.0, -27.0]);
    let out = tempfile::tempdir().expect("a folder").path().join("copy.gguf");
    let copied = write_gguf(&checkpoint, &out, |tensor| tensor.format);
    assert!(matches!(copied, Err(Error::TensorEntry { tensor, .. }) if tensor == "token_embd.weight"));
    assert_eq!(values[127], 15.0 * f32::from_bits(0x60ad_0000), "the range of bfloat16 is kept");
}

#[test]
fn stacked_experts_become_one_tensor() {
    let config = serde_json::json!({
        "model_type": "qwen3_moe", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1,
        "num_attention_heads": 1, "num_key_value_heads": 1, "head_dim": 32, "vocab_size": 2, "num_experts": 2,
        "num_experts_per_tok": 1, "moe_intermediate_size": 3, "norm_topk_prob": true, "tie_word_embeddings": true,
        "quantization": { "group_size": 32, "bits": 4 },
    });
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("config.json"), config.to_string()).expect("a file");
    // Row r of all experts has the scale r, and the values 0 to 15 twice.
    let words: Vec<u8> =
        [0x7654_3210_u32, 0xfedc_ba98].repeat(12).iter().flat_map(|it| it.to_le_bytes()).collect();
    let halves: Vec<u8> = (0..6_u16).flat_map(|it| f32::from(it).to_le_bytes()).collect();
    let (zeros, embedding) = ([0; 24], [0; 256]);
    let view = |dtype, shape: &[usize], data| TensorView::new(dtype, shape.to_vec(), data).expect("it fits");
    let base = "model.layers.0.mlp.switch_mlp.up_proj";
    let names = ["weight", "scales", "biases"].map(|it| format!("{base}.{it}"));
    let tensors = vec![
        (names[0].as_str(), view(Dtype::U32, &[2, 3, 4], &words)),
        (names[1].as_str(), view(Dtype::F32, &[2, 3, 1], &halves)),
        (names[2].as_str(), view(Dtype::F32, &[2, 3, 1], &zeros)),
        ("model.embed_tokens.weight", view(Dtype::F32, &[2, 32], &embedding)),
    ];
    let file = safetensors::serialize(tensors, None).expect("a file");
    std::fs::write(folder.path().join("model.safetensors"), file).expect("a file");
    let checkpoint = Checkpoint::open(folder.path()).expect("a folder as MLX writes it");
    let experts = checkpoint.expect("blk.0.ffn_up_exps.weight", &[2, 3, 32]).expect("the experts");
    assert_eq!(experts.format, Format::Mlx4G32);
    let values = experts.to_f32();
    assert!((0..192).all(|i| values[i] == (i / 32 * (i % 16)) as f32), "{values:?}");
}

#[test]
fn parts_that_do_not_fit_are_refused_by_name() {
    for (bits, scales, with_biases) in [(4, [2, 2], false), (8, [2, 2], true), (4, [1, 4], true)] {
        match open(bits, scales, with_biases) {
            Err(Error::TensorEntry { tensor, .. }) => assert_eq!(tensor, "model.embed_tokens.weight"),
            other => panic!("{bits} {scales:?}: {other:?}"),
        }
    }
    match open(5, [2, 2], true) {
        Err(Error::UnsupportedFormat { format, .. }) => assert_eq!(format, "MLX5_G32"),
        other => panic!("{other:?}"),
    }
}
