//! config.json as metadata under GGUF's keys. Every key is obeyed, known to be harmless, or refused by name; the rest is
//! reported.

use std::path::Path;

use serde_json::Value as Json;

use super::{
    Family, Kind, by_model_type, limits, lookup,
    nested::{self, Nested},
    rotation, windows,
};
use crate::{Error, Metadata, Value, value::narrow};

/// A config.json with its family.
pub(crate) struct Config<'a> {
    path: &'a Path,
    /// The keys of the text model.
    pub(crate) json: &'a Json,
    /// The whole file, if the text model is one part of it.
    outer: Option<(&'a Json, &'static Nested)>,
    model_type: &'a str,
    pub(crate) family: &'static Family,
}

impl<'a> Config<'a> {
    /// Finds the family.
    ///
    /// # Errors
    /// [`Error::MissingKey`] without `model_type`, [`Error::UnknownFamily`].
    pub(crate) fn new(path: &'a Path, json: &'a Json) -> Result<Self, Error> {
        let missing = || Error::MissingKey { path: path.to_owned(), key: "model_type".to_owned() };
        let model_type = |json: &'a Json| lookup(json, "model_type").and_then(Json::as_str);
        let whole = model_type(json).ok_or_else(missing)?;
        let Some((text, nested)) = nested::text(json, whole) else {
            return Ok(Self {
                path,
                json,
                outer: None,
                model_type: whole,
                family: by_model_type(path, whole)?,
            });
        };
        let of_text = model_type(text).unwrap_or(nested.text_type);
        if of_text != nested.text_type {
            return Err(super::unknown(path, of_text));
        }
        let family = by_model_type(path, of_text)?;
        Ok(Self { path, json: text, outer: Some((json, nested)), model_type: of_text, family })
    }

    /// The part that sees images; `None` if the model has none that is supported.
    ///
    /// # Errors
    /// [`Error::MissingKey`] without `model_type`, [`Error::RefusedKey`] for an encoder of another kind.
    pub(crate) fn vision(path: &'a Path, json: &'a Json) -> Result<Option<Self>, Error> {
        let whole = Self::new(path, json)?;
        let Some((outer, nested)) = whole.outer.filter(|it| it.1.vision) else { return Ok(None) };
        let Some(json) = lookup(outer, "vision_config").filter(|it| it.is_object()) else { return Ok(None) };
        let found = lookup(json, "model_type").and_then(Json::as_str).unwrap_or(nested.model_type);
        let config = Self { json, model_type: found, family: &super::clip::FAMILY, ..whole };
        if ![nested.model_type, "smolvlm_vision", "idefics3_vision"].contains(&found) {
            let needs = "only the encoder of Idefics3 and SmolVLM is supported";
            return Err(config.refuse("vision_config.model_type", &Json::from(found), needs));
        }
        Ok(Some(config))
    }

