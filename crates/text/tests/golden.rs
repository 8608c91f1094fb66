//! The tiny model's committed tokenizer, compared with ids and texts of an independent engine.

mod support;

use ridgeline_text::{GgufVocab, Specials, Tokenizer};
use serde_json::Value;

use support::data;

const SAMPLES: [&str; 8] = [
    "",
    " ",
    "\n\n  indented\r\n\ttabs   and   runs ",
    "Prices rose 12,345.67 % in 1999–2001; it's what they've said, 'll see.",
    "def f(x):\n    return {'a': x ** 2}  # ''' \"\"\"\n",
    "Größe, façade, naïve, e\u{301}; нещо на Български; 我想在apple工作1314151天～",
    "🚀 (normal) 😶‍🌫️ 🦙.cpp \u{1}\u{7f}\u{a0}\u{2003}x",
    "plain <|endoftext|> in text",
];

fn json_tokenizer() -> Tokenizer {
    let (json, config) = (data("tokenizer.json"), data("tokenizer_config.json"));
    Tokenizer::from_json(&json, Some(&config), "tests/data/tokenizer.json").unwrap()
}

/// The same vocabulary as in a GGUF file.
fn gguf_vocab() -> GgufVocab {
    let tree: Value = serde_json::from_slice(&data("tokenizer.json")).unwrap();
    let vocab = tree["model"]["vocab"].as_object().unwrap();
    let mut tokens = vec![String::new(); vocab.len()];
    for (token, id) in vocab {
        tokens[usize::try_from(id.as_u64().unwrap()).unwrap()].clone_from(token);
    }
    let mut token_types = vec![1; tokens.len()];
    token_types[0] = 3;
    let line = |merge: &Value| match merge {
        Value::Array(pair) => format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()),
        line => line.as_str().unwrap().to_owned(),
    };
    GgufVocab {
        model: "gpt2".into(),
        pre: Some("gpt-2".into()),
        tokens,
        token_types,
        merges: tree["model"]["merges"].as_array().unwrap().iter().map(line).collect(),
        bos: Some(0),
        eos: Some(0),
        ..GgufVocab::default()
    }
}

fn ids(list: &Value) -> Vec<u32> {
    list.as_array().unwrap().iter().map(|id| u32::try_from(id.as_u64().unwrap()).unwrap()).collect()
}

#[test]
fn prompts_and_continuations_match_the_independent_engine() {
    let golden: Value = serde_json::from_slice(&data("golden.json")).unwrap();
    let tokenizers = [json_tokenizer(), Tokenizer::from_gguf(gguf_vocab(), "golden").unwrap()];
    let entries = golden["greedy"].as_array().unwrap();
    assert_eq!(entries.len(), 8);
    for entry in entries {
        let (prompt, text) = (entry["prompt"].as_str().unwrap(), entry["text"].as_str().unwrap());
        for tokenizer in &tokenizers {
            assert_eq!(tokenizer.encode(prompt).unwrap(), ids(&entry["prompt_tokens"]), "{prompt:?}");
            assert_eq!(tokenizer.decode(&ids(&entry["tokens"])).unwrap(), text);
            let mut stream = tokenizer.stream(Specials::Hidden);
            let parts: String = ids(&entry["tokens"]).iter().map(|&id| stream.push(id).unwrap()).collect();
            assert_eq!(parts + &stream.finish(), text);
        }
    }
}

#[test]
fn both_forms_of_the_vocabulary_agree_and_round_trip() {
    let json = json_tokenizer();
    let gguf = Tokenizer::from_gguf(gguf_vocab(), "golden").unwrap();
    assert_eq!((json.vocab_size(), gguf.vocab_size()), (4096, 4096));
    assert_eq!((json.bos(), json.eos()), (Some(0), Some(0)));
    assert!(!json.add_bos() && !json.add_eos() && !gguf.add_bos());
    assert!(json.chat_template().is_none());
    for text in SAMPLES {
        let ids = gguf.encode(text).unwrap();
        assert_eq!(json.encode(text).unwrap(), ids, "{text:?}");
        assert_eq!(json.encode_special(text).unwrap(), gguf.encode_special(text).unwrap(), "{text:?}");
        assert_eq!(gguf.decode(&ids).unwrap(), text);
        assert_eq!(json.decode(&ids).unwrap(), text);
        let bytes: Vec<u8> = ids.iter().flat_map(|&id| json.token_bytes(id).unwrap().to_vec()).collect();
        assert_eq!(bytes, text.as_bytes());
        for &id in &ids {
            assert_eq!(json.token_bytes(id).unwrap(), gguf.token_bytes(id).unwrap());
        }
    }
    for id in 0..4096 {
        assert_eq!(json.token_bytes(id).unwrap(), gguf.token_bytes(id).unwrap(), "{id}");
    }
}

