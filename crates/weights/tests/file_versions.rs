//! GGUF files of other versions of llama.cpp: MLA in one expansion, and layers that predict several tokens at once.

mod support;

use ridgeline_quant::Format;
use ridgeline_weights::{Checkpoint, write_gguf};
use support::Gguf;
use tempfile::TempDir;

/// llama.cpp wrote MLA with one expansion of keys and values until May 2025.
#[test]
fn a_file_of_before_with_one_expansion_keeps_its_form() {
    let mut it = Gguf::of("deepseek2", 2);
    for (key, value) in [
        ("block_count", 1),
        ("context_length", 64),
        ("embedding_length", 32),
        ("feed_forward_length", 32),
        ("attention.head_count", 2),
        ("attention.head_count_kv", 2),
        ("attention.key_length", 24),
        ("attention.value_length", 16),
        ("attention.kv_lora_rank", 8),
        ("rope.dimension_count", 8),
        ("expert_count", 4),
        ("expert_used_count", 2),
        ("expert_shared_count", 1),
        ("expert_feed_forward_length", 16),
        ("vocab_size", 4),
    ] {
        it.key(&format!("deepseek2.{key}"), 4).u32(value);
    }
    it.key("deepseek2.attention.layer_norm_rms_epsilon", 6).u32(1e-6_f32.to_bits());
    it.tensor("blk.0.attn_kv_b.weight", &[8, 64], 0, 0).tensor("token_embd.weight", &[32, 4], 0, 2048);
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("before.gguf");
    std::fs::write(&path, it.bytes(2048 + 512)).unwrap();
    let file = Checkpoint::open(&path).unwrap();
    file.check().unwrap();
    let size = |key: &str| file.metadata().u32(&format!("deepseek2.attention.{key}")).unwrap();
    assert_eq!((size("key_length_mla"), size("value_length_mla")), (24, 16));
    let again = folder.path().join("again.gguf");
    write_gguf(&file, &again, |_| Format::SINGLE).unwrap();
    let bytes = std::fs::read(&again).unwrap();
    assert!(!bytes.windows(11).any(|it| it == b"_length_mla"), "llama.cpp would look for `attn_k_b`");
    assert_eq!(
        Checkpoint::open(&again).unwrap().metadata().u32("deepseek2.attention.key_length_mla").unwrap(),
        24
    );
}

#[test]
fn layers_that_predict_several_tokens_are_left_out_of_a_file() {
    let open = |layers: u32, first: usize| {
        let mut it = Gguf::of("qwen35", 4);
        for (key, value) in [
            ("block_count", layers),
            ("context_length", 64),
            ("embedding_length", 32),
            ("feed_forward_length", 32),
            ("attention.head_count", 2),
            ("ssm.conv_kernel", 4),
            ("ssm.state_size", 8),
            ("ssm.group_count", 2),
            ("ssm.time_step_rank", 2),
            ("ssm.inner_size", 16),
            ("nextn_predict_layers", 1),
        ] {
            it.key(&format!("qwen35.{key}"), 4).u32(value);
        }
        it.key("qwen35.attention.layer_norm_rms_epsilon", 6).u32(1e-6_f32.to_bits());
        it.tensor("token_embd.weight", &[32, 4], 0, 0).tensor("blk.7.attn_norm.weight", &[32], 0, 512);
        it.tensor(&format!("blk.{first}.attn_norm.weight"), &[32], 0, 640);
        it.tensor(&format!("blk.{first}.nextn.eh_proj.weight"), &[32], 0, 768);
        support::open(&it.bytes(896), "file.gguf")
    };
    for layers in [8, 9] {
        let file = open(layers, 8).unwrap();
        file.check().unwrap();
        assert_eq!((file.layer_kinds().unwrap().len(), file.tensors().count()), (8, 2));
        let [note] = file.notes() else { panic!("{:?}", file.notes()) };
        assert!(note.contains("layers from 8 on"), "{note}");
    }
    let error = open(12, 8).expect_err("a contradiction").to_string();
    assert!(error.contains("nextn_predict_layers"), "{error}");
}
