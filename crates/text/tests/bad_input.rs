//! Malformed vocabularies and files are typed errors that name the file; none panics.

mod support;

use ridgeline_text::{Ends, Error, GgufVocab, Tokenizer};
use serde_json::{Value, json};

use support::data;

const FILE: &str = "broken.gguf";

/// A byte-level vocabulary that spells `a`, `b` and a space.
fn byte_level() -> GgufVocab {
    let texts = ["a", "b", "Ġ", "ab", "Ġab", "<end>"];
    GgufVocab {
        model: "gpt2".into(),
        pre: Some("gpt-2".into()),
        tokens: texts.map(str::to_owned).to_vec(),
        token_types: vec![1, 1, 1, 1, 1, 3],
        merges: vec!["a b".into(), "Ġ ab".into()],
        ..GgufVocab::default()
    }
}

fn sentence_piece() -> GgufVocab {
    let texts = ["<unk>", "<s>", "</s>", "<0x61>", "▁", "b"];
    GgufVocab {
        model: "llama".into(),
        tokens: texts.map(str::to_owned).to_vec(),
        scores: vec![0.0; 6],
        token_types: vec![2, 3, 3, 6, 1, 1],
        ..GgufVocab::default()
    }
}

/// The error of a changed vocabulary; its message must name the file.
fn error(mut vocab: GgufVocab, change: impl FnOnce(&mut GgufVocab)) -> Error {
    change(&mut vocab);
    let error = Tokenizer::from_gguf(vocab, FILE).expect_err("the vocabulary is malformed");
    assert!(error.to_string().starts_with(FILE), "{error}");
    error
}

#[test]
fn the_unchanged_vocabularies_work() {
    let tokenizer = Tokenizer::from_gguf(byte_level(), FILE).unwrap();
    assert_eq!(tokenizer.encode("ab ab").unwrap(), [3, 4]);
    let tokenizer = Tokenizer::from_gguf(sentence_piece(), FILE).unwrap();
    assert_eq!(tokenizer.encode("ab").unwrap(), [4, 3, 5]);
    assert_eq!(tokenizer.decode(&[4, 3, 5]).unwrap(), "ab");
    assert_eq!((tokenizer.bos(), tokenizer.eos(), tokenizer.add_bos()), (Some(1), Some(2), true));
    let mut vocab = sentence_piece();
    vocab.add_space_prefix = Some(false);
    let tokenizer = Tokenizer::from_gguf(vocab, FILE).unwrap();
    assert_eq!(tokenizer.encode("ab b").unwrap(), [3, 5, 4, 5]);
    assert_eq!(tokenizer.decode(&[4, 5]).unwrap(), " b");
}

#[test]
fn unknown_names_are_refused_by_name() {
    let unknown = error(byte_level(), |v| v.pre = Some("gpt-17".into()));
    assert!(matches!(&unknown, Error::UnknownPre { pre, .. } if pre == "gpt-17"));
    assert!(unknown.to_string().contains("gpt-17"));
    let unknown = error(byte_level(), |v| v.model = "t5".into());
    assert!(matches!(unknown, Error::UnknownModel { model, .. } if model == "t5"));
}

#[test]
fn inconsistent_vocabularies_are_refused() {
    use Error::*;
    let e = error(byte_level(), |v| v.merges.clear());
    assert!(matches!(e, MissingMerges { .. }), "{e}");
    for bad in ["ab", "a c", "b a", "", " ", "a "] {
        let e = error(byte_level(), |v| v.merges.push(bad.into()));
        assert!(matches!(e, BadMerge { index: 2, .. }), "{e}");
    }
    let e = error(GgufVocab { model: "gpt2".into(), ..GgufVocab::default() }, |_| {});
    assert!(matches!(e, EmptyVocabulary { .. }), "{e}");
    let e = error(byte_level(), |v| v.token_types.truncate(2));
    assert!(
        matches!(e, LengthMismatch { array: "tokenizer.ggml.token_type", tokens: 6, found: 2, .. }),
        "{e}"
    );
    for scores in [0, 5, 7] {
        let e = error(sentence_piece(), |v| v.scores = vec![0.0; scores]);
        assert!(matches!(e, LengthMismatch { array: "tokenizer.ggml.scores", .. }), "{e}");
    }
    let e = error(sentence_piece(), |v| v.scores[4] = f32::NAN);
    assert!(matches!(e, BadScore { id: 4, .. }), "{e}");
    let e = error(sentence_piece(), |v| v.tokens[3] = "<0xZZ>".into());
    assert!(matches!(e, BadByteToken { id: 3, .. }), "{e}");
}

