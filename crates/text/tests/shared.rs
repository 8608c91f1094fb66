//! Tokenizers compared with data that is too large to commit: llama.cpp's vocabularies with their expected ids,
//! the tiny models, and the WikiText-2 test split. Without the data the tests are ignored; on CI they fail.

mod support;

use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use ridgeline_text::{Message, Specials, Tokenizer};

use support::{shared, vocab};

const VOCABULARIES: [&str; 5] = ["gpt-2", "llama-bpe", "llama-spm", "qwen2", "qwen35"];

fn main() {
    let mut trials: Vec<Trial> = VOCABULARIES
        .into_iter()
        .map(|name| {
            let file = shared().join(format!("tokenizers/ggml-vocab-{name}.gguf"));
            trial(format!("vocabulary_{name}"), file, check_vocabulary)
        })
        .collect();
    let file = |name: &str| shared().join(name);
    trials.extend([
        trial("missing_pre_is_default".into(), file("tokenizers/ggml-vocab-gpt-neox.gguf"), check_neox),
        trial("special_tokens_qwen2".into(), file("tokenizers/ggml-vocab-qwen2.gguf"), check_qwen_chat),
        trial(
            "special_tokens_llama_bpe".into(),
            file("tokenizers/ggml-vocab-llama-bpe.gguf"),
            check_llama_bpe,
        ),
        trial("defaults_llama_spm".into(), file("tokenizers/ggml-vocab-llama-spm.gguf"), check_spm),
        trial("gguf_equals_json".into(), file("models/target-f16.gguf"), check_gguf_equals_json),
        trial("conformance_models".into(), file("conformance"), check_conformance),
    ]);
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// A test of one file or folder. If it is missing, the test is ignored; on CI it fails.
fn trial(name: String, path: PathBuf, check: fn(&Path) -> Result<(), Failed>) -> Trial {
    let missing = !path.exists();
    let on_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    Trial::test(name, move || check(&path)).with_ignored_flag(missing && !on_ci)
}

fn open(path: &Path) -> Result<Tokenizer, Failed> {
    Ok(Tokenizer::from_gguf(vocab(&std::fs::read(path)?), &path.display().to_string())?)
}

fn beside(path: &Path, suffix: &str) -> Result<String, Failed> {
    Ok(std::fs::read_to_string(format!("{}{suffix}", path.display()))?)
}

/// Fails at the first difference of two lists of ids.
fn same_ids(found: &[u32], expected: &[u32], what: &str) -> Result<(), Failed> {
    if found == expected {
        return Ok(());
    }
    let at = found.iter().zip(expected).take_while(|(a, b)| a == b).count();
    let near = |ids: &[u32]| format!("{:?}", &ids[at.min(ids.len())..(at + 8).min(ids.len())]);
    Err(format!("{what}: from position {at}: found {}, expected {}", near(found), near(expected)).into())
}

/// Every case of llama.cpp's test of a vocabulary. Decoding must return the text.
fn check_vocabulary(path: &Path) -> Result<(), Failed> {
    let tokenizer = open(path)?;
    let (inputs, outputs) = (beside(path, ".inp")?, beside(path, ".out")?);
    let mut cases: Vec<&str> = inputs.split("\n__ggml_vocab_test__\n").collect();
    if cases.last().is_some_and(|rest| rest.is_empty()) {
        // No case follows the last separator.
        cases.pop();
    }
    let lines: Vec<&str> = outputs.lines().collect();
    if cases.len() != lines.len() || cases.len() < 40 {
        return Err(format!("{} cases, {} answers", cases.len(), lines.len()).into());
    }
    for (text, line) in cases.into_iter().zip(lines) {
        let expected = line.split_whitespace().map(str::parse).collect::<Result<Vec<u32>, _>>()?;
        let ids = tokenizer.encode(text)?;
        same_ids(&ids, &expected, &format!("{text:?}"))?;
        let decoded = tokenizer.decode(&ids)?;
        if decoded != text {
            return Err(format!("{text:?} decodes as {decoded:?}").into());
        }
    }
    Ok(())
}

/// Without `tokenizer.ggml.pre`, llama.cpp's default splits digits into groups of three.
fn check_neox(path: &Path) -> Result<(), Failed> {
    let tokenizer = open(path)?;
    let text = "In 1234567, x=y+1; it's\n\n  a   test.";
    let ids = tokenizer.encode(text)?;
    let pieces: Vec<String> = ids.iter().map(|&id| tokenizer.decode(&[id])).collect::<Result<_, _>>()?;
    assert_eq!(pieces.concat(), text);
    assert!(pieces.iter().all(|piece| piece.chars().filter(char::is_ascii_digit).count() <= 3), "{pieces:?}");
    assert_eq!(tokenizer.token_id("<|endoftext|>"), tokenizer.eos());
    Ok(())
}

fn check_qwen_chat(path: &Path) -> Result<(), Failed> {
    let tokenizer = open(path)?;
    let template = tokenizer.chat_template().ok_or("the vocabulary has a chat template")?;
    let text = template.render(&[Message::new("user", "Hi")], true)?;
    assert_eq!(
        text,
        "<|im_start|>system\nYou are a helpful assistant<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n\
         <|im_start|>assistant\n"
    );
    let (start, end) = (tokenizer.token_id("<|im_start|>"), tokenizer.token_id("<|im_end|>"));
    let ids = tokenizer.encode_special(&text)?;
    assert_eq!(ids.iter().filter(|&&id| Some(id) == start).count(), 3);
    assert_eq!(ids.iter().filter(|&&id| Some(id) == end).count(), 2);
    assert_eq!(tokenizer.decode_special(&ids)?, text);
    assert!(!tokenizer.decode(&ids)?.contains("<|"));
    let plain = tokenizer.encode(&text)?;
    assert!(plain.iter().all(|&id| Some(id) != start && Some(id) != end));
    assert_eq!(tokenizer.decode(&plain)?, text);
    // User-defined tokens are recognized without `parse_special`.
    assert_eq!(tokenizer.encode("a[PAD151935]")?, [64, 151_935]);
    Ok(())
}

fn check_llama_bpe(path: &Path) -> Result<(), Failed> {
    let tokenizer = open(path)?;
    assert_eq!(tokenizer.vocab_size(), 128_256);
    assert_eq!((tokenizer.bos(), tokenizer.eos()), (Some(128_000), Some(128_001)));
    assert!(tokenizer.add_bos() && !tokenizer.add_eos());
    let ids = tokenizer.encode_special("<|begin_of_text|>Hello world<|eot_id|>")?;
    assert_eq!(ids, [128_000, 9906, 1917, 128_009]);
    assert_eq!(tokenizer.decode(&ids)?, "Hello world");
    Ok(())
}

fn check_spm(path: &Path) -> Result<(), Failed> {
    let tokenizer = open(path)?;
    assert_eq!((tokenizer.bos(), tokenizer.eos()), (Some(1), Some(2)));
    assert!(tokenizer.add_bos() && !tokenizer.add_eos());
    assert_eq!(tokenizer.encode_special("<s>Hello world</s>")?, [1, 15_043, 3186, 2]);
    assert_eq!(tokenizer.decode(&[1, 15_043, 3186, 2])?, "Hello world");
    // A continuation keeps its leading space, and byte tokens decode to one character.
    let mut stream = tokenizer.stream(Specials::Hidden);
    let parts: Vec<String> =
        [3186, 243, 162, 169, 156].iter().map(|&id| stream.push(id)).collect::<Result<_, _>>()?;
    assert_eq!(parts, [" world", "", "", "", "🦙"]);
    Ok(())
}

/// The vocabulary of the tiny model's GGUF and its tokenizer.json give the same ids on a large sample.
fn check_gguf_equals_json(path: &Path) -> Result<(), Failed> {
    let gguf = open(path)?;
    let json =
        Tokenizer::from_json(&std::fs::read(shared().join("models/target/tokenizer.json"))?, None, "target")?;
    assert_eq!(gguf.vocab_size(), json.vocab_size());
    let text = std::fs::read_to_string(shared().join("text/wikitext-2-test.txt"))?;
    let end = text.floor_char_boundary(400_000);
    let sample = &text[..end];
    let ids = gguf.encode(sample)?;
    same_ids(&ids, &json.encode(sample)?, "wikitext")?;
    assert_eq!(gguf.decode(&ids)?, sample);
    assert_eq!(json.decode(&ids)?, sample);
    let mut stream = json.stream(Specials::Hidden);
    let mut streamed = String::new();
    for &id in &ids {
        streamed += &stream.push(id)?;
    }
    assert_eq!(streamed + &stream.finish(), sample);
    Ok(())
}

/// The GGUF vocabulary and the tokenizer.json of every tiny model agree.
fn check_conformance(folder: &Path) -> Result<(), Failed> {
    let text = "The naïve  fox—12345 jumps;\n\tit's 🦊 <|endoftext|> ok?";
    let mut checked = 0;
    for entry in std::fs::read_dir(folder)? {
        let model = entry?.path();
        let (json, config) = (model.join("tokenizer.json"), model.join("tokenizer_config.json"));
        if !json.exists() || !model.join("model.gguf").exists() {
            continue;
        }
        let name = model.display().to_string();
        let json = Tokenizer::from_json(&std::fs::read(json)?, Some(&std::fs::read(config)?), &name)?;
        let gguf = open(&model.join("model.gguf"))?;
        same_ids(&gguf.encode(text)?, &json.encode(text)?, &name)?;
        same_ids(&gguf.encode_special(text)?, &json.encode_special(text)?, &name)?;
        assert!(gguf.encode(text)?.len() > gguf.encode_special(text)?.len(), "{name}");
        assert_eq!(gguf.decode(&gguf.encode(text)?)?, text, "{name}");
        assert_eq!(json.decode_special(&json.encode_special(text)?)?, text, "{name}");
        assert_eq!(gguf.eos(), json.eos(), "{name}");
        checked += 1;
    }
    if checked < 10 { Err(format!("only {checked} models found").into()) } else { Ok(()) }
}
