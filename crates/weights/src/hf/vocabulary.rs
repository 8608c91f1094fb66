//! tokenizer.json as `tokenizer.*` metadata of a GGUF file, like llama.cpp's converter.
//!
//! Byte-level BPE and SentencePiece's BPE can be converted. The pre-tokenizer of byte-level BPE must be one with a name in
//! `tokenizer.ggml.pre`, because a guess would split text differently.

use std::path::Path;

use serde_json::Value as Json;

use super::{read_json, sentencepiece, sentencepiece_model, sibling_json, tokenizer};
use crate::{
    Array, Error, Metadata, Value,
    convention::{flag, lookup},
};

/// llama.cpp's token types.
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;

/// The split pattern of Llama 3.
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// The split pattern of Qwen2.
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The split pattern of Qwen3.5.
const QWEN35: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// The split pattern of Mistral's Tekken.
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// The split patterns of `DeepSeek`-V3.
const DEEPSEEK3: [&str; 3] = [
    r"\p{N}{1,3}",
    "[一-龥\u{3040}-ゟ゠-ヿ]+",
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##,
];

/// Split patterns, whether a word that is a token skips the merges, and the name of both in `tokenizer.ggml.pre`.
const PATTERNS: &[(&[&str], bool, &str)] = &[
    (&[LLAMA3], true, "llama-bpe"),
    (&[LLAMA3], false, "smaug-bpe"),
    (&[QWEN2], false, "qwen2"),
    (&[QWEN35], false, "qwen35"),
    (&[TEKKEN], true, "tekken"),
    (&DEEPSEEK3, false, "deepseek-v3"),
];

/// The key of a whole tokenizer.json, which this program reads in place of the other keys.
pub(crate) const WHOLE: &str = "tokenizer.huggingface.json";

/// Adds the vocabulary of a tokenizer.json, the special tokens and the chat template to the metadata.
pub(crate) fn vocabulary(path: &Path, metadata: &mut Metadata, n_vocab: usize) -> Result<(), Error> {
    let json = read_json(path)?;
    let tokenizer_config = sibling_json(path, "tokenizer_config.json")?;
    let refuse = |problem: String| Error::Vocabulary { path: path.to_owned(), problem };
    let refuse_this = |problem: &str| refuse(problem.to_owned());
    if let Some(step) = tokenizer::unrepresentable(&json) {
        return Err(refuse(step));
    }
    let (tokens, types) = tokens(&json, n_vocab)
        .ok_or_else(|| refuse_this("a token id is missing, out of range or used twice"))?;
    let merges = merges(&json).ok_or_else(|| refuse_this("it has no list of merges"))?;
    let ends = Ends::of(path, &tokenizer_config, &tokens)?;
    let whole = sentencepiece::is(&json);
    if whole {
        set_sentencepiece(metadata, &json, tokens, types, &merges);
    } else {
        let pre = pre_tokenizer(&json)
            .ok_or_else(|| refuse_this("its pre-tokenizer has no name in tokenizer.ggml.pre"))?;
        set_byte_level(metadata, pre, tokens, types, &merges);
    }
    ends.set(metadata);
    let (first, last) = tokenizer::around(&json);
    for (name, token, added) in
        [("add_bos_token", ends.bos, first), ("add_eos_token", ends.eos.first().copied(), last)]
    {
        // The defaults of readers depend on the pre-tokenizer, so that the answer is always written.
        let stated = lookup(&tokenizer_config, name).and_then(flag);
        metadata.set(
            format!("tokenizer.ggml.{name}"),
            Value::Bool(stated.unwrap_or(token.is_some() && added == token)),
        );
    }
    if let Some(template) = chat_template(path, &tokenizer_config)? {
        metadata.set("tokenizer.chat_template", Value::Str(template));
    }
    if whole || tokenizer::normalizes(&json) {
        metadata.set(WHOLE, Value::Str(json.to_string()));
    }
    Ok(())
}

