//! A tokenizer from `tokenizer.json` and `tokenizer_config.json`.
//!
//! The `tokenizers` crate encodes, so every tokenizer.json it supports works. Decoding uses this crate's table of
//! bytes per token, so that text can be streamed. The file is checked first for errors on which the `tokenizers`
//! crate panics, or which it ignores.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::Value;
use tokenizers::Tokenizer as HfTokenizer;

use crate::byte_level::{first_missing, from_byte_level, missing_bytes};
use crate::parts::Parts;
use crate::pieces::{Kind, Pieces};
use crate::spm::{SPACE, parse_byte_token};
use crate::{ChatTemplate, Ends, Error};

const TOKENIZER: &str = "tokenizer.json";
const CONFIG: &str = "tokenizer_config.json";

/// The largest accepted id, because the table of bytes is indexed by id. The largest vocabularies have about 260,000.
const MAX_ID: u32 = 1 << 24;

/// The longest accepted run of whitespace, in characters. The regular expressions of these files have look-ahead
/// and therefore backtrack. After a million steps, their engine silently stops splitting the text.
const MAX_WHITESPACE: usize = 400_000;

/// Encodes with the `tokenizers` crate.
#[derive(Debug)]
pub(crate) struct JsonEncoder {
    /// Recognizes all special tokens in a text.
    special: HfTokenizer,
    /// Recognizes only special tokens that are not control tokens.
    plain: HfTokenizer,
    /// Bytes that the `tokenizers` crate would drop silently.
    missing: Option<Box<[bool; 256]>>,
}

impl JsonEncoder {
    pub(crate) fn encode(&self, text: &str, parse_special: bool, file: &str) -> Result<Vec<u32>, Error> {
        if let Some(byte) = self.missing.as_ref().and_then(|missing| first_missing(text, missing)) {
            return Err(Error::MissingByte { file: file.to_owned(), byte });
        }
        let run = longest_whitespace(text);
        if run > MAX_WHITESPACE {
            return Err(Error::WhitespaceRun { file: file.to_owned(), chars: run, limit: MAX_WHITESPACE });
        }
        let tokenizer = if parse_special { &self.special } else { &self.plain };
        let encoding = guarded(|| tokenizer.encode_fast(text, false))
            .map_err(|detail| Error::Encode { file: file.to_owned(), detail })?;
        Ok(encoding.get_ids().to_vec())
    }

    pub(crate) fn token_id(&self, token: &str) -> Option<u32> {
        self.special.token_to_id(token)
    }
}

/// The spelling of text in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    ByteLevel,
    /// `▁` is a space and `<0xHH>` a byte. With `strips_space`, decoding removes a leading space.
    SentencePiece {
        strips_space: bool,
    },
}

/// Builds the parts of a tokenizer; `file` is for errors.
pub(crate) fn build(
    json: &[u8],
    config: Option<&[u8]>,
    ends: &Ends,
    file: &str,
) -> Result<Parts<JsonEncoder>, Error> {
    let tree = parse(json, TOKENIZER, file)?;
    check_merges(&tree["model"], file)?;
    if let Some(dropout) = tree["model"]["dropout"].as_f64().filter(|it| *it > 0.0) {
        return Err(Error::Dropout { file: file.to_owned(), dropout });
    }
    let spelling = spelling(&tree["decoder"], file)?;
    let byte_level_without_unknown = spelling == Spelling::ByteLevel
        && tree["model"]["type"].as_str() == Some("BPE")
        && tree["model"]["unk_token"].is_null();
    drop(tree);
    let mut special = guarded(|| HfTokenizer::from_bytes(json)).map_err(|detail| Error::Json {
        file: file.to_owned(),
        part: TOKENIZER,
        detail,
    })?;
    // A file may have truncation and padding of its training, which must not apply here.
    special
        .with_truncation(None)
        .map_err(|error| Error::Build { file: file.to_owned(), detail: error.to_string() })?;
    special.with_padding(None);
    let pieces = pieces(&special, spelling, file)?;
    let missing =
        byte_level_without_unknown.then(|| missing_bytes(|spelled| special.token_to_id(spelled).is_some()));
    let mut plain = special.clone();
    plain.set_encode_special_tokens(true);
    let encoder = JsonEncoder { special, plain, missing };
    match config {
        Some(config) => configured(encoder, pieces, &parse(config, CONFIG, file)?, ends),
        None => configured(encoder, pieces, &Value::Null, ends),
    }
}