/// Published vocabularies have both, among ids that no merge needs.
#[test]
fn duplicate_and_empty_tokens_are_read_and_the_lower_id_encodes() {
    for mut vocab in [byte_level(), sentence_piece()] {
        let normal = vocab.token_types.iter().position(|it| *it == 1).unwrap();
        let text = vocab.tokens[normal].clone();
        vocab.tokens.extend([text.clone(), String::new(), "\0".to_owned(), String::new()]);
        vocab.token_types.extend([1, 1, 1, 3]);
        if !vocab.scores.is_empty() {
            vocab.scores.extend([0.0; 4]);
        }
        let n = u32::try_from(vocab.tokens.len()).unwrap();
        let tokenizer = Tokenizer::from_gguf(vocab, FILE).unwrap();
        assert_eq!(tokenizer.token_id(&text), u32::try_from(normal).ok());
        assert_eq!(
            tokenizer.token_bytes(n - 4).unwrap(),
            tokenizer.token_bytes(tokenizer.token_id(&text).unwrap()).unwrap()
        );
        assert_eq!(tokenizer.decode(&[n - 3, n - 1]).unwrap(), "");
        assert!(tokenizer.encode_special("ab").unwrap().iter().all(|&id| id < n - 4));
    }
}

#[test]
fn ends_are_the_union_of_all_places_that_name_them() {
    let mut vocab = byte_level();
    vocab.tokens.extend(["<|im_end|>", "[PAD7]"].map(str::to_owned));
    vocab.token_types.extend([3, 5]);
    vocab.eos = Some(5);
    let mut tokenizer = Tokenizer::from_gguf(vocab, FILE).unwrap();
    assert_eq!(tokenizer.ends(), [5, 6]);
    assert_eq!((tokenizer.vocab_size(), tokenizer.used_size()), (8, 7));
    assert!(tokenizer.is_padding(7) && tokenizer.is_padding(8) && !tokenizer.is_padding(6));
    tokenizer.add_ends(&Ends { bos: Some(4), eos: vec![1, 5, 99] });
    assert_eq!((tokenizer.ends(), tokenizer.bos()), (vec![1, 5, 6], Some(4)));
    assert!(tokenizer.notes().is_empty());
}

#[test]
fn a_missing_pre_tokenizer_is_announced() {
    let tokenizer = Tokenizer::from_gguf(GgufVocab { pre: None, ..byte_level() }, FILE).unwrap();
    assert!(tokenizer.notes()[0].contains("tokenizer.ggml.pre"), "{:?}", tokenizer.notes());
}

#[test]
fn special_tokens_outside_the_vocabulary_are_refused() {
    let changes: [fn(&mut GgufVocab); 3] =
        [|v| v.bos = Some(6), |v| v.eos = Some(u32::MAX), |v| v.unk = Some(6)];
    for change in changes {
        let e = error(sentence_piece(), change);
        assert!(matches!(e, Error::SpecialOutOfRange { tokens: 6, .. }), "{e}");
    }
    let e = error(byte_level(), |v| v.add_bos = Some(true));
    assert!(matches!(e, Error::SpecialMissing { what: "tokenizer.ggml.bos_token_id", .. }), "{e}");
}

#[test]
fn what_cannot_be_spelled_or_is_not_an_id_is_an_error() {
    for vocab in [byte_level(), sentence_piece()] {
        let tokenizer = Tokenizer::from_gguf(vocab, FILE).unwrap();
        let e = tokenizer.encode("a~").unwrap_err();
        assert!(matches!(e, Error::MissingByte { byte: b'~', .. }), "{e}");
        let e = tokenizer.decode(&[0, 6]).unwrap_err();
        assert!(matches!(e, Error::UnknownId { id: 6, tokens: 6, .. }), "{e}");
        assert!(tokenizer.token_bytes(u32::MAX).is_err());
        assert!(tokenizer.stream(ridgeline_text::Specials::Shown).push(6).is_err());
    }
}

/// The committed tokenizer.json with a change, and a configuration.
fn from_json(config: Option<&Value>, change: impl FnOnce(&mut Value)) -> Result<Tokenizer, Error> {
    let mut tree: Value = serde_json::from_slice(&data("tokenizer.json")).unwrap();
    change(&mut tree);
    let config = config.map(|config| config.to_string());
    Tokenizer::from_json(tree.to_string().as_bytes(), config.as_deref().map(str::as_bytes), FILE)
}

#[test]
fn malformed_json_is_refused() {
    let whole = data("tokenizer.json");
    for bytes in [&b""[..], b"{", b"[]", b"null", b"{}", b"\xff\xfe", &whole[..whole.len() / 2]] {
        let e = Tokenizer::from_json(bytes, None, FILE).unwrap_err();
        assert!(e.to_string().starts_with(FILE), "{e}");
    }
    let changes: [fn(&mut Value); 9] = [
        |t| t["model"] = json!(3),
        |t| t["model"]["vocab"] = json!({}),
        |t| t["model"]["vocab"]["zz"] = json!(-1),
        |t| t["model"]["vocab"]["zz"] = json!(5),
        |t| t["model"]["vocab"]["zz"] = json!(4_000_000_000u32),
        |t| t["model"]["merges"][7] = json!(["a", "no such token"]),
        |t| t["model"]["continuing_subword_prefix"] = json!("a long prefix"),
        |t| t["decoder"] = json!("nonsense"),
        |t| t["decoder"] = json!({ "type": "WordPiece", "prefix": "##", "cleanup": true }),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let e = from_json(None, change).err().unwrap_or_else(|| panic!("change {index} gave no error"));
        assert!(e.to_string().starts_with(FILE), "{e}");
    }
}

