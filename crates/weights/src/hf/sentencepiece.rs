//! A SentencePiece vocabulary in a tokenizer.json, as the keys of `tokenizer.ggml.model = llama`.
//!
//! ```text
//! tokenizer.json merges by the rank of a pair of tokens, llama.cpp by the score of the token that a pair makes
//! score of a token = −(rank of the first merge that makes it); tokens that no merge makes come last
//! ```
//!
//! Both orders are that of SentencePiece. Spaces at the beginning of a text, or behind a special token, may still differ. So the
//! file also carries the tokenizer.json whole.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::tokenizer::{kind, steps};
use crate::convention::lookup;

/// llama.cpp's token types.
pub(super) const UNKNOWN: i32 = 2;
const BYTE: i32 = 6;

/// SentencePiece's spelling of a space.
const SPACE: &str = "\u{2581}";

/// Whether a tokenizer spells what it has no token for as bytes, as SentencePiece does.
pub(super) fn is(json: &Json) -> bool {
    lookup(json, "model.byte_fallback").and_then(Json::as_bool) == Some(true)
}

/// The first step that SentencePiece does not have; `None` if there is none.
pub(super) fn unrepresentable(json: &Json) -> Option<String> {
    let text = |it: &Json, name: &str| lookup(it, name).and_then(Json::as_str).map(str::to_owned);
    let replaces = |it: &&Json| {
        kind(it) == "Replace"
            && text(it, "pattern.String").as_deref() == Some(" ")
            && text(it, "content").as_deref() == Some(SPACE)
    };
    let normalizers = steps(json, "normalizer", "normalizers");
    let prepends = |it: &&Json| kind(it) == "Prepend" && text(it, "prepend").as_deref() == Some(SPACE);
    if let Some(it) = normalizers.iter().find(|it| !replaces(it) && !prepends(it)) {
        return Some(format!("SentencePiece has no normalizer `{}` of this kind", kind(it)));
    }
    let spelled = normalizers.iter().any(replaces);
    // After the replacement there is no space left to split at.
    let splits_nothing =
        |it: &&Json| kind(it) == "Split" && spelled && text(it, "pattern.String").as_deref() == Some(" ");
    let metaspace = |it: &&Json| {
        let replacement = text(it, "replacement");
        kind(it) == "Metaspace" && replacement.is_none_or(|it| it == SPACE)
    };
    let splits = steps(json, "pre_tokenizer", "pretokenizers");
    if let Some(it) = splits.iter().find(|it| !splits_nothing(it) && !metaspace(it)) {
        return Some(format!("SentencePiece has no pre-tokenizer `{}` of this kind", kind(it)));
    }
    if !spelled && !splits.iter().any(metaspace) {
        return Some(format!("its spaces are not spelled {SPACE}"));
    }
    let decoders = steps(json, "decoder", "decoders");
    if !decoders.iter().any(|it| kind(it) == "Metaspace" || kind(it) == "Replace") {
        return Some("its decoder does not restore spaces".to_owned());
    }
    let vocab = lookup(json, "model.vocab").and_then(Json::as_object)?;
    let missing = (0..=u8::MAX).map(byte_token).find(|it| !vocab.contains_key(it));
    missing.map(|it| format!("it has no token `{it}`"))
}

fn byte_token(byte: u8) -> String {
    format!("<0x{byte:02X}>")
}

/// Whether a text begins with a space of the tokenizer's own.
pub(super) fn adds_space(json: &Json) -> bool {
    let adds = |it: &&Json| {
        let never = it.get("prepend_scheme").is_some_and(|it| it == "never")
            || it.get("add_prefix_space").and_then(Json::as_bool) == Some(false);
        kind(it) == "Metaspace" && !never
    };
    steps(json, "normalizer", "normalizers").iter().any(|it| kind(it) == "Prepend")
        || steps(json, "pre_tokenizer", "pretokenizers").iter().any(adds)
}

/// The token of unknown text.
pub(super) fn unknown(json: &Json, tokens: &[String]) -> Option<u32> {
    let name = lookup(json, "model.unk_token")?.as_str()?;
    tokens.iter().position(|it| it == name).and_then(|it| u32::try_from(it).ok())
}

