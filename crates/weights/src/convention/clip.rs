//! The part of a model that sees images: a SigLIP encoder (Zhai et al. 2023) with the connector of Idefics3 (Laurençon et
//! al. 2024). GGUF has it in a file beside the text model, llama.cpp's `mmproj`.

use super::{
    Config,
    Dim::{self, Key, Number, Product, Quotient},
    Fallback::{Absent, Count, Number as Default, Required},
    Family, KeyRule, Kind, TensorRule,
    known::Only,
    lookup,
    shared::{self, derived, key, tensor},
};
use crate::{Error, Metadata, Value, entry::TensorEntry};

const HIDDEN: Dim = Key("vision.embedding_length");
const FFN: Dim = Key("vision.feed_forward_length");
/// Patches along one edge of an image.
const EDGE: Dim = Quotient(&[Key("vision.image_size"), Key("vision.patch_size")]);
const PATCH: Dim = Key("vision.patch_size");
/// Patches along one edge of the square that becomes one token.
const SCALE: Dim = Key("vision.projector.scale_factor");

const OUTER: &[TensorRule] = &[
    tensor(
        "v.patch_embd.weight",
        "model.vision_model.embeddings.patch_embedding.weight",
        &[HIDDEN, Number(3), PATCH, PATCH],
    ),
    tensor("v.patch_embd.bias", "model.vision_model.embeddings.patch_embedding.bias", &[HIDDEN]),
    tensor(
        "v.position_embd.weight",
        "model.vision_model.embeddings.position_embedding.weight",
        &[Product(&[EDGE, EDGE]), HIDDEN],
    ),
    tensor("v.post_ln.weight", "model.vision_model.post_layernorm.weight", &[HIDDEN]),
    tensor("v.post_ln.bias", "model.vision_model.post_layernorm.bias", &[HIDDEN]),
    tensor(
        "mm.model.fc.weight",
        "model.connector.modality_projection.proj.weight",
        &[Key("vision.projection_dim"), Product(&[SCALE, SCALE, HIDDEN])],
    ),
];

/// A matrix or vector of a layer, by its names in GGUF and in a folder.
macro_rules! of_layer {
    ($gguf:literal, $hf:literal, $shape:expr) => {
        tensor(concat!("v.blk.*.", $gguf), concat!("model.vision_model.encoder.layers.*.", $hf), $shape)
    };
}

const BLOCK: &[TensorRule] = &[
    of_layer!("ln1.weight", "layer_norm1.weight", &[HIDDEN]),
    of_layer!("ln1.bias", "layer_norm1.bias", &[HIDDEN]),
    of_layer!("attn_q.weight", "self_attn.q_proj.weight", &[HIDDEN, HIDDEN]),
    of_layer!("attn_q.bias", "self_attn.q_proj.bias", &[HIDDEN]),
    of_layer!("attn_k.weight", "self_attn.k_proj.weight", &[HIDDEN, HIDDEN]),
    of_layer!("attn_k.bias", "self_attn.k_proj.bias", &[HIDDEN]),
    of_layer!("attn_v.weight", "self_attn.v_proj.weight", &[HIDDEN, HIDDEN]),
    of_layer!("attn_v.bias", "self_attn.v_proj.bias", &[HIDDEN]),
    of_layer!("attn_out.weight", "self_attn.out_proj.weight", &[HIDDEN, HIDDEN]),
    of_layer!("attn_out.bias", "self_attn.out_proj.bias", &[HIDDEN]),
    of_layer!("ln2.weight", "layer_norm2.weight", &[HIDDEN]),
    of_layer!("ln2.bias", "layer_norm2.bias", &[HIDDEN]),
    of_layer!("ffn_up.weight", "mlp.fc1.weight", &[FFN, HIDDEN]),
    of_layer!("ffn_up.bias", "mlp.fc1.bias", &[FFN]),
    of_layer!("ffn_down.weight", "mlp.fc2.weight", &[HIDDEN, FFN]),
    of_layer!("ffn_down.bias", "mlp.fc2.bias", &[HIDDEN]),
];