/// Adds the vocabulary of a tokenizer.model, the older file of SentencePiece, and the special tokens that other files add to it.
pub(super) fn older(path: &Path, metadata: &mut Metadata, n_vocab: usize) -> Result<(), Error> {
    let refuse = |problem: String| Error::Vocabulary { path: path.to_owned(), problem };
    let bytes = std::fs::read(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    let sentencepiece_model::Pieces { mut tokens, mut scores, mut types, adds_space } =
        sentencepiece_model::read(&bytes).map_err(refuse)?;
    let tokenizer_config = sibling_json(path, "tokenizer_config.json")?;
    let last = scores.iter().copied().fold(0.0, f32::min);
    for (id, name, special) in added_tokens(path, &tokenizer_config)? {
        if id >= n_vocab || tokens.get(id).is_some_and(|it| *it != name) {
            return Err(refuse(format!(
                "the id {id} of the added token `{name}` is another token's, or out of range"
            )));
        }
        // Files list the tokens of the model again, whose kind is known.
        if types.get(id).is_some_and(|it| *it != NORMAL) {
            continue;
        }
        if id >= tokens.len() {
            tokens.resize(id + 1, String::new());
            types.resize(id + 1, UNUSED);
            scores.resize(id + 1, last);
        }
        tokens[id] = name;
        types[id] = if special { CONTROL } else { USER_DEFINED };
    }
    if tokens.len() > n_vocab {
        return Err(refuse(format!("it has {} tokens, and the embedding {n_vocab} rows", tokens.len())));
    }
    types.resize(n_vocab, UNUSED);
    scores.resize(n_vocab, last);
    tokens.resize(n_vocab, String::new());
    for (id, token) in tokens.iter_mut().enumerate().filter(|(id, it)| types[*id] == UNUSED && it.is_empty())
    {
        *token = format!("[PAD{id}]");
    }
    let unknown = types.iter().position(|it| *it == sentencepiece::UNKNOWN);
    let unknown = unknown.and_then(|it| u32::try_from(it).ok());
    let ends = Ends::of(path, &tokenizer_config, &tokens)?;
    write_sentencepiece(metadata, tokens, types, scores, adds_space, unknown);
    ends.set(metadata);
    for (name, default) in [("add_bos_token", true), ("add_eos_token", false)] {
        let stated = lookup(&tokenizer_config, name).and_then(flag);
        metadata.set(format!("tokenizer.ggml.{name}"), Value::Bool(stated.unwrap_or(default)));
    }
    if let Some(template) = chat_template(path, &tokenizer_config)? {
        metadata.set("tokenizer.chat_template", Value::Str(template));
    }
    Ok(())
}

/// The tokens that `added_tokens.json` and `tokenizer_config.json` add: id, text, and whether it is a control token.
fn added_tokens(path: &Path, tokenizer_config: &Json) -> Result<Vec<(usize, String, bool)>, Error> {
    let listed = sibling_json(path, "added_tokens.json")?;
    let listed = listed.as_object().into_iter().flatten();
    let mut found: Vec<(usize, String, bool)> = listed
        .filter_map(|(name, id)| Some((usize::try_from(id.as_u64()?).ok()?, name.clone(), true)))
        .collect();
    let described = lookup(tokenizer_config, "added_tokens_decoder").and_then(Json::as_object);
    for (id, token) in described.into_iter().flatten() {
        let Some(name) = token.get("content").and_then(Json::as_str) else { continue };
        let Ok(id) = id.parse() else { continue };
        let special = token.get("special").and_then(Json::as_bool).unwrap_or(true);
        found.retain(|it| it.0 != id);
        found.push((id, name.to_owned(), special));
    }
    found.sort();
    Ok(found)
}

/// Writes a byte-level vocabulary.
fn set_byte_level(
    metadata: &mut Metadata,
    pre: &str,
    tokens: Vec<String>,
    types: Vec<i32>,
    merges: &[[String; 2]],
) {
    // A space inside a side of a merge becomes `Ġ` (U+0120).
    let line = |it: &[String; 2]| it.each_ref().map(|side| side.replace(' ', "\u{120}")).join(" ");
    metadata.set("tokenizer.ggml.model", Value::Str("gpt2".to_owned()));
    metadata.set("tokenizer.ggml.pre", Value::Str(pre.to_owned()));
    metadata.set("tokenizer.ggml.tokens", Value::Array(Array::Str(tokens)));
    metadata.set("tokenizer.ggml.token_type", Value::Array(Array::I32(types)));
    metadata.set("tokenizer.ggml.merges", Value::Array(Array::Str(merges.iter().map(line).collect())));
}

/// Writes the SentencePiece vocabulary of a tokenizer.json.
fn set_sentencepiece(
    metadata: &mut Metadata,
    json: &Json,
    tokens: Vec<String>,
    mut types: Vec<i32>,
    merges: &[[String; 2]],
) {
    let unknown = sentencepiece::unknown(json, &tokens);
    sentencepiece::mark(&mut types, &tokens, unknown);
    let scores = sentencepiece::scores(&tokens, merges);
    write_sentencepiece(metadata, tokens, types, scores, sentencepiece::adds_space(json), unknown);
}

/// Writes a SentencePiece vocabulary.
fn write_sentencepiece(
    metadata: &mut Metadata,
    tokens: Vec<String>,
    types: Vec<i32>,
    scores: Vec<f32>,
    adds_space: bool,
    unknown: Option<u32>,
) {
    metadata.set("tokenizer.ggml.model", Value::Str("llama".to_owned()));
    metadata.set("tokenizer.ggml.pre", Value::Str("default".to_owned()));
    metadata.set("tokenizer.ggml.scores", Value::Array(Array::F32(scores)));
    metadata.set("tokenizer.ggml.tokens", Value::Array(Array::Str(tokens)));
    metadata.set("tokenizer.ggml.token_type", Value::Array(Array::I32(types)));
    metadata.set("tokenizer.ggml.add_space_prefix", Value::Bool(adds_space));
    if let Some(unknown) = unknown {
        metadata.set("tokenizer.ggml.unknown_token_id", Value::U32(unknown));
    }
}

/// The key of all ends of a text, where they are more than llama.cpp's keys name.
pub(crate) const ENDS: &str = "tokenizer.ridgeline.eos_token_ids";

/// The tokens that begin and end a text.
struct Ends {
    bos: Option<u32>,
    /// The first is that of the tokenizer, if it names one.
    eos: Vec<u32>,
}

impl Ends {
    /// The union of the places that name them, those of the tokenizer first.
    fn of(path: &Path, tokenizer_config: &Json, tokens: &[String]) -> Result<Self, Error> {
        let id_of =
            |token: &str| tokens.iter().position(|it| it == token).and_then(|it| u32::try_from(it).ok());
        let named = |name: &str| {
            let it = lookup(tokenizer_config, name)?;
            id_of(it.as_str().or_else(|| it.get("content")?.as_str())?)
        };
        let (mut bos, mut eos) = (named("bos_token"), Vec::from_iter(named("eos_token")));
        for file in ["config.json", "generation_config.json"] {
            let config = sibling_json(path, file)?;
            let ids = |key: &str| -> Vec<u32> {
                let id =
                    |it: &Json| u32::try_from(it.as_u64()?).ok().filter(|it| (*it as usize) < tokens.len());
                match lookup(&config, key) {
                    Some(Json::Array(list)) => list.iter().filter_map(id).collect(),
                    Some(one) => id(one).into_iter().collect(),
                    None => Vec::new(),
                }
            };
            bos = bos.or_else(|| ids("bos_token_id").first().copied());
            for id in ids("eos_token_id") {
                if !eos.contains(&id) {
                    eos.push(id);
                }
            }
        }
        Ok(Self { bos, eos })
    }

    /// Writes them: llama.cpp has keys for three ends.
    fn set(&self, metadata: &mut Metadata) {
        if let Some(bos) = self.bos {
            metadata.set("tokenizer.ggml.bos_token_id", Value::U32(bos));
        }
        let slots = ["eos_token_id", "eot_token_id", "eom_token_id"];
        for (slot, end) in slots.iter().zip(&self.eos) {
            metadata.set(format!("tokenizer.ggml.{slot}"), Value::U32(*end));
        }
        if self.eos.len() > slots.len() {
            metadata.set(ENDS, Value::Array(Array::U32(self.eos.clone())));
        }
    }
}

/// The name of the pre-tokenizer, if it has one.
fn pre_tokenizer(json: &Json) -> Option<&'static str> {
    let kind = |it: &Json| it.get("type").and_then(Json::as_str).map(str::to_owned);
    let flag = |it: &Json, name: &str| it.get(name).and_then(Json::as_bool);
    let it = lookup(json, "pre_tokenizer")?;
    let ignore_merges = lookup(json, "model.ignore_merges").and_then(Json::as_bool).unwrap_or(false);
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
        [only] if byte_level(only, true) && !ignore_merges => Some("gpt-2"),
        [digits, last]
            if kind(digits).as_deref() == Some("Digits")
                && flag(digits, "individual_digits") == Some(true)
                && byte_level(last, true)
                && !ignore_merges =>
        {
            Some("smollm")
        }
        [ref splits @ .., last] if byte_level(last, false) => {
            let patterns: Vec<&str> = splits.iter().map(|it| isolated(it)).collect::<Option<_>>()?;
            PATTERNS.iter().find(|it| it.0 == patterns && it.1 == ignore_merges).map(|it| it.2)
        }
        _ => None,
    }
}

