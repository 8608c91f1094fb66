//! A tokenizer from the `tokenizer.*` metadata of a GGUF file.

use tokenizers::models::bpe::Vocab;

use crate::bpe::Bpe;
use crate::byte_level::from_byte_level;
use crate::parts::Parts;
use crate::pieces::{Kind, Pieces};
use crate::pre::Pre;
use crate::special::{Found, Part, SpecialTokens};
use crate::spm::{SPACE, Spm, parse_byte_token};
use crate::{ChatTemplate, Error};

/// The `tokenizer.*` metadata of a GGUF file. Arrays have one entry per token, or are empty if the file lacks
/// them. See <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.
#[derive(Debug, Clone, Default)]
pub struct GgufVocab {
    /// `tokenizer.ggml.model`: `gpt2` (byte-level BPE) or `llama` (SentencePiece).
    pub model: String,
    /// `tokenizer.ggml.pre`: the name of the pre-tokenizer, used by `gpt2` only.
    pub pre: Option<String>,
    /// `tokenizer.ggml.tokens`: the text of every id.
    pub tokens: Vec<String>,
    /// `tokenizer.ggml.scores`: merge priority of every id; required by `llama` only.
    pub scores: Vec<f32>,
    /// `tokenizer.ggml.token_type`: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte.
    pub token_types: Vec<i32>,
    /// `tokenizer.ggml.merges`: `left right` per line, strongest first; required by `gpt2` only.
    pub merges: Vec<String>,
    /// `tokenizer.ggml.bos_token_id`.
    pub bos: Option<u32>,
    /// `tokenizer.ggml.eos_token_id`.
    pub eos: Option<u32>,
    /// `tokenizer.ggml.unknown_token_id`.
    pub unk: Option<u32>,
    /// `tokenizer.ggml.add_bos_token`.
    pub add_bos: Option<bool>,
    /// `tokenizer.ggml.add_eos_token`.
    pub add_eos: Option<bool>,
    /// `tokenizer.ggml.add_space_prefix`.
    pub add_space_prefix: Option<bool>,
    /// `tokenizer.chat_template`.
    pub chat_template: Option<String>,
}

/// Values of `tokenizer.ggml.token_type` (`llama_token_type`); all others are text.
mod token_type {
    pub(super) const UNKNOWN: i32 = 2;
    pub(super) const CONTROL: i32 = 3;
    pub(super) const USER_DEFINED: i32 = 4;
    pub(super) const UNUSED: i32 = 5;
    pub(super) const BYTE: i32 = 6;
}

/// Encodes the text between special tokens.
#[derive(Debug)]
enum Words {
    Bpe(Box<Bpe>),
    Spm { model: Spm, prefix_space: bool },
}

/// Encodes as llama.cpp does: special tokens first, then words.
#[derive(Debug)]
pub(crate) struct GgufEncoder {
    specials: SpecialTokens,
    words: Words,
}

impl GgufEncoder {
    pub(crate) fn encode(&self, text: &str, parse_special: bool, file: &str) -> Result<Vec<u32>, Error> {
        let mut ids = Vec::with_capacity(text.len() / 3);
        let mut after_special = true;
        for part in self.specials.split(text, parse_special) {
            match (part, &self.words) {
                (Part::Token(id), _) => ids.push(id),
                (Part::Text(text), Words::Bpe(bpe)) => bpe.encode(text, file, &mut ids)?,
                (Part::Text(text), Words::Spm { model, prefix_space }) => {
                    model.encode(text, *prefix_space && after_special, file, &mut ids)?;
                }
            }
            after_special = matches!(part, Part::Token(_));
        }
        Ok(ids)
    }

    pub(crate) fn token_id(&self, token: &str) -> Option<u32> {
        match &self.words {
            Words::Bpe(bpe) => bpe.token_id(token),
            Words::Spm { model, .. } => model.token_id(token),
        }
    }
}

/// The two kinds of vocabulary.
enum Model {
    ByteLevel(Pre),
    SentencePiece,
}

/// Builds the parts of a tokenizer; `file` is for errors.
pub(crate) fn build(mut vocab: GgufVocab, file: &str) -> Result<Parts<GgufEncoder>, Error> {
    let model = model(&vocab, file)?;
    let ids = checked_ids(&vocab, file)?;
    if matches!(model, Model::SentencePiece) {
        // llama.cpp's defaults for SentencePiece files without these keys.
        vocab.bos = vocab.bos.or(in_vocab(1, &vocab));
        vocab.eos = vocab.eos.or(in_vocab(2, &vocab));
    }
    check_special_ids(&vocab, file)?;
    let prefix_space = vocab.add_space_prefix.unwrap_or(matches!(model, Model::SentencePiece));
    let default_bos = match &model {
        Model::ByteLevel(pre) => pre.add_bos,
        Model::SentencePiece => true,
    } && vocab.bos.is_some();
    let pieces = pieces(&vocab, &model, prefix_space, file)?;
    let specials = SpecialTokens::new(special_tokens(&vocab)).ok_or_else(|| Error::Build {
        file: file.to_owned(),
        detail: "the special tokens are too large for a search automaton".to_owned(),
    })?;
    let words = match model {
        Model::ByteLevel(pre) => Words::Bpe(Box::new(Bpe::new(&vocab, ids, pre, file)?)),
        Model::SentencePiece => Words::Spm { model: Spm::new(&vocab, file)?, prefix_space },
    };
    let text_of = |id: Option<u32>| id.map_or("", |id| vocab.tokens[id as usize].as_str());
    let template = vocab
        .chat_template
        .as_deref()
        .map(|source| ChatTemplate::new(source, file, text_of(vocab.bos), text_of(vocab.eos)));
    Ok(Parts {
        encoder: GgufEncoder { specials, words },
        pieces,
        bos: vocab.bos,
        eos: vocab.eos,
        add_bos: vocab.add_bos.unwrap_or(default_bos),
        add_eos: vocab.add_eos.unwrap_or(false),
        template,
        ends: Vec::new(),
        notes: missing_pre(&vocab, file).into_iter().collect(),
    })
}

