//! No key that changes the arithmetic is ignored: what no layer reads must be harmless, or have a value that changes
//! nothing. The rest is refused by name, or reported where nothing suggests that it matters.

use std::path::Path;

use serde_json::Value as Json;

use super::{
    Family,
    config::number,
    known::{self, Only},
    known_gguf, known_words,
};
use crate::{Array, Error, Metadata, Value, value::narrow};

/// Whether a value means that something is absent or turned off.
pub(super) fn is_off(json: &Json) -> bool {
    match json {
        Json::Null => true,
        Json::Bool(it) => !it,
        Json::Number(_) => number(json) == Some(0.0),
        Json::String(it) => it.is_empty() || it.eq_ignore_ascii_case("none"),
        Json::Array(items) => items.iter().all(is_off),
        Json::Object(items) => items.is_empty(),
    }
}

/// A value for messages.
pub(super) fn shorten(json: &Json) -> String {
    let text = json.to_string();
    if text.chars().count() > 60 { text.chars().take(60).chain(['…']).collect() } else { text }
}

/// Checks every key of config.json, and returns those that nothing here knows, with their values.
///
/// # Errors
/// [`Error::RefusedKey`] for one that can change the arithmetic.
pub(super) fn check_config(
    path: &Path,
    config: &Json,
    family: &Family,
    metadata: &Metadata,
) -> Result<Vec<String>, Error> {
    let check = Check { path, family, metadata, limits: known::CONFIG };
    let mut unknown = Vec::new();
    check_quantization(path, config)?;
    for (key, json) in config.as_object().into_iter().flatten() {
        let obeyed = family.keys().any(|rule| rule.hf == Some(key)) || known::CONFIG_OBEYED.contains(&&**key);
        let harmless = known::CONFIG_HARMLESS.contains(&&**key);
        if check.of_family(key).is_some() || !obeyed && !harmless {
            unknown.extend(check.key(key, key, json)?);
        }
    }
    Ok(unknown)
}

/// Checks the keys of a model of several parts, of which `text` runs, and returns those that nothing here knows.
///
/// # Errors
/// [`Error::RefusedKey`] for one that can change the arithmetic of the text part.
pub(super) fn check_outer(
    path: &Path,
    whole: &Json,
    text: &Json,
    family: &Family,
    metadata: &Metadata,
) -> Result<Vec<String>, Error> {
    let check = Check { path, family, metadata, limits: known::CONFIG };
    let tables = [known::OTHER_PARTS, known::CONFIG_HARMLESS, known::CONFIG_OBEYED];
    let mut unknown = Vec::new();
    check_quantization(path, whole)?;
    for (key, json) in whole.as_object().into_iter().flatten() {
        // Some files repeat a key of the text part.
        let repeated = text.get(key) == Some(json);
        if !repeated && !tables.iter().any(|it| it.contains(&&**key)) {
            unknown.extend(check.key(key, key, json)?);
        }
    }
    Ok(unknown)
}

/// Refuses weights that another program quantized. MLX repeats its own table under the second name.
fn check_quantization(path: &Path, config: &Json) -> Result<(), Error> {
    let Some(json) = config.get("quantization_config").filter(|it| !is_off(it)) else { return Ok(()) };
    if config.get("quantization") == Some(json) {
        return Ok(());
    }
    let method = json.get("quant_method").and_then(Json::as_str).unwrap_or("of an unknown kind");
    let needs =
        format!("weights quantized by `{method}` cannot be read; use the unquantized model or a GGUF file");
    Err(Error::RefusedKey {
        path: path.to_owned(),
        key: "quantization_config".to_owned(),
        value: shorten(json),
        needs,
    })
}

/// Checks every key of a GGUF file's metadata, and returns those that nothing here knows, with their values.
///
/// # Errors
/// [`Error::RefusedKey`] for one that can change the arithmetic.
pub(crate) fn check_metadata(path: &Path, metadata: &Metadata) -> Result<Vec<String>, Error> {
    let family = super::family(path, metadata)?;
    let check = Check { path, family, metadata, limits: known_gguf::GGUF };
    let kind = metadata.find::<&str>("general.type").ok().flatten().unwrap_or(family.file_type);
    if kind != family.file_type {
        let (key, value) = ("general.type".to_owned(), format!("`{kind}`"));
        let needs = format!("only a file of type `{}` has all weights of a model", family.file_type);
        return Err(Error::RefusedKey { path: path.to_owned(), key, value, needs });
    }
    let described =
        |key: &str| known_gguf::GGUF_NAMESPACES.contains(&key.split('.').next().unwrap_or_default());
    let values = metadata.iter().filter(|it| !described(it.0)).map(|(key, value)| (key, to_json(value)));
    // Of a value that cannot be read, only the name can show whether it matters.
    let unreadable = metadata.unreadable().filter(|it| !described(it.0));
    let unreadable = unreadable.map(|(key, problem)| (key, Json::String(problem.to_owned())));
    let mut unknown = Vec::new();
    for (key, json) in values.chain(unreadable) {
        // The keys of another family in the same file are as unknown as any other.
        let Some(suffix) = key.strip_prefix(family.architecture).and_then(|it| it.strip_prefix('.')) else {
            unknown.push(describe(key, &json));
            continue;
        };
        let other_part =
            family.is_text() && known_gguf::GGUF_OTHER_PARTS.iter().any(|it| suffix.starts_with(it));
        let known = family.has_key(suffix) || other_part || known_gguf::GGUF_HARMLESS.contains(&suffix);
        if check.of_family(suffix).is_some() || !known {
            unknown.extend(check.key(key, suffix, &json)?);
        }
    }
    Ok(unknown)
}