#[test]
fn random_merges_are_refused_by_name() {
    let e = from_json(None, |t| t["model"]["dropout"] = json!(0.1)).unwrap_err();
    assert!(
        matches!(e, Error::Dropout { dropout: 0.1, .. }) && e.to_string().contains("`dropout` 0.1"),
        "{e}"
    );
    for none in [json!(null), json!(0.0)] {
        assert!(from_json(None, |t| t["model"]["dropout"] = none).is_ok());
    }
}

#[test]
fn configurations_are_checked() {
    let unchanged = |_: &mut Value| {};
    let e = from_json(Some(&json!({ "bos_token": "<nope>" })), unchanged).unwrap_err();
    assert!(matches!(e, Error::SpecialMissing { what: "bos_token", .. }), "{e}");
    let e = from_json(Some(&json!({ "eos_token": 7 })), unchanged).unwrap_err();
    assert!(matches!(e, Error::Json { .. }), "{e}");
    let e = from_json(Some(&json!({ "add_bos_token": true })), unchanged).unwrap_err();
    assert!(matches!(e, Error::SpecialMissing { .. }), "{e}");
    let config = json!({ "eos_token": { "content": "<|endoftext|>" }, "bos_token": null, "add_eos_token": true,
        "chat_template": [{ "name": "tool", "template": "T" }, { "name": "default", "template": "{{ eos_token }}" }] });
    let tokenizer = from_json(Some(&config), unchanged).unwrap();
    assert_eq!((tokenizer.bos(), tokenizer.eos(), tokenizer.add_eos()), (None, Some(0), true));
    assert_eq!(tokenizer.chat_template().unwrap().render(&[], false).unwrap(), "<|endoftext|>");
}

#[test]
fn the_post_processor_says_whether_a_beginning_is_added() {
    let config = json!({ "bos_token": "<|endoftext|>" });
    let tokenizer = from_json(Some(&config), |t| {
        t["post_processor"] = json!({ "type": "TemplateProcessing",
            "single": [{ "SpecialToken": { "id": "<|endoftext|>", "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } }],
            "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "Sequence": { "id": "B", "type_id": 1 } }],
            "special_tokens": { "<|endoftext|>": { "id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"] } } });
    })
    .unwrap();
    assert!(tokenizer.add_bos() && !tokenizer.add_eos());
    assert!(!tokenizer.encode("x").unwrap().contains(&0));
}

#[test]
fn other_files_name_the_beginning_and_the_ends_that_the_configuration_lacks() {
    let json = data("tokenizer.json");
    let ends = Ends { bos: Some(0), eos: vec![7, 9] };
    let config = json!({ "add_bos_token": 1 }).to_string();
    let tokenizer = Tokenizer::from_folder(&json, Some(config.as_bytes()), &ends, FILE).unwrap();
    assert_eq!((tokenizer.bos(), tokenizer.eos(), tokenizer.add_bos()), (Some(0), Some(7), true));
    assert!([7, 9].iter().all(|id| tokenizer.ends().contains(id)));
    let config = json!({ "eos_token": "<|endoftext|>" }).to_string();
    let tokenizer = Tokenizer::from_folder(&json, Some(config.as_bytes()), &ends, FILE).unwrap();
    assert_eq!(tokenizer.eos(), Some(0), "the configuration comes first");
    assert!([0, 7, 9].iter().all(|id| tokenizer.ends().contains(id)));
}

#[test]
fn truncation_in_the_file_does_not_shorten_texts() {
    let truncating = from_json(None, |t| {
        t["truncation"] =
            json!({ "direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0 });
    })
    .unwrap();
    let plain = from_json(None, |_| {}).unwrap();
    let text = "a sentence of more than two tokens";
    assert_eq!(truncating.encode(text).unwrap(), plain.encode(text).unwrap());
}

#[test]
fn a_byte_that_the_json_vocabulary_lacks_is_an_error() {
    let tokenizer = from_json(None, |t| {
        let vocab = t["model"]["vocab"].as_object_mut().unwrap();
        assert!(vocab.remove("~").is_some());
        let merges = t["model"]["merges"].as_array_mut().unwrap();
        merges.retain(|merge| !merge.to_string().contains('~'));
    })
    .unwrap();
    assert!(matches!(tokenizer.encode("a~b"), Err(Error::MissingByte { byte: b'~', .. })));
    assert!(tokenizer.encode("ab").is_ok());
}

#[test]
fn endless_whitespace_is_encoded_or_refused() {
    let json = from_json(None, |_| {}).unwrap();
    assert!(matches!(json.encode(&" ".repeat(400_001)), Err(Error::WhitespaceRun { chars: 400_001, .. })));
    let gguf = Tokenizer::from_gguf(byte_level(), FILE).unwrap();
    assert_eq!(gguf.encode(&" ".repeat(1_200_000)).unwrap().len(), 1_200_000);
}