/// The pattern of a step that splits a text into its matches and the text between them.
fn isolated(step: &Json) -> Option<&str> {
    let isolated = step.get("type").is_some_and(|it| it == "Split")
        && step.get("behavior").is_some_and(|it| it == "Isolated")
        && step.get("invert").and_then(Json::as_bool) != Some(true);
    lookup(step, "pattern.Regex").filter(|_| isolated)?.as_str()
}

/// Tokens by id with their types; ids of the model that the vocabulary lacks become `[PAD…]` tokens of type unused. `None` for
/// an id that two tokens have.
fn tokens(json: &Json, n_vocab: usize) -> Option<(Vec<String>, Vec<i32>)> {
    let mut tokens: Vec<Option<String>> = vec![None; n_vocab];
    let mut types = vec![NORMAL; n_vocab];
    for (token, id) in lookup(json, "model.vocab")?.as_object()? {
        *tokens.get_mut(usize::try_from(id.as_u64()?).ok()?)? = Some(token.clone());
    }
    for added in lookup(json, "added_tokens").and_then(Json::as_array).into_iter().flatten() {
        let id = usize::try_from(added.get("id")?.as_u64()?).ok()?;
        let (slot, content) = (tokens.get_mut(id)?, added.get("content")?.as_str()?);
        if slot.as_ref().is_some_and(|it| it != content) {
            return None;
        }
        *slot = Some(content.to_owned());
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

/// The two sides of each merge.
fn merges(json: &Json) -> Option<Vec<[String; 2]>> {
    let text = |it: &Json| it.as_str().map(str::to_owned);
    let merge = |it: &Json| match it {
        Json::String(line) => line.split_once(' ').map(|(left, right)| [left.to_owned(), right.to_owned()]),
        Json::Array(pair) => match &pair[..] {
            [left, right] => Some([text(left)?, text(right)?]),
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
    let named = |list: &Vec<Json>| {
        let default = list.iter().find(|it| it.get("name").is_some_and(|it| it == "default"))?;
        Some(default.get("template")?.as_str()?.to_owned())
    };
    let template = lookup(config, "chat_template");
    Ok(template.and_then(|it| it.as_str().map(str::to_owned).or_else(|| named(it.as_array()?))))
}