fn describe(key: &str, json: &Json) -> String {
    format!("{key} = {}", shorten(json))
}

/// A scalar or a short list; a long list is its length.
fn to_json(value: &Value) -> Json {
    match value {
        Value::Str(it) => Json::from(it.as_str()),
        Value::Bool(it) => Json::from(*it),
        Value::F32(it) => Json::from(*it),
        Value::F64(it) => Json::from(*it),
        Value::U64(it) => Json::from(*it),
        Value::I64(it) => Json::from(*it),
        Value::U8(it) => Json::from(*it),
        Value::I8(it) => Json::from(*it),
        Value::U16(it) => Json::from(*it),
        Value::I16(it) => Json::from(*it),
        Value::U32(it) => Json::from(*it),
        Value::I32(it) => Json::from(*it),
        Value::Array(Array::Str(it)) => Json::from(it.iter().take(8).cloned().collect::<Vec<_>>()),
        Value::Array(it) => it.values().map(|it| to_json(&it)).collect(),
    }
}

/// The rules for the keys of one file.
struct Check<'a> {
    path: &'a Path,
    family: &'a Family,
    metadata: &'a Metadata,
    limits: &'static [(&'static str, Only)],
}

impl Check<'_> {
    /// The family's own limit of a key.
    fn of_family(&self, name: &str) -> Option<Only> {
        self.family.limits.iter().find(|it| it.0 == name).map(|it| it.1)
    }

    /// Checks a key; returns it with its value if nothing here knows it. `name` is the key without its prefix.
    fn key(&self, key: &str, name: &str, json: &Json) -> Result<Option<String>, Error> {
        let of_all = || self.limits.iter().find(|it| it.0 == name).map(|it| it.1);
        let limit = self.of_family(name).or_else(of_all);
        let needs = match limit {
            Some(only) => (!self.holds(only, json)).then(|| self.needs(only)),
            None if is_off(json) => None,
            None => can_matter(name)
                .then(|| "nothing here knows it, and its name concerns the arithmetic".to_owned()),
        };
        match needs {
            Some(needs) => Err(Error::RefusedKey {
                path: self.path.to_owned(),
                key: key.to_owned(),
                value: shorten(json),
                needs,
            }),
            None if limit.is_none() && !json.is_null() && !is_off(json) => Ok(Some(describe(key, json))),
            None => Ok(None),
        }
    }

    fn holds(&self, only: Only, json: &Json) -> bool {
        if json.is_null() {
            return true;
        }
        // One value per layer.
        if let (Json::Array(items), false) = (json, matches!(only, Only::Off)) {
            return items.iter().all(|it| self.holds(only, it));
        }
        let close = |to: f64| number(json).is_some_and(|it| (it - to).abs() <= 1e-5 * to.abs());
        let on = super::flag(json) == Some(true);
        match only {
            Only::Any => true,
            Only::Off => is_off(json) || number(json) == Some(-1.0),
            Only::On => on,
            Only::QkNorm => on == self.has_qk_norm(),
            Only::Numbers(all) => all.iter().any(|&it| close(it)),
            Only::Words(all) => {
                json.as_str().is_some_and(|it| all.iter().any(|word| it.eq_ignore_ascii_case(word)))
            }
            Only::Same(suffix) => self.value(suffix).is_some_and(close) || is_off(json),
            Only::HeadScale => self.head_scale().is_some_and(close) || is_off(json),
        }
    }

    /// What a limit asks for, in words.
    fn needs(&self, only: Only) -> String {
        let list = |all: Vec<String>| all.join(" or ");
        match only {
            Only::Any => "it may have any value".to_owned(),
            Only::Off => "it must be absent or off, because no kernel of this family does it".to_owned(),
            Only::On => "it must be true".to_owned(),
            Only::QkNorm => format!("it must be {} for this family", self.has_qk_norm()),
            Only::Numbers(all) => format!("it must be {}", list(all.iter().map(f64::to_string).collect())),
            Only::Words(all) => {
                format!("it must be {}", list(all.iter().map(|it| format!("`{it}`")).collect()))
            }
            Only::Same(suffix) => {
                let value =
                    self.value(suffix).map_or_else(|| "unknown".to_owned(), |it| narrow(it).to_string());
                format!("it must equal {suffix}, which is {value}")
            }
            Only::HeadScale => {
                let scale =
                    self.head_scale().map_or_else(|| "unknown".to_owned(), |it| narrow(it).to_string());
                format!("it must be one over the square root of the head width, which is {scale}")
            }
        }
    }

    fn has_qk_norm(&self) -> bool {
        self.family.has_tensor("blk.0.attn_q_norm.weight")
    }

    fn value(&self, suffix: &str) -> Option<f64> {
        self.metadata.find::<f32>(&self.family.key(suffix)).ok().flatten().map(f64::from)
    }

    fn head_scale(&self) -> Option<f64> {
        self.value("attention.key_length").map(|it| 1.0 / it.sqrt())
    }
}

