//! Hugging Face folders: config.json, one or more safetensors files, tokenizer.json.

mod header;
mod mlx;
mod shards;
mod vocabulary;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use crate::{
    Error,
    convention::{self, Family},
    entry::{Parts, TensorEntry},
    gguf,
    map::Map,
};

pub(crate) use mlx::assemble;
pub(crate) use vocabulary::vocabulary;

/// Reads the directory of a folder, or of one safetensors file and the config.json beside it.
pub(crate) fn read(path: &Path) -> Result<Parts, Error> {
    let (folder, files) = if path.is_dir() {
        (path, shards::files(path)?)
    } else {
        (path.parent().unwrap_or_else(|| Path::new("")), shards::Files::one(path))
    };
    let config_path = folder.join("config.json");
    let config = read_json(&config_path)?;
    let model_type = convention::lookup(&config, "model_type")
        .and_then(Json::as_str)
        .ok_or_else(|| Error::MissingKey { path: config_path.clone(), key: "model_type".to_owned() })?;
    let family = convention::by_model_type(&config_path, model_type)?;
    let name = std::fs::canonicalize(folder).ok();
    let name = name.as_deref().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let metadata = family.metadata(&config_path, &name, &config)?;

    let quantization = mlx::quantization(&config_path, &config)?;
    let mut maps = Vec::new();
    let mut entries = Vec::new();
    let mut words = BTreeSet::new();
    for (i, file) in files.paths.iter().enumerate() {
        let map = Map::open(file)?;
        let words = quantization.is_some().then_some(&mut words);
        let found = header::read(file, map.as_ref(), i, words)?;
        gguf::check_disjoint(file, &found)?;
        files.check(file, &found)?;
        entries.extend(found);
        maps.push(map);
    }
    if let Some(quantization) = &quantization {
        entries = mlx::join(path, quantization, entries, &words)?;
    }
    let tied = convention::lookup(&config, "tie_word_embeddings").and_then(Json::as_bool).unwrap_or(false);
    let entries = rename(path, family, tied, entries)?;
    let tokenizer_json = Some(folder.join("tokenizer.json")).filter(|it| it.is_file());
    Ok(Parts { metadata, entries, maps, tokenizer_json })
}

/// Renames tensors to their canonical names, and checks for an output head unless it is tied.
fn rename(
    path: &Path,
    family: &Family,
    tied: bool,
    entries: Vec<TensorEntry>,
) -> Result<Vec<TensorEntry>, Error> {
    let mut renamed = Vec::with_capacity(entries.len());
    for entry in entries {
        match family.canonical_name(path, &entry.name)? {
            // Some files repeat the embedding as `lm_head`, although config.json declares it tied.
            Some(name) if tied && name == convention::OUTPUT => {}
            Some(name) => renamed.push(TensorEntry { name, ..entry }),
            None => {}
        }
    }
    if !tied && !renamed.iter().any(|it| it.name == convention::OUTPUT) {
        return Err(Error::MissingTensor { path: path.to_owned(), tensor: convention::OUTPUT.to_owned() });
    }
    Ok(renamed)
}

fn read_json(path: &Path) -> Result<Json, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    serde_json::from_slice(&bytes).map_err(|source| Error::Json { path: path.to_owned(), source })
}

/// A JSON file beside a tokenizer.json; null if it does not exist.
fn sibling_json(tokenizer: &Path, name: &str) -> Result<Json, Error> {
    let path: PathBuf = tokenizer.with_file_name(name);
    if path.is_file() { read_json(&path) } else { Ok(Json::Null) }
}
