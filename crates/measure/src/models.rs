//! Models by the argument of `-m`: a GGUF file, a safetensors folder, or a name under `models/`.
//!
//! - `models/<name>.toml` is the shape of a published model. It gets random weights.
//! - `models/<folder>/<file>.gguf` is the model `<folder>-<file>`.
//! - `<name>@<layers>` is the shape with another number of layers, such as `mistral-7b@4`: each layer costs the same.
//! - `shape:<model>` has random weights in the shape of a model, also with `@`, such as `shape:model.gguf@4`.
//! - `<name>@<layers>x<hidden>` has another width, too, such as `bench-18m@64x128`. The vocabulary stays.
//! - `<model>:<type>` requantizes to a quantization type or mix, such as `:q8_0` or `:q4_k_m`.

mod names;
mod vocabulary;

pub use crate::folders::{ROOT_ENV, cache, root};
use names::{Resolved, entries, resolve};
pub use names::{SHAPE, Size, names};
pub use vocabulary::tokenizer;

use crate::Device;
use ridgeline_experiment::record::ModelId;
use ridgeline_kernels::Tuning;
use ridgeline_model::Model;
use ridgeline_quant::{Format, Mix};
use ridgeline_text::Tokenizer;
use ridgeline_weights::{Checkpoint, Container, Quantization, Shape, UnknownQuantization};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

/// Seed of random weights.
const SEED: u64 = 0;

/// Why a model cannot be opened or loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The argument is neither a name nor a file.
    #[error("{name:?} is no GGUF file, no safetensors folder and no model in {folder}; give a path, or choose one of: {names}", folder = folder.display())]
    Unknown {
        /// The argument of `-m`.
        name: String,
        /// The folder of models.
        folder: PathBuf,
        /// All names in that folder.
        names: String,
    },
    /// The path does not exist.
    #[error("{path}: no such file or folder")]
    NoFile {
        /// The path.
        path: PathBuf,
    },
    /// The part after the colon is neither a quantization type nor a mix.
    #[error("{name}: {source}")]
    Format {
        /// The argument of `-m`.
        name: String,
        /// The parse error. It lists all types and mixes.
        source: UnknownQuantization,
    },
    /// The argument and the caller name different quantization types.
    #[error("{name:?} already names a quantization type; leave out either that or {other}")]
    TwoFormats {
        /// The argument of `-m`.
        name: String,
        /// The type that the caller names.
        other: Format,
    },
    /// The part after the `@` is no size, or the model's weights are not random.
    #[error(
        "{name:?}: after @ are layers, or layers x width as in @64x128, and only for random weights: the shapes in models/*.toml, and {SHAPE}<model> with layers"
    )]
    Size {
        /// The argument of `-m`.
        name: String,
    },
    /// A file cannot be read or written.
    #[error("{path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The weights are broken or not supported.
    #[error(transparent)]
    Weights(#[from] ridgeline_weights::Error),
    /// The vocabulary is broken or not supported.
    #[error(transparent)]
    Text(#[from] ridgeline_text::Error),
    /// The model does not fit the device, or its family is not supported.
    #[error(transparent)]
    Model(#[from] ridgeline_model::Error),
}

impl Error {
    /// Whether the argument is wrong, as opposed to the file.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Unknown { .. }
                | Self::NoFile { .. }
                | Self::Format { .. }
                | Self::TwoFormats { .. }
                | Self::Size { .. }
        )
    }
}

/// In place of a quantization type: the weights of the file, unchanged.
pub const STORED: &str = "stored";

/// The weights of a model and their identity.
#[derive(Debug)]
pub struct Opened {
    /// The weights.
    pub checkpoint: Checkpoint,
    /// Name, hash and size, for records.
    pub id: ModelId,
}

/// A model on a device.
#[derive(Debug)]
pub struct Loaded {
    /// Configuration and weights.
    pub model: Arc<Model>,
    /// Its tokenizer; `None` for random weights.
    pub tokenizer: Option<Tokenizer>,
    /// Name, hash and size, for records.
    pub id: ModelId,
}

/// The file or folder of a model.
///
/// # Errors
/// [`Error::Unknown`], [`Error::NoFile`] or [`Error::Format`] where the argument is wrong.
pub fn path(name: &str) -> Result<PathBuf, Error> {
    resolve(name, None).map(|it| it.path)
}

/// Opens a model without hashing it. A requantized file is written to the cache once.
///
/// # Errors
/// An error of [`Error::is_usage`] where the argument is wrong; [`Error::Io`] or [`Error::Weights`] where the file is.
pub fn checkpoint(name: &str, format: Option<Format>) -> Result<Checkpoint, Error> {
    resolve(name, format)?.checkpoint()
}

