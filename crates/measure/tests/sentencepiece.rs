//! Folders with a SentencePiece tokenizer.json become GGUF files with the same ids of any text. The ids are those of another
//! implementation: see `make.py` beside the data.

use ridgeline_measure::models;
use ridgeline_quant::Format;
use ridgeline_text::{GgufVocab, Tokenizer};
use ridgeline_weights::{Checkpoint, Metadata, convert};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn repository(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn golden() -> Value {
    let file = fs::read(repository("text/tests/data/sentencepiece.json")).expect("it is in the repository");
    serde_json::from_slice(&file).expect("JSON")
}

/// A small model with the tokenizer in one of the published forms.
fn folder(golden: &Value, form: &Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["config.json", "model.safetensors"] {
        let from = repository("model/tests/data/llama").join(name);
        fs::copy(from, folder.path().join(name)).expect("it is in the repository");
    }
    let mut json = golden["tokenizer"].clone();
    for part in ["normalizer", "pre_tokenizer"] {
        json[part] = form[part].clone();
    }
    fs::write(folder.path().join("tokenizer.json"), json.to_string()).expect("a file");
    let config = serde_json::json!({ "bos_token": "<s>", "eos_token": "</s>", "add_bos_token": true });
    fs::write(folder.path().join("tokenizer_config.json"), config.to_string()).expect("a file");
    folder
}

fn ids(list: &Value) -> Vec<u32> {
    list.as_array()
        .expect("ids")
        .iter()
        .map(|id| u32::try_from(id.as_u64().expect("an id")).expect("small"))
        .collect()
}

/// The tokenizer of llama.cpp's keys, without the whole tokenizer.json.
fn of_keys(metadata: &Metadata) -> Tokenizer {
    let key = |name: &str| format!("tokenizer.ggml.{name}");
    let id = |name: &str| metadata.find::<u32>(&key(name)).expect("an id");
    let vocab = GgufVocab {
        model: metadata.get::<&str>(&key("model")).expect("a model").to_owned(),
        tokens: metadata.get::<&[String]>(&key("tokens")).expect("tokens").to_vec(),
        scores: metadata.get(&key("scores")).expect("scores"),
        token_types: metadata.get(&key("token_type")).expect("types"),
        bos: id("bos_token_id"),
        eos: id("eos_token_id"),
        unk: id("unknown_token_id"),
        add_space_prefix: metadata.find(&key("add_space_prefix")).expect("a flag"),
        ..GgufVocab::default()
    };
    Tokenizer::from_gguf(vocab, "keys").expect("a valid vocabulary")
}

#[test]
fn ids_are_the_same_before_and_after_a_conversion() {
    let golden = golden();
    let forms = golden["forms"].as_object().expect("forms");
    assert_eq!(forms.len(), 4);
    for (name, form) in forms {
        let folder = folder(&golden, form);
        let before = Checkpoint::open(folder.path()).expect("a model");
        let file = folder.path().join("converted.gguf");
        convert(&before, &file, Format::F16).expect("it can be converted");
        let after = Checkpoint::open(&file).expect("a model");
        let metadata = after.metadata();
        assert_eq!(metadata.get::<&str>("tokenizer.ggml.model").expect("a model"), "llama");
        let keys = of_keys(metadata);
        let [before, after] = [&before, &after]
            .map(|it| models::tokenizer(it).expect("a valid vocabulary").expect("a vocabulary"));
        let facts = |it: &Tokenizer| (it.bos(), it.eos(), it.add_bos(), it.add_eos(), it.ends());
        assert_eq!(facts(&before), facts(&after), "{name}");
        assert_eq!((before.bos(), before.eos(), before.add_bos()), (Some(1), Some(2), true));
        for (text, expected) in
            golden["texts"].as_array().expect("texts").iter().zip(form["ids"].as_array().expect("lists"))
        {
            let (text, expected) = (text.as_str().expect("text"), ids(expected));
            assert_eq!(before.encode_special(text).expect("ids"), expected, "{name}: {text:?}");
            assert_eq!(after.encode_special(text).expect("ids"), expected, "{name}: {text:?}");
            let plain = before.encode(text).expect("ids");
            assert_eq!(after.encode(text).expect("ids"), plain, "{name}: {text:?}");
            // llama.cpp's keys have a space before every part of a text, or none.
            if ["llama-2", "gemma"].contains(&&**name) {
                assert_eq!(keys.encode_special(text).expect("ids"), expected, "{name}: {text:?}");
            }
        }
        assert_eq!(keys.token_bytes(3 + u32::from(b'A')).expect("an id"), b"A", "a byte token is its byte");
        assert!(keys.is_control(0).expect("an id") && keys.is_control(1).expect("an id"));
    }
}

#[test]
fn what_a_conversion_cannot_carry_is_named() {
    let golden = golden();
    let form = &golden["forms"]["llama-2"];
    for (pointer, value, part) in [
        ("/model/dropout", serde_json::json!(0.5), "dropout"),
        ("/normalizer", serde_json::json!({ "type": "NFKC" }), "NFKC"),
        ("/model/byte_fallback", serde_json::json!(false), "normalizer"),
    ] {
        let folder = folder(&golden, form);
        let path = folder.path().join("tokenizer.json");
        let mut json: Value = serde_json::from_slice(&fs::read(&path).expect("a file")).expect("JSON");
        *json.pointer_mut(pointer).expect("it is there") = value;
        fs::write(&path, json.to_string()).expect("a file");
        let checkpoint = Checkpoint::open(folder.path()).expect("a model");
        let error = convert(&checkpoint, &folder.path().join("out.gguf"), Format::F16).expect_err(part);
        assert!(error.to_string().contains(part), "{error}");
    }
}

/// The older file alone, with a token that another file adds: before and after a conversion.
#[test]
fn tokenizer_model_gives_the_ids_of_sentencepiece() {
    let golden = golden();
    let older = &golden["older"];
    let folder = folder(&golden, &golden["forms"]["llama-2"]);
    let at = |name: &str| folder.path().join(name);
    fs::remove_file(at("tokenizer.json")).expect("a file");
    fs::copy(repository("text/tests/data/sentencepiece.model"), at("tokenizer.model"))
        .expect("it is in the repository");
    let config = serde_json::json!({
        "bos_token": "<s>", "eos_token": "</s>", "chat_template": "{{ bos_token }}",
        "added_tokens_decoder": {
            "0": { "content": "<unk>", "special": true }, "500": { "content": "<|im_end|>", "special": true },
        },
    });
    fs::write(at("tokenizer_config.json"), config.to_string()).expect("a file");
    let checkpoint = Checkpoint::open(folder.path()).expect("a model");
    assert!(checkpoint.notes().is_empty(), "{:?}", checkpoint.notes());
    convert(&checkpoint, &at("converted.gguf"), Format::F16).expect("it can be converted");
    for checkpoint in [checkpoint, Checkpoint::open(&at("converted.gguf")).expect("a model")] {
        let tokenizer = models::tokenizer(&checkpoint).expect("it is valid").expect("a vocabulary");
        let lists = older["ids"].as_array().expect("lists");
        for (text, expected) in older["texts"].as_array().expect("texts").iter().zip(lists) {
            let text = text.as_str().expect("text");
            assert_eq!(tokenizer.encode(text).expect("ids"), ids(expected), "{text:?}");
        }
        assert!(tokenizer.encode_special("a<|im_end|>").expect("ids").ends_with(&[500]));
        assert_eq!((tokenizer.bos(), tokenizer.add_bos(), tokenizer.add_eos()), (Some(1), true, false));
        // Token 0 is the end that config.json names, and 500 is one by its name.
        assert_eq!(
            (tokenizer.ends(), tokenizer.vocab_size(), tokenizer.used_size()),
            (vec![0, 2, 500], 512, 501)
        );
        assert!(tokenizer.is_control(0).expect("an id") && tokenizer.chat_template().is_some());
    }
    // What cannot be read stops no measurement.
    fs::write(at("tokenizer.model"), "not a vocabulary").expect("a file");
    let checkpoint = Checkpoint::open(folder.path()).expect("a model");
    assert!(checkpoint.notes()[0].contains("tokenizer.json"), "{:?}", checkpoint.notes());
    assert!(models::tokenizer(&checkpoint).expect("none is valid").is_none());
}
