//! Hugging Face folders: config.json, one or more safetensors files, tokenizer.json.

mod assemble;
mod biases;
mod head;
mod header;
mod mlx;
mod sentencepiece;
mod sentencepiece_model;
mod shards;
mod tokenizer;
mod vocabulary;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use crate::{
    Error, Metadata,
    convention::{self, Config, Family, Unneeded},
    entry::{Parts, TensorEntry},
    gguf,
    map::Map,
    parts::Part,
    recognize::{recognize, recognize_json},
};

pub(crate) use vocabulary::vocabulary;

/// Reads the directory of a folder, or of one safetensors file and the config.json beside it. A part of several stands for
/// its folder. Of a model of several parts, the text part is read.
pub(crate) fn read(path: &Path) -> Result<Parts, Error> {
    Ok(read_part(path, Which::Text)?.expect("every config.json has a text part"))
}

/// Reads the part of a folder that sees images; `None` if the model has none that is supported.
pub(crate) fn read_vision(path: &Path) -> Result<Option<Parts>, Error> {
    read_part(path, Which::Vision)
}

/// A part of a model.
enum Which {
    Text,
    Vision,
}

fn read_part(path: &Path, which: Which) -> Result<Option<Parts>, Error> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let part = Part::of(&name, ".safetensors").is_some();
    let (folder, files) = if path.is_dir() || part {
        let folder = if part { parent(path) } else { path };
        (folder, shards::files(folder)?)
    } else {
        (parent(path), shards::Files::one(path))
    };
    let config_path = folder.join("config.json");
    if !config_path.exists() {
        return Err(without_config(folder, &files));
    }
    let json = read_json(&config_path)?;
    let config = match which {
        Which::Text => Some(Config::new(&config_path, &json)?),
        Which::Vision => Config::vision(&config_path, &json)?,
    };
    let Some(config) = config else { return Ok(None) };
    let name = std::fs::canonicalize(folder).ok();
    let name = name.as_deref().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let (mut metadata, unknown) = config.metadata(&name)?;
    let mut notes: Vec<String> = unknown
        .iter()
        .map(|it| format!("config.json: {it}: nothing here knows this key, and it is ignored"))
        .collect();

    let family = config.family;
    let quantization = mlx::quantization(&config_path, &json)?;
    let needs = |name: &str| {
        let part = |end| name.strip_suffix(end).is_some_and(|it| config.needs(&format!("{it}.weight")));
        config.needs(name) || quantization.is_some() && (part(".scales") || part(".biases"))
    };
    let mut maps = Vec::new();
    let mut entries = Vec::new();
    let mut words = BTreeSet::new();
    for (i, file) in files.paths.iter().enumerate() {
        let map = Map::open(file)?;
        let words = quantization.is_some().then_some(&mut words);
        let found = header::read(file, map.as_ref(), i, &needs, words)
            .map_err(|error| if is_header(&error) { recognize(file).unwrap_or(error) } else { error })?;
        gguf::check_disjoint(file, &found.entries)?;
        files.check(file, &found.entries, &needs)?;
        notes.extend(others(path, &config, &found.others)?);
        entries.extend(found.entries);
        maps.push(map);
    }
    if let Some(quantization) = &quantization {
        entries = mlx::join(path, quantization, entries, &words)?;
    }
    let entries = assemble::assemble(path, &config, &metadata, entries)?;
    if !family.is_text() {
        return Ok(Some(Parts { metadata, entries, maps, files: files.paths, tokenizer_json: None, notes }));
    }
    biases::check(&config_path, config.json, family, &entries)?;
    check_rows(&config_path, &metadata, family, &entries)?;
    let (entries, note) = head::check(path, config.tied(), entries, &maps)?;
    notes.extend(note);
    let tokenizer_json = find_vocabulary(folder, &entries, &mut metadata, &mut notes);
    Ok(Some(Parts { metadata, entries, maps, files: files.paths, tokenizer_json, notes }))
}

