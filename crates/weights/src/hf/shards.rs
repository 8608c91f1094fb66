//! The safetensors files of a folder: one, or the shards listed in `model.safetensors.index.json`.

use std::{
    collections::HashMap,
    path::{Component, Path, PathBuf},
};

use serde::Deserialize;

use crate::{
    Error,
    entry::TensorEntry,
    parts::Part,
    recognize::{recognize_folder, recognize_json},
};

/// The files of a checkpoint, and the index of their tensors.
pub(super) struct Files {
    pub(super) paths: Vec<PathBuf>,
    index: Option<Index>,
}

struct Index {
    path: PathBuf,
    /// Tensor name to shard name.
    shard_of: HashMap<String, String>,
}

#[derive(Deserialize)]
struct IndexJson {
    weight_map: HashMap<String, String>,
}

/// The safetensors files of a folder.
pub(super) fn files(folder: &Path) -> Result<Files, Error> {
    let single = folder.join("model.safetensors");
    if single.is_file() {
        return Ok(Files::one(&single));
    }
    let path = folder.join("model.safetensors.index.json");
    if !path.is_file() {
        if let Some(paths) = unlisted(folder)? {
            return Ok(Files { paths, index: None });
        }
        let expected = "a folder with model.safetensors or model.safetensors.index.json";
        let other = || Error::NotACheckpoint { path: folder.to_owned(), expected };
        return Err(recognize_folder(folder).unwrap_or_else(other));
    }
    let bytes = std::fs::read(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
    let json: IndexJson = serde_json::from_slice(&bytes).map_err(|source| {
        recognize_json(&path).unwrap_or_else(|| Error::Json { path: path.clone(), source })
    })?;
    let mut paths = Vec::new();
    let mut tensors: Vec<(&String, &String)> = json.weight_map.iter().collect();
    tensors.sort();
    for (tensor, shard) in tensors {
        let refuse = |problem| {
            Err(Error::Shard { path: path.clone(), shard: shard.clone(), tensor: tensor.clone(), problem })
        };
        let mut components = Path::new(shard).components();
        if !matches!((components.next(), components.next()), (Some(Component::Normal(_)), None)) {
            return refuse("is not a plain file name");
        }
        let file = folder.join(shard);
        if paths.contains(&file) {
            continue;
        }
        if !file.is_file() {
            return refuse("is missing");
        }
        paths.push(file);
    }
    paths.sort();
    Ok(Files { paths, index: Some(Index { path, shard_of: json.weight_map }) })
}

/// The shards `NAME-0000i-of-0000N.safetensors` of a folder without an index, if there are any.
fn unlisted(folder: &Path) -> Result<Option<Vec<PathBuf>>, Error> {
    let read = std::fs::read_dir(folder).map_err(|source| Error::Io { path: folder.to_owned(), source })?;
    let names = read.flatten().map(|it| it.file_name().to_string_lossy().into_owned());
    let mut found: Vec<Part> = names.filter_map(|it| Part::of(&it, ".safetensors")).collect();
    found.sort();
    let Some(first) = found.first() else { return Ok(None) };
    let paths: Vec<PathBuf> = (1..=first.count).map(|i| folder.join(first.sibling(i))).collect();
    match paths.iter().find(|it| !it.is_file()) {
        None => Ok(Some(paths)),
        Some(missing) => {
            let name = missing.file_name().unwrap_or_default().to_string_lossy();
            let what = format!("a folder with some of {} parts, without `{name}`", first.count);
            let remedy = "download the missing parts".to_owned();
            Err(Error::OtherKind { path: folder.to_owned(), what, remedy })
        }
    }
}

impl Files {
    pub(super) fn one(path: &Path) -> Self {
        Self { paths: vec![path.to_owned()], index: None }
    }

    /// Fails unless a shard has exactly the tensors that the index assigns to it, of those that layers need.
    pub(super) fn check(
        &self,
        file: &Path,
        found: &[TensorEntry],
        needs: &dyn Fn(&str) -> bool,
    ) -> Result<(), Error> {
        let Some(index) = &self.index else { return Ok(()) };
        let shard = file.file_name().unwrap_or_default().to_string_lossy();
        let refuse = |tensor: &str, problem| {
            Err(Error::Shard {
                path: index.path.clone(),
                shard: shard.clone().into_owned(),
                tensor: tensor.to_owned(),
                problem,
            })
        };
        for entry in found {
            if index.shard_of.get(&entry.name).is_none_or(|it| *it != shard) {
                return refuse(&entry.name, "contains it, but the index does not list it there");
            }
        }
        let mut listed: Vec<&String> =
            index.shard_of.iter().filter(|(_, it)| **it == shard).map(|(tensor, _)| tensor).collect();
        listed.retain(|it| needs(it));
        listed.sort();
        match listed.into_iter().find(|tensor| !found.iter().any(|it| it.name == **tensor)) {
            Some(tensor) => refuse(tensor, "does not contain it"),
            None => Ok(()),
        }
    }
}
