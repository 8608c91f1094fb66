//! Models by the argument of `-m`: a GGUF file, a safetensors folder, or a name under `models/`.
//!
//! - `models/<name>.toml` is the shape of a published model. It gets random weights.
//! - `models/<folder>/<file>.gguf` is the model `<folder>-<file>`.
//! - `<name>@<layers>` is the shape with another number of layers, such as `mistral-7b@4`: each layer costs the same.
//! - `<model>:<type>` requantizes to a quantization type or mix, such as `:q8_0` or `:q4_k_m`.

mod names;
mod notes;
mod vocabulary;

pub use crate::folders::{ROOT_ENV, cache, root};
pub use names::names;
use names::{Resolved, resolve};
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
    /// The part after the `@` is no number of layers, or the model is no shape.
    #[error("{name:?}: the number of layers after @ is from 1 on, and only for the shapes in models/*.toml")]
    Layers {
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
                | Self::Layers { .. }
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
            session.truncate(0);
            let logits = session.extend(&[0], Rows::Last)?;
            session.truncate(0);
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

/// Opens a model without hashing it. A requantized file is written to the cache once.
///
/// # Errors
/// An error of [`Error::is_usage`] where the argument is wrong; [`Error::Io`] or [`Error::Weights`] where the file is.
pub fn checkpoint(name: &str, format: Option<Format>) -> Result<Checkpoint, Error> {
    resolve(name, format)?.checkpoint()
}

impl Resolved<'_> {
    fn checkpoint(&self) -> Result<Checkpoint, Error> {
        let Self { path, layers, quantization, .. } = self;
        if path.extension().is_some_and(|it| it == "toml") {
            return random(path, *layers, quantization.unwrap_or(Format::HALF.into()), SEED);
        }
        let checkpoint = Checkpoint::open(path)?;
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
        let base =
            Path::new(self.base).file_name().map_or_else(|| self.base.into(), |it| it.to_string_lossy());
        match self.quantization {
            Some(quantization) => format!("{base}:{}", quantization.name().to_lowercase()),
            None => base.into_owned(),
        }
    }
}

/// Random weights for the shape in the TOML file `path`, with another number of layers where `layers` gives one.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read; [`Error::Weights`] where it is invalid or a type has no encoder.
pub fn random(
    path: &Path,
    layers: Option<usize>,
    quantization: Quantization,
    seed: u64,
) -> Result<Checkpoint, Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    let mut shape = Shape::from_toml(&text)?;
    shape.layers = layers.unwrap_or(shape.layers);
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
mod tests {
    use super::names::named;
    use super::{Error, Quantization, resolve};
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
    fn layers_follow_the_at_sign() {
        let shape = |name| resolve(name, None).map(|it| (it.layers, it.record_name()));
        assert_eq!(shape("mistral-7b@4:q8_0").expect("a shape"), (Some(4), "mistral-7b@4:q8_0".to_owned()));
        assert_eq!(shape("mistral-7b").expect("a shape").0, None);
        let layers = super::checkpoint("smollm2-135m@2", None).expect("random weights");
        assert_eq!(layers.metadata().u32("llama.block_count").expect("a key"), 2);
        for wrong in ["mistral-7b@0", "mistral-7b@x", "tiny-target@2"] {
            assert!(matches!(shape(wrong), Err(Error::Layers { .. })), "{wrong}");
        }
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
        assert!(matches!(with("@3", None), Err(Error::Layers { .. })), "a file has the layers that it has");
        let unknown = resolve("nobody", None).expect_err("no such name");
        assert!(matches!(unknown, Error::Unknown { .. }) && unknown.is_usage());
    }
}
