//! Folders of each family with other keys or tensors. A key is obeyed, harmless or refused by name, in its older and its newer
//! form. A tensor has one form, whatever the folder's.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use ridgeline_weights::{Checkpoint, Error, LayerKind, Value, write_gguf};
use safetensors::{SafeTensors, tensor::TensorView};
use serde_json::{Map, Value as Json, json};
use tempfile::TempDir;

fn data(model: &str, file: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../model/tests/data", model, file].iter().collect()
}

fn config(model: &str) -> Map<String, Json> {
    serde_json::from_slice(&std::fs::read(data(model, "config.json")).unwrap()).unwrap()
}

/// The folder of a model with these keys in place of its own; null removes one. An error names the folder.
fn with(model: &str, changes: &Json) -> Result<Checkpoint, Error> {
    let mut config = config(model);
    for (key, value) in changes.as_object().unwrap() {
        match value {
            Json::Null => config.remove(key),
            value => config.insert(key.clone(), value.clone()),
        };
    }
    let folder = TempDir::new().unwrap();
    std::fs::copy(data(model, "model.safetensors"), folder.path().join("model.safetensors")).unwrap();
    std::fs::write(folder.path().join("config.json"), Json::Object(config).to_string()).unwrap();
    Checkpoint::open(folder.path())
}

/// Keys and values of a model, without its name.
fn keys(it: &Checkpoint) -> BTreeMap<String, Value> {
    let named = it.metadata().iter().filter(|it| it.0 != "general.name");
    named.map(|(key, value)| (key.to_owned(), value.clone())).collect()
}

#[test]
fn the_newer_form_of_a_config_says_the_same() {
    let kinds = |kind: &str, full: &str, n: usize, every: usize| -> Json {
        (1..=n).map(|i| if i % every == 0 { full } else { kind }).collect()
    };
    for (model, changes) in [
        (
            "gemma3",
            json!({
                "rope_theta": null, "rope_local_base_freq": null, "sliding_window_pattern": null,
                "_sliding_window_pattern": null, "layer_types": kinds("sliding_attention", "full_attention", 7, 6),
                "rope_parameters": {
                    "full_attention": { "rope_theta": 1e6, "rope_type": "default" },
                    "sliding_attention": { "rope_theta": 1e4, "rope_type": "default" },
                },
            }),
        ),
        (
            "gemma3",
            json!({ "sliding_window_pattern": null, "_sliding_window_pattern": null, "rms_norm_eps": null }),
        ),
        (
            "gptneox",
            json!({
                "rotary_pct": null, "rotary_emb_base": null,
                "rope_parameters": { "partial_rotary_factor": 0.25, "rope_theta": 1e4, "rope_type": "default" },
            }),
        ),
        ("gptneox", json!({ "rotary_pct": null, "rotary_emb_base": null, "use_parallel_residual": null })),
        (
            "deepseek2",
            json!({ "rope_theta": null, "rope_parameters": { "rope_theta": 1e4, "rope_type": "default" } }),
        ),
        ("qwen3moe", json!({ "num_local_experts": null, "num_experts": 8 })),
        (
            "qwen35",
            json!({
                "layer_types": null, "full_attention_interval": 4, "attn_output_gate": true, "mtp_num_hidden_layers": 1,
                "mamba_ssm_dtype": "float32",
                "rope_parameters": {
                    "partial_rotary_factor": 0.25, "rope_theta": 1e4, "rope_type": "default",
                    "mrope_interleaved": true, "mrope_section": [11, 11, 10],
                },
            }),
        ),
        (
            "qwen35moe",
            json!({ "layer_types": null, "rope_parameters": { "rope_theta": 1e4 }, "linear_conv_kernel_dim": null }),
        ),
    ] {
        let (ours, plain) = (with(model, &changes).unwrap(), with(model, &json!({})).unwrap());
        assert_eq!(keys(&ours), keys(&plain), "{model}: {changes}");
        assert_eq!(ours.notes(), plain.notes(), "{model}");
    }
}

