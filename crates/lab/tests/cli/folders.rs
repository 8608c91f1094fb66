//! Folders and files as users have them: padded and broken vocabularies, several ends of a turn, weights that are not
//! numbers. A context that fills up is no failure.

use crate::Test;
use crate::program::{Done, ids, on_cpu, repository, ridgeline};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

pub(crate) const TESTS: &[Test] = &[
    ("every_end_of_a_turn_stops_the_text", every_end_of_a_turn_stops_the_text),
    ("padding_behind_the_vocabulary_is_never_chosen", padding_behind_the_vocabulary_is_never_chosen),
    ("a_broken_vocabulary_stops_no_measurement", a_broken_vocabulary_stops_no_measurement),
    (
        "a_folder_with_tokenizer_model_alone_says_what_it_lacks",
        a_folder_with_tokenizer_model_alone_says_what_it_lacks,
    ),
    ("a_full_context_ends_the_text", a_full_context_ends_the_text),
    ("weights_that_are_not_numbers_end_every_command", weights_that_are_not_numbers_end_every_command),
    ("an_unknown_key_is_printed_once", an_unknown_key_is_printed_once),
];

pub(crate) const ON_A_DEVICE: &[Test] = &[
    ("a_configuration_that_fails_costs_its_own_row", a_configuration_that_fails_costs_its_own_row),
    (
        "weights_that_are_not_numbers_end_every_measurement",
        weights_that_are_not_numbers_end_every_measurement,
    ),
];

pub(crate) type Tensors = BTreeMap<String, (Vec<usize>, Vec<u8>)>;

