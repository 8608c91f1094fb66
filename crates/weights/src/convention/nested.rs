//! Models of several parts, of which the text part runs: config.json has its keys under `text_config`.

use std::borrow::Cow;

use serde_json::Value as Json;

/// A model whose text part is a model of a known family.
#[derive(Debug)]
pub(crate) struct Nested {
    /// Its `model_type`.
    pub(super) model_type: &'static str,
    /// The `model_type` of its text part.
    pub(super) text_type: &'static str,
    /// Whether its part that sees images is one of the supported kind.
    pub(super) vision: bool,
    /// Beginnings of tensor names, and what they are in a folder of the text part alone.
    prefixes: &'static [(&'static str, &'static str)],
}

/// The names of transformers, and those of its older versions and of mlx-lm.
const LANGUAGE_MODEL: &[(&str, &str)] = &[
    ("model.language_model.", "model."),
    ("lm_head.", "lm_head."),
    ("language_model.model.", "model."),
    ("language_model.lm_head.", "lm_head."),
];

/// The names of Idefics3 and SmolVLM.
const TEXT_MODEL: &[(&str, &str)] = &[("model.text_model.", "model."), ("lm_head.", "lm_head.")];

/// Beginnings of the names of tensors of the part that sees images, where it is supported.
const VISION: &[&str] = &["model.connector.", "model.vision_model."];

const NESTED: &[Nested] = &[
    Nested { model_type: "gemma3", text_type: "gemma3_text", vision: false, prefixes: LANGUAGE_MODEL },
    Nested { model_type: "qwen3_5", text_type: "qwen3_5_text", vision: false, prefixes: LANGUAGE_MODEL },
    Nested {
        model_type: "qwen3_5_moe",
        text_type: "qwen3_5_moe_text",
        vision: false,
        prefixes: LANGUAGE_MODEL,
    },
    Nested { model_type: "smolvlm", text_type: "llama", vision: true, prefixes: TEXT_MODEL },
    Nested { model_type: "idefics3", text_type: "llama", vision: true, prefixes: TEXT_MODEL },
];

/// Beginnings of the names of tensors that see images, or that predict several tokens at once.
const OTHER_PARTS: &[&str] = &[
    "model.connector.",
    "model.multi_modal_projector.",
    "model.vision_model.",
    "model.vision_tower.",
    "model.visual.",
    "mtp.",
    "multi_modal_projector.",
    "vision_tower.",
    "visual.",
];

/// The text part of a config.json of this `model_type`; `None` if it has one part only.
pub(super) fn text<'a>(json: &'a Json, model_type: &str) -> Option<(&'a Json, &'static Nested)> {
    let nested = NESTED.iter().find(|it| it.model_type == model_type)?;
    Some((json.get("text_config").filter(|it| it.is_object())?, nested))
}

/// Whether a tensor belongs to another part than the text.
pub(super) fn is_not_text(name: &str) -> bool {
    OTHER_PARTS.iter().any(|it| name.starts_with(it))
}

/// Whether a tensor belongs to the part that sees images.
pub(super) fn is_vision(name: &str) -> bool {
    VISION.iter().any(|it| name.starts_with(it))
}

impl Nested {
    /// The name of a tensor in a folder of the text part alone.
    pub(super) fn text_name<'n>(&self, name: &'n str) -> Option<Cow<'n, str>> {
        let (from, to) = self.prefixes.iter().find(|it| name.starts_with(it.0))?;
        Some(if from == to { name.into() } else { format!("{to}{}", &name[from.len()..]).into() })
    }
}