/// Applies `tokenizer_config.json`. Where it names no beginning or end, the model's files count.
fn configured(
    encoder: JsonEncoder,
    pieces: Pieces,
    config: &Value,
    ends: &Ends,
) -> Result<Parts<JsonEncoder>, Error> {
    let file = pieces.file().to_owned();
    let token = |what: &'static str, other: Option<u32>| -> Result<(String, Option<u32>), Error> {
        let other = other.and_then(|id| Some((pieces.get(id).ok()?.0, id)));
        Ok(match (special_token(&encoder, config, what, &file)?, other) {
            ((_, None), Some((bytes, id))) => (String::from_utf8_lossy(bytes).into_owned(), Some(id)),
            (named, _) => named,
        })
    };
    let (bos_text, bos) = token("bos_token", ends.bos)?;
    let (eos_text, eos) = token("eos_token", ends.eos.first().copied())?;
    // The default is the tokenizer's post-processor: the tokens that it adds to an empty text.
    let around = guarded(|| encoder.special.encode_fast("", true))
        .map_err(|detail| Error::Encode { file: file.clone(), detail })?;
    let first_is_bos = bos.is_some() && around.get_ids().first().copied() == bos;
    let last_is_eos = eos.is_some()
        && around.get_ids().last().copied() == eos
        && around.get_ids().len() > usize::from(first_is_bos);
    // A boolean may be written as 0 or 1.
    let flag = |it: &Value| it.as_bool().or_else(|| it.as_u64().filter(|it| *it < 2).map(|it| it == 1));
    let added = |what: &'static str, id: Option<u32>, default: bool| match flag(&config[what]) {
        Some(true) if id.is_none() => {
            Err(Error::SpecialMissing { file: file.clone(), what, token: String::new() })
        }
        said => Ok(said.unwrap_or(default)),
    };
    let add_bos = added("add_bos_token", bos, first_is_bos)?;
    let add_eos = added("add_eos_token", eos, last_is_eos)?;
    let template = chat_template(&config["chat_template"])
        .map(|source| ChatTemplate::new(source, &file, &bos_text, &eos_text));
    let (ends, notes) = (Vec::new(), Vec::new());
    Ok(Parts { encoder, pieces, bos, eos, add_bos, add_eos, template, ends, notes })
}

/// A special token is a string, or an object with a string `content`.
fn special_token(
    encoder: &JsonEncoder,
    config: &Value,
    what: &'static str,
    file: &str,
) -> Result<(String, Option<u32>), Error> {
    let entry = &config[what];
    if entry.is_null() {
        return Ok((String::new(), None));
    }
    let text = entry.as_str().or_else(|| entry["content"].as_str()).ok_or_else(|| Error::Json {
        file: file.to_owned(),
        part: CONFIG,
        detail: format!("{what} is neither a string nor an object with a string `content`"),
    })?;
    let id = encoder.token_id(text).ok_or_else(|| Error::SpecialMissing {
        file: file.to_owned(),
        what,
        token: text.to_owned(),
    })?;
    Ok((text.to_owned(), Some(id)))
}

/// A chat template is a string, or a list of named templates of which `default` is used.
fn chat_template(entry: &Value) -> Option<&str> {
    if let Some(source) = entry.as_str() {
        return Some(source);
    }
    let list = entry.as_array()?;
    let default = list.iter().find(|item| item["name"] == "default").or(list.first())?;
    default["template"].as_str()
}

fn parse(json: &[u8], part: &'static str, file: &str) -> Result<Value, Error> {
    let error = |detail: String| Error::Json { file: file.to_owned(), part, detail };
    let tree: Value = serde_json::from_slice(json).map_err(|source| error(source.to_string()))?;
    if tree.is_object() { Ok(tree) } else { Err(error("not a JSON object".to_owned())) }
}

/// Calls the `tokenizers` crate, which panics on some malformed files, and turns a panic into an error.
fn guarded<T>(run: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("the tokenizers crate panicked on this input".to_owned()),
    }
}