/// A copy of a small model with changed tensors and configuration.
pub(crate) fn copy(
    model: &str,
    to: &Path,
    tensors: impl FnOnce(&mut Tensors),
    config: impl FnOnce(&mut Value),
) {
    let from = repository("crates/model/tests/data").join(model);
    let bytes = fs::read(from.join("model.safetensors")).expect("it is in the repository");
    let file = SafeTensors::deserialize(&bytes).expect("a valid file");
    let entry = |(name, it): (String, TensorView<'_>)| (name, (it.shape().to_vec(), it.data().to_vec()));
    let mut changed: Tensors = file.tensors().into_iter().map(entry).collect();
    tensors(&mut changed);
    let views = changed.iter().map(|(name, (shape, data))| {
        (name.clone(), TensorView::new(Dtype::F32, shape.clone(), data).expect("a valid tensor"))
    });
    fs::write(to.join("model.safetensors"), serialize(views, None).expect("bytes")).expect("a file");
    fs::copy(from.join("tokenizer.json"), to.join("tokenizer.json")).expect("a file");
    let text = fs::read(from.join("config.json")).expect("it is in the repository");
    let mut json: Value = serde_json::from_slice(&text).expect("JSON");
    config(&mut json);
    fs::write(to.join("config.json"), json.to_string()).expect("a file");
}

fn text_of(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn run(model: &Path, more: &[&str]) -> Done {
    on_cpu(&[&["run", "-m", text_of(model), "-p", "hello world", "--temp", "0", "--json"], more].concat())
}

fn logits(model: &Path) -> Done {
    let out = model.join("l.safetensors");
    on_cpu(&["logits", "-m", text_of(model), "--tokens", "1,2,3", "-o", text_of(&out), "--json"])
}

/// The small Qwen2 repeats this token after "hello world".
const REPEATED: u64 = 399;

fn every_end_of_a_turn_stops_the_text() {
    let plain = run(&repository("crates/model/tests/data/qwen2"), &["-n", "3"]).json();
    assert_eq!((ids(&plain["tokens"]), &plain["finish"]), (vec![REPEATED; 3], &Value::from("length")));
    // More than the three for which llama.cpp has keys.
    let list = serde_json::json!({ "eos_token_id": [0, 5, 6, 7, REPEATED] });
    for name in ["config.json", "generation_config.json"] {
        let folder = tempfile::tempdir().expect("a folder");
        copy(
            "qwen2",
            folder.path(),
            |_| (),
            |config| {
                if name == "config.json" {
                    config["eos_token_id"] = list["eos_token_id"].clone();
                }
            },
        );
        if name != "config.json" {
            fs::write(folder.path().join(name), list.to_string()).expect("a file");
        }
        let file = folder.path().join("converted.gguf");
        ridgeline(&["quantize", text_of(folder.path()), text_of(&file), "F32"]).ok();
        for model in [folder.path(), &file] {
            let stopped = run(model, &["-n", "3"]).json();
            assert_eq!(
                (ids(&stopped["tokens"]), &stopped["finish"]),
                (vec![], &Value::from("stop")),
                "{name}"
            );
        }
        let ignored = run(folder.path(), &["-n", "3", "--ignore-eos"]).json();
        assert_eq!(ids(&ignored["tokens"]), [REPEATED; 3]);
    }
}

fn padding_behind_the_vocabulary_is_never_chosen() {
    let folder = tempfile::tempdir().expect("a folder");
    let pad = |tensors: &mut Tensors| {
        let (shape, bytes) = tensors.get_mut("model.embed_tokens.weight").expect("the embedding");
        let width = 4 * shape[1];
        let at = usize::try_from(REPEATED).expect("it fits") * width;
        // Eight more rows, of which the fourth is likelier than the likeliest token.
        let likely: Vec<u8> = bytes[at..at + width]
            .chunks_exact(4)
            .flat_map(|it| (1.05 * f32::from_le_bytes(it.try_into().expect("four bytes"))).to_le_bytes())
            .collect();
        for row in 0..8 {
            if row == 3 { bytes.extend(&likely) } else { bytes.extend(vec![0; width]) }
        }
        shape[0] += 8;
    };
    copy("qwen2", folder.path(), pad, |config| config["vocab_size"] = 520.into());
    let shape = logits(folder.path()).json()["shape"].clone();
    assert_eq!(ids(&shape), [3, 520], "logits are those of the file");
    for suffix in ["", ":f16"] {
        let model = format!("{}{suffix}", text_of(folder.path()));
        let tokens = run(Path::new(&model), &["-n", "3"]).json()["tokens"].clone();
        assert_eq!(ids(&tokens), [REPEATED; 3], "{suffix}");
    }
}

fn a_broken_vocabulary_stops_no_measurement() {
    let folder = tempfile::tempdir().expect("a folder");
    copy("llama", folder.path(), |_| (), |_| ());
    for (text, part) in [("{", "tokenizer.json"), ("<!doctype html>", "a web page")] {
        fs::write(folder.path().join("tokenizer.json"), text).expect("a file");
        logits(folder.path()).ok();
        let requantized = format!("{}:q8_0", text_of(folder.path()));
        ridgeline(&["inspect", &requantized]).ok();
        run(folder.path(), &["-n", "1"]).fails(1, &[part]);
    }
}

/// A vocabulary that cannot be read is no vocabulary, which a conversion says too.
fn a_folder_with_tokenizer_model_alone_says_what_it_lacks() {
    let folder = tempfile::tempdir().expect("a folder");
    copy("llama", folder.path(), |_| (), |_| ());
    fs::rename(folder.path().join("tokenizer.json"), folder.path().join("tokenizer.model")).expect("a file");
    run(folder.path(), &["-n", "1"]).fails(2, &["no vocabulary", "needs the tokenizer.json"]);
    let file = folder.path().join("converted.gguf");
    let done = ridgeline(&["quantize", text_of(folder.path()), text_of(&file), "F16"]);
    assert!(done.stderr.contains("needs the tokenizer.json"), "{}", done.stderr);
    done.ok();
}

fn a_full_context_ends_the_text() {
    let model = repository("models/tiny/draft.gguf");
    let done = run(&model, &["-n", "20", "-c", "8"]);
    assert!(done.stderr.contains("the context of 8 tokens is full"), "{}", done.stderr);
    let json = done.json();
    let [prompt, tokens] = ["prompt_tokens", "tokens"].map(|key| ids(&json[key]).len());
    // The last token is not evaluated, so that it needs no position.
    assert_eq!((&json["finish"], prompt + tokens), (&Value::from("context"), 9), "{json}");
    assert!(json["timings"]["predicted_ns"].as_u64().is_some_and(|it| it > 0), "{json}");
    run(&model, &["-n", "20", "-c", "1"]).fails(1, &["the context is full"]);
}

/// A model of which one weight is not a number.
fn spoiled() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let spoil = |tensors: &mut Tensors| {
        let (_, bytes) = tensors.get_mut("model.layers.1.input_layernorm.weight").expect("a norm");
        bytes[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    };
    copy("llama", folder.path(), spoil, |_| ());
    folder
}

fn weights_that_are_not_numbers_end_every_command() {
    let folder = spoiled();
    logits(folder.path()).fails(1, &["not finite"]);
    let text = repository("models/tiny/wikitext-2-excerpt.txt");
    on_cpu(&["perplexity", "-m", text_of(folder.path()), "-f", text_of(&text), "-c", "16", "--chunks", "1"])
        .fails(1, &["not finite"]);
    run(folder.path(), &["-n", "4"]).fails(1, &["not finite"]);
    let whole = repository("crates/model/tests/data/llama");
    let speculate = |target: &Path, draft: &Path| {
        on_cpu(&[
            "speculate",
            "-m",
            text_of(target),
            "-md",
            text_of(draft),
            "-p",
            "hello",
            "-n",
            "4",
            "--json",
        ])
    };
    speculate(&whole, folder.path()).fails(1, &["not finite"]);
    speculate(folder.path(), &whole).fails(1, &["not finite"]);
}

fn weights_that_are_not_numbers_end_every_measurement() {
    let folder = spoiled();
    let model = text_of(folder.path());
    ridgeline(&["bench", "-m", model, "-p", "4", "-n", "0", "-r", "1", "--no-probe"])
        .fails(1, &["not finite"]);
    ridgeline(&["tune", "-m", model]).fails(1, &["not finite"]);
    ridgeline(&["diagnose", "-m", model, "--max-time", "1s"]).fails(1, &["not finite"]);
    // The other checks measure the ceilings first, which takes a minute on a slow machine.
    for (check, flag) in [("verify", "-m"), ("stable", "-m"), ("host", "--host")] {
        ridgeline(&["targets", "--only", check, flag, model]).fails(1, &["not finite"]);
    }
    let both = ridgeline(&["targets", "--only", "stable", "-m", "tiny-draft", "-m", model]);
    assert!(
        both.code == 1 && both.stdout.contains("tiny-draft"),
        "what was measured is printed: {}",
        both.stdout
    );
}

fn an_unknown_key_is_printed_once() {
    let folder = tempfile::tempdir().expect("a folder");
    copy("llama", folder.path(), |_| (), |config| config["made_on"] = "a Tuesday".into());
    let done = logits(folder.path());
    assert_eq!(done.stderr.matches("made_on").count(), 1, "{}", done.stderr);
    done.ok();
    copy("llama", folder.path(), |_| (), |config| config["hidden_act"] = "relu".into());
    logits(folder.path()).fails(1, &["hidden_act", "relu", "silu"]);
}

fn a_configuration_that_fails_costs_its_own_row() {
    let bench = ["bench", "-m", "tiny-draft", "-p", "4", "-n", "0", "-r", "1", "--no-probe", "-o", "json"];
    for more in [&["-d", "0,100000000,2"][..], &["-m", "no-such-file.gguf", "-m", "tiny-target"]] {
        let done = ridgeline(&[&bench, more].concat());
        assert_eq!(done.code, 1, "{}", done.stderr);
        assert!(done.stderr.contains("error: "), "{}", done.stderr);
        let rows: Value = serde_json::from_str(&done.stdout).expect("JSON");
        assert_eq!(rows.as_array().map(Vec::len), Some(2), "the rows before and after it: {rows}");
    }
    let rows = |more: &[&str]| {
        let rows = ridgeline(&[&bench, more].concat()).json();
        rows.as_array().expect("rows").len()
    };
    assert_eq!(rows(&["-p", "8", "-p", "2,3"]), 4, "a repeated flag adds to its list");
    assert_eq!(rows(&["-b", "32,64", "-ub", "4", "-fa", "0,1"]), 4);
}