impl Resolved<'_> {
    fn checkpoint(&self) -> Result<Checkpoint, Error> {
        let Self { path, size, quantization, .. } = self;
        if path.extension().is_some_and(|it| it == "toml") {
            return random(path, *size, quantization.unwrap_or(Format::HALF.into()), SEED);
        }
        let checkpoint = Checkpoint::open(path)?;
        if self.base.starts_with(SHAPE) {
            return Ok(checkpoint.random_like(size.map(|it| it.layers), *quantization, SEED)?);
        }
        match *quantization {
            Some(quantization) if differs(&checkpoint, quantization)? => {
                Ok(Checkpoint::open(&converted(&checkpoint, quantization)?)?)
            }
            _ => Ok(checkpoint),
        }
    }

    /// The name for records. It does not depend on how the caller gives the quantization.
    fn record_name(&self) -> String {
        let (prefix, base) = self.base.strip_prefix(SHAPE).map_or(("", self.base), |it| (SHAPE, it));
        let base = Path::new(base).file_name().map_or_else(|| base.into(), |it| it.to_string_lossy());
        match self.quantization {
            Some(quantization) => format!("{prefix}{base}:{}", quantization.name().to_lowercase()),
            None => format!("{prefix}{base}"),
        }
    }
}

/// Random weights for the shape in the TOML file `path`, in another size where there is one.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read; [`Error::Weights`] where it or the size is invalid or a type has no encoder.
pub fn random(
    path: &Path,
    size: Option<Size>,
    quantization: Quantization,
    seed: u64,
) -> Result<Checkpoint, Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    let mut shape = Shape::from_toml(&text)?;
    if let Some(Size { layers, hidden }) = size {
        shape.layers = layers;
        // Only a new width rounds the feed-forward layer.
        shape = hidden.map_or(Ok(shape.clone()), |hidden| shape.with_hidden(hidden))?;
    }
    Ok(Checkpoint::random(&shape, quantization, seed)?)
}

/// Opens a model and identifies it by name, hash and size.
///
/// # Errors
/// As [`checkpoint`].
pub fn open(name: &str, format: Option<Format>) -> Result<Opened, Error> {
    let resolved = resolve(name, format)?;
    let checkpoint = resolved.checkpoint()?;
    let hash = match checkpoint.container() {
        Container::Random => None,
        Container::Gguf | Container::Safetensors => Some(hash(checkpoint.path())?),
    };
    let bytes = checkpoint.file_bytes();
    Ok(Opened { checkpoint, id: ModelId { name: resolved.record_name(), hash, bytes } })
}

/// Opens a model and uploads it to a device. Its sessions launch the kernels that `tuning` chooses.
///
/// # Errors
/// As [`checkpoint`]; [`Error::Model`] where the device or the model's family does not allow it.
pub fn load(
    device: &mut Device,
    name: &str,
    format: Option<Format>,
    tuning: Tuning,
) -> Result<Loaded, Error> {
    let Opened { checkpoint, id } = open(name, format)?;
    let tokenizer = tokenizer(&checkpoint)?;
    let model = Arc::new(Model::load(&checkpoint, device)?.tuned(tuning));
    Ok(Loaded { model, tokenizer, id })
}