/// Defaults are those of transformers' `Idefics3VisionConfig`.
const KEYS: &[KeyRule] = &[
    key("vision.embedding_length", "hidden_size", Kind::U32, Count(1152)),
    key("vision.feed_forward_length", "intermediate_size", Kind::U32, Count(3072)),
    key("vision.block_count", "num_hidden_layers", Kind::U32, Count(12)),
    key("vision.attention.head_count", "num_attention_heads", Kind::U32, Count(16)),
    key("vision.image_size", "image_size", Kind::U32, Count(224)),
    key("vision.patch_size", "patch_size", Kind::U32, Count(32)),
    key("vision.attention.layer_norm_epsilon", "layer_norm_eps", Kind::F32, Default(1e-6)),
    derived("vision.projector.scale_factor", Kind::U32, Count(2)),
    derived("vision.projection_dim", Kind::U32, Required),
    derived("vision.preproc_image_size", Kind::U32, Absent),
    derived("vision.image_mean", Kind::Other, Absent),
    derived("vision.image_std", Kind::Other, Absent),
    derived("has_vision_encoder", Kind::Bool, Absent),
    derived("projector_type", Kind::Str, Absent),
    derived("use_gelu", Kind::Bool, Absent),
];

pub(super) const FAMILY: Family = Family {
    architecture: "clip",
    file_type: "mmproj",
    tensors: &[OUTER, BLOCK],
    keys: &[KEYS],
    limits: &[
        // In a folder.
        ("hidden_act", Only::Words(&["gelu_pytorch_tanh"])),
        ("num_channels", Only::Numbers(&[3.0])),
        ("vision_use_head", Only::Off),
        ("max_image_size", Only::Any),
        ("size", Only::Any),
        ("use_base_siglip", Only::Any),
        // In GGUF. Without `use_gelu`, the activation is another approximation of GELU.
        ("has_vision_encoder", Only::On),
        ("has_audio_encoder", Only::Off),
        ("projector_type", Only::Words(&["idefics3"])),
        ("vision.projector_type", Only::Words(&["idefics3"])),
        ("use_gelu", Only::On),
        ("use_silu", Only::Off),
    ],
    derive,
    ..shared::FAMILY
};

/// Gives the matrices of the feed-forward blocks their names in a file of llama.cpp that has them interchanged, as older
/// ones do. Their shapes tell.
pub(crate) fn repair_names(metadata: &Metadata, entries: &mut [TensorEntry]) -> Result<(), Error> {
    let size = |suffix: &str| metadata.find::<usize>(&FAMILY.key(suffix));
    let (ffn, hidden) = (size("vision.feed_forward_length")?, size("vision.embedding_length")?);
    let interchanged = |it: &TensorEntry| {
        it.name == "v.blk.0.ffn_down.weight" && it.shape.iter().copied().map(Some).eq([ffn, hidden])
    };
    if ffn == hidden || !entries.iter().any(interchanged) {
        return Ok(());
    }
    for entry in entries {
        let [up, down] = [".ffn_up.", ".ffn_down."];
        entry.name = if entry.name.contains(up) {
            entry.name.replacen(up, down, 1)
        } else {
            entry.name.replacen(down, up, 1)
        };
    }
    Ok(())
}

