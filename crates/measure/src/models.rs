//! Models by the argument of `-m`: a GGUF file, a safetensors folder, or a name under `models/`.
//!
//! - `models/<name>.toml` is the shape of a published model. It gets random weights.
//! - `models/<folder>/<file>.gguf` is the model `<folder>-<file>`.
//! - `<name>@<layers>` is the shape with another number of layers, such as `mistral-7b@4`: each layer costs the same.
//! - `shape:<model>` has random weights in the shape of a model, also with `@`, such as `shape:model.gguf@4`.
//! - `<name>@<layers>x<hidden>` has another width, too, such as `bench-18m@64x128`. The vocabulary stays.
//! - `<model>:<type>` requantizes to a quantization type or mix, such as `:q8_0` or `:q4_k_m`.
//! - `hf:<user>/<model>[:<quantization>]` is a model of the Hugging Face Hub in its cache. Nothing here downloads it.

mod hub;
mod names;
mod notes;
mod vision;
mod vocabulary;

pub use crate::folders::{ROOT_ENV, cache, root};
pub use hub::HUB;
use hub::{hub_label, hub_name};
use names::{Resolved, resolve};
pub use names::{SHAPE, Size, names, shape_of, split_quantization};
pub use vision::{Vision, load_vision};
pub use vocabulary::{Vocabulary, tokenizer};

use crate::Device;
use ridgeline_experiment::record::ModelId;
use ridgeline_kernels::Tuning;
use ridgeline_model::{Model, Session};
use ridgeline_quant::{Format, Mix};
use ridgeline_speculative::{LanguageModel, Rows};
use ridgeline_text::Tokenizer;
use ridgeline_weights::{Checkpoint, Container, Quantization, Shape, UnknownQuantization};
use std::cell::Cell;
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
        "{name:?}: after @ are up to 4096 layers, or layers x width as in @64x128, and only for random weights: the shapes in models/*.toml, and {SHAPE}<model> with layers"
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
    /// The model is not in the cache of the Hugging Face Hub.
    #[error(transparent)]
    Hub(#[from] ridgeline_hub::Error),
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
        match self {
            Self::Hub(error) => error.is_usage(),
            _ => matches!(
                self,
                Self::Unknown { .. }
                    | Self::NoFile { .. }
                    | Self::Format { .. }
                    | Self::TwoFormats { .. }
                    | Self::Size { .. }
            ),
        }
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
    /// Its vocabulary, which is built when text is needed.
    pub vocabulary: Vocabulary,
    /// Name, hash and size, for records.
    pub id: ModelId,
    /// Whether its logits were found to be numbers.
    finite: Cell<bool>,
}

impl Loaded {
    /// Fails where the logits after one token are not numbers, once per model. Random weights are not checked, because
    /// some types have values for which a sum may overflow. Leaves an empty cache.
    ///
    /// # Errors
    /// [`crate::Error::NotNumbers`]; [`crate::Error::Model`] where the device fails.
    pub fn require_finite(&self, session: &mut Session<Device>) -> Result<(), crate::Error> {
        if self.id.hash.is_some() && !self.finite.get() {
            session.truncate(0)?;
            let logits = session.extend(&[0], Rows::Last)?;
            session.truncate(0)?;
            if !logits.data.iter().all(|it| it.is_finite()) {
                return Err(crate::Error::NotNumbers);
            }
            self.finite.set(true);
        }
        Ok(())
    }
}

/// The file or folder of a model.
///
/// # Errors
/// [`Error::Unknown`], [`Error::NoFile`] or [`Error::Format`] where the argument is wrong.
pub fn path(name: &str) -> Result<PathBuf, Error> {
    resolve(name, None).map(|it| it.path)
}

/// The file of a shape, and its size where the name has one after an `@`.
///
/// # Errors
/// As [`path`].
pub fn sized(name: &str) -> Result<(PathBuf, Option<Size>), Error> {
    resolve(name, None).map(|it| (it.path, it.size))
}

