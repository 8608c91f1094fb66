//! Perplexity compared with llama.cpp's, and with that of a reference model.

use crate::Test;
use crate::program::{on_cpu, originals, repository, ridgeline};
use serde_json::Value;
use std::path::Path;

pub(crate) const TESTS: &[Test] = &[
    ("a_model_beside_a_reference", a_model_beside_a_reference),
    ("what_cannot_be_scored_is_refused", what_cannot_be_scored_is_refused),
    ("a_text_may_be_on_the_command_line", a_text_may_be_on_the_command_line),
];

/// Quick enough to run always.
pub(crate) const ON_ORIGINALS: &[Test] = &[
    ("q4_k_m_agrees", || agrees("target-q4_k_m.gguf", "Q4_K_M")),
    ("mlx_4_bit_agrees", || agrees("target-mlx-4bit", "target-mlx-4bit")),
];

/// The same for all other files; each takes a minute on a software adapter.
pub(crate) const LONG: &[Test] = &[
    ("f16_agrees", || agrees("target-f16.gguf", "F16")),
    ("q8_0_agrees", || agrees("target-q8_0.gguf", "Q8_0")),
    ("q6_k_agrees", || agrees("target-q6_k.gguf", "Q6_K")),
    ("q2_k_agrees", || agrees("target-q2_k.gguf", "Q2_K")),
    ("iq4_xs_agrees", || agrees("target-iq4_xs.gguf", "IQ4_XS")),
    ("mlx_8_bit_agrees", || agrees("target-mlx-8bit", "target-mlx-8bit")),
    ("own_q4_k_s_is_no_worse", || no_worse("Q4_K_S")),
    ("own_q2_k_is_no_worse", || no_worse("Q2_K")),
    ("own_iq4_xs_is_no_worse", || no_worse("IQ4_XS")),
];

/// The encoders of the mixes above in other mixes; run with `-- --ignored own`.
pub(crate) const ON_DEMAND: &[Test] = &[
    ("own_q6_k_is_no_worse", || no_worse("Q6_K")),
    ("own_q5_k_m_is_no_worse", || no_worse("Q5_K_M")),
    ("own_q5_k_s_is_no_worse", || no_worse("Q5_K_S")),
    ("own_q4_k_m_is_no_worse", || no_worse("Q4_K_M")),
    ("own_q3_k_l_is_no_worse", || no_worse("Q3_K_L")),
    ("own_q3_k_m_is_no_worse", || no_worse("Q3_K_M")),
    ("own_q3_k_s_is_no_worse", || no_worse("Q3_K_S")),
    ("own_iq4_nl_is_no_worse", || no_worse("IQ4_NL")),
];

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// The golden row of the trained target in a quantization type or folder.
fn golden(name: &str) -> Value {
    let file = std::fs::read(originals().join("golden.json")).expect("golden values");
    let file: Value = serde_json::from_slice(&file).expect("JSON");
    let rows = file["perplexity"].as_array().expect("rows");
    let named = |row: &&Value| row["format"] == name || row["folder"] == name;
    rows.iter().find(|row| row["model"] == "target" && named(row)).expect("a row").clone()
}

/// 40 chunks of 512 tokens of the test split of `WikiText`-2, with an F32 KV cache.
fn score(model: &Path, golden: &Value) -> Value {
    let text = originals().join("../text/wikitext-2-test.txt");
    let (model, text) = (model.to_str().expect("UTF-8"), text.to_str().expect("UTF-8"));
    let chunks = golden["chunks"].to_string();
    let arguments =
        ["perplexity", "-m", model, "-f", text, "--chunks", &chunks, "-ctk", "f32", "-ctv", "f32"];
    let got = ridgeline(&[&arguments[..], &["--json"]].concat()).json();
    assert_eq!((&got["ctx"], &got["chunks"]), (&golden["ctx"], &golden["chunks"]));
    assert_eq!(got["scored"], 40 * 255);
    got
}

/// Both engines give the same perplexity for a file.
fn agrees(file: &str, name: &str) {
    let golden = golden(name);
    let got = score(&originals().join(file), &golden);
    for (ours, theirs) in [("value", "ppl"), ("se", "se")] {
        let (ours, theirs) = (number(&got["perplexity"][ours]), number(&golden[theirs]));
        assert!((ours / theirs - 1.0).abs() < 2e-4, "{file}: {ours}, golden {theirs}");
    }
}

