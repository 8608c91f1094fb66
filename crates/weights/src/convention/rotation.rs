//! The rotation that config.json describes: `rope_theta` with `rope_scaling`, or `rope_parameters` of newer versions.

use std::path::Path;

use serde_json::{Map, Value as Json};

use super::{
    Kind,
    config::{number, value},
    limits, lookup,
};
use crate::{Error, Value};

/// The parameters of each supported kind of scaling: key suffix in GGUF, and key in config.json.
const LLAMA3: &[(&str, &str, Kind)] = &[
    ("rope.scaling.factor", "factor", Kind::F32),
    ("rope.scaling.low_freq_factor", "low_freq_factor", Kind::F32),
    ("rope.scaling.high_freq_factor", "high_freq_factor", Kind::F32),
    ("rope.scaling.original_context_length", "original_max_position_embeddings", Kind::U32),
];
const LINEAR: &[(&str, &str, Kind)] = &[("rope.scaling.factor", "factor", Kind::F32)];

/// Keys that every kind of scaling may have.
const COMMON: &[&str] = &[
    "type",
    "rope_type",
    "rope_theta",
    "partial_rotary_factor",
    "original_max_position_embeddings",
    "finetuned",
];

/// The metadata of the rotation, as key suffixes and values.
///
/// # Errors
/// [`Error::RopeScaling`] for an unsupported kind, [`Error::RefusedKey`] for parameters that contradict or that no
/// kernel can obey, [`Error::KeyType`].
pub(super) fn keys(
    path: &Path,
    config: &Json,
    layers: Option<u32>,
) -> Result<Vec<(&'static str, Value)>, Error> {
    check_layer_types(path, config, layers)?;
    let [older, newer] = ["rope_scaling", "rope_parameters"].map(|key| table(path, config, key));
    let (older, newer) = (older?, newer?);
    if let (Some(older), Some(newer)) = (older, newer)
        && older != newer
    {
        return Err(refuse(path, "rope_scaling", older, "it must equal `rope_parameters`"));
    }
    let empty = Map::new();
    let (key, found) = if older.is_some() { ("rope_scaling", older) } else { ("rope_parameters", newer) };
    let parameters = found.unwrap_or(&empty);
    let mut keys = Vec::new();
    let flat = lookup(config, "rope_theta");
    if let Some(theta) = parameters.get("rope_theta").filter(|it| !it.is_null()).or(flat) {
        keys.extend(read(path, "rope_theta", Kind::F32, theta)?.map(|it| ("rope.freq_base", it)));
    }
    keys.extend(Scaling { path, key, parameters }.keys()?);
    Ok(keys)
}

/// The parameters under `key`, if there are some: one table, or one per type of layer.
fn table<'a>(
    path: &Path,
    config: &'a Json,
    key: &'static str,
) -> Result<Option<&'a Map<String, Json>>, Error> {
    let Some(json) = lookup(config, key) else { return Ok(None) };
    let wrong = || Error::KeyType {
        path: path.to_owned(),
        key: key.to_owned(),
        expected: "an object",
        found: json.to_string().chars().take(40).collect(),
    };
    let all = json.as_object().ok_or_else(wrong)?;
    let kinds: Vec<_> = all.iter().filter(|(_, it)| it.is_object()).collect();
    if kinds.is_empty() {
        return Ok(Some(all).filter(|it| !it.is_empty()));
    }
    let types = lookup(config, "layer_types").and_then(Json::as_array);
    let used = |kind: &str| types.is_none_or(|types| types.iter().any(|it| it == kind));
    let mut tables = kinds.iter().filter(|(kind, _)| used(kind)).map(|(_, it)| *it);
    let first = tables.next();
    match first {
        Some(first) if kinds.len() == all.len() && tables.all(|it| it == first) => Ok(first.as_object()),
        _ => Err(refuse(path, key, all, "all layers must have the same rotation")),
    }
}

