//! Greedy text compared with an independent engine's, and speculative with plain generation.

use crate::Test;
use crate::program::{ids, on_cpu, originals, ridgeline};
use serde_json::Value;

pub(crate) const TESTS: &[Test] = &[
    ("f32_on_the_cpu", || shipped("f32", &["--device", "cpu"])),
    ("f16_on_the_cpu", || shipped("f16", &["--device", "cpu"])),
    ("q8_0_on_the_cpu", || shipped("q8_0", &["--device", "cpu"])),
    ("speculation_on_the_cpu", || speculation(&["--device", "cpu"])),
];

pub(crate) const ON_A_DEVICE: &[Test] = &[
    ("f32_on_the_device", || shipped("f32", &[])),
    ("f16_on_the_device", || shipped("f16", &[])),
    ("q8_0_on_the_device", || shipped("q8_0", &[])),
    ("speculation_on_the_device", || speculation(&[])),
];

pub(crate) const ON_ORIGINALS: &[Test] =
    &[("safetensors_and_gguf_of_llama_cpp", safetensors_and_gguf_of_llama_cpp)];

/// The golden continuations: `model`, `format`, `prompt`, `prompt_tokens`, `tokens`, `text`.
pub(crate) fn entries() -> Vec<Value> {
    let golden: Value = serde_json::from_str(include_str!("../data/greedy.json")).expect("JSON");
    golden["greedy"].as_array().expect("entries").clone()
}

fn text(entry: &Value, key: &str) -> String {
    entry[key].as_str().expect("text").to_owned()
}

/// Asserts that `model` continues an entry's prompt with the entry's tokens.
#[track_caller]
fn same_as(entry: &Value, model: &str, flags: &[&str]) {
    let (n, prompt) = (ids(&entry["tokens"]).len().to_string(), text(entry, "prompt"));
    let arguments = ["run", "-m", model, "-p", &prompt, "-n", &n, "--temp", "0", "-ctk", "f32", "--json"];
    let got = ridgeline(&[&arguments, flags].concat()).json();
    for key in ["prompt_tokens", "tokens", "text"] {
        assert_eq!(got[key], entry[key], "{model} {prompt:?}");
    }
}

/// The two tiny models in a quantization type, compared with the golden text of that type. The top two logits are at
/// least 0.009 apart at every token, far more than the rounding of another summation order.
fn shipped(format: &str, flags: &[&str]) {
    let entries: Vec<_> = entries().into_iter().filter(|it| it["format"] == format).collect();
    assert_eq!(entries.len(), 8, "four prompts for each of the two models");
    for entry in entries {
        same_as(&entry, &format!("tiny-{}:{format}", text(&entry, "model")), flags);
    }
}

/// Greedy speculative decoding gives the tokens of plain greedy decoding, for any draft model and draft length.
fn speculation(flags: &[&str]) {
    let drafts = [("tiny-draft", "3"), ("tiny-draft", "1"), ("tiny-target", "5")];
    let entries: Vec<_> =
        entries().into_iter().filter(|it| it["model"] == "target" && it["format"] == "f16").collect();
    // All prompts with the usual draft model, and one prompt with the others.
    let ordinary = entries.iter().map(|entry| (entry, drafts[0]));
    for (entry, (draft, n_max)) in ordinary.chain(drafts[1..].iter().map(|&draft| (&entries[0], draft))) {
        let (prompt, tokens) = (text(entry, "prompt"), ids(&entry["tokens"]));
        let arguments = ["speculate", "-m", "tiny-target", "-md", draft, "--draft", n_max, "-p", &prompt];
        let more = ["-n", "64", "--temp", "0", "--json", "--baseline"];
        let got = ridgeline(&[&arguments, &more[..], flags].concat()).json();
        assert_eq!(ids(&got["tokens"]), tokens, "{draft} {n_max} {prompt:?}");
        assert_eq!(got["text"], entry["text"]);
        assert_eq!(got["baseline"]["same_tokens"], true);
        assert_stats_add_up(&got, draft == "tiny-target");
    }
}

/// The statistics of a speculative generation are consistent.
fn assert_stats_add_up(got: &Value, draft_is_target: bool) {
    let stats = &got["stats"];
    let count = |key: &str| stats[key].as_u64().expect("a count");
    assert_eq!(count("generated"), 64);
    assert_eq!(count("accepted") + count("rounds"), 64, "a round generates one token more than it accepts");
    let per_round = ids(&stats["tokens_per_round"]);
    let summed: u64 = per_round.iter().zip(0..).map(|(n, tokens)| n * tokens).sum();
    assert_eq!((summed, per_round.iter().sum()), (64, count("rounds")));
    assert_eq!(ids(&stats["accepted_at"]).iter().sum::<u64>(), count("accepted"));
    assert_eq!(ids(&stats["drafted_at"]).iter().sum::<u64>(), count("drafted"));
    let tau = got["tau"].as_f64().expect("a number");
    assert!((tau - 64.0 / count("rounds") as f64).abs() < 1e-12, "{tau}");
    assert!(
        got["speedup"].as_f64().expect("a number") > 0.0 && count("draft_ns") > 0 && count("verify_ns") > 0
    );
    if draft_is_target {
        assert_eq!(count("accepted"), count("drafted"), "a model agrees with itself");
    }
}

/// The original safetensors, and files of llama.cpp's converter.
fn safetensors_and_gguf_of_llama_cpp() {
    for entry in entries() {
        let (model, format) = (text(&entry, "model"), text(&entry, "format"));
        let file = if format == "f32" { model } else { format!("{model}-{format}.gguf") };
        let path = originals().join(file);
        same_as(&entry, path.to_str().expect("UTF-8"), &["--device", "cpu"]);
    }
    let folder = originals().join("target");
    let json = on_cpu(&["inspect", folder.to_str().expect("UTF-8"), "--json"]).json();
    assert_eq!(json["parameters"], 4_196_608);
}