/// The tokenizer.json of a folder. Without one, the vocabulary of an older file goes into the metadata.
fn find_vocabulary(
    folder: &Path,
    entries: &[TensorEntry],
    metadata: &mut Metadata,
    notes: &mut Vec<String>,
) -> Option<PathBuf> {
    let tokenizer_json = Some(folder.join("tokenizer.json")).filter(|it| it.is_file());
    let older = folder.join("tokenizer.model");
    if tokenizer_json.is_none() && older.is_file() {
        let embedding = entries.iter().find(|it| it.name == convention::EMBEDDING);
        let rows = embedding.map_or(0, |it| it.shape[0]);
        // A vocabulary that cannot be read stops no measurement.
        if let Err(error) = vocabulary::older(&older, metadata, rows) {
            notes.push(format!("{error}; text needs the tokenizer.json of the model"));
        }
    }
    tokenizer_json
}

/// Fails if the embedding has fewer rows than `vocab_size`. Rows behind it are padding.
fn check_rows(
    path: &Path,
    metadata: &Metadata,
    family: &Family,
    entries: &[TensorEntry],
) -> Result<(), Error> {
    let stated = metadata.find::<usize>(&family.key("vocab_size"))?;
    let of_vocabulary = |it: &&TensorEntry| [convention::EMBEDDING, convention::OUTPUT].contains(&&*it.name);
    for entry in entries.iter().filter(of_vocabulary) {
        let rows = entry.shape[0];
        if stated.is_some_and(|it| it > rows) {
            let problem = format!("it has {rows} rows, but `vocab_size` is {}", stated.unwrap_or_default());
            return Err(Error::Contradiction { path: path.to_owned(), tensor: entry.name.clone(), problem });
        }
    }
    Ok(())
}

/// The error for weights without their config.json.
fn without_config(folder: &Path, files: &shards::Files) -> Error {
    let missing = || Error::OtherKind {
        path: folder.to_owned(),
        what: "a folder of safetensors without config.json, which has the dimensions of the model".to_owned(),
        remedy: "download config.json into it".to_owned(),
    };
    files.paths.iter().find_map(|it| recognize(it)).unwrap_or_else(missing)
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or_else(|| Path::new(""))
}

/// Whether a header could not even be taken apart.
const fn is_header(error: &Error) -> bool {
    matches!(error, Error::SafetensorsHeader { .. })
}

/// Judges the tensors that the family does not define. Returns notes about those that are left out.
fn others(path: &Path, config: &Config<'_>, others: &[header::Other]) -> Result<Vec<String>, Error> {
    let judged = |it: &header::Other| {
        let judged = convention::unneeded(&it.name, it.real);
        // An empty tensor and a bias of zeros change nothing.
        if it.zero && judged == Unneeded::Parameter { Unneeded::LeftOver } else { judged }
    };
    let (parts, others): (Vec<_>, Vec<_>) = others.iter().partition(|it| config.is_other_part(&it.name));
    if let Some(it) = others.iter().find(|it| judged(it) == Unneeded::Parameter) {
        return Err(Error::UnexpectedTensor {
            path: path.to_owned(),
            tensor: it.name.clone(),
            family: config.family.architecture.to_owned(),
        });
    }
    let left: Vec<&str> =
        others.iter().filter(|it| judged(it) == Unneeded::LeftOver).map(|it| &*it.name).collect();
    let parts = parts.first().filter(|_| config.family.is_text()).map(|it| {
        let what = if config.sees_images() { "only images need them" } else { "only the text part runs" };
        format!(
            "`{}` and {} more tensors are of parts beside the text model: {what}",
            it.name,
            parts.len() - 1
        )
    });
    Ok(parts.into_iter().chain(convention::left_out(&left)).collect())
}

fn read_json(path: &Path) -> Result<Json, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    // Some editors put a byte order mark in front.
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    serde_json::from_slice(text).map_err(|source| {
        recognize_json(path).unwrap_or_else(|| Error::Json { path: path.to_owned(), source })
    })
}

/// A JSON file beside a tokenizer.json; null if it does not exist.
fn sibling_json(tokenizer: &Path, name: &str) -> Result<Json, Error> {
    let path: PathBuf = tokenizer.with_file_name(name);
    if path.is_file() { read_json(&path) } else { Ok(Json::Null) }
}
