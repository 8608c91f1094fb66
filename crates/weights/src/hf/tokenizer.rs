//! The steps of a tokenizer.json that GGUF's keys cannot carry, and the tokens that it puts around a text.

use serde_json::Value as Json;

use super::sentencepiece;
use crate::convention::lookup;

/// The type of a step.
pub(super) fn kind(step: &Json) -> &str {
    step.get("type").and_then(Json::as_str).unwrap_or_default()
}

/// The steps of a normalizer or decoder: none, one, or those of a sequence.
pub(super) fn steps<'a>(json: &'a Json, part: &str, list: &str) -> Vec<&'a Json> {
    match lookup(json, part) {
        None => Vec::new(),
        Some(it) => match it.get(list).and_then(Json::as_array) {
            Some(steps) if kind(it) == "Sequence" => steps.iter().collect(),
            _ => vec![it],
        },
    }
}

/// Whether text is brought to Unicode's composed form (NFC) first. GGUF has no key for that.
pub(super) fn normalizes(json: &Json) -> bool {
    steps(json, "normalizer", "normalizers").iter().any(|it| kind(it) == "NFC")
}

/// The first step that cannot be carried; `None` if all can.
pub(super) fn unrepresentable(json: &Json) -> Option<String> {
    let model = json.get("model").unwrap_or(&Json::Null);
    if kind(model) != "BPE" {
        return Some(format!("its model is `{}`, and only BPE can be converted", kind(model)));
    }
    let has_text = |name: &str| model.get(name).and_then(Json::as_str).is_some_and(|it| !it.is_empty());
    for name in ["continuing_subword_prefix", "end_of_word_suffix"] {
        if has_text(name) {
            return Some(format!("GGUF has no key for its `{name}`"));
        }
    }
    if model.get("dropout").and_then(Json::as_f64).is_some_and(|it| it > 0.0) {
        return Some("its merges are dropped at random (`dropout`)".to_owned());
    }
    if sentencepiece::is(json) { sentencepiece::unrepresentable(json) } else { beyond_byte_level(json) }
}

/// The first step that byte-level BPE in GGUF does not have.
fn beyond_byte_level(json: &Json) -> Option<String> {
    let flag = |it: &Json, name: &str| it.get(name).and_then(Json::as_bool) == Some(true);
    if let Some(it) = steps(json, "normalizer", "normalizers").iter().find(|it| kind(it) != "NFC") {
        return Some(format!("GGUF has no key for its normalizer `{}`", kind(it)));
    }
    if !steps(json, "decoder", "decoders").iter().any(|it| kind(it) == "ByteLevel") {
        return Some("its decoder is not `ByteLevel`".to_owned());
    }
    let added = json.get("added_tokens").and_then(Json::as_array);
    for token in added.into_iter().flatten() {
        if let Some(name) = ["lstrip", "rstrip", "single_word"].into_iter().find(|name| flag(token, name)) {
            let content = token.get("content").and_then(Json::as_str).unwrap_or_default();
            return Some(format!("GGUF has no key for `{name}` of its token `{content}`"));
        }
    }
    None
}

/// The ids that the post-processor puts first and last.
pub(super) fn around(json: &Json) -> (Option<u32>, Option<u32>) {
    let id = |it: &Json| u32::try_from(it.as_u64()?).ok();
    let mut found = (None, None);
    for step in steps(json, "post_processor", "processors") {
        match kind(step) {
            "TemplateProcessing" => {
                let single =
                    step.get("single").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
                let of = |it: Option<&Json>, last: bool| {
                    let name = lookup(it?, "SpecialToken.id")?.as_str()?;
                    let ids = step.get("special_tokens")?.get(name)?.get("ids")?.as_array()?;
                    id(if last { ids.last()? } else { ids.first()? })
                };
                found = (of(single.first(), false), of(single.last(), true));
            }
            "BertProcessing" | "RobertaProcessing" => {
                let of = |name: &str| id(step.get(name)?.get(1)?);
                found = (of("cls"), of("sep"));
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plain() -> Json {
        json!({ "model": { "type": "BPE" }, "decoder": { "type": "ByteLevel" }, "added_tokens": [] })
    }

    #[test]
    fn a_step_that_gguf_has_no_key_for_is_named() {
        assert_eq!(unrepresentable(&plain()), None);
        for (change, part) in [
            (json!({ "normalizer": { "type": "Lowercase" } }), "Lowercase"),
            (
                json!({ "normalizer": { "type": "Sequence", "normalizers": [{ "type": "NFC" }, { "type": "Strip" }] } }),
                "Strip",
            ),
            (json!({ "model": { "type": "Unigram" } }), "`Unigram`"),
            (json!({ "model": { "type": "BPE", "dropout": 0.1 } }), "dropout"),
            (json!({ "model": { "type": "BPE", "end_of_word_suffix": "</w>" } }), "end_of_word_suffix"),
            (json!({ "decoder": { "type": "Metaspace" } }), "decoder"),
            (
                json!({ "added_tokens": [{ "content": "<end>", "rstrip": true }] }),
                "`rstrip` of its token `<end>`",
            ),
        ] {
            let mut json = plain();
            json.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            let problem = unrepresentable(&json).unwrap();
            assert!(problem.contains(part), "{problem}");
        }
        let mut nfc = plain();
        nfc["normalizer"] = json!({ "type": "NFC" });
        assert!(normalizes(&nfc) && unrepresentable(&nfc).is_none() && !normalizes(&plain()));
    }

    #[test]
    fn the_post_processor_puts_tokens_around_a_text() {
        let mut json = plain();
        assert_eq!(around(&json), (None, None));
        let special = json!({ "SpecialToken": { "id": "<s>" } });
        let text = json!({ "Sequence": { "id": "A" } });
        let template = json!({
            "type": "TemplateProcessing", "single": [special, text],
            "special_tokens": { "<s>": { "ids": [7] } },
        });
        json["post_processor"] =
            json!({ "type": "Sequence", "processors": [{ "type": "ByteLevel" }, template] });
        assert_eq!(around(&json), (Some(7), None));
        json["post_processor"] =
            json!({ "type": "RobertaProcessing", "cls": ["<s>", 1], "sep": ["</s>", 2] });
        assert_eq!(around(&json), (Some(1), Some(2)));
    }
}