/// BLAKE3 of a file, or of a folder's safetensors files in the order of their names.
fn hash(path: &Path) -> Result<String, Error> {
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        files = entries(path);
        files.retain(|it| it.extension().is_some_and(|it| it == "safetensors"));
        files.sort();
    }
    let mut hasher = blake3::Hasher::new();
    for path in files {
        let read = File::open(&path).and_then(|file| hasher.update_reader(file).map(|_| ()));
        read.map_err(|source| Error::Io { path, source })?;
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// Whether the quantization changes the type of any matrix.
fn differs(checkpoint: &Checkpoint, quantization: Quantization) -> Result<bool, Error> {
    let formats = quantization.formats(checkpoint)?;
    Ok(checkpoint.tensors().any(|it| it.shape.len() > 1 && it.format != formats[it.name]))
}

/// The checkpoint as a requantized GGUF file in the cache. Writes the file if it is missing.
///
/// The file name is a hash of everything that determines its bytes, so a stale file is never used.
fn converted(checkpoint: &Checkpoint, quantization: Quantization) -> Result<PathBuf, Error> {
    let name = quantization.name().to_lowercase();
    let fingerprint = ridgeline_weights::fingerprint(checkpoint, Path::new(&name), quantization)?;
    let mut key = blake3::Hasher::new();
    key.update(hash(checkpoint.path())?.as_bytes()).update(&fingerprint);
    let path = cache().join(format!("{}-{name}.gguf", &key.finalize().to_hex()[..32]));
    if !path.exists() {
        ridgeline_weights::convert(checkpoint, &path, quantization)?;
    }
    Ok(path)
}

/// The model as a GGUF file in a quantization mix. The file is in the cache.
///
/// # Errors
/// As [`checkpoint`]; [`Error::Weights`] where the file cannot be written.
pub fn quantized(name: &str, mix: &'static Mix) -> Result<PathBuf, Error> {
    converted(&checkpoint(name, None)?, mix.into())
}

#[cfg(test)]
mod tests {
    use super::names::named;
    use super::{Container, Error, Quantization, resolve};
    use ridgeline_quant::Format;
    use std::fs;

    #[test]
    fn names_are_the_files_of_the_folder() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("tiny")).expect("a temporary folder");
        for file in ["tiny/b.gguf", "tiny/a.gguf", "tiny/notes.md", "small.toml", "README.md"] {
            fs::write(folder.path().join(file), "").expect("a file");
        }
        let names: Vec<_> = named(folder.path()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["small", "tiny-a", "tiny-b"]);
        assert!(named(&folder.path().join("missing")).is_empty());
    }

    #[test]
    fn a_size_follows_the_at_sign() {
        let shape = |name| {
            let size = |it: super::Size| (it.layers, it.hidden);
            resolve(name, None).map(|it| (it.size.map(size), it.record_name()))
        };
        let sized = |name| shape(name).expect("a shape");
        assert_eq!(sized("mistral-7b@4:q8_0"), (Some((4, None)), "mistral-7b@4:q8_0".to_owned()));
        assert_eq!(sized("bench-18m@64x128"), (Some((64, Some(128))), "bench-18m@64x128".to_owned()));
        assert_eq!(sized("mistral-7b").0, None);
        let random = super::checkpoint("bench-18m@2x256", None).expect("random weights");
        let key = |key| random.metadata().u32(&format!("llama.{key}")).expect("a key");
        let keys = ["block_count", "embedding_length", "attention.head_count", "feed_forward_length"];
        assert_eq!(keys.map(key), [2, 256, 4, 1024]);
        for wrong in [
            "mistral-7b@0",
            "mistral-7b@x",
            "mistral-7b@2x",
            "mistral-7b@2x0",
            "mistral-7b@x64",
            "tiny-target@2",
            "shape:tiny-target@0",
            "shape:tiny-target@2x64",
        ] {
            assert!(matches!(shape(wrong), Err(Error::Size { .. })), "{wrong}");
        }
        assert!(matches!(super::checkpoint("bench-18m@2x100", None), Err(Error::Weights(_))));
    }

    #[test]
    fn a_shape_has_random_weights_in_the_types_of_its_model() {
        let name = |text| resolve(text, None).map(|it| it.record_name()).expect("a shape");
        assert_eq!(name("shape:tiny-target@2:q4_k_m"), "shape:tiny-target@2:q4_k_m");
        let open = |name| super::checkpoint(name, None).expect("random weights");
        let (file, shape) = (open("tiny-target"), open("shape:tiny-target"));
        assert_eq!((shape.container(), shape.main_format()), (Container::Random, file.main_format()));
        assert_eq!(shape.tensors().count(), file.tensors().count());
        let cut = open("shape:tiny-target@2:q8_0");
        assert_eq!(cut.metadata().u32("llama.block_count").expect("a key"), 2);
        assert_eq!(cut.main_format(), Some(Format::Q8_0));
    }

    #[test]
    fn a_quantization_follows_the_colon() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("m.gguf");
        fs::write(&file, "").expect("a file");
        let name = file.to_str().expect("UTF-8");
        let with = |suffix: &str, format| {
            let name = format!("{name}{suffix}");
            resolve(&name, format).map(|it| (it.quantization, it.record_name()))
        };
        let quantization = |suffix, format| with(suffix, format).expect("the file").0;
        let is =
            |quantization, format| matches!(quantization, Some(Quantization::Uniform(it)) if it == format);
        assert!(quantization("", None).is_none());
        assert!(is(quantization(":f16", None), Format::F16));
        assert!(is(quantization(":F16", Some(Format::F16)), Format::F16));
        assert!(is(quantization("", Some(Format::F32)), Format::F32));
        assert!(
            is(quantization(":q2_k", None), Format::Q2K),
            "a type takes precedence over a mix of the same name"
        );
        assert!(
            matches!(quantization(":q4_k_m", None), Some(Quantization::Mixed(it)) if it.name == "Q4_K_M")
        );
        assert!(matches!(with(":q99", None), Err(Error::Format { .. })));
        assert!(matches!(with(":f16", Some(Format::F32)), Err(Error::TwoFormats { .. })));
        assert!(matches!(with(":q4_k_m", Some(Format::Q4K)), Err(Error::TwoFormats { .. })));
        assert!(matches!(with(".not", None), Err(Error::NoFile { .. })));
        let shown = |suffix, format| with(suffix, format).expect("the file").1;
        assert_eq!([shown("", None), shown(":Q4_K_M", None)], ["m.gguf", "m.gguf:q4_k_m"]);
        assert_eq!(shown(":f16", None), shown("", Some(Format::F16)));
        assert!(matches!(with("@3", None), Err(Error::Size { .. })), "a file has the layers that it has");
        let unknown = resolve("nobody", None).expect_err("no such name");
        assert!(matches!(unknown, Error::Unknown { .. }) && unknown.is_usage());
    }
}