/// The shape of a name under `models/`. `None` where the name is that of a file, which has its own weights.
///
/// # Errors
/// As [`path`]; [`Error::Io`] or [`Error::Weights`] where the file of the shape is wrong.
pub fn shape(name: &str) -> Result<Option<Shape>, Error> {
    let resolved = resolve(name, None)?;
    let is_shape = resolved.path.extension().is_some_and(|it| it == "toml");
    if is_shape { read_shape(&resolved.path).map(Some) } else { Ok(None) }
}

fn read_shape(path: &Path) -> Result<Shape, Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    Ok(Shape::from_toml(&text)?)
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
        notes::print(&checkpoint);
        match *quantization {
            // The vocabulary of the source gives the same ids, which a converted one may not.
            Some(quantization) if differs(&checkpoint, quantization)? => {
                let converted = Checkpoint::open(&converted(&checkpoint, quantization)?)?;
                Ok(converted.with_vocabulary_of(&checkpoint))
            }
            _ => Ok(checkpoint),
        }
    }

    /// The name for records. It does not depend on how the caller gives the quantization.
    fn record_name(&self) -> String {
        let (prefix, base) = self.base.strip_prefix(SHAPE).map_or(("", self.base), |it| (SHAPE, it));
        let base = match hub_name(base) {
            // Files and folders of the cache have names that only the cache understands.
            Some(name) => hub_label(name, &self.path).into(),
            None => Path::new(base).file_name().map_or_else(|| base.into(), |it| it.to_string_lossy()),
        };
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
    let mut shape = read_shape(path)?;
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
        Container::Gguf | Container::Safetensors => Some(hash(checkpoint.files())?),
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
    let opened = open(name, format)?;
    let vocabulary = Vocabulary::of(&opened.checkpoint);
    trimmed(device, opened, vocabulary, usize::MAX, tuning)
}

/// As [`load`], for generating text: without the rows of the embedding that are padding behind the last token, so that the
/// model never chooses them.
///
/// # Errors
/// As [`load`]; [`Error::Text`] where the vocabulary is broken or not supported.
pub fn load_for_text(
    device: &mut Device,
    name: &str,
    format: Option<Format>,
    tuning: Tuning,
) -> Result<Loaded, Error> {
    let opened = open(name, format)?;
    let vocabulary = Vocabulary::of(&opened.checkpoint);
    let rows = vocabulary.tokenizer()?.map_or(usize::MAX, Tokenizer::used_size);
    trimmed(device, opened, vocabulary, rows, tuning)
}

/// As [`load`], with the first `rows` rows of the embedding: for a draft model of the same vocabulary.
///
/// # Errors
/// As [`load`].
pub fn load_with_rows(device: &mut Device, name: &str, rows: usize, tuning: Tuning) -> Result<Loaded, Error> {
    let opened = open(name, None)?;
    let vocabulary = Vocabulary::of(&opened.checkpoint);
    trimmed(device, opened, vocabulary, rows, tuning)
}

fn trimmed(
    device: &mut Device,
    opened: Opened,
    vocabulary: Vocabulary,
    rows: usize,
    tuning: Tuning,
) -> Result<Loaded, Error> {
    let Opened { checkpoint, id } = opened;
    let model = Arc::new(Model::load(&checkpoint.with_rows(rows), device)?.tuned(tuning));
    Ok(Loaded { model, vocabulary, id, finite: Cell::new(false) })
}

/// BLAKE3 of files, in their order.
fn hash(files: &[PathBuf]) -> Result<String, Error> {
    let mut hasher = blake3::Hasher::new();
    for path in files {
        let read = File::open(path).and_then(|file| hasher.update_reader(file).map(|_| ()));
        read.map_err(|source| Error::Io { path: path.clone(), source })?;
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
    // Nothing here identifies random weights.
    if checkpoint.files().is_empty() {
        return Err(Error::NoFile { path: checkpoint.path().to_owned() });
    }
    let mut key = blake3::Hasher::new();
    key.update(hash(checkpoint.files())?.as_bytes()).update(&fingerprint);
    let path = cache().join(format!("{}-{name}.gguf", &key.finalize().to_hex()[..32]));
    if !path.exists() {
        ridgeline_weights::convert_weights(checkpoint, &path, quantization)?;
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
mod tests;