/// Marks the tokens of bytes and of unknown text.
pub(super) fn mark(types: &mut [i32], tokens: &[String], unknown: Option<u32>) {
    let bytes: HashMap<String, u8> = (0..=u8::MAX).map(|it| (byte_token(it), it)).collect();
    for (kind, token) in types.iter_mut().zip(tokens) {
        if bytes.contains_key(token) {
            *kind = BYTE;
        }
    }
    if let Some(kind) = unknown.and_then(|it| types.get_mut(it as usize)) {
        *kind = UNKNOWN;
    }
}

/// The score of every token. `merges` are pairs with a space between; a float holds every rank below 2^24.
pub(super) fn scores(tokens: &[String], merges: &[[String; 2]]) -> Vec<f32> {
    let mut ranks = HashMap::with_capacity(merges.len());
    for (rank, pair) in merges.iter().enumerate() {
        ranks.entry(pair.concat()).or_insert(rank);
    }
    let score = |(id, token): (usize, &String)| {
        let rank = ranks.get(token).copied().unwrap_or(merges.len() + id);
        -(rank as f32)
    };
    tokens.iter().enumerate().map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn llama2() -> Json {
        let vocab: serde_json::Map<_, _> = (0..=u8::MAX).map(|it| (byte_token(it), Json::from(it))).collect();
        json!({
            "normalizer": { "type": "Sequence", "normalizers": [
                { "type": "Prepend", "prepend": SPACE },
                { "type": "Replace", "pattern": { "String": " " }, "content": SPACE }] },
            "pre_tokenizer": null,
            "decoder": { "type": "Sequence", "decoders": [
                { "type": "Replace", "pattern": { "String": SPACE }, "content": " " }] },
            "model": { "type": "BPE", "byte_fallback": true, "vocab": vocab },
        })
    }

    #[test]
    fn the_published_forms_are_carried() {
        let metaspace = |scheme: &str| {
            let mut json = llama2();
            json["normalizer"] = Json::Null;
            json["pre_tokenizer"] = json!({ "type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": false });
            json
        };
        let mut gemma = llama2();
        gemma["normalizer"] = json!({ "type": "Replace", "pattern": { "String": " " }, "content": SPACE });
        gemma["pre_tokenizer"] =
            json!({ "type": "Split", "pattern": { "String": " " }, "behavior": "MergedWithPrevious" });
        for (json, adds) in
            [(llama2(), true), (metaspace("first"), true), (metaspace("never"), false), (gemma, false)]
        {
            assert!(is(&json));
            assert_eq!((unrepresentable(&json), adds_space(&json)), (None, adds), "{json}");
        }
    }

    #[test]
    fn other_steps_are_named() {
        for (pointer, value, part) in [
            ("/normalizer", json!({ "type": "NFKC" }), "normalizer `NFKC`"),
            (
                "/pre_tokenizer",
                json!({ "type": "Digits", "individual_digits": true }),
                "pre-tokenizer `Digits`",
            ),
            ("/normalizer", Json::Null, "spaces are not spelled"),
            ("/decoder", json!({ "type": "Fuse" }), "decoder"),
            ("/model/vocab", json!({ "<0x00>": 0 }), "no token `<0x01>`"),
        ] {
            let mut json = llama2();
            *json.pointer_mut(pointer).unwrap() = value;
            let problem = unrepresentable(&json).unwrap();
            assert!(problem.contains(part), "{problem}");
        }
    }

    #[test]
    fn scores_are_in_the_order_of_merges() {
        let tokens = ["<unk>", "a", "b", "ab", "abb", "<0x0A>"].map(str::to_owned);
        let merges = [["a", "b"], ["ab", "b"], ["a", "bb"]].map(|it| it.map(str::to_owned));
        let scores = scores(&tokens, &merges);
        assert_eq!(scores, [-3.0, -4.0, -5.0, 0.0, -1.0, -8.0]);
        let mut types = [3, 1, 1, 1, 1, 1];
        mark(&mut types, &tokens, Some(0));
        assert_eq!(types, [UNKNOWN, 1, 1, 1, 1, BYTE]);
    }
}
