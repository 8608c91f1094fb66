//! Names of models: files under `models/`, paths, sizes and quantizations.

use super::hub::{hub_error, hub_name, hub_path};
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

/// Prefix of a model whose weights are random in the shape of another's.
pub const SHAPE: &str = "shape:";

/// The model of a name without the quantization after its colon, and that quantization.
#[must_use]
pub fn split_quantization(name: &str) -> (&str, Option<&str>) {
    let base = resolve(name, None).map_or(name, |it| it.base);
    (base, name.strip_prefix(base).and_then(|rest| rest.strip_prefix(':')))
}

/// The name of random weights in a model's shape. Its quantization is left out.
#[must_use]
pub fn shape_of(name: &str) -> String {
    let (base, _) = split_quantization(name);
    format!("{SHAPE}{}", base.strip_prefix(SHAPE).unwrap_or(base))
}

/// Most layers of a size. More would fill the host's memory with names of tensors.
const MAX_LAYERS: usize = 4096;

/// Another size of a shape: the part of a name after the `@`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Number of layers.
    pub layers: usize,
    /// Width of the residual stream; `None` for that of the shape.
    pub hidden: Option<usize>,
}

impl Size {
    /// Reads `4`, or `4x512`: layers, or layers and width.
    fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| text.parse().ok().filter(|it| *it > 0);
        let layers = |text: &str| number(text).filter(|it| *it <= MAX_LAYERS);
        Some(match text.split_once('x') {
            Some((of, hidden)) => Self { layers: layers(of)?, hidden: Some(number(hidden)?) },
            None => Self { layers: layers(text)?, hidden: None },
        })
    }
}

/// A parsed argument of `-m`.
#[derive(Debug)]
pub(super) struct Resolved<'a> {
    /// The name without the part after the colon.
    pub(super) base: &'a str,
    /// The file or folder.
    pub(super) path: PathBuf,
    /// Another size of the shape, where the name gives one.
    pub(super) size: Option<Size>,
    /// Quantization of its matrices, where the name or the caller gives one.
    pub(super) quantization: Option<Quantization>,
}

pub(super) fn resolve(name: &str, format: Option<Format>) -> Result<Resolved<'_>, Error> {
    if let Some((path, size)) = with_size(name)? {
        return Ok(Resolved { base: name, path, size, quantization: format.map(Quantization::from) });
    }
    let parts = match name.rsplit_once(':') {
        Some((base, suffix)) => with_size(base)?.map(|found| (base, found, suffix)),
        None => None,
    };
    // The suffix of a GGUF repository chooses a file. Another file is not requantized in its place.
    let parts = parts.filter(|(base, (path, _), _)| !is_hub(base) || path.is_dir());
    if let (None, Some(error)) = (&parts, hub_error(name.strip_prefix(SHAPE).unwrap_or(name))) {
        return Err(error);
    }
    let Some((base, (path, size), suffix)) = parts else {
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
        _ => Ok(Resolved { base, path, size, quantization: Some(quantization) }),
    }
}

/// The file or folder of a name, after [`SHAPE`] where the name has it, and the size after an `@`.
fn with_size(name: &str) -> Result<Option<(PathBuf, Option<Size>)>, Error> {
    let (random, name) = name.strip_prefix(SHAPE).map_or((false, name), |name| (true, name));
    if let Some(path) = find(name) {
        return Ok(Some((path, None)));
    }
    let Some((path, size)) = name.rsplit_once('@').and_then(|(base, size)| Some((find(base)?, size))) else {
        return Ok(None);
    };
    if size.contains(':') {
        return Ok(None);
    }
    let bad = || Error::Size { name: name.to_owned() };
    let size = Size::parse(size).ok_or_else(bad)?;
    let shape = path.extension().is_some_and(|it| it == "toml");
    // Only a shape's width is known to scale.
    let fits = shape || random && size.hidden.is_none();
    if fits { Ok(Some((path, Some(size)))) } else { Err(bad()) }
}

fn is_hub(name: &str) -> bool {
    hub_name(name.strip_prefix(SHAPE).unwrap_or(name)).is_some()
}

fn find(name: &str) -> Option<PathBuf> {
    if hub_name(name).is_some() {
        return hub_path(name);
    }
    let listed = || names().into_iter().find(|(it, _)| *it == name.replace('/', "-")).map(|(_, path)| path);
    // A name takes precedence over a file without extension. A path with an extension is never a name.
    listed().or_else(|| Some(PathBuf::from(name)).filter(|path| path.exists()))
}

#[cfg(test)]
mod tests {
    use super::{shape_of, split_quantization};

    #[test]
    fn a_name_has_a_quantization_or_none() {
        assert_eq!(split_quantization("tiny-target:q4_k_m"), ("tiny-target", Some("q4_k_m")));
        assert_eq!(split_quantization("tiny-target"), ("tiny-target", None));
        assert_eq!(split_quantization("shape:tiny-target"), ("shape:tiny-target", None));
        assert_eq!(split_quantization("no such model:q8_0"), ("no such model:q8_0", None));
    }

    #[test]
    fn a_shape_has_no_quantization() {
        for name in ["tiny-target", "tiny-target:q8_0", "shape:tiny-target", "shape:tiny-target:q8_0"] {
            assert_eq!(shape_of(name), "shape:tiny-target", "{name}");
        }
    }
}
