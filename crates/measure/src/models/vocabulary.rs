//! The tokenizer of a checkpoint, GGUF or safetensors.

use super::{Error, notes};
use ridgeline_text::{Ends, GgufVocab, Tokenizer};
use ridgeline_weights::{Checkpoint, Metadata, recognize_json};
use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};

/// The vocabulary of a model. It is built when text is first needed, so that a broken one stops no measurement.
#[derive(Debug)]
pub struct Vocabulary {
    source: Source,
    built: OnceCell<Tokenizer>,
}

/// Where a vocabulary is.
#[derive(Debug)]
enum Source {
    /// There is none, as with random weights.
    Nowhere,
    /// A tokenizer.json, with the other files of its folder.
    Json(PathBuf),
    /// The metadata of a GGUF file, with the path of the file.
    Gguf(Box<Metadata>, PathBuf),
}

impl Vocabulary {
    /// The vocabulary of a checkpoint.
    #[must_use]
    pub fn of(checkpoint: &Checkpoint) -> Self {
        let model = checkpoint.metadata().find::<&str>("tokenizer.ggml.model");
        let source = match (checkpoint.tokenizer_json(), model) {
            (Some(path), _) => Source::Json(path.to_owned()),
            (None, Ok(None | Some("no_vocab" | "none"))) => Source::Nowhere,
            (None, _) => Source::Gguf(Box::new(checkpoint.metadata().clone()), checkpoint.path().to_owned()),
        };
        Self { source, built: OnceCell::new() }
    }

    /// Whether there is a vocabulary.
    #[must_use]
    pub const fn exists(&self) -> bool {
        !matches!(self.source, Source::Nowhere)
    }

    /// The tokenizer; `None` where there is no vocabulary.
    ///
    /// # Errors
    /// [`Error::Io`] where a file cannot be read. [`Error::Weights`] where a metadata key has the wrong type.
    /// [`Error::Text`] where the vocabulary is broken or not supported.
    pub fn tokenizer(&self) -> Result<Option<&Tokenizer>, Error> {
        if let Some(built) = self.built.get() {
            return Ok(Some(built));
        }
        let built = match &self.source {
            Source::Nowhere => return Ok(None),
            Source::Json(path) => from_json(path)?,
            Source::Gguf(metadata, path) => from_gguf(metadata, path)?,
        };
        built.notes().iter().for_each(|it| notes::warn(it));
        Ok(Some(self.built.get_or_init(|| built)))
    }

    /// Whether two vocabularies have the same files or metadata. Then they are equal, even where no tokenizer can be built.
    #[must_use]
    pub fn same_source(&self, other: &Self) -> bool {
        match (&self.source, &other.source) {
            (Source::Json(a), Source::Json(b)) => {
                a == b || fs::read(a).ok().is_some_and(|a| fs::read(b).ok() == Some(a))
            }
            (Source::Gguf(a, _), Source::Gguf(b, _)) => {
                ["tokens", "token_type", "scores", "merges", "model", "pre"].iter().all(|name| {
                    let key = format!("tokenizer.ggml.{name}");
                    a.value(&key) == b.value(&key)
                })
            }
            _ => false,
        }
    }
}

/// The tokenizer of a checkpoint; `None` where it has no vocabulary, as with random weights.
///
/// # Errors
/// As [`Vocabulary::tokenizer`].
pub fn tokenizer(checkpoint: &Checkpoint) -> Result<Option<Tokenizer>, Error> {
    let vocabulary = Vocabulary::of(checkpoint);
    vocabulary.tokenizer()?;
    Ok(vocabulary.built.into_inner())
}

fn from_json(path: &Path) -> Result<Tokenizer, Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let json = fs::read(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    let config = fs::read(folder.join("tokenizer_config.json")).ok();
    let mut ends = Ends::default();
    for name in ["config.json", "generation_config.json"] {
        let named = fs::read(folder.join(name)).map(|it| Ends::from_config(&it)).unwrap_or_default();
        ends.bos = ends.bos.or(named.bos);
        ends.eos.extend(named.eos);
    }
    let built = Tokenizer::from_folder(&json, config.as_deref(), &ends, &path.display().to_string());
    let tokenizer = built.map_err(|error| match recognize_json(path) {
        Some(other) => Error::from(other),
        None => Error::from(error),
    })?;
    Ok(match fs::read_to_string(folder.join("chat_template.jinja")) {
        Ok(template) => tokenizer.with_chat_template(&template),
        Err(_) => tokenizer,
    })
}

/// The key of a whole tokenizer.json in a GGUF file. It has steps, such as normalization, that the other keys lack.
const WHOLE: &str = "tokenizer.huggingface.json";

/// The key of all ends of a text, where a conversion found more than llama.cpp's keys name.
const ENDS: &str = "tokenizer.ridgeline.eos_token_ids";

fn from_gguf(metadata: &Metadata, path: &Path) -> Result<Tokenizer, Error> {
    let id = |name: &str| {
        let id = metadata.find::<u32>(&format!("tokenizer.ggml.{name}_token_id"));
        // Some writers store -1, for none, as the largest integer.
        id.map(|it| it.filter(|&it| it != u32::MAX))
    };
    let vocab = gguf_vocab(metadata, id)?;
    let source = path.display().to_string();
    let mut tokenizer = match metadata.find::<&str>(WHOLE)? {
        Some(json) => Tokenizer::from_embedded_json(json, &vocab, &source)?,
        None => Tokenizer::from_gguf(vocab, &source)?,
    };
    let more = metadata.find::<Vec<u32>>(ENDS)?.unwrap_or_default();
    let ends = [id("eot")?, id("eom")?].into_iter().flatten().chain(more).collect();
    tokenizer.add_ends(&Ends { bos: None, eos: ends });
    Ok(tokenizer)
}

/// The `tokenizer.*` keys of a GGUF file.
fn gguf_vocab(
    meta: &Metadata,
    id: impl Fn(&str) -> Result<Option<u32>, ridgeline_weights::Error>,
) -> Result<GgufVocab, Error> {
    let key = |name: &str| format!("tokenizer.ggml.{name}");
    let text = |name: &str| meta.find::<&str>(name).map(|it| it.map(str::to_owned));
    let strings = |name: &str| meta.find::<&[String]>(&key(name)).map(|it| it.unwrap_or_default().to_vec());
    let flag = |name: &str| meta.find::<bool>(&key(name));
    Ok(GgufVocab {
        model: text(&key("model"))?.unwrap_or_default(),
        pre: text(&key("pre"))?,
        tokens: strings("tokens")?,
        scores: meta.find::<Vec<f32>>(&key("scores"))?.unwrap_or_default(),
        token_types: meta.find::<Vec<i32>>(&key("token_type"))?.unwrap_or_default(),
        merges: strings("merges")?,
        bos: id("bos")?,
        eos: id("eos")?,
        unk: id("unknown")?,
        add_bos: flag("add_bos_token")?,
        add_eos: flag("add_eos_token")?,
        add_space_prefix: flag("add_space_prefix")?,
        chat_template: text("tokenizer.chat_template")?,
    })
}