/// Ids by the pre-tokenizer of every published model that `data/make.py` lists, from another implementation.
#[test]
fn ids_are_those_of_an_independent_tokenizer_for_every_pre_tokenizer() {
    let golden: Value = serde_json::from_slice(&data("pre_tokenizers.json")).unwrap();
    let samples = golden["samples"].as_array().unwrap();
    let mut lists = std::collections::HashSet::new();
    for (name, cases) in golden["names"].as_object().unwrap() {
        let vocab = GgufVocab { pre: Some(name.clone()), ..gguf_vocab() };
        let tokenizer = Tokenizer::from_gguf(vocab, name).unwrap();
        assert!(tokenizer.notes().is_empty());
        for (text, case) in samples.iter().zip(cases.as_array().unwrap()) {
            let text = text.as_str().unwrap();
            assert_eq!(tokenizer.encode(text).unwrap(), ids(&case["ids"]), "{name}: {text:?}");
        }
        lists.insert(cases.to_string());
    }
    assert!(lists.len() > 12, "the samples tell {} of them apart", lists.len());
}

#[test]
fn the_longest_accepted_run_of_whitespace_is_still_cut_right() {
    let gguf = Tokenizer::from_gguf(gguf_vocab(), "golden").unwrap();
    let text = format!("a{}b c", " ".repeat(400_000));
    assert_eq!(json_tokenizer().encode(&text).unwrap(), gguf.encode(&text).unwrap());
}

#[test]
fn special_tokens_are_parsed_only_when_asked_for() {
    for tokenizer in [json_tokenizer(), Tokenizer::from_gguf(gguf_vocab(), "golden").unwrap()] {
        let text = "a<|endoftext|>b";
        let parsed = tokenizer.encode_special(text).unwrap();
        assert_eq!(parsed.len(), 3);
        assert_eq!(parsed[1], 0);
        assert!(tokenizer.is_control(0).unwrap() && !tokenizer.is_control(1).unwrap());
        assert!(!tokenizer.encode(text).unwrap().contains(&0));
        assert_eq!(tokenizer.decode(&parsed).unwrap(), "ab");
        assert_eq!(tokenizer.decode_special(&parsed).unwrap(), text);
        assert_eq!(tokenizer.token_id("<|endoftext|>"), Some(0));
        assert_eq!(tokenizer.token_id("no such token"), None);
    }
}

#[test]
fn a_tokenizer_may_be_shared_between_threads() {
    fn shareable<T: Send + Sync>() {}
    shareable::<Tokenizer>();
    shareable::<ridgeline_text::ChatTemplate>();
}

/// A tokenizer.json with the structure of Llama 2's and Mistral's, and a few tokens.
#[test]
fn a_sentence_piece_json_streams_bytes_and_strips_its_prefix_space() {
    let file = serde_json::json!({
        "version": "1.0",
        "added_tokens": [
            { "id": 0, "content": "<unk>", "special": true, "single_word": false, "lstrip": false,
              "rstrip": false, "normalized": false },
            { "id": 1, "content": "<s>", "special": true, "single_word": false, "lstrip": false,
              "rstrip": false, "normalized": false }],
        "normalizer": { "type": "Sequence", "normalizers": [
            { "type": "Prepend", "prepend": "▁" },
            { "type": "Replace", "pattern": { "String": " " }, "content": "▁" }] },
        "pre_tokenizer": null, "post_processor": null,
        "decoder": { "type": "Sequence", "decoders": [
            { "type": "Replace", "pattern": { "String": "▁" }, "content": " " },
            { "type": "ByteFallback" }, { "type": "Fuse" },
            { "type": "Strip", "content": " ", "start": 1, "stop": 0 }] },
        "model": { "type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
            "vocab": { "<unk>": 0, "<s>": 1, "<0xC3>": 2, "<0xA9>": 3, "▁": 4, "a": 5, "b": 6, "▁a": 7, "▁ab": 8 },
            "merges": ["▁ a", "▁a b"] },
    });
    let config = br#"{ "bos_token": "<s>", "add_bos_token": true }"#;
    let tokenizer = Tokenizer::from_json(file.to_string().as_bytes(), Some(config), "mistral").unwrap();
    assert!(tokenizer.add_bos());
    let ids = tokenizer.encode("ab é").unwrap();
    assert_eq!(ids, [8, 4, 2, 3]);
    assert_eq!(tokenizer.decode(&ids).unwrap(), "ab é");
    assert_eq!(tokenizer.decode(&[1, 8]).unwrap(), "ab");
    let mut stream = tokenizer.stream(Specials::Hidden);
    let parts: Vec<String> = ids.iter().map(|&id| stream.push(id).unwrap()).collect();
    assert_eq!(parts, [" ab", " ", "", "é"]);
    assert_eq!(tokenizer.encode_special("<s>ab").unwrap(), [1, 8]);
}

/// The forms in which published models have SentencePiece in a tokenizer.json, by another implementation.
#[test]
fn sentence_piece_json_files_give_the_ids_of_an_independent_tokenizer() {
    let golden: Value = serde_json::from_slice(&data("sentencepiece.json")).unwrap();
    let texts = golden["texts"].as_array().unwrap();
    for (name, form) in golden["forms"].as_object().unwrap() {
        let mut json = golden["tokenizer"].clone();
        for part in ["normalizer", "pre_tokenizer"] {
            json[part] = form[part].clone();
        }
        let tokenizer = Tokenizer::from_json(json.to_string().as_bytes(), None, name).unwrap();
        for (text, expected) in texts.iter().zip(form["ids"].as_array().unwrap()) {
            let text = text.as_str().unwrap();
            assert_eq!(tokenizer.encode_special(text).unwrap(), ids(expected), "{name}: {text:?}");
        }
    }
}