    /// The whole file, if the model is one part of it.
    pub(super) fn whole(&self) -> Option<&'a Json> {
        self.outer.map(|it| it.0)
    }

    /// The name of a tensor in the family's tables; `None` if it belongs to another part.
    pub(crate) fn name_in_family<'n>(&self, name: &'n str) -> Option<std::borrow::Cow<'n, str>> {
        match self.outer {
            Some((_, nested)) if self.family.is_text() => nested.text_name(name),
            _ => Some(name.into()),
        }
    }

    /// Whether a tensor belongs to a part of the model that does not run.
    pub(crate) fn is_other_part(&self, name: &str) -> bool {
        if self.family.is_text() { nested::is_not_text(name) } else { !nested::is_vision(name) }
    }

    /// Whether the model has a part that sees images, which is supported.
    pub(crate) fn sees_images(&self) -> bool {
        self.outer.is_some_and(|it| it.1.vision)
    }

    /// Whether a layer needs the tensor of this name.
    pub(crate) fn needs(&self, name: &str) -> bool {
        self.name_in_family(name).is_some_and(|it| self.family.has_folder_tensor(&it))
    }

    /// Whether the output head is said to be tied to the embedding. A stored head is compared all the same.
    pub(crate) fn tied(&self) -> bool {
        let said = |json: &Json| lookup(json, "tie_word_embeddings").and_then(flag);
        let (text, whole) = (said(self.json), self.outer.and_then(|it| said(it.0)));
        match (text, whole) {
            (None, None) => self.family.tied,
            (text, whole) => text == Some(true) || whole == Some(true),
        }
    }

    /// The metadata, and the keys that nothing here knows.
    ///
    /// # Errors
    /// [`Error::KeyType`], [`Error::MissingKey`], [`Error::RefusedKey`] for a key that no kernel can obey.
    pub(crate) fn metadata(&self, name: &str) -> Result<(Metadata, Vec<String>), Error> {
        let family = self.family;
        let mut metadata = Metadata::new(self.path, Vec::new());
        let text = |it: &str| Value::Str(it.to_owned());
        metadata.set("general.architecture", text(family.architecture));
        metadata.set("general.type", text(family.file_type));
        metadata.set("general.name", text(name));
        for rule in family.keys() {
            let value = match rule.hf.and_then(|hf| Some((hf, self.json.get(hf)?))) {
                Some((hf, json)) => self.read(hf, rule.kind, json)?,
                // `windows` asks first whether there are some.
                None if rule.suffix == windows::WIDTH => None,
                None => self.default(rule.suffix, rule.kind),
            };
            if let Some(value) = value {
                metadata.set(family.key(rule.suffix), value);
            }
        }
        if family.is_text() {
            let layers = metadata.find::<u32>(&family.key("block_count"))?;
            rotation::add(self, layers, &mut metadata)?;
            windows::add(self, layers, &mut metadata)?;
        }
        (family.derive)(self, &mut metadata)?;
        family.fill_in(&mut metadata)?;
        let mut unknown = limits::check_config(self.path, self.json, family, &metadata)?;
        if let Some((whole, _)) = self.outer.filter(|_| family.is_text()) {
            unknown.extend(limits::check_outer(self.path, whole, self.json, family, &metadata)?);
        }
        Ok((metadata, unknown))
    }

    /// The value of a key; `None` where it says that there is none.
    ///
    /// # Errors
    /// [`Error::KeyType`].
    pub(super) fn read(&self, key: &str, kind: Kind, json: &Json) -> Result<Option<Value>, Error> {
        value(kind, json).ok_or_else(|| Error::KeyType {
            path: self.path.to_owned(),
            key: key.to_owned(),
            expected: match kind {
                Kind::U32 => "an unsigned 32-bit integer",
                Kind::F32 => "a number",
                Kind::Str => "a string",
                Kind::Bool => "true or false",
                Kind::Other => "a value of another type",
            },
            found: json.to_string().chars().take(40).collect(),
        })
    }

    /// What transformers assumes where the key is absent.
    pub(super) fn default(&self, suffix: &str, kind: Kind) -> Option<Value> {
        let of_type = self.family.config_defaults.iter().filter(|it| it.0 == self.model_type);
        let (_, number) = of_type.flat_map(|it| it.1).find(|it| it.0 == suffix)?;
        value(kind, &Json::from(*number)).flatten()
    }

    /// A size of the text model, or its default where the key is absent.
    ///
    /// # Errors
    /// [`Error::KeyType`]; [`Error::MissingKey`] where there is no default.
    pub(super) fn size(&self, key: &str, default: Option<u32>) -> Result<u32, Error> {
        let found = match lookup(self.json, key) {
            Some(json) => self.read(key, Kind::U32, json)?,
            None => default.map(Value::U32),
        };
        match found {
            Some(Value::U32(it)) => Ok(it),
            _ => Err(Error::MissingKey { path: self.path.to_owned(), key: key.to_owned() }),
        }
    }

    /// The error for a value that no layer can obey.
    pub(super) fn refuse(&self, key: &str, json: &Json, needs: impl Into<String>) -> Error {
        let (path, value) = (self.path.to_owned(), limits::shorten(json));
        Error::RefusedKey { path, key: key.to_owned(), value, needs: needs.into() }
    }

    pub(super) const fn path(&self) -> &'a Path {
        self.path
    }
}

/// A boolean, also as 0 or 1.
pub(crate) fn flag(json: &Json) -> Option<bool> {
    json.as_bool().or_else(|| match number(json)? {
        0.0 => Some(false),
        1.0 => Some(true),
        _ => None,
    })
}

/// A number, also in a string.
pub(super) fn number(json: &Json) -> Option<f64> {
    let number = json.as_f64().or_else(|| json.as_str()?.trim().parse().ok());
    number.filter(|it| it.is_finite())
}

