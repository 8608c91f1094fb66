//! Perplexity against an independent engine's, and the comparison with a reference.

use crate::Test;
use crate::program::{on_cpu, originals, repository, ridgeline};
use serde_json::Value;

pub(crate) const TESTS: &[Test] = &[
    ("a_model_beside_a_reference", a_model_beside_a_reference),
    ("what_cannot_be_scored_is_refused", what_cannot_be_scored_is_refused),
];

/// Quick enough to run always.
pub(crate) const ON_ORIGINALS: &[Test] = &[
    ("q4_k_m_agrees", || agrees("target-q4_k_m.gguf", "Q4_K_M")),
    ("mlx_4_bit_agrees", || agrees("target-mlx-4bit", "target-mlx-4bit")),
];

/// The same for everything else that there is, a minute each on a slow adapter.
pub(crate) const LONG: &[Test] = &[
    ("f16_agrees", || agrees("target-f16.gguf", "F16")),
    ("q8_0_agrees", || agrees("target-q8_0.gguf", "Q8_0")),
    ("q6_k_agrees", || agrees("target-q6_k.gguf", "Q6_K")),
    ("q2_k_agrees", || agrees("target-q2_k.gguf", "Q2_K")),
    ("iq4_xs_agrees", || agrees("target-iq4_xs.gguf", "IQ4_XS")),
    ("mlx_8_bit_agrees", || agrees("target-mlx-8bit", "target-mlx-8bit")),
];

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// 40 chunks of 512 tokens of the test split of `WikiText`-2, keys and values in single precision.
fn agrees(file: &str, golden_name: &str) {
    let golden = std::fs::read(originals().join("golden.json")).expect("golden values");
    let golden: Value = serde_json::from_slice(&golden).expect("JSON");
    let rows = golden["perplexity"].as_array().expect("rows");
    let named = |row: &&Value| row["format"] == golden_name || row["folder"] == golden_name;
    let golden = rows.iter().find(|row| row["model"] == "target" && named(row)).expect("a row");
    let model = originals().join(file);
    let text = originals().join("../text/wikitext-2-test.txt");
    let (model, text) = (model.to_str().expect("UTF-8"), text.to_str().expect("UTF-8"));
    let chunks = golden["chunks"].to_string();
    let got =
        ridgeline(&["perplexity", "-m", model, "-f", text, "--chunks", &chunks, "-ctk", "f32", "--json"]);
    let got = got.json();
    assert_eq!((&got["ctx"], &got["chunks"]), (&golden["ctx"], &golden["chunks"]));
    assert_eq!(got["scored"], 40 * 255);
    for (ours, theirs) in [("value", "ppl"), ("se", "se")] {
        let (ours, theirs) = (number(&got["perplexity"][ours]), number(&golden[theirs]));
        assert!((ours / theirs - 1.0).abs() < 2e-4, "{file}: {ours}, the other engine has {theirs}");
    }
}

/// The shipped text, half precision against eight bits.
fn a_model_beside_a_reference() {
    let text = repository("models/tiny/wikitext-2-excerpt.txt");
    let text = text.to_str().expect("UTF-8");
    let arguments = ["perplexity", "-f", text, "-c", "32", "--chunks", "3", "-ctk", "f32", "--json", "-m"];
    let score = |more: &[&str]| on_cpu(&[&arguments, more].concat()).json();
    let got = score(&["tiny-target:q8_0", "--reference", "tiny-target"]);
    assert_eq!((got["scored"].as_u64(), got["chunks"].as_u64()), (Some(45), Some(3)));
    let against = &got["against_reference"];
    let (own, other) = (&got["perplexity"]["value"], &got["reference"]["perplexity"]["value"]);
    let ratio = number(own) / number(other);
    assert!((ratio - number(&against["ppl_ratio"]["value"])).abs() < 1e-9, "{against}");
    assert!((ratio - 1.0).abs() < 0.01 && ratio != 1.0, "{ratio}");
    let tail = ["kl_median", "kl_p90", "kl_p99", "kl_p999", "kl_max"].map(|key| number(&against[key]));
    assert!(tail[0] > 0.0 && tail.is_sorted() && tail[4] < 0.05, "{against}");
    assert!(number(&against["same_top"]["value"]) > 0.9 && number(&got["tokens_per_second"]) > 0.0);

    // In other pieces the same; alone the same; against itself nothing.
    let pieces = score(&["tiny-target:q8_0", "-b", "5"]);
    assert!((number(&pieces["perplexity"]["value"]) / number(own) - 1.0).abs() < 1e-6);
    assert_eq!(pieces["against_reference"], Value::Null);
    let itself = score(&["tiny-target", "--reference", "tiny-target"]);
    assert_eq!(number(&itself["against_reference"]["kl_max"]), 0.0);
    assert_eq!(itself["perplexity"], got["reference"]["perplexity"]);
}

fn what_cannot_be_scored_is_refused() {
    let text = repository("models/tiny/README.md");
    let text = text.to_str().expect("UTF-8");
    let score = |more: &[&str]| on_cpu(&[&["perplexity", "-m", "tiny-draft", "-f", text], more].concat());
    score(&["-c", "4096"]).fails(1, &["fewer than a chunk of 4096"]);
    score(&["-c", "3"]).fails(2, &["-c must be at least 4"]);
    score(&["--chunks", "0"]).fails(2, &["--chunks must be at least 1"]);
    on_cpu(&["perplexity", "-m", "bench-110m", "-f", text]).fails(2, &["has no vocabulary"]);
    on_cpu(&["perplexity", "-m", "tiny-draft", "-f", "missing.txt"]).fails(1, &["missing.txt"]);
}
