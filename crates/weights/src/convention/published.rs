//! config.json of published models: every key is known, and the metadata are those of `models/<name>.toml`.

use std::path::Path;

use serde_json::{Value as Json, json};

use super::{Config, synthesise};
use crate::{Metadata, Shape, Value};

/// The metadata of a config.json, and the keys that nothing knows.
fn read(config: &Json) -> (Metadata, Vec<String>) {
    Config::new(Path::new("config.json"), config).unwrap().metadata("m").unwrap()
}

/// The metadata of a shape under `models/`.
fn shape(name: &str) -> Metadata {
    let path = format!("{}/../../models/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let shape = Shape::from_toml(&std::fs::read_to_string(path).unwrap()).unwrap();
    synthesise(Path::new("random"), &shape).unwrap().0
}

/// Fails unless the config has these metadata. A shape has no list of layers, and no sections of positions in images.
fn assert_same(name: &str, config: &Json, unknown: &[&str]) {
    let (ours, found) = read(config);
    let names: Vec<&str> = found.iter().map(|it| it.split(" = ").next().unwrap()).collect();
    assert_eq!(names, unknown, "{name}");
    let listed = |key: &str| key.ends_with("recurrent_layers") || key.ends_with("dimension_sections");
    let sorted = |it: &Metadata| -> Vec<(String, Value)> {
        let kept = it.iter().filter(|it| it.0 != "general.name" && !listed(it.0));
        let mut all: Vec<_> = kept.map(|(key, value)| (key.to_owned(), value.clone())).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    };
    assert_eq!(sorted(&ours), sorted(&shape(name)), "{name}");
}

#[test]
fn gemma() {
    let config = json!({
        "architectures": ["Gemma3ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
        "attn_logit_softcapping": null, "bos_token_id": 2, "cache_implementation": "hybrid", "eos_token_id": [1, 106],
        "final_logit_softcapping": null, "head_dim": 256, "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 1152,
        "initializer_range": 0.02, "intermediate_size": 6912, "max_position_embeddings": 32768,
        "model_type": "gemma3_text", "num_attention_heads": 4, "num_hidden_layers": 26, "num_key_value_heads": 1,
        "pad_token_id": 0, "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-6, "rope_local_base_freq": 10000,
        "rope_scaling": null, "rope_theta": 1_000_000, "sliding_window": 512, "sliding_window_pattern": 6,
        "torch_dtype": "bfloat16", "transformers_version": "4.50.0.dev0", "use_cache": true, "vocab_size": 262_144,
    });
    assert_same("gemma-3-1b", &config, &[]);
    let config = json!({
        "architectures": ["Gemma3ForConditionalGeneration"], "boi_token_index": 255_999, "eoi_token_index": 256_000,
        "eos_token_id": [1, 106], "image_token_index": 262_144, "initializer_range": 0.02, "mm_tokens_per_image": 256,
        "model_type": "gemma3", "torch_dtype": "bfloat16", "transformers_version": "4.50.0.dev0",
        "text_config": {
            "hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text", "num_hidden_layers": 34,
            "rope_scaling": { "factor": 8.0, "rope_type": "linear" }, "sliding_window": 1024,
        },
        "vision_config": { "hidden_size": 1152, "image_size": 896, "num_hidden_layers": 27, "vision_use_head": false },
    });
    assert_same("gemma-3-4b", &config, &[]);
}

#[test]
fn pythia() {
    let config = json!({
        "architectures": ["GPTNeoXForCausalLM"], "bos_token_id": 0, "eos_token_id": 0, "hidden_act": "gelu",
        "hidden_size": 768, "initializer_range": 0.02, "intermediate_size": 3072, "layer_norm_eps": 1e-5,
        "max_position_embeddings": 2048, "model_type": "gpt_neox", "num_attention_heads": 12,
        "num_hidden_layers": 12, "rotary_emb_base": 10000, "rotary_pct": 0.25, "tie_word_embeddings": false,
        "torch_dtype": "float16", "transformers_version": "4.24.0", "use_cache": true, "use_parallel_residual": true,
        "vocab_size": 50304,
    });
    assert_same("pythia-160m", &config, &[]);
}

#[test]
fn plm() {
    let config = json!({
        "architectures": ["PLMForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
        "auto_map": { "AutoConfig": "configuration_plm.PLMConfig" }, "bos_token_id": 151_643, "eos_token_id": 151_643,
        "hidden_act": "relu2", "hidden_size": 2048, "initializer_range": 0.02, "intermediate_size": 8192,
        "kv_lora_rank": 512, "max_position_embeddings": 4096, "model_type": "plm", "num_attention_heads": 16,
        "num_hidden_layers": 32, "num_key_value_heads": 16, "q_lora_rank": null, "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64, "rms_norm_eps": 1e-6, "rope_scaling": null, "rope_theta": 100_000.0,
        "tie_word_embeddings": true, "torch_dtype": "bfloat16", "use_cache": true, "v_head_dim": 128,
        "vocab_size": 151_936,
    });
    assert_same("plm-1.8b", &config, &[]);
}

#[test]
fn deepseek() {
    let config = serde_json::from_str(
        r#"{
        "architectures": ["DeepseekV2ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
        "auto_map": { "AutoConfig": "configuration_deepseek.DeepseekV2Config" }, "aux_loss_alpha": 0.001,
        "bos_token_id": 100000, "eos_token_id": 100001, "ep_size": 1, "first_k_dense_replace": 1,
        "hidden_act": "silu", "hidden_size": 2048, "initializer_range": 0.02, "intermediate_size": 10944,
        "kv_lora_rank": 512, "max_position_embeddings": 163840, "model_type": "deepseek_v2",
        "moe_intermediate_size": 1408, "moe_layer_freq": 1, "n_group": 1, "n_routed_experts": 64,
        "n_shared_experts": 2, "norm_topk_prob": false, "num_attention_heads": 16, "num_experts_per_tok": 6,
        "num_hidden_layers": 27, "num_key_value_heads": 16, "pretraining_tp": 1, "q_lora_rank": null,
        "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "rms_norm_eps": 1e-6, "rope_theta": 10000,
            "rope_scaling": {
                "beta_fast": 32, "beta_slow": 1, "factor": 40, "mscale": 0.707, "mscale_all_dim": 0.707,
                "original_max_position_embeddings": 4096, "type": "yarn"
            },
        "routed_scaling_factor": 1.0, "scoring_func": "softmax", "seq_aux": true, "tie_word_embeddings": false,
        "topk_group": 1, "topk_method": "greedy", "torch_dtype": "bfloat16", "use_cache": true, "v_head_dim": 128,
        "vocab_size": 102400
    }"#,
    )
    .unwrap();
    assert_same("deepseek-v2-lite", &config, &[]);
}

#[test]
fn qwen_with_experts() {
    let config = json!({
        "architectures": ["Qwen3MoeForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
        "bos_token_id": 151_643, "decoder_sparse_step": 1, "eos_token_id": 151_645, "head_dim": 128,
        "hidden_act": "silu", "hidden_size": 2048, "initializer_range": 0.02, "intermediate_size": 6144,
        "max_position_embeddings": 40960, "max_window_layers": 48, "mlp_only_layers": [], "model_type": "qwen3_moe",
        "moe_intermediate_size": 768, "norm_topk_prob": true, "num_attention_heads": 32, "num_experts": 128,
        "num_experts_per_tok": 8, "num_hidden_layers": 48, "num_key_value_heads": 4, "output_router_logits": false,
        "rms_norm_eps": 1e-6, "rope_scaling": null, "rope_theta": 1_000_000.0, "router_aux_loss_coef": 0.001,
        "sliding_window": null, "tie_word_embeddings": false, "torch_dtype": "bfloat16", "use_cache": true,
        "use_sliding_window": false, "vocab_size": 151_936,
    });
    assert_same("qwen3-30b-a3b", &config, &[]);
}

/// The keys that both kinds of Qwen3.5 have.
fn hybrid(own: &Json) -> Json {
    let mut text = json!({
        "attention_bias": false, "attention_dropout": 0.0, "attn_output_gate": true, "dtype": "bfloat16",
        "eos_token_id": 248_044, "full_attention_interval": 4, "head_dim": 256, "hidden_act": "silu",
        "initializer_range": 0.02, "linear_conv_kernel_dim": 4, "linear_key_head_dim": 128,
        "linear_num_key_heads": 16, "linear_value_head_dim": 128, "mamba_ssm_dtype": "float32",
        "max_position_embeddings": 262_144, "mlp_only_layers": [], "mtp_num_hidden_layers": 1,
        "mtp_use_dedicated_embeddings": false, "num_key_value_heads": 2, "rms_norm_eps": 1e-6,
        "rope_parameters": {
            "mrope_interleaved": true, "mrope_section": [11, 11, 10], "partial_rotary_factor": 0.25,
            "rope_theta": 10_000_000, "rope_type": "default",
        },
        "use_cache": true, "vocab_size": 248_320,
    });
    text.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
    text
}

#[test]
fn qwen_hybrid() {
    let kinds: Vec<_> =
        (1..=24).map(|i| if i % 4 == 0 { "full_attention" } else { "linear_attention" }).collect();
    let text = hybrid(&json!({
        "hidden_size": 1024, "intermediate_size": 3584, "layer_types": kinds, "linear_num_value_heads": 16,
        "model_type": "qwen3_5_text", "num_attention_heads": 8, "num_hidden_layers": 24, "tie_word_embeddings": true,
    }));
    let config = json!({
        "architectures": ["Qwen3_5ForConditionalGeneration"], "image_token_id": 248_056, "model_type": "qwen3_5",
        "text_config": text, "tie_word_embeddings": true, "transformers_version": "4.57.0.dev0",
        "video_token_id": 248_057, "vision_config": { "depth": 12, "hidden_size": 768 },
        "vision_end_token_id": 248_054, "vision_start_token_id": 248_053,
    });
    assert_same("qwen3.5-0.8b", &config, &[]);
    let text = hybrid(&json!({
        "hidden_size": 2048, "linear_num_value_heads": 32, "model_type": "qwen3_5_moe_text",
        "moe_intermediate_size": 512, "num_attention_heads": 16, "num_experts": 256, "num_experts_per_tok": 8,
        "num_hidden_layers": 40, "output_router_logits": false, "router_aux_loss_coef": 0.001,
        "shared_expert_intermediate_size": 512,
    }));
    let config = json!({
        "architectures": ["Qwen3_5MoeForConditionalGeneration"], "model_type": "qwen3_5_moe", "text_config": text,
        "vision_config": { "depth": 27 }, "tie_word_embeddings": false,
    });
    let (ours, unknown) = read(&config);
    assert!(unknown.is_empty(), "{unknown:?}");
    assert!(!ours.has("qwen35moe.feed_forward_length"), "no layer has a dense network");
    assert_eq!(ours.u32("qwen35moe.ssm.inner_size").unwrap(), 4096);
}

#[test]
fn smolvlm() {
    let config = json!({
        "architectures": ["SmolVLMForConditionalGeneration"], "image_token_id": 49190, "model_type": "smolvlm",
        "pad_token_id": 128_002, "scale_factor": 4, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
        "transformers_version": "4.47.1", "use_cache": false, "use_reentrant_checkpointing": false,
        "vision_config": { "hidden_size": 768, "image_size": 512 }, "vocab_size": 49280,
        "text_config": {
            "_attn_implementation_autoset": false, "_flash_attn_2_enabled": true, "_name_or_path": "None",
            "architectures": ["VLlama3ForCausalLM"], "head_dim": 64, "hidden_size": 576, "intermediate_size": 1536,
            "is_llama_config": true, "max_position_embeddings": 8192, "model_type": "llama",
            "neftune_noise_alpha": 0.0, "num_attention_heads": 9, "num_hidden_layers": 30, "num_key_value_heads": 3,
            "pad_token_id": 2, "perceiver_config": { "resampler_depth": 6 }, "pixel_shuffle_factor": 4,
            "qk_layer_norms": false, "rms_norm_eps": 1e-5, "rope_interleaved": false, "rope_scaling": null,
            "rope_theta": 100_000, "torch_dtype": "bfloat16", "use_resampler": false, "vocab_size": 49280,
        },
    });
    assert_same("smolvlm2-256m", &config, &["_flash_attn_2_enabled", "is_llama_config", "perceiver_config"]);
}
