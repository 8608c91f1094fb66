//! Names of models: files under `models/`, paths, numbers of layers and quantizations.

use super::{Error, root};
use ridgeline_quant::Format;
use ridgeline_weights::Quantization;
use std::fs;
use std::path::{Path, PathBuf};

/// Every name under `models/` with its file, sorted.
#[must_use]
pub fn names() -> Vec<(String, PathBuf)> {
    named(&root().join("models"))
}

pub(super) fn named(folder: &Path) -> Vec<(String, PathBuf)> {
    let base_name =
        |path: &Path| path.file_stem().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
    let mut names = Vec::new();
    for path in entries(folder) {
        if path.is_dir() {
            let files = entries(&path).into_iter().filter(|it| it.extension().is_some_and(|it| it == "gguf"));
            names.extend(files.map(|it| (format!("{}-{}", base_name(&path), base_name(&it)), it)));
        } else if path.extension().is_some_and(|it| it == "toml") {
            names.push((base_name(&path), path));
        }
    }
    names.sort();
    names
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// A parsed argument of `-m`.
#[derive(Debug)]
pub(super) struct Resolved<'a> {
    /// The name without the part after the colon.
    pub(super) base: &'a str,
    /// The file or folder.
    pub(super) path: PathBuf,
    /// Number of layers, where the name gives one.
    pub(super) layers: Option<usize>,
    /// Quantization of its matrices, where the name or the caller gives one.
    pub(super) quantization: Option<Quantization>,
}

pub(super) fn resolve(name: &str, format: Option<Format>) -> Result<Resolved<'_>, Error> {
    if let Some((path, layers)) = with_layers(name)? {
        return Ok(Resolved { base: name, path, layers, quantization: format.map(Quantization::from) });
    }
    let parts = match name.rsplit_once(':') {
        Some((base, suffix)) => with_layers(base)?.map(|found| (base, found, suffix)),
        None => None,
    };
    let Some((base, (path, layers), suffix)) = parts else {
        let folder = root().join("models");
        let looks_like_a_path = name.contains(['/', '\\']) || Path::new(name).extension().is_some();
        if looks_like_a_path {
            return Err(Error::NoFile { path: name.into() });
        }
        let names = named(&folder).into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
        return Err(Error::Unknown { name: name.to_owned(), folder, names });
    };
    let quantization: Quantization =
        suffix.parse().map_err(|source| Error::Format { name: name.to_owned(), source })?;
    let is = |other: Format| matches!(quantization, Quantization::Uniform(it) if it == other);
    match format {
        Some(other) if !is(other) => Err(Error::TwoFormats { name: name.to_owned(), other }),
        _ => Ok(Resolved { base, path, layers, quantization: Some(quantization) }),
    }
}

/// The file or folder of a name, and the number of layers after an `@`.
fn with_layers(name: &str) -> Result<Option<(PathBuf, Option<usize>)>, Error> {
    if let Some(path) = find(name) {
        return Ok(Some((path, None)));
    }
    let Some((path, layers)) = name.rsplit_once('@').and_then(|(base, layers)| Some((find(base)?, layers)))
    else {
        return Ok(None);
    };
    if layers.contains(':') {
        return Ok(None);
    }
    let bad = || Error::Layers { name: name.to_owned() };
    let layers = layers.parse().ok().filter(|it| *it > 0).ok_or_else(bad)?;
    let shape = path.extension().is_some_and(|it| it == "toml");
    if shape { Ok(Some((path, Some(layers)))) } else { Err(bad()) }
}

fn find(name: &str) -> Option<PathBuf> {
    let listed = || names().into_iter().find(|(it, _)| *it == name.replace('/', "-")).map(|(_, path)| path);
    // A name takes precedence over a file without extension. A path with an extension is never a name.
    listed().or_else(|| Some(PathBuf::from(name)).filter(|path| path.exists()))
}
