//! Every model family through every command: what works for Llama works for windows, mixtures, hybrids and latent attention.

use crate::Test;
use crate::program::{ids, on_cpu, repository, ridgeline};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) const TESTS: &[Test] =
    &[("logits_perplexity_and_quantization_of_every_family", logits_perplexity_and_quantization)];

pub(crate) const ON_A_DEVICE: &[Test] = &[
    ("every_family_is_timed", every_family_is_timed),
    ("random_weights_of_every_family_are_written_and_timed", random_weights_are_written_and_timed),
    ("a_mixture_of_a_hybrid_is_diagnosed", a_mixture_of_a_hybrid_is_diagnosed),
    ("a_mixture_of_a_hybrid_has_a_report", a_mixture_of_a_hybrid_has_a_report),
];

/// The folders of small models that have a vocabulary. A new family needs no line here.
fn families() -> Vec<PathBuf> {
    let data = repository("crates/model/tests/data");
    let folders = fs::read_dir(data).expect("the small models").map(|entry| entry.expect("an entry").path());
    let mut folders: Vec<PathBuf> = folders.filter(|it| it.join("tokenizer.json").exists()).collect();
    folders.sort();
    assert!(folders.len() >= 13, "{folders:?}");
    folders
}

fn text_of(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Perplexity on a few chunks of text.
fn perplexity(model: &Path) -> f64 {
    let text = repository("models/tiny/wikitext-2-excerpt.txt");
    let arguments = ["perplexity", "-m", text_of(model), "-f", text_of(&text), "-c", "16", "--chunks", "2"];
    let found = on_cpu(&[&arguments[..], &["--json"]].concat()).json();
    found["perplexity"]["value"].as_f64().unwrap_or_else(|| panic!("{}: {found}", model.display()))
}

fn logits_perplexity_and_quantization() {
    let out = tempfile::tempdir().expect("a folder");
    for family in families() {
        let model = text_of(&family);
        let file = out.path().join("logits.safetensors");
        let arguments = ["logits", "-m", model, "--tokens", "1,2,3", "-o", text_of(&file), "--json"];
        let logits = on_cpu(&arguments).json();
        assert_eq!(ids(&logits["shape"])[0], 3, "{model}: {logits}");
        fs::remove_file(&file).expect("the logits");
        let quantized = out.path().join("quantized.gguf");
        ridgeline(&["quantize", model, text_of(&quantized), "Q8_0", "--force"]).ok();
        let [before, after] = [&family, &quantized].map(|it| perplexity(it));
        // Random weights give nearly equal probabilities to all tokens, and 8 bits change little of that.
        // The small hybrids amplify differences of rounding a hundredfold.
        let most = if model.contains("qwen35") { 0.2 } else { 0.02 };
        assert!((after / before - 1.0).abs() < most, "{model}: perplexity {before}, quantized {after}");
        let arguments = ["run", "-m", text_of(&quantized), "-p", "hello world", "-n", "2", "--ignore-eos"];
        let run = on_cpu(&[&arguments[..], &["--temp", "0", "--json"]].concat()).json();
        assert_eq!(ids(&run["tokens"]).len(), 2, "{model}: {run}");
    }
}

/// Rows of `bench` of these models, which all must succeed.
fn bench(models: &[String], more: &[&str]) -> Vec<Value> {
    let mut arguments = vec!["bench", "-r", "1", "--no-warmup", "--no-probe", "-o", "json"];
    arguments.extend(models.iter().flat_map(|model| ["-m", model]));
    let rows = ridgeline(&[&arguments, more].concat()).json();
    let rows = rows.as_array().expect("rows").clone();
    for row in &rows {
        assert!(row["avg_ts"].as_f64().is_some_and(|it| it > 0.0), "{row}");
    }
    rows
}

/// Prompts of several batches, generations, at depths 0 and 5. Random weights take another path than real ones.
fn every_family_is_timed() {
    let stored = families();
    let stored = stored.iter().map(|it| text_of(it).to_owned());
    let data = repository("crates/model/tests/data");
    let random = ["qwen35", "qwen3moe"].map(|it| format!("shape:{}", text_of(&data.join(it))));
    let models: Vec<String> = stored.chain(random).collect();
    let rows = bench(&models, &["-p", "20", "-n", "3", "-b", "8", "-ub", "8", "-d", "0,5"]);
    assert_eq!(rows.len(), 4 * models.len());
}

/// Text of a shape with other numbers under these keys.
fn edited(shape: &str, numbers: &[(&str, u32)]) -> String {
    let edit = |line: &str| {
        let key = line.split(" = ").next().unwrap_or_default();
        let number = numbers.iter().find(|it| it.0 == key.trim_matches('"'));
        number.map_or_else(|| line.to_owned(), |(_, number)| format!("{key} = {number}"))
    };
    shape.lines().map(edit).collect::<Vec<_>>().join("\n")
}

fn random_weights_are_written_and_timed() {
    let out = tempfile::tempdir().expect("a folder");
    let small = [
        ("vocab", 512),
        ("ffn", 256),
        ("expert_count", 8),
        ("expert_used_count", 2),
        ("expert_feed_forward_length", 64),
        ("expert_shared_feed_forward_length", 64),
    ];
    let shapes = [
        ("pythia-160m", 2),
        ("gemma-3-270m", 6),
        ("plm-1.8b", 1),
        ("deepseek-v2-lite", 2),
        ("qwen3-30b-a3b", 1),
        ("qwen3.5-0.8b", 4),
        ("qwen3.5-35b-a3b", 4),
    ];
    let mut models = Vec::new();
    for (name, layers) in shapes {
        let text = fs::read_to_string(repository("models").join(format!("{name}.toml"))).expect("a shape");
        let shape = out.path().join(format!("{name}.toml"));
        let numbers = [&small[..], &[("layers", layers)]].concat();
        fs::write(&shape, edited(&text, &numbers)).expect("a file");
        let file = out.path().join(format!("{name}.gguf"));
        ridgeline(&["synth", text_of(&shape), "Q8_0", text_of(&file)]).ok();
        models.push(text_of(&file).to_owned());
    }
    assert_eq!(bench(&models, &["-p", "4", "-n", "2"]).len(), 2 * models.len());
}

fn a_mixture_of_a_hybrid_is_diagnosed() {
    let model = repository("crates/model/tests/data/qwen35moe");
    let arguments = ["diagnose", "-m", text_of(&model), "--max-time", "1s", "-o", "json"];
    let found = ridgeline(&arguments).json();
    let rate = found["answer"]["rate"]["value"].as_f64();
    assert!(rate.is_some_and(|it| it > 0.0), "{found}");
}

fn a_mixture_of_a_hybrid_has_a_report() {
    let out = tempfile::tempdir().expect("a folder");
    let model = repository("crates/model/tests/data/qwen35moe");
    let out = out.path().join("results");
    // Without ceilings, which take a minute on a slow machine.
    let one = "^pass depth=0 .*kernels";
    let arguments = ["bench-all", "-m", text_of(&model), "--quick", "--filter", one, "--out", text_of(&out)];
    ridgeline(&arguments).ok();
    let report = fs::read_to_string(out.join("report.md")).expect("a report");
    assert!(report.lines().any(|it| it.contains("qwen35moe tg128 ")), "{report}");
}