/// A value as metadata: `Some(None)` where it says that there is none, `None` where it is of another kind.
pub(super) fn value(kind: Kind, json: &Json) -> Option<Option<Value>> {
    if let (Kind::Bool, Some(it)) = (kind, flag(json)) {
        return Some(Some(Value::Bool(it)));
    }
    match json {
        Json::Null | Json::Bool(false) => return Some(None),
        // One value per layer.
        Json::Array(items) => {
            let first = items.first()?;
            return if items.iter().all(|it| it == first) { value(kind, first) } else { None };
        }
        _ => {}
    }
    match kind {
        Kind::F32 => number(json).map(|it| Some(Value::F32(narrow(it)))),
        Kind::Str => json.as_str().map(|it| Some(Value::Str(it.to_owned()))),
        Kind::Bool | Kind::Other => None,
        Kind::U32 => {
            let number = number(json)?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the number is an integer in range"
            )]
            let whole = |it: f64| {
                (it.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&it)).then_some(it as u32)
            };
            if number == -1.0 { Some(None) } else { whole(number).map(|it| Some(Value::U32(it))) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = r#"{"model_type": "llama", "hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2,
        "intermediate_size": 96, "vocab_size": 10"#;

    fn read(more: &str) -> Result<(Metadata, Vec<String>), Error> {
        let json = serde_json::from_str(&format!("{BASE}{more}}}")).unwrap();
        Config::new(Path::new("config.json"), &json)?.metadata("m")
    }

    fn refused(more: &str, key: &str) {
        match read(more) {
            Err(Error::RefusedKey { key: found, .. } | Error::KeyType { key: found, .. }) => {
                assert!(found.starts_with(key), "{more}: {found}");
            }
            Err(Error::RopeScaling { .. }) => assert!(key.starts_with("rope_"), "{more}"),
            Err(Error::MissingKey { key: found, .. }) => {
                assert!(found.starts_with("rope_"), "{more}: {found}");
            }
            other => panic!("{more}: {other:?}"),
        }
    }

    #[test]
    fn defaults_are_those_of_transformers() {
        let (it, unknown) = read(r#", "sliding_window": null, "rope_theta": null"#).unwrap();
        assert!(unknown.is_empty(), "{unknown:?}");
        assert_eq!(it.u32("llama.attention.head_count_kv").unwrap(), 4);
        assert_eq!(it.u32("llama.attention.key_length").unwrap(), 16);
        assert_eq!(it.u32("llama.rope.dimension_count").unwrap(), 16);
        assert_eq!(it.u32("llama.context_length").unwrap(), 2048);
        assert_eq!(it.f32("llama.rope.freq_base").unwrap().to_bits(), 10_000_f32.to_bits());
        assert_eq!(it.f32("llama.attention.layer_norm_rms_epsilon").unwrap().to_bits(), 1e-6_f32.to_bits());
        assert!(!it.has("llama.attention.sliding_window"));
        let mistral = serde_json::from_str(&format!("{BASE}}}").replace("llama", "mistral")).unwrap();
        let (it, _) = Config::new(Path::new("config.json"), &mistral).unwrap().metadata("m").unwrap();
        assert_eq!(it.u32("llama.attention.head_count_kv").unwrap(), 8);
    }

    #[test]
    fn numbers_are_what_they_mean() {
        let (it, _) =
            read(r#", "num_key_value_heads": [2, 2], "rms_norm_eps": "1e-5", "head_dim": 32.0"#).unwrap();
        assert_eq!(it.u32("llama.attention.head_count_kv").unwrap(), 2);
        assert_eq!(it.u32("llama.attention.key_length").unwrap(), 32);
        assert_eq!(it.f32("llama.attention.layer_norm_rms_epsilon").unwrap().to_bits(), 1e-5_f32.to_bits());
        for window in ["false", "-1", "null"] {
            let (it, _) = read(&format!(r#", "sliding_window": {window}"#)).unwrap();
            assert!(!it.has("llama.attention.sliding_window"), "{window}");
        }
        assert_eq!(
            read(r#", "sliding_window": 8.0"#).unwrap().0.u32("llama.attention.sliding_window").unwrap(),
            8
        );
        refused(r#", "num_key_value_heads": [2, 4]"#, "num_key_value_heads");
        refused(r#", "head_dim": 16.5"#, "head_dim");
        refused(r#", "head_dim": true"#, "head_dim");
    }

    #[test]
    fn a_window_of_qwen_needs_its_flag_and_a_layer() {
        let read = |more: &str| {
            let text = format!(r#"{BASE}, "sliding_window": 8{more}}}"#).replace("llama", "qwen2");
            let json = serde_json::from_str(&text).unwrap();
            let (it, _) = Config::new(Path::new("config.json"), &json).unwrap().metadata("m").unwrap();
            it.find::<u32>("qwen2.attention.sliding_window").unwrap()
        };
        assert_eq!(read(""), None);
        assert_eq!(read(r#", "use_sliding_window": false"#), None);
        assert_eq!(read(r#", "use_sliding_window": true, "max_window_layers": 2"#), None);
        assert_eq!(read(r#", "use_sliding_window": 1, "max_window_layers": 1"#), Some(8));
        let types = r#", "use_sliding_window": true, "layer_types": ["full_attention", "sliding_attention"]"#;
        assert_eq!(read(types), Some(8));
    }

    #[test]
    fn what_no_kernel_can_obey_is_refused_by_name() {
        for (more, key) in [
            (r#", "hidden_act": "relu""#, "hidden_act"),
            (r#", "hidden_act": "gelu_pytorch_tanh""#, "hidden_act"),
            (r#", "hidden_activation": "gelu""#, "hidden_activation"),
            (r#", "architectures": ["LlamaForCausalLMEagle3"]"#, "architectures"),
            (r#", "partial_rotary_factor": 0.5"#, "partial_rotary_factor"),
            (r#", "rotary_emb_base": 1000000"#, "rotary_emb_base"),
            (r#", "quantization_config": {"quant_method": "fp8"}"#, "quantization_config"),
            (r#", "embedding_multiplier": 12.0"#, "embedding_multiplier"),
            (r#", "attention_multiplier": 0.5"#, "attention_multiplier"),
            (r#", "final_logit_softcapping": 30.0"#, "final_logit_softcapping"),
            (r#", "mlp_bias": true"#, "mlp_bias"),
            (r#", "num_local_experts": 8"#, "num_local_experts"),
            (r#", "layer_norm_eps": 0.1"#, "layer_norm_eps"),
            (r#", "layer_types": ["full_attention", "linear_attention"]"#, "layer_types"),
            (r#", "layer_types": ["full_attention"]"#, "layer_types"),
            (r#", "some_new_attention_scale": 2"#, "some_new_attention_scale"),
        ] {
            refused(more, key);
        }
        let neutral = r#", "architectures": ["LlamaForCausalLM"], "hidden_act": "silu", "partial_rotary_factor": 1, "rotary_emb_base": 10000,
            "embedding_multiplier": 1.0, "attention_multiplier": 0.25, "final_logit_softcapping": null,
            "mlp_bias": false, "num_local_experts": 0, "quantization_config": {}, "attention_dropout": 0.1,
            "some_new_attention_scale": false, "made_on": "a Tuesday""#;
        assert_eq!(read(neutral).unwrap().1, [r#"made_on = "a Tuesday""#]);
    }

    #[test]
    fn rotation_is_read_in_the_older_and_the_newer_form() {
        let base = |more: &str| read(more).unwrap().0.f32("llama.rope.freq_base").unwrap();
        for more in [
            r#", "rope_theta": 500000"#,
            r#", "rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}"#,
            r#", "rope_scaling": {"rope_theta": 5e5, "rope_type": "default"}"#,
            r#", "rope_theta": 10000, "rope_parameters": {"rope_theta": 5e5}"#,
            r#", "rope_parameters": {"full_attention": {"rope_theta": 5e5, "rope_type": "default"}}"#,
        ] {
            assert_eq!(base(more).to_bits(), 5e5_f32.to_bits(), "{more}");
        }
        for more in [
            r#", "rope_scaling": {"type": "linear", "factor": 4}"#,
            r#", "rope_scaling": {"type": "linear", "rope_type": "linear", "factor": 4.0}"#,
            r#", "rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}"#,
        ] {
            let it = read(more).unwrap().0;
            assert_eq!(it.str("llama.rope.scaling.type").unwrap(), "linear", "{more}");
            assert_eq!(it.f32("llama.rope.scaling.factor").unwrap().to_bits(), 4_f32.to_bits(), "{more}");
        }
        for more in ["{}", "null", r#"{"rope_type": "default"}"#, r#"{"type": null, "factor": 1.0}"#] {
            assert!(
                !read(&format!(r#", "rope_scaling": {more}"#)).unwrap().0.has("llama.rope.scaling.type"),
                "{more}"
            );
        }
        for more in [
            r#"{"type": "dynamic", "factor": 2.0}"#,
            r#"{"type": "yarn", "original_max_position_embeddings": 128}"#,
            r#"{"type": "yarn", "factor": 4.0, "attention_factor": -1.0}"#,
            r#"{"type": "yarn", "factor": 4.0, "truncate": false}"#,
            r#"{"type": "longrope", "short_factor": [1.0], "long_factor": [2.0]}"#,
            r#"{"type": "linear", "rope_type": "llama3", "factor": 4.0}"#,
            r#"{"factor": 4.0}"#,
            r#"{"rope_type": "default", "factor": 4.0}"#,
            r#"{"rope_type": "default", "partial_rotary_factor": 0.5}"#,
            r#"{"rope_type": "linear", "factor": 4.0, "beta_fast": 32}"#,
            r#"{"full_attention": {"rope_theta": 1.0}, "sliding_attention": {"rope_theta": 2.0}}"#,
            r#""linear""#,
        ] {
            refused(&format!(r#", "rope_scaling": {more}"#), "rope_scaling");
        }
    }
}