/// Checks that every merge of a BPE model is two tokens that form a third. The `tokenizers` crate would index out
/// of bounds otherwise.
fn check_merges(model: &Value, file: &str) -> Result<(), Error> {
    let (Some(vocab), Some(merges)) = (model["vocab"].as_object(), model["merges"].as_array()) else {
        return Ok(());
    };
    let prefix = model["continuing_subword_prefix"].as_str().unwrap_or("");
    let is_token = |token: &str| vocab.contains_key(token);
    for (index, merge) in merges.iter().enumerate() {
        let pair = match merge {
            Value::String(line) => line.split_once(' '),
            Value::Array(pair) if pair.len() == 2 => pair[0].as_str().zip(pair[1].as_str()),
            _ => None,
        };
        let forms_token = pair.is_some_and(|(left, right)| {
            let tail = right.strip_prefix(prefix);
            tail.is_some_and(|tail| is_token(left) && is_token(right) && is_token(&format!("{left}{tail}")))
        });
        if !forms_token {
            return Err(Error::BadMerge { file: file.to_owned(), index, merge: merge.to_string() });
        }
    }
    Ok(())
}

/// The spelling, from the description of the decoder.
fn spelling(decoder: &Value, file: &str) -> Result<Spelling, Error> {
    let steps = match decoder["decoders"].as_array() {
        Some(steps) => steps.as_slice(),
        None => std::slice::from_ref(decoder),
    };
    let step = |name: &str| steps.iter().find(|step| step["type"] == name);
    if step("ByteLevel").is_some() {
        return Ok(Spelling::ByteLevel);
    }
    if let Some(metaspace) = step("Metaspace") {
        let never = metaspace["prepend_scheme"] == "never" || metaspace["add_prefix_space"] == false;
        return Ok(Spelling::SentencePiece { strips_space: !never });
    }
    let spells_spaces = |step: &Value| step["pattern"]["String"] == SPACE && step["content"] == " ";
    if step("Replace").is_some_and(spells_spaces) {
        let strips_space = step("Strip").is_some_and(|strip| strip["content"] == " " && strip["start"] != 0);
        return Ok(Spelling::SentencePiece { strips_space });
    }
    let found = decoder["type"].as_str().unwrap_or("none").to_owned();
    Err(Error::Unsupported { file: file.to_owned(), part: "decoder", found })
}

/// The bytes of every id. Those of added tokens are their text.
fn pieces(tokenizer: &HfTokenizer, spelling: Spelling, file: &str) -> Result<Pieces, Error> {
    let mut tokens = BTreeMap::new();
    for (token, id) in tokenizer.get_vocab(false) {
        if let Some(other) = tokens.insert(id, token.clone()) {
            let detail = format!("id {id} is both {token:?} and {other:?}");
            return Err(Error::Json { file: file.to_owned(), part: TOKENIZER, detail });
        }
    }
    let added = tokenizer.get_added_tokens_decoder();
    let largest = tokens.keys().chain(added.keys()).max().copied();
    match largest {
        None => return Err(Error::EmptyVocabulary { file: file.to_owned() }),
        Some(id) if id > MAX_ID => {
            return Err(Error::IdTooLarge { file: file.to_owned(), id: u64::from(id), limit: MAX_ID });
        }
        Some(_) => {}
    }
    let strips_space = spelling == Spelling::SentencePiece { strips_space: true };
    let mut pieces = Pieces::new(file, strips_space);
    for (id, token) in tokens {
        let bytes = match (spelling, parse_byte_token(&token)) {
            (Spelling::ByteLevel, _) => from_byte_level(&token),
            (Spelling::SentencePiece { .. }, Some(byte)) => vec![byte],
            (Spelling::SentencePiece { .. }, None) => token.replace(SPACE, " ").into_bytes(),
        };
        pieces.set(id, &bytes, Kind::Text);
    }
    for (id, token) in added {
        let kind = if token.special { Kind::Control } else { Kind::Text };
        pieces.set(id, token.content.as_bytes(), kind);
    }
    Ok(pieces)
}

fn longest_whitespace(text: &str) -> usize {
    let (mut longest, mut run) = (0, 0);
    for c in text.chars() {
        run = if c.is_whitespace() { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}