#[test]
fn keys_of_the_families_are_obeyed() {
    for (model, changes, key, value) in [
        ("gemma3", json!({ "query_pre_attn_scalar": 16 }), "attention.scale", Value::F32(0.25)),
        ("gemma3", json!({ "rope_local_base_freq": 5e3 }), "rope.freq_base_swa", Value::F32(5e3)),
        ("gptneox", json!({ "use_parallel_residual": false }), "use_parallel_residual", Value::Bool(false)),
        ("gptneox", json!({ "rotary_pct": 0.5 }), "rope.dimension_count", Value::U32(8)),
        ("gptneox", json!({ "rotary_emb_base": 5e3 }), "rope.freq_base", Value::F32(5e3)),
        ("deepseek2", json!({ "routed_scaling_factor": 16.0 }), "expert_weights_scale", Value::F32(16.0)),
        ("deepseek2", json!({}), "expert_weights_norm", Value::Bool(false)),
        ("plm", json!({ "rope_theta": 5e3 }), "rope.freq_base", Value::F32(5e3)),
        ("qwen3moe", json!({}), "expert_weights_norm", Value::Bool(true)),
        ("qwen3moe", json!({ "norm_topk_prob": null }), "expert_weights_norm", Value::Bool(false)),
        ("qwen35", json!({ "linear_key_head_dim": 16 }), "ssm.state_size", Value::U32(16)),
    ] {
        let it = with(model, &changes).unwrap();
        let found = it.metadata().value(&format!("{model}.{key}"));
        assert_eq!(found, Some(&value), "{model}: {changes}");
    }
    let kinds = |model, changes: &Json| with(model, changes).unwrap().layer_kinds().unwrap();
    let (f, w) = (LayerKind::Full, LayerKind::Windowed(8));
    assert_eq!(kinds("gemma3", &json!({ "sliding_window_pattern": 3 })), [w, w, f, w, w, f, w]);
    assert_eq!(kinds("gemma3", &json!({ "layer_types": vec!["sliding_attention"; 7] })), [w; 7]);
    let some = json!({ "sliding_window": 8, "use_sliding_window": true, "max_window_layers": 1, "layer_types": null });
    assert_eq!(kinds("qwen2", &some), [f, w, w]);
    assert_eq!(kinds("qwen3moe", &some), [w, w, w], "transformers ignores the first layer with a window");
}

