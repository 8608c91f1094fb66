//! tokenizer.json as `tokenizer.*` metadata of a GGUF file, like llama.cpp's converter.
//!
//! Only byte-level BPE vocabularies can be converted. The pre-tokenizer must be one with a name in
//! `tokenizer.ggml.pre`, because a guess would split text differently.

use std::path::Path;

use serde_json::Value as Json;

use super::{read_json, sibling_json};
use crate::{Array, Error, Metadata, Value, convention::lookup};

/// llama.cpp's token types.
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;

/// Split patterns of pre-tokenizers and their names in `tokenizer.ggml.pre`.
const PATTERNS: &[(&str, &str)] = &[
    (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        "llama-bpe",
    ),
    (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        "qwen2",
    ),
];

/// Adds the vocabulary of a tokenizer.json, the special tokens and the chat template to the metadata.
pub(crate) fn vocabulary(path: &Path, metadata: &mut Metadata, n_vocab: usize) -> Result<(), Error> {
    let json = read_json(path)?;
    let config = sibling_json(path, "config.json")?;
    let tokenizer_config = sibling_json(path, "tokenizer_config.json")?;
    let refuse = |problem| Error::Vocabulary { path: path.to_owned(), problem };

    if lookup(&json, "model.type").and_then(Json::as_str) != Some("BPE")
        || lookup(&json, "model.byte_fallback").and_then(Json::as_bool) == Some(true)
    {
        return Err(refuse("only byte-level BPE can be converted"));
    }
    let pre =
        pre_tokenizer(&json).ok_or_else(|| refuse("its pre-tokenizer has no name in tokenizer.ggml.pre"))?;
    let (tokens, types) =
        tokens(&json, n_vocab).ok_or_else(|| refuse("a token id is missing or out of range"))?;
    let merges = merges(&json).ok_or_else(|| refuse("it has no list of merges"))?;
    let id_of = |token: &str| tokens.iter().position(|it| it == token).and_then(|it| u32::try_from(it).ok());
    let special = |name: &str| {
        let stated = lookup(&config, &format!("{name}_id"));
        let stated = stated.and_then(|it| it.as_array().map_or(Some(it), |list| list.first()));
        let named = lookup(&tokenizer_config, name)
            .and_then(|it| it.as_str().or_else(|| it.get("content")?.as_str()));
        stated.and_then(Json::as_u64).and_then(|it| it.try_into().ok()).or_else(|| id_of(named?))
    };
    let (bos, eos) = (special("bos_token"), special("eos_token"));

    let text = |it: &str| Value::Str(it.to_owned());
    metadata.set("tokenizer.ggml.model", text("gpt2"));
    metadata.set("tokenizer.ggml.pre", text(pre));
    metadata.set("tokenizer.ggml.tokens", Value::Array(Array::Str(tokens)));
    metadata.set("tokenizer.ggml.token_type", Value::Array(Array::I32(types)));
    metadata.set("tokenizer.ggml.merges", Value::Array(Array::Str(merges)));
    for (key, id) in [("tokenizer.ggml.bos_token_id", bos), ("tokenizer.ggml.eos_token_id", eos)] {
        if let Some(id) = id {
            metadata.set(key, Value::U32(id));
        }
    }
    for name in ["add_bos_token", "add_eos_token"] {
        if let Some(it) = lookup(&tokenizer_config, name).and_then(Json::as_bool) {
            metadata.set(format!("tokenizer.ggml.{name}"), Value::Bool(it));
        }
    }
    if let Some(template) = chat_template(path, &tokenizer_config)? {
        metadata.set("tokenizer.chat_template", Value::Str(template));
    }
    Ok(())
}

/// The name of the pre-tokenizer, if it has one.
fn pre_tokenizer(json: &Json) -> Option<&'static str> {
    let kind = |it: &Json| it.get("type").and_then(Json::as_str).map(str::to_owned);
    let flag = |it: &Json, name: &str| it.get(name).and_then(Json::as_bool);
    let it = lookup(json, "pre_tokenizer")?;
    let steps = match kind(it)?.as_str() {
        "Sequence" => it.get("pretokenizers")?.as_array()?.iter().collect(),
        _ => vec![it],
    };
    let byte_level = |it: &Json, regex: bool| {
        kind(it).as_deref() == Some("ByteLevel")
            && flag(it, "add_prefix_space") != Some(true)
            && flag(it, "use_regex").unwrap_or(true) == regex
    };
    match steps[..] {
        [only] if byte_level(only, true) => Some("gpt-2"),
        [digits, last]
            if kind(digits).as_deref() == Some("Digits")
                && flag(digits, "individual_digits") == Some(true)
                && byte_level(last, true) =>
        {
            Some("smollm")
        }
        [split, last] if kind(split).as_deref() == Some("Split") && byte_level(last, false) => {
            let pattern = lookup(split, "pattern.Regex")?.as_str()?;
            PATTERNS.iter().find(|(it, _)| *it == pattern).map(|(_, name)| *name)
        }
        _ => None,
    }
}

/// Tokens by id with their types; ids of the model that the vocabulary lacks become `[PAD…]` tokens of type unused.
fn tokens(json: &Json, n_vocab: usize) -> Option<(Vec<String>, Vec<i32>)> {
    let mut tokens: Vec<Option<String>> = vec![None; n_vocab];
    let mut types = vec![NORMAL; n_vocab];
    for (token, id) in lookup(json, "model.vocab")?.as_object()? {
        *tokens.get_mut(usize::try_from(id.as_u64()?).ok()?)? = Some(token.clone());
    }
    for added in lookup(json, "added_tokens").and_then(Json::as_array).into_iter().flatten() {
        let id = usize::try_from(added.get("id")?.as_u64()?).ok()?;
        *tokens.get_mut(id)? = Some(added.get("content")?.as_str()?.to_owned());
        types[id] = if added.get("special")?.as_bool()? { CONTROL } else { USER_DEFINED };
    }
    let name = |(id, token): (usize, Option<String>)| token.unwrap_or_else(|| format!("[PAD{id}]"));
    for (token, kind) in tokens.iter().zip(&mut types) {
        if token.is_none() {
            *kind = UNUSED;
        }
    }
    Some((tokens.into_iter().enumerate().map(name).collect(), types))
}

/// Merges as GGUF has them: the two sides with a space between. A space inside a side becomes `Ġ` (U+0120).
fn merges(json: &Json) -> Option<Vec<String>> {
    let side = |it: &Json| Some(it.as_str()?.replace(' ', "\u{120}"));
    let merge = |it: &Json| match it {
        Json::String(it) => Some(it.clone()),
        Json::Array(pair) => match &pair[..] {
            [left, right] => Some(format!("{} {}", side(left)?, side(right)?)),
            _ => None,
        },
        _ => None,
    };
    lookup(json, "model.merges")?.as_array()?.iter().map(merge).collect()
}

/// The chat template: `chat_template.jinja`, or else from `tokenizer_config.json`.
fn chat_template(tokenizer: &Path, config: &Json) -> Result<Option<String>, Error> {
    let path = tokenizer.with_file_name("chat_template.jinja");
    if path.is_file() {
        return std::fs::read_to_string(&path).map(Some).map_err(|source| Error::Io { path, source });
    }
    Ok(lookup(config, "chat_template").and_then(Json::as_str).map(str::to_owned))
}
