//! The rotation that config.json describes: `rope_theta` with `rope_scaling`, or `rope_parameters` of newer versions.

use std::path::Path;

use serde_json::{Map, Value as Json};

use super::{
    Config, Family, Kind,
    config::{number, value},
    limits, lookup,
};
use crate::rope::{ATTENTION_FACTOR, YARN_MAGNITUDE, yarn_magnitude};
use crate::{Error, Metadata, Value, value::narrow};

/// The parameters of each supported kind of scaling: key suffix in GGUF, and key in config.json.
const LLAMA3: &[(&str, &str, Kind)] = &[
    ("rope.scaling.factor", "factor", Kind::F32),
    ("rope.scaling.low_freq_factor", "low_freq_factor", Kind::F32),
    ("rope.scaling.high_freq_factor", "high_freq_factor", Kind::F32),
    ("rope.scaling.original_context_length", "original_max_position_embeddings", Kind::U32),
];
const LINEAR: &[(&str, &str, Kind)] = &[("rope.scaling.factor", "factor", Kind::F32)];
const YARN: &[(&str, &str, Kind)] = &[
    ("rope.scaling.factor", "factor", Kind::F32),
    ("rope.scaling.original_context_length", "original_max_position_embeddings", Kind::U32),
    ("rope.scaling.yarn_beta_fast", "beta_fast", Kind::F32),
    ("rope.scaling.yarn_beta_slow", "beta_slow", Kind::F32),
];
/// The context without scaling, in config.json.
const ORIGINAL_CONTEXT: &str = "original_max_position_embeddings";
/// transformers' defaults of `YaRN`.
const YARN_DEFAULTS: &[(&str, f32)] = &[("beta_fast", 32.0), ("beta_slow", 1.0)];
/// The two magnitudes of `YaRN`, of cosines and of attention. They cancel in the cosines if they are equal.
const MAGNITUDES: [&str; 2] = ["mscale", "mscale_all_dim"];

/// Keys that every kind of scaling may have.
const COMMON: &[&str] = &[
    "type",
    "rope_type",
    "rope_theta",
    "partial_rotary_factor",
    "original_max_position_embeddings",
    "finetuned",
];

/// Keys that split the rotation between positions in an image. The positions of a text are equal.
const IMAGE_POSITIONS: &[&str] = &["mrope_section", "mrope_interleaved"];

/// Keys outside of the parameters that say which part of a head is rotated.
const PARTS: &[&str] = &["partial_rotary_factor", "rotary_pct"];

/// Adds the metadata of the rotation.
///
/// # Errors
/// [`Error::RopeScaling`] for an unsupported kind, [`Error::RefusedKey`] for parameters that contradict or that no
/// kernel can obey, [`Error::KeyType`].
pub(super) fn add(config: &Config<'_>, layers: Option<u32>, metadata: &mut Metadata) -> Result<(), Error> {
    let (path, json, family) = (config.path(), config.json, config.family);
    check_layer_types(config, layers)?;
    let [older, newer] = ["rope_scaling", "rope_parameters"].map(|key| tables(config, key));
    let (older, newer) = (older?, newer?);
    if let (Some(older), Some(newer)) = (&older, &newer)
        && older != newer
    {
        return Err(refuse(path, "rope_scaling", older.full, "it must equal `rope_parameters`"));
    }
    let empty = Map::new();
    let (key, found) = if older.is_some() { ("rope_scaling", older) } else { ("rope_parameters", newer) };
    let Tables { full: parameters, local } = found.unwrap_or(Tables { full: &empty, local: None });
    let flat = lookup(json, "rope_theta");
    let theta = |table: &'_ Map<String, Json>| table.get("rope_theta").filter(|it| !it.is_null()).cloned();
    if let Some(theta) = theta(parameters).or_else(|| flat.cloned())
        && let Some(base) = read(path, "rope_theta", Kind::F32, &theta)?
    {
        metadata.set(family.key("rope.freq_base"), base);
    }
    if let Some(theta) = local.and_then(theta)
        && let Some(base) = read(path, "rope_theta", Kind::F32, &theta)?
    {
        metadata.set(family.key("rope.freq_base_swa"), base);
    }
    if let Some(default) = family.rotated_part {
        let flat = || PARTS.iter().find_map(|key| lookup(json, key));
        let part = parameters.get("partial_rotary_factor").filter(|it| !it.is_null()).or_else(flat);
        let part = part.map_or(Some(default), number);
        metadata.set(family.key("rope.dimension_count"), rotated(config, part, metadata)?);
    }
    let scaling = Scaling { path, key, parameters, family };
    for (suffix, value) in scaling.keys()? {
        metadata.set(family.key(suffix), value);
    }
    if let Some(local) = local {
        Scaling { path, key, parameters: local, family }.check_unscaled()?;
    }
    Ok(())
}