/// Adds what the keys of the whole model say about the connector.
fn derive(config: &Config<'_>, metadata: &mut Metadata) -> Result<(), Error> {
    let mut set = |suffix: &str, value| metadata.set(FAMILY.key(suffix), value);
    set("has_vision_encoder", Value::Bool(true));
    set("projector_type", Value::Str("idefics3".to_owned()));
    set("use_gelu", Value::Bool(true));
    let Some(whole) = config.whole() else { return Ok(()) };
    for (suffix, key) in [
        ("vision.projector.scale_factor", "scale_factor"),
        ("vision.projection_dim", "text_config.hidden_size"),
    ] {
        if let Some(json) = lookup(whole, key)
            && let Some(value) = config.read(key, Kind::U32, json)?
        {
            set(suffix, value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Storage;
    use ridgeline_quant::Format;
    use serde_json::json;
    use std::path::Path;

    fn read(vision: &serde_json::Value) -> Result<Option<(Metadata, Vec<String>)>, Error> {
        let json = json!({
            "model_type": "smolvlm", "scale_factor": 4, "vision_config": vision,
            "text_config": { "model_type": "llama", "hidden_size": 576 },
        });
        let config = Config::vision(Path::new("config.json"), &json)?;
        config.map(|it| it.metadata("m")).transpose()
    }

    #[test]
    fn published_encoders_are_known() {
        // SmolVLM2-256M, whose other sizes are transformers' defaults.
        let small = json!({
            "hidden_size": 768, "image_size": 512, "max_image_size": { "longest_edge": 512 },
            "model_type": "smolvlm_vision", "num_attention_heads": 12, "patch_size": 16,
            "size": { "longest_edge": 2048 }, "tie_word_embeddings": false, "use_base_siglip": false,
        });
        // SmolVLM2-2.2B, as an older version writes it.
        let large = json!({
            "hidden_size": 1152, "image_size": 384, "intermediate_size": 4304, "max_image_size": { "longest_edge": 384 },
            "model_type": "smolvlm", "num_attention_heads": 16, "num_hidden_layers": 27, "patch_size": 14,
        });
        for (config, sizes) in [(small, [768, 3072, 12, 12, 512, 16]), (large, [1152, 4304, 27, 16, 384, 14])]
        {
            let (metadata, unknown) = read(&config).unwrap().unwrap();
            assert_eq!(unknown, Vec::<String>::new());
            let keys = [
                "embedding_length",
                "feed_forward_length",
                "block_count",
                "attention.head_count",
                "image_size",
                "patch_size",
            ];
            assert_eq!(keys.map(|it| metadata.u32(&format!("clip.vision.{it}")).unwrap()), sizes);
            assert_eq!(metadata.u32("clip.vision.projector.scale_factor").unwrap(), 4);
            assert_eq!(metadata.u32("clip.vision.projection_dim").unwrap(), 576);
            assert_eq!(metadata.str("general.type").unwrap(), "mmproj");
        }
    }

    #[test]
    fn another_encoder_is_refused_and_none_is_none() {
        for (config, key) in [
            (json!({ "model_type": "siglip_vision_model" }), "vision_config.model_type"),
            (json!({ "hidden_act": "quick_gelu" }), "hidden_act"),
            (json!({ "vision_use_head": true }), "vision_use_head"),
        ] {
            let error = read(&config).unwrap_err();
            assert!(matches!(&error, Error::RefusedKey { key: found, .. } if found == key), "{key}: {error}");
        }
        assert!(read(&json!(null)).unwrap().is_none());
        let text = json!({ "model_type": "llama" });
        assert!(Config::vision(Path::new("config.json"), &text).unwrap().is_none());
    }

    #[test]
    fn interchanged_names_are_repaired() {
        let mut metadata = Metadata::new(Path::new("mmproj.gguf"), Vec::new());
        metadata.set("clip.vision.embedding_length", Value::U32(8));
        metadata.set("clip.vision.feed_forward_length", Value::U32(24));
        let entry = |name: &str, shape: &[usize]| TensorEntry {
            name: name.to_owned(),
            shape: shape.to_vec(),
            format: Format::SINGLE,
            storage: Storage::Random,
        };
        let right = [
            entry("v.blk.0.ffn_down.weight", &[8, 24]),
            entry("v.blk.0.ffn_down.bias", &[8]),
            entry("v.blk.0.ffn_up.weight", &[24, 8]),
            entry("v.blk.0.ln1.weight", &[8]),
        ];
        let names = |entries: &[TensorEntry]| entries.iter().map(|it| it.name.clone()).collect::<Vec<_>>();
        let mut kept = right.clone();
        repair_names(&metadata, &mut kept).unwrap();
        assert_eq!(names(&kept), names(&right));
        let mut wrong = right.clone();
        for (entry, name) in wrong.iter_mut().zip(["ffn_up.weight", "ffn_up.bias", "ffn_down.weight"]) {
            entry.name = format!("v.blk.0.{name}");
        }
        repair_names(&metadata, &mut wrong).unwrap();
        assert_eq!(names(&wrong), names(&right));
    }
}
