//! Properties of a tokenizer from any tokenizer.json; shared by the example `fuzz_tokenizer` and the test `fuzz`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use ridgeline_text::{Ends, Tokenizer};
use serde_json::{Value, json};

use crate::random_json::damaged;

/// The tokenizer.json files that are damaged: byte-level BPE and SentencePiece.
pub(crate) fn documents() -> [Value; 2] {
    let sentencepiece = include_str!("../../tests/data/sentencepiece.json");
    let byte_level = include_str!("../../../model/tests/data/llama/tokenizer.json");
    let read = |text: &str| -> Value { serde_json::from_str(text).expect("it is JSON") };
    [read(byte_level), read(sentencepiece)["tokenizer"].clone()]
}

/// Texts with special tokens, bytes without a token, and spaces at both ends.
const TEXTS: [&str; 4] =
    ["", " the <s> cat<|endoftext|>  sat ", "na\u{ef}ve \u{6211}\u{1f999}\n\t12", "<unk>aaaa----"];

/// Checks the input of one seed: a tokenizer or an error, ids that it knows, and no panic. Returns whether there is a tokenizer.
pub(crate) fn check(documents: &[Value; 2], seed: u64) -> Result<bool, String> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut below = |n: usize| usize::try_from(rng.next_u64() % n as u64).expect("it is less than n");
    let which = below(2);
    let json = damaged(&documents[which], &["dropout", "ignore_merges", "truncation"], &mut below);
    let (bos, eos) = [("<|endoftext|>", "<|endoftext|>"), ("<s>", "</s>")][which];
    let config = json!({ "bos_token": bos, "eos_token": { "content": eos }, "add_bos_token": true });
    let config = match below(4) {
        0 => None,
        1 => Some(damaged(&config, &["chat_template", "unk_token"], &mut below)),
        _ => Some(config.to_string().into_bytes()),
    };
    let tried = catch_unwind(AssertUnwindSafe(|| read(&json, config.as_deref())));
    tried.unwrap_or_else(|_| Err("panicked".to_owned()))
}

fn read(json: &[u8], config: Option<&[u8]>) -> Result<bool, String> {
    let Ok(tokenizer) = Tokenizer::from_folder(json, config, &Ends::from_config(json), "fuzz") else {
        return Ok(false);
    };
    for text in TEXTS {
        for encoded in [tokenizer.encode(text), tokenizer.encode_special(text)] {
            let Ok(ids) = encoded else { continue };
            tokenizer.decode(&ids).map_err(|error| format!("{text:?} gives an id without text: {error}"))?;
        }
        let again = [tokenizer.encode(text).ok(), tokenizer.encode(text).ok()];
        if again[0] != again[1] {
            return Err(format!("{text:?} has ids that differ from call to call"));
        }
    }
    if let Some(id) = tokenizer.ends().into_iter().find(|&id| id as usize >= tokenizer.vocab_size()) {
        return Err(format!("the end {id} is not in the vocabulary"));
    }
    Ok(true)
}