/// The rotated width of a head, of which `part` is rotated.
fn rotated(config: &Config<'_>, part: Option<f64>, metadata: &Metadata) -> Result<Value, Error> {
    let find = |suffix: &str| metadata.find::<u32>(&config.family.key(suffix));
    let head = match find("attention.key_length")? {
        Some(width) => width,
        None => {
            let (hidden, heads) = (find("embedding_length")?, find("attention.head_count")?);
            hidden.zip(heads).and_then(|(hidden, heads)| hidden.checked_div(heads)).unwrap_or_default()
        }
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "transformers rounds down too, and the part is below 1"
    )]
    let width = |part: f64| (f64::from(head) * part) as u32;
    match part.filter(|part| (0.0..=1.0).contains(part)) {
        Some(part) => Ok(Value::U32(width(part))),
        None => Err(Error::RefusedKey {
            path: config.path().to_owned(),
            key: "partial_rotary_factor".to_owned(),
            value: format!("{part:?}"),
            needs: "it must be a number between 0 and 1".to_owned(),
        }),
    }
}

/// The parameters of the layers with full attention, and those of the layers with a window where they differ.
#[derive(PartialEq)]
struct Tables<'a> {
    full: &'a Map<String, Json>,
    local: Option<&'a Map<String, Json>>,
}

/// The parameters under `key`, if there are some: one table, or one per type of layer.
fn tables<'a>(config: &Config<'a>, key: &'static str) -> Result<Option<Tables<'a>>, Error> {
    let Some(json) = lookup(config.json, key) else { return Ok(None) };
    let wrong = || Error::KeyType {
        path: config.path().to_owned(),
        key: key.to_owned(),
        expected: "an object",
        found: json.to_string().chars().take(40).collect(),
    };
    let all = json.as_object().ok_or_else(wrong)?;
    let kinds: Vec<_> = all.iter().filter_map(|(kind, it)| Some((kind.as_str(), it.as_object()?))).collect();
    if kinds.is_empty() {
        return Ok(Some(Tables { full: all, local: None }).filter(|_| !all.is_empty()));
    }
    let of = |kind: &str| kinds.iter().find(|it| it.0 == kind).map(|it| it.1);
    let two = [of("full_attention"), of("sliding_attention")];
    if let ([Some(full), Some(local)], true) = (two, config.family.has_key("rope.freq_base_swa")) {
        return Ok(Some(Tables { full, local: Some(local) }));
    }
    let types = lookup(config.json, "layer_types").and_then(Json::as_array);
    let used = |kind: &str| types.is_none_or(|types| types.iter().any(|it| it == kind));
    let mut tables = kinds.iter().filter(|(kind, _)| used(kind)).map(|(_, it)| *it);
    let first = tables.next();
    match first {
        Some(full) if kinds.len() == all.len() && tables.all(|it| it == full) => {
            Ok(Some(Tables { full, local: None }))
        }
        _ => Err(refuse(config.path(), key, all, "all layers must have the same rotation")),
    }
}

/// Fails unless every layer is of a kind that the family has.
fn check_layer_types(config: &Config<'_>, layers: Option<u32>) -> Result<(), Error> {
    let Some(json) = lookup(config.json, "layer_types") else { return Ok(()) };
    let kinds = config.family.layer_types;
    let known = |it: &Json| it.as_str().is_some_and(|it| kinds.contains(&it));
    let right = json
        .as_array()
        .is_some_and(|it| it.iter().all(known) && layers.is_none_or(|layers| it.len() == layers as usize));
    if right {
        return Ok(());
    }
    let kinds: Vec<String> = kinds.iter().map(|it| format!("`{it}`")).collect();
    Err(config.refuse("layer_types", json, format!("it must name {} for each layer", kinds.join(" or "))))
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
    family: &'static Family,
}