fn model(vocab: &GgufVocab, file: &str) -> Result<Model, Error> {
    match vocab.model.as_str() {
        "llama" => Ok(Model::SentencePiece),
        "gpt2" => Pre::find(vocab.pre.as_deref()).map(Model::ByteLevel).ok_or_else(|| Error::UnknownPre {
            file: file.to_owned(),
            pre: vocab.pre.clone().unwrap_or_default(),
        }),
        other => Err(Error::UnknownModel { file: file.to_owned(), model: other.to_owned() }),
    }
}

/// A warning about a byte-level vocabulary without the name of its pre-tokenizer.
fn missing_pre(vocab: &GgufVocab, file: &str) -> Option<String> {
    let missing = vocab.model == "gpt2" && vocab.pre.as_deref().is_none_or(str::is_empty);
    missing.then(|| {
        format!(
            "{file}: tokenizer.ggml.pre is missing, as in files of early 2024; the default split of text into words is \
             used, and gives wrong ids for models such as Llama 3 and Qwen"
        )
    })
}

fn in_vocab(id: u32, vocab: &GgufVocab) -> Option<u32> {
    Some(id).filter(|&id| (id as usize) < vocab.tokens.len())
}

/// Checks tokens, types and scores, and returns the id of every token.
fn checked_ids(vocab: &GgufVocab, file: &str) -> Result<Vocab, Error> {
    let tokens = vocab.tokens.len();
    let file = || file.to_owned();
    if tokens == 0 {
        return Err(Error::EmptyVocabulary { file: file() });
    }
    let arrays = [
        ("tokenizer.ggml.token_type", vocab.token_types.len()),
        ("tokenizer.ggml.scores", vocab.scores.len()),
    ];
    for (array, found) in arrays {
        if found != 0 && found != tokens {
            return Err(Error::LengthMismatch { file: file(), array, tokens, found });
        }
    }
    let mut ids = Vocab::default();
    ids.reserve(tokens);
    // Published vocabularies have ids without text, and pairs of ids with the same text: the lower id encodes it.
    for (id, token) in (0..).zip(&vocab.tokens).filter(|(_, token)| !token.is_empty()) {
        ids.entry(token.clone()).or_insert(id);
    }
    Ok(ids)
}

fn check_special_ids(vocab: &GgufVocab, file: &str) -> Result<(), Error> {
    let tokens = vocab.tokens.len();
    let named = [
        ("tokenizer.ggml.bos_token_id", vocab.bos, vocab.add_bos),
        ("tokenizer.ggml.eos_token_id", vocab.eos, vocab.add_eos),
        ("tokenizer.ggml.unknown_token_id", vocab.unk, None),
    ];
    for (what, id, added) in named {
        match id {
            Some(id) if id as usize >= tokens => {
                return Err(Error::SpecialOutOfRange { file: file.to_owned(), what, id, tokens });
            }
            None if added == Some(true) => {
                return Err(Error::SpecialMissing { file: file.to_owned(), what, token: String::new() });
            }
            _ => {}
        }
    }
    Ok(())
}

/// The bytes of every id.
fn pieces(vocab: &GgufVocab, model: &Model, prefix_space: bool, file: &str) -> Result<Pieces, Error> {
    let mut pieces = Pieces::new(file, prefix_space);
    for (id, token) in (0..).zip(&vocab.tokens) {
        let kind = if type_of(vocab, id) == token_type::UNUSED { Kind::Unused } else { Kind::Text };
        match type_of(vocab, id) {
            token_type::UNKNOWN | token_type::CONTROL => pieces.set(id, token.as_bytes(), Kind::Control),
            token_type::USER_DEFINED => pieces.set(id, token.as_bytes(), Kind::Text),
            token_type::BYTE => {
                let byte = parse_byte_token(token).ok_or_else(|| Error::BadByteToken {
                    file: file.to_owned(),
                    id,
                    token: token.clone(),
                })?;
                pieces.set(id, &[byte], Kind::Text);
            }
            _ => match model {
                Model::ByteLevel(_) => pieces.set(id, &from_byte_level(token), kind),
                Model::SentencePiece => pieces.set(id, token.replace(SPACE, " ").as_bytes(), kind),
            },
        }
    }
    Ok(pieces)
}

/// The tokens that are searched in a text before it is split into words.
fn special_tokens(vocab: &GgufVocab) -> Vec<(u32, String, Found)> {
    let found = |id| match type_of(vocab, id) {
        token_type::USER_DEFINED => Some(Found::Always),
        token_type::CONTROL | token_type::UNKNOWN => Some(Found::WhenParsed),
        _ => None,
    };
    let tokens = (0..).zip(&vocab.tokens).filter(|(_, token)| !token.is_empty());
    tokens.filter_map(|(id, token)| Some((id, token.clone(), found(id)?))).collect()
}

fn type_of(vocab: &GgufVocab, id: u32) -> i32 {
    vocab.token_types.get(id as usize).copied().unwrap_or_default()
}