#[test]
fn what_no_layer_of_a_family_does_is_refused_by_name() {
    for (model, key, value) in [
        ("gemma3", "hidden_activation", json!("gelu")),
        ("gemma3", "final_logit_softcapping", json!(30.0)),
        ("gemma3", "use_bidirectional_attention", json!(true)),
        ("gptneox", "hidden_act", json!("gelu_new")),
        ("gptneox", "attention_bias", json!(false)),
        ("gptneox", "partial_rotary_factor", json!(3.0)),
        ("plm", "hidden_act", json!("silu")),
        ("plm", "q_lora_rank", json!(24)),
        ("deepseek2", "topk_method", json!("group_limited_greedy")),
        ("deepseek2", "n_group", json!(8)),
        ("deepseek2", "scoring_func", json!("sigmoid")),
        ("deepseek2", "norm_topk_prob", json!(true)),
        ("deepseek2", "moe_layer_freq", json!(2)),
        ("deepseek2", "rope_interleave", json!(false)),
        ("qwen3moe", "decoder_sparse_step", json!(2)),
        ("qwen3moe", "mlp_only_layers", json!([1])),
        ("qwen3moe", "num_experts", json!(4)),
        ("qwen35", "attn_output_gate", json!(false)),
        (
            "qwen35",
            "layer_types",
            json!(["full_attention", "linear_attention", "full_attention", "full_attention"]),
        ),
        ("qwen35", "layer_types", json!(vec!["sliding_attention"; 4])),
        ("smolvlm", "use_mrope", json!(true)),
        ("smolvlm", "logits_scaling", json!(2.0)),
    ] {
        match with(model, &json!({ key: value })) {
            Err(Error::RefusedKey { key: found, .. }) => {
                let other = key == "num_experts" && found == "num_local_experts";
                assert!(found == key || other, "{model}: {key}: {found}");
            }
            other => panic!("{model}: {key} = {value}: {:?}", other.err()),
        }
    }
    // With two magnitudes, cosines would be scaled too, which no layer of this family does.
    let yarn = |more: &str| {
        let text =
            format!(r#"{{ "type": "yarn", "factor": 40, "original_max_position_embeddings": 64{more} }}"#);
        json!({ "rope_scaling": serde_json::from_str::<Json>(&text).unwrap() })
    };
    let magnitudes = r#", "mscale": 0.7, "mscale_all_dim": 0.7"#;
    assert!(
        matches!(with("gemma3", &yarn(magnitudes)), Err(Error::RopeScaling { kind, .. }) if kind == "yarn")
    );
    for more in ["", r#", "mscale": 0.7"#, r#", "mscale": 1.0, "mscale_all_dim": 0.7"#] {
        let refused = with("deepseek2", &yarn(more));
        assert!(matches!(&refused, Err(Error::RefusedKey { key, .. }) if key == "rope_scaling"), "{more}");
    }
    let local = json!({ "rope_parameters": {
        "full_attention": { "rope_theta": 1e6 },
        "sliding_attention": { "rope_theta": 1e4, "rope_type": "linear", "factor": 8.0 },
    }});
    assert!(matches!(with("gemma3", &local), Err(Error::RefusedKey { key, .. }) if key == "rope_parameters"));
}

/// Name, shape and bytes of a tensor in single precision.
type Stored = (String, Vec<usize>, Vec<u8>);

fn stored(model: &str) -> Vec<Stored> {
    let bytes = std::fs::read(data(model, "model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.tensors().into_iter().map(|(name, it)| (name, it.shape().to_vec(), it.data().to_vec())).collect()
}

fn save(folder: &Path, config: &Json, tensors: &[Stored]) {
    let view = |(name, shape, bytes): &'_ Stored| (name.clone(), shape.clone(), bytes.clone());
    let owned: Vec<_> = tensors.iter().map(view).collect();
    let views = owned.iter().map(|(name, shape, bytes)| {
        (name.as_str(), TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).unwrap())
    });
    std::fs::write(folder.join("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
}

/// Fails unless all tensors are those of the model's own folder.
fn assert_same_tensors(ours: &Checkpoint, model: &str) {
    let plain = Checkpoint::open(&data(model, "")).unwrap();
    assert_eq!(ours.tensors().count(), plain.tensors().count(), "{model}");
    for it in plain.tensors() {
        let (ours, plain) = (ours.expect(it.name, it.shape).unwrap(), plain.tensor(it.name).unwrap());
        assert!(ours.bytes == plain.bytes && ours.format == plain.format, "{model}: {}", it.name);
    }
}

#[test]
fn the_text_part_of_a_larger_model_is_that_model() {
    for (model, whole, text, prefix) in [
        ("gemma3", "gemma3", "gemma3_text", "language_model.model."),
        ("gemma3", "gemma3", "gemma3_text", "model.language_model."),
        ("qwen35", "qwen3_5", "qwen3_5_text", "model.language_model."),
        ("qwen35moe", "qwen3_5_moe", "qwen3_5_moe_text", "model.language_model."),
    ] {
        let mut tensors = stored(model);
        for (name, ..) in &mut tensors {
            *name = name.replacen("model.", prefix, 1);
        }
        tensors.push(("model.visual.patch_embed.weight".to_owned(), vec![2, 2], vec![0; 16]));
        tensors.push(("mtp.fc.weight".to_owned(), vec![2, 2], vec![0; 16]));
        let mut of_text = config(model);
        of_text.insert("model_type".to_owned(), json!(text));
        of_text.remove("architectures");
        let whole = json!({
            "model_type": whole, "text_config": of_text, "vision_config": { "depth": 2, "hidden_size": 8 },
            "image_token_id": 7, "mm_tokens_per_image": 256,
        });
        let folder = TempDir::new().unwrap();
        save(folder.path(), &whole, &tensors);
        let ours = Checkpoint::open(folder.path()).unwrap();
        assert_same_tensors(&ours, model);
        assert_eq!(keys(&ours), keys(&Checkpoint::open(&data(model, "")).unwrap()), "{model}");
        assert!(ours.notes().iter().any(|it| it.contains("only the text part runs")), "{:?}", ours.notes());
    }
}

/// mlx-lm adds one to the gains when it converts, and moves a dimension of the filters.
#[test]
fn a_hybrid_that_mlx_converted_is_the_same_model() {
    let mut tensors = stored("qwen35");
    for (name, shape, bytes) in &mut tensors {
        if name.ends_with("conv1d.weight") {
            *shape = vec![128, 4, 1];
        } else if name.ends_with("norm.weight") && !name.ends_with("linear_attn.norm.weight") {
            let gains = bytes.as_chunks().0.iter().map(|&it| f32::from_le_bytes(it) + 1.0);
            *bytes = gains.flat_map(f32::to_le_bytes).collect();
        }
        *name = format!("language_model.{name}");
    }
    let mut of_text = config("qwen35");
    of_text.remove("architectures");
    let folder = TempDir::new().unwrap();
    save(folder.path(), &json!({ "model_type": "qwen3_5", "text_config": of_text }), &tensors);
    assert_same_tensors(&Checkpoint::open(folder.path()).unwrap(), "qwen35");
}

#[test]
fn experts_that_the_folder_stacks_are_the_same_experts() {
    let mut tensors = stored("qwen35moe");
    let one = |tensors: &[Stored], name: &str| tensors.iter().find(|it| it.0 == name).unwrap().2.clone();
    for layer in 0..4 {
        let base = format!("model.layers.{layer}.mlp.experts");
        let of = |expert: usize, part: &str| one(&tensors, &format!("{base}.{expert}.{part}_proj.weight"));
        let pairs = (0..8).flat_map(|it| [of(it, "gate"), of(it, "up")].concat()).collect();
        let downs = (0..8).flat_map(|it| of(it, "down")).collect();
        tensors.retain(|it| !it.0.starts_with(&format!("{base}.")));
        tensors.push((format!("{base}.gate_up_proj"), vec![8, 96, 64], pairs));
        tensors.push((format!("{base}.down_proj"), vec![8, 64, 48], downs));
    }
    let folder = TempDir::new().unwrap();
    save(folder.path(), &Json::Object(config("qwen35moe")), &tensors);
    assert_same_tensors(&Checkpoint::open(folder.path()).unwrap(), "qwen35moe");
}

#[test]
fn tensors_that_have_no_such_form_are_refused() {
    let refused = |model: &str, change: &dyn Fn(&mut Vec<Stored>), part: &str| {
        let mut tensors = stored(model);
        change(&mut tensors);
        let folder = TempDir::new().unwrap();
        save(folder.path(), &Json::Object(config(model)), &tensors);
        let error = Checkpoint::open(folder.path()).expect_err(part).to_string();
        assert!(error.contains(part), "{model}: {error}");
    };
    let lost = "blk.1.ffn_up_exps.weight";
    refused("qwen3moe", &|it| it.retain(|it| it.0 != "model.layers.1.mlp.experts.7.up_proj.weight"), lost);
    let filters = "model.layers.0.linear_attn.conv1d.weight";
    let flat = |it: &mut Vec<Stored>| it.iter_mut().find(|it| it.0 == filters).unwrap().1 = vec![128, 4];
    refused("qwen35", &flat, filters);
    let fused = "gpt_neox.layers.2.attention.query_key_value.weight";
    let longer = |it: &mut Vec<Stored>| {
        let qkv = it.iter_mut().find(|it| it.0 == fused).unwrap();
        (qkv.1, qkv.2) = (vec![193, 64], vec![0; 193 * 64 * 4]);
    };
    refused("gptneox", &longer, fused);
    let router = "model.layers.1.mlp.gate.e_score_correction_bias";
    refused("deepseek2", &|it| it.push((router.to_owned(), vec![8], vec![1; 32])), router);
}

/// The multiplier of cosines by transformers' rules, in a folder and in the GGUF written from it.
#[test]
fn yarn_multiplies_cosines() {
    let magnitude = 1.138_629_4_f32;
    for (more, expected) in [
        ("", magnitude),
        (r#", "attention_factor": 2.0"#, 2.0),
        // (1 + 0.2 ln 4) / (1 + 0.1 ln 4)
        (r#", "mscale": 2.0, "mscale_all_dim": 1.0"#, 1.121_751_1),
        (r#", "mscale": 2.0, "mscale_all_dim": 2.0"#, 1.0),
        // Only both count.
        (r#", "mscale": 2.0"#, magnitude),
    ] {
        let text = format!(
            r#"{{ "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64{more} }}"#
        );
        let folder = with("qwen2", &json!({ "rope_scaling": serde_json::from_str::<Json>(&text).unwrap() }));
        let folder = folder.unwrap();
        let found = folder.rope_magnitude().unwrap();
        assert!((found - expected).abs() < 3e-7 * expected, "{more}: {found}");
        let out = TempDir::new().unwrap();
        let path = out.path().join("yarn.gguf");
        write_gguf(&folder, &path, |it| it.format).unwrap();
        let file = Checkpoint::open(&path).unwrap();
        file.check().unwrap();
        assert_eq!(file.rope_magnitude().unwrap().to_bits(), found.to_bits(), "{more}");
        assert_eq!(file.rope_freq_factors().unwrap(), folder.rope_freq_factors().unwrap(), "{more}");
    }
    assert!((with("qwen2", &json!({})).unwrap().rope_magnitude().unwrap() - 1.0).abs() < f32::EPSILON);
}

#[test]
fn the_scale_of_yarn_is_computed_when_a_file_is_opened() {
    let scaling = json!({ "rope_scaling": {
        "type": "yarn", "factor": 40, "original_max_position_embeddings": 64, "beta_fast": 32, "beta_slow": 1,
        "mscale": 0.707, "mscale_all_dim": 0.707,
    }});
    let folder = with("deepseek2", &scaling).unwrap();
    let scale = |it: &Checkpoint| it.metadata().f32("deepseek2.attention.scale").unwrap();
    // 1.2608² / √32
    assert!((scale(&folder) - 0.281_009).abs() < 1e-5, "{}", scale(&folder));
    let out = TempDir::new().unwrap();
    let path = out.path().join("yarn.gguf");
    write_gguf(&folder, &path, |it| it.format).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert!(!bytes.windows(25).any(|it| it == b"deepseek2.attention.scale"), "llama.cpp computes it");
    let file = Checkpoint::open(&path).unwrap();
    file.check().unwrap();
    assert_eq!(scale(&file).to_bits(), scale(&folder).to_bits());
    assert_eq!(file.rope_freq_factors().unwrap(), folder.rope_freq_factors().unwrap());
    assert!(file.rope_freq_factors().unwrap().unwrap().contains(&40.0));
}