/// Fails unless every layer has attention that the kernels know.
fn check_layer_types(path: &Path, config: &Json, layers: Option<u32>) -> Result<(), Error> {
    let Some(json) = lookup(config, "layer_types") else { return Ok(()) };
    let known = |it: &Json| it == "full_attention" || it == "sliding_attention";
    let right = json
        .as_array()
        .is_some_and(|it| it.iter().all(known) && layers.is_none_or(|layers| it.len() == layers as usize));
    if right {
        return Ok(());
    }
    let needs = "it must name `full_attention` or `sliding_attention` for each layer";
    Err(Error::RefusedKey {
        path: path.to_owned(),
        key: "layer_types".to_owned(),
        value: limits::shorten(json),
        needs: needs.to_owned(),
    })
}

fn read(path: &Path, key: &str, kind: Kind, json: &Json) -> Result<Option<Value>, Error> {
    let (expected, found) = ("a number", json.to_string());
    value(kind, json).ok_or_else(|| Error::KeyType {
        path: path.to_owned(),
        key: key.to_owned(),
        expected,
        found,
    })
}

fn refuse(path: &Path, key: &str, value: &Map<String, Json>, needs: &str) -> Error {
    let value = limits::shorten(&Json::Object(value.clone()));
    Error::RefusedKey { path: path.to_owned(), key: key.to_owned(), value, needs: needs.to_owned() }
}

/// One table of parameters, under `key`.
struct Scaling<'a> {
    path: &'a Path,
    key: &'static str,
    parameters: &'a Map<String, Json>,
}

impl Scaling<'_> {
    fn keys(&self) -> Result<Vec<(&'static str, Value)>, Error> {
        let parameters: &[(&str, &str, Kind)] = match self.kind()? {
            None => &[],
            Some("linear") => LINEAR,
            Some("llama3") => LLAMA3,
            Some(other) => {
                return Err(Error::RopeScaling { path: self.path.to_owned(), kind: other.to_owned() });
            }
        };
        self.check_rest(parameters)?;
        let mut keys = Vec::new();
        if let Some(kind) = self.kind()? {
            keys.push(("rope.scaling.type", Value::Str(kind.to_owned())));
        }
        for &(suffix, name, kind) in parameters {
            let json = self.parameters.get(name).unwrap_or(&Json::Null);
            let key = format!("{}.{name}", self.key);
            let value = read(self.path, &key, kind, json)?;
            let value = value.ok_or_else(|| Error::MissingKey { path: self.path.to_owned(), key })?;
            keys.push((suffix, value));
        }
        Ok(keys)
    }

    /// The kind of scaling; `None` without scaling.
    fn kind(&self) -> Result<Option<&str>, Error> {
        let [old, new] = ["type", "rope_type"].map(|name| self.parameters.get(name).and_then(Json::as_str));
        if old.is_some() && new.is_some() && old != new {
            return Err(refuse(self.path, self.key, self.parameters, "`type` must equal `rope_type`"));
        }
        Ok(new.or(old).filter(|it| !["default", "none", ""].contains(it)))
    }

    /// Fails for a parameter that this kind of scaling does not have, unless it changes nothing.
    fn check_rest(&self, parameters: &[(&str, &str, Kind)]) -> Result<(), Error> {
        let known = |name: &str| COMMON.contains(&name) || parameters.iter().any(|it| it.1 == name);
        // A factor of 1 scales nothing.
        let neutral = |json: &Json| limits::is_off(json) || number(json) == Some(1.0);
        let partial = self.parameters.get("partial_rotary_factor").is_some_and(|it| !neutral(it));
        let foreign = self.parameters.iter().find(|(name, json)| !known(name) && !neutral(json));
        if let Some((name, json)) = foreign {
            let key = format!("{}.{name}", self.key);
            let value = limits::shorten(json);
            let needs = "it must be absent, because this kind of scaling does not have it".to_owned();
            return Err(if name == "factor" {
                refuse(
                    self.path,
                    self.key,
                    self.parameters,
                    "`rope_type` must name its kind, such as `linear`",
                )
            } else {
                Error::RefusedKey { path: self.path.to_owned(), key, value, needs }
            });
        }
        if partial {
            return Err(refuse(self.path, self.key, self.parameters, "`partial_rotary_factor` must be 1"));
        }
        Ok(())
    }
}