/// Whether the name of an unknown key concerns the arithmetic.
fn can_matter(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let words = || lower.split(|it: char| !it.is_ascii_alphanumeric()).filter(|it| !it.is_empty());
    words().any(|it| known_words::ARITHMETIC.contains(&it))
        && !words().any(|it| known_words::TRAINING.contains(&it))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convention::FAMILIES;

    fn check(key: &str, value: Value) -> Result<Vec<String>, Error> {
        let path = Path::new("x.gguf");
        let entries = [
            ("general.architecture", Value::Str("llama".to_owned())),
            ("llama.block_count", Value::U32(2)),
            ("llama.context_length", Value::U32(2)),
            ("llama.feed_forward_length", Value::U32(2)),
            ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
            ("llama.attention.head_count", Value::U32(4)),
            ("llama.embedding_length", Value::U32(64)),
            (key, value),
        ];
        let mut metadata = Metadata::new(path, Vec::new());
        entries.into_iter().for_each(|(key, value)| metadata.set(key, value));
        crate::convention::complete(&mut metadata)?;
        check_metadata(path, &metadata)
    }

    #[test]
    fn every_key_of_the_architecture_is_known_or_refused_or_reported() {
        for (key, value) in [
            ("llama.expert_count", Value::U32(8)),
            ("llama.expert_weights_scale", Value::F32(2.5)),
            ("llama.expert_gating_func", Value::U32(2)),
            ("llama.final_logit_softcapping", Value::F32(30.0)),
            ("llama.attention.scale", Value::F32(0.5)),
            ("llama.attention.value_length", Value::U32(32)),
            ("llama.attention.causal", Value::U8(0)),
            ("llama.residual_scale", Value::F64(0.2)),
            ("llama.rope.dimension_sections", Value::Array(Array::I32(vec![0, 4]))),
            ("llama.attention.new_kind_of_sink", Value::Bool(true)),
            ("general.type", Value::Str("adapter".to_owned())),
        ] {
            let error = check(key, value).unwrap_err();
            assert!(matches!(&error, Error::RefusedKey { key: it, .. } if it == key), "{key}: {error}");
        }
        for (key, value) in [
            ("llama.expert_count", Value::U64(0)),
            ("llama.expert_weights_scale", Value::F32(1.0)),
            ("llama.attention.scale", Value::F32(0.25)),
            ("llama.attention.scale", Value::F32(0.0)),
            ("llama.attention.value_length", Value::F32(16.0)),
            ("llama.attention.causal", Value::I64(1)),
            ("llama.rope.dimension_sections", Value::Array(Array::I32(vec![0, 0]))),
            ("llama.attention.new_kind_of_sink", Value::Bool(false)),
            ("llama.rope.scaling.finetuned", Value::Bool(true)),
            ("llama.vision.attention.head_count", Value::U32(16)),
            ("general.author", Value::Str("me".to_owned())),
            ("training.attention", Value::U32(3)),
        ] {
            assert_eq!(check(key, value).unwrap(), Vec::<String>::new(), "{key}");
        }
        assert_eq!(check("llama.maker", Value::Str("me".to_owned())).unwrap(), ["llama.maker = \"me\""]);
        assert_eq!(check("qwen2.block_count", Value::U8(3)).unwrap(), ["qwen2.block_count = 3"]);
    }

    #[test]
    fn the_tables_name_each_key_once() {
        let limited = |key: &str| known::CONFIG.iter().any(|it| it.0 == key);
        for key in FAMILIES.iter().flat_map(|it| it.keys()).filter_map(|it| it.hf) {
            assert!(!known::CONFIG_HARMLESS.contains(&key), "{key}");
        }
        for key in known::CONFIG_OBEYED {
            assert!(!limited(key) && !known::CONFIG_HARMLESS.contains(key), "{key}");
        }
        // A limit of one family is stricter or wider than that of all, and never repeats it.
        for family in FAMILIES {
            for (i, (key, _)) in family.limits.iter().enumerate() {
                assert!(!family.limits[..i].iter().any(|it| it.0 == *key), "{}: {key}", family.architecture);
            }
        }
        for (key, _) in known::CONFIG {
            assert!(!known::CONFIG_HARMLESS.contains(key), "{key}");
        }
        for (key, _) in known_gguf::GGUF {
            assert!(!known_gguf::GGUF_HARMLESS.contains(key), "{key}");
        }
    }
}