/// A file quantized by this program has no worse perplexity than llama.cpp's.
fn no_worse(mix: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("own.gguf");
    let source = originals().join("target");
    let [source, out] = [&source, &file].map(|it| it.to_str().expect("UTF-8"));
    ridgeline(&["quantize", source, out, mix]).ok();
    let golden = golden(mix);
    let (ours, theirs) = (number(&score(&file, &golden)["perplexity"]["value"]), number(&golden["ppl"]));
    assert!(ours <= 1.005 * theirs, "{mix}: {ours}, llama.cpp's file has {theirs}");
}

/// `Q8_0` compared with `F16` on the text in the repository.
fn a_model_beside_a_reference() {
    let text = repository("models/tiny/wikitext-2-excerpt.txt");
    let text = text.to_str().expect("UTF-8");
    let arguments = ["perplexity", "-f", text, "-c", "32", "--chunks", "3", "-ctk", "f32", "--json", "-m"];
    let score = |more: &[&str]| on_cpu(&[&arguments, more].concat()).json();
    let got = score(&["tiny-target:q8_0", "--reference", "tiny-target"]);
    assert_eq!((got["scored"].as_u64(), got["chunks"].as_u64()), (Some(45), Some(3)));
    let paired = &got["vs_reference"];
    let (own, other) = (&got["perplexity"]["value"], &got["reference"]["perplexity"]["value"]);
    let ratio = number(own) / number(other);
    assert!((ratio - number(&paired["ppl_ratio"]["value"])).abs() < 1e-9, "{paired}");
    assert!((ratio - 1.0).abs() < 0.01 && ratio != 1.0, "{ratio}");
    let tail = ["kl_median", "kl_p90", "kl_p99", "kl_p999", "kl_max"].map(|key| number(&paired[key]));
    assert!(tail[0] > 0.0 && tail.is_sorted() && tail[4] < 0.05, "{paired}");
    assert!(number(&paired["top1_agreement"]["value"]) > 0.9 && number(&got["tokens_per_second"]) > 0.0);

    // The batch size and the reference do not change the perplexity. A model has no divergence from itself.
    let pieces = score(&["tiny-target:q8_0", "-b", "5"]);
    assert!((number(&pieces["perplexity"]["value"]) / number(own) - 1.0).abs() < 1e-6);
    assert_eq!(pieces["vs_reference"], Value::Null);
    let itself = score(&["tiny-target", "--reference", "tiny-target"]);
    assert_eq!(number(&itself["vs_reference"]["kl_max"]), 0.0);
    assert_eq!(itself["perplexity"], got["reference"]["perplexity"]);
}

fn what_cannot_be_scored_is_refused() {
    let text = repository("models/tiny/README.md");
    let text = text.to_str().expect("UTF-8");
    let score = |more: &[&str]| on_cpu(&[&["perplexity", "-m", "tiny-draft", "-f", text], more].concat());
    score(&["-c", "4096"]).fails(1, &["a chunk has 4096"]);
    score(&["-c", "3"]).fails(2, &["-c must be at least 4"]);
    score(&["--chunks", "0"]).fails(2, &["--chunks must be at least 1"]);
    on_cpu(&["perplexity", "-m", "bench-110m", "-f", text]).fails(2, &["has no vocabulary"]);
    on_cpu(&["perplexity", "-m", "tiny-draft", "-f", "missing.txt"]).fails(1, &["missing.txt"]);
}

fn a_text_may_be_on_the_command_line() {
    let model = repository("crates/model/tests/data/llama-mha-tied");
    let model = model.to_str().expect("UTF-8");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("text");
    let text = "the cat sat on the mat\n".repeat(60);
    std::fs::write(&file, &text).expect("a file");
    let score = |more: &[&str]| on_cpu(&[&["perplexity", "-m", model, "--json"], more].concat());
    let short = |more: &[&str]| score(&[&["-c", "16", "--chunks", "2"], more].concat());
    let from_file = short(&["-f", file.to_str().expect("UTF-8")]).json();
    assert_eq!(short(&["-p", &text]).json()["perplexity"], from_file["perplexity"]);
    let escaped = text.replace('\n', r"\n");
    assert_eq!(short(&["-e", "-p", &escaped]).json()["perplexity"], from_file["perplexity"]);
    score(&[]).fails(2, &["--file"]);
    // The model is trained for 512 positions, and 0 is the default of 512.
    let long = text.repeat(3);
    let beyond = score(&["-p", &long, "-c", "600", "--chunks", "1"]);
    assert!(
        beyond.stderr.contains("600 tokens may exceed the model's trained context of 512"),
        "{}",
        beyond.stderr
    );
    beyond.ok();
    let done = score(&["-p", &long, "-c", "0", "--chunks", "1"]);
    assert!(!done.stderr.contains("may exceed"), "{}", done.stderr);
    assert_eq!(done.json()["ctx"], 512);
}
