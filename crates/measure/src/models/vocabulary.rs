//! The tokenizer of a checkpoint, GGUF or safetensors.

use super::Error;
use ridgeline_text::{GgufVocab, Tokenizer};
use ridgeline_weights::{Checkpoint, Metadata};
use std::fs;
use std::path::Path;

/// The tokenizer of a checkpoint; `None` where it has no vocabulary, as with random weights.
///
/// # Errors
/// [`Error::Io`] where a file cannot be read, [`Error::Weights`] where a metadata key has the wrong type, [`Error::Text`]
/// where the vocabulary is broken or unsupported.
pub fn tokenizer(checkpoint: &Checkpoint) -> Result<Option<Tokenizer>, Error> {
    if let Some(path) = checkpoint.tokenizer_json() {
        return from_json(path).map(Some);
    }
    let model = checkpoint.metadata().find::<&str>("tokenizer.ggml.model")?;
    if model.is_none_or(|it| it == "no_vocab") {
        return Ok(None);
    }
    let vocab = gguf_vocab(checkpoint.metadata())?;
    Ok(Some(Tokenizer::from_gguf(vocab, &checkpoint.path().display().to_string())?))
}

fn from_json(path: &Path) -> Result<Tokenizer, Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let json = fs::read(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    let config = fs::read(folder.join("tokenizer_config.json")).ok();
    let tokenizer = Tokenizer::from_json(&json, config.as_deref(), &path.display().to_string())?;
    Ok(match fs::read_to_string(folder.join("chat_template.jinja")) {
        Ok(template) => tokenizer.with_chat_template(&template),
        Err(_) => tokenizer,
    })
}

/// The `tokenizer.*` keys of a GGUF file.
fn gguf_vocab(meta: &Metadata) -> Result<GgufVocab, Error> {
    let key = |name: &str| format!("tokenizer.ggml.{name}");
    let text = |name: &str| meta.find::<&str>(name).map(|it| it.map(str::to_owned));
    let strings = |name: &str| meta.find::<&[String]>(&key(name)).map(|it| it.unwrap_or_default().to_vec());
    let id = |name: &str| meta.find::<u32>(&key(name));
    let flag = |name: &str| meta.find::<bool>(&key(name));
    Ok(GgufVocab {
        model: text(&key("model"))?.unwrap_or_default(),
        pre: text(&key("pre"))?,
        tokens: strings("tokens")?,
        scores: meta.find::<&[f32]>(&key("scores"))?.unwrap_or_default().to_vec(),
        token_types: meta.find::<&[i32]>(&key("token_type"))?.unwrap_or_default().to_vec(),
        merges: strings("merges")?,
        bos: id("bos_token_id")?,
        eos: id("eos_token_id")?,
        unk: id("unknown_token_id")?,
        add_bos: flag("add_bos_token")?,
        add_eos: flag("add_eos_token")?,
        add_space_prefix: flag("add_space_prefix")?,
        chat_template: text("tokenizer.chat_template")?,
    })
}