impl Scaling<'_> {
    fn keys(&self) -> Result<Vec<(&'static str, Value)>, Error> {
        let parameters: &[(&str, &str, Kind)] = match self.kind()? {
            None => &[],
            Some("linear") => LINEAR,
            Some("llama3") => LLAMA3,
            Some("yarn") if [YARN_MAGNITUDE, ATTENTION_FACTOR].iter().any(|it| self.family.has_key(it)) => {
                YARN
            }
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
            // Ordinary YaRN then extends the context of the model.
            if json.is_null() && name == ORIGINAL_CONTEXT && self.is_ordinary_yarn() {
                continue;
            }
            let key = format!("{}.{name}", self.key);
            let default = YARN_DEFAULTS.iter().find(|it| it.0 == name).map(|it| Value::F32(it.1));
            let value = read(self.path, &key, kind, json)?.or(default);
            let value = value.ok_or_else(|| Error::MissingKey { path: self.path.to_owned(), key })?;
            keys.push((suffix, value));
        }
        if self.is_ordinary_yarn() && parameters == YARN {
            keys.extend(self.attention_factor()?.map(|it| (ATTENTION_FACTOR, it)));
        } else if self.kind()? == Some("yarn") {
            keys.push((YARN_MAGNITUDE, self.magnitude()?));
        }
        Ok(keys)
    }

    /// Whether this family's `YaRN` multiplies cosines and sines.
    fn is_ordinary_yarn(&self) -> bool {
        self.family.has_key(ATTENTION_FACTOR)
    }

    /// The multiplier of cosines and sines over that of [`yarn_magnitude`], where the parameters give one. Formulas:
    /// `_compute_yarn_parameters` of transformers.
    fn attention_factor(&self) -> Result<Option<Value>, Error> {
        let find = |name: &str| self.parameters.get(name).and_then(number).filter(|&it| it != 0.0);
        let factor = find("factor").unwrap_or(1.0);
        // Equals `yarn_magnitude` for a magnitude of 1.
        let of = |magnitude: f64| (0.1 * magnitude).mul_add(factor.max(1.0).ln(), 1.0);
        let [cosines, attention] = MAGNITUDES.map(find);
        let given = find("attention_factor").or(cosines.zip(attention).map(|(a, b)| of(a) / of(b)));
        match given.map(|it| it / yarn_magnitude(factor)) {
            Some(more) if more > 0.0 && more.is_finite() => Ok(Some(Value::F32(narrow(more)))),
            Some(_) => {
                let needs = "the multiplier of cosines must be above 0";
                Err(refuse(self.path, self.key, self.parameters, needs))
            }
            None => Ok(None),
        }
    }

    /// The magnitude of `YaRN` times 0.1, as llama.cpp writes it.
    fn magnitude(&self) -> Result<Value, Error> {
        let [cosines, attention] = MAGNITUDES.map(|it| self.parameters.get(it).and_then(number));
        match attention.filter(|&it| cosines == Some(it) && it != 0.0) {
            Some(it) => Ok(Value::F32(narrow(0.1 * it))),
            None => {
                let needs = "YaRN needs `mscale` equal to `mscale_all_dim`, so that cosines are not scaled";
                Err(refuse(self.path, self.key, self.parameters, needs))
            }
        }
    }

    /// Fails if the layers with a window have a scaled rotation.
    fn check_unscaled(&self) -> Result<(), Error> {
        match self.kind()? {
            None => self.check_rest(&[]),
            Some(_) => {
                let needs = "the rotation of layers with a window must not be scaled";
                Err(refuse(self.path, self.key, self.parameters, needs))
            }
        }
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
        let known = |name: &str| {
            let of_image = self.family.image_positions && IMAGE_POSITIONS.contains(&name);
            let of_ordinary = self.is_ordinary_yarn() && name == "attention_factor";
            let of_yarn =
                parameters == YARN && (MAGNITUDES.contains(&name) || of_ordinary || name == "truncate");
            COMMON.contains(&name) || of_image || of_yarn || parameters.iter().any(|it| it.1 == name)
        };
        if self.parameters.get("truncate") == Some(&Json::Bool(false)) {
            return Err(refuse(self.path, self.key, self.parameters, "`truncate` must be true"));
        }
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
        if partial && self.family.rotated_part.is_none() {
            return Err(refuse(self.path, self.key, self.parameters, "`partial_rotary_factor` must be 1"));
        }
        Ok(())
    }
}
