//! Commands that read and write files: tokenize, inspect, synth, quantize, shaders, logits.

use crate::Test;
use crate::formats::logits;
use crate::program::{ids, on_cpu, repository, ridgeline, with_stdin};
use std::fs;
use std::path::Path;

pub(crate) const TESTS: &[Test] = &[
    ("tokens_of_stdin_and_of_a_file", tokens_of_stdin_and_of_a_file),
    ("a_truncated_model_is_named", a_truncated_model_is_named),
    ("inspect_adds_up", inspect_adds_up),
    ("a_folder_and_its_file_are_one_model", a_folder_and_its_file_are_one_model),
    ("synth_writes_the_layers_of_a_name", synth_writes_the_layers_of_a_name),
    ("synth_depends_on_the_seed_alone", synth_depends_on_the_seed_alone),
    ("quantize_keeps_its_own_input", quantize_keeps_its_own_input),
    ("shaders_are_all_written", shaders_are_all_written),
    ("logits_choose_the_token_that_run_chooses", logits_choose_the_token_that_run_chooses),
    ("files_that_cannot_be_written_are_named", files_that_cannot_be_written_are_named),
];

pub(crate) const ON_A_DEVICE: &[Test] = &[
    ("inspect_loads", inspect_loads),
    ("logits_agree_with_the_cpu", logits_agree_with_the_cpu),
    ("the_doctor_runs_a_kernel", the_doctor_runs_a_kernel),
    ("a_file_is_measured_again_when_it_changes", a_file_is_measured_again_when_it_changes),
];

/// A shape that is small enough for the CPU.
const SHAPE: &str = r#"
name = "mini"
architecture = "llama"
licence = "none"
layers = 2
hidden = 64
heads = 4
kv_heads = 2
head_dim = 16
ffn = 96
vocab = 128
tied_head = false
context = 64
norm_epsilon = 1e-5
rope_base = 10000.0
"#;

/// Writes random weights in [`SHAPE`].
pub(crate) fn synthesise(out: &str, format: &str, seed: &str) {
    let shape = format!("{out}.toml");
    fs::write(&shape, SHAPE).expect("a file");
    ridgeline(&["synth", &shape, format, out, "--seed", seed]).ok();
}

fn text_of(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn tokens_of_stdin_and_of_a_file() {
    let text = "It was a bright morning when the prince";
    let golden =
        crate::golden::entries().into_iter().find(|it| it["prompt"] == text).expect("a golden prompt");
    let json = with_stdin(&["tokenize", "-m", "tiny-target", "--json"], text.as_bytes()).json();
    assert_eq!(json["ids"], golden["prompt_tokens"]);
    let plain = with_stdin(&["tokenize", "-m", "tiny-target"], text.as_bytes()).ok();
    let words: Vec<u64> = plain.split_whitespace().map(|id| id.parse().expect("an id")).collect();
    assert_eq!(words, ids(&json["ids"]));

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("text");
    fs::write(&file, text).expect("a file");
    let from_file = ridgeline(&["tokenize", "-m", "tiny/target", "-f", text_of(&file), "--json"]).json();
    assert_eq!(from_file, json);
    fs::write(&file, b"ab\xFF").expect("a file");
    ridgeline(&["tokenize", "-m", "tiny-target", "-f", text_of(&file)]).fails(1, &["byte 2", "UTF-8"]);
    ridgeline(&["tokenize", "-m", "tiny-target", "-f", "no-such-text"]).fails(1, &["no-such-text"]);

    // Special tokens are read as text, and none are added.
    let special = with_stdin(&["tokenize", "-m", "tiny-target", "--json"], b"<|endoftext|>").json();
    assert!(ids(&special["ids"]).len() > 1, "{special}");
    let empty = with_stdin(&["tokenize", "-m", "tiny-target", "--json"], b"").json();
    assert!(ids(&empty["ids"]).is_empty(), "{empty}");
}

fn a_truncated_model_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("cut.gguf");
    let whole = fs::read(repository("models/tiny/draft.gguf")).expect("it ships");
    for length in [0, 3, 4, 100, 5_000, whole.len() / 2, whole.len() - 1] {
        fs::write(&file, &whole[..length]).expect("a file");
        for command in ["inspect", "run", "tokenize"] {
            let flag: &[&str] = if command == "inspect" { &[] } else { &["-m"] };
            let arguments = [&[command], flag, &[text_of(&file)]].concat();
            on_cpu(&arguments).fails(1, &["cut.gguf"]);
        }
    }
    fs::write(&file, b"not a model at all").expect("a file");
    on_cpu(&["inspect", text_of(&file)]).fails(1, &["cut.gguf", "GGUF"]);
}

fn inspect_adds_up() {
    let json = ridgeline(&["inspect", "tiny-target", "--json"]).json();
    let tensors = json["tensors"].as_array().expect("tensors");
    let bytes: u64 = tensors.iter().map(|it| it["bytes"].as_u64().expect("bytes")).sum();
    assert_eq!(Some(bytes), json["tensor_bytes"].as_u64());
    let weights = |it: &serde_json::Value| ids(&it["shape"]).iter().product::<u64>();
    assert_eq!(Some(tensors.iter().map(weights).sum()), json["parameters"].as_u64());
    assert_eq!(json["parameters"], 4_196_608);
    assert_eq!(json["metadata"]["general.architecture"], "llama");
    let file = fs::read(repository("models/tiny/target.gguf")).expect("it ships");
    assert_eq!(json["model"]["hash"], blake3::hash(&file).to_hex().as_str());
    assert_eq!(json["model"]["bytes"].as_u64(), Some(file.len() as u64));
    let text = ridgeline(&["inspect", "tiny-target"]).ok();
    assert!(text.contains("blk.3.ffn_down.weight") && text.contains("4196608 parameters"), "{text}");
    // `inspect` does not generate random weights.
    let random = ridgeline(&["inspect", "llama-3.2-1b:q8_0", "--json"]).json();
    assert!(
        random["parameters"].as_u64().expect("a number") > 1_000_000_000 && random["model"]["hash"].is_null()
    );
    let bits = random["bits_per_weight"].as_f64().expect("a number");
    assert!((8.5..8.6).contains(&bits), "{bits}");
}

fn a_folder_and_its_file_are_one_model() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("single.gguf");
    ridgeline(&["quantize", "tiny-target", text_of(&file), "F32"]).ok();
    let formats = |name: &str| ridgeline(&["inspect", name, "--json"]).json()["formats"].clone();
    assert_eq!(formats(text_of(&file)).as_array().map(Vec::len), Some(1), "all tensors are F32");
    let suffixed = ridgeline(&["inspect", "tiny-target:f32", "--json"]).json();
    assert_eq!(suffixed["formats"], formats(text_of(&file)));
    assert_eq!(suffixed["model"]["name"], "tiny-target:f32");
    // The file in the cache equals the output of `quantize`.
    let written = fs::read(&file).expect("written");
    assert_eq!(suffixed["model"]["hash"], blake3::hash(&written).to_hex().as_str());
}

fn synth_writes_the_layers_of_a_name() {
    let out = tempfile::tempdir().expect("a folder");
    let file = out.path().join("cut.gguf");
    ridgeline(&["synth", "bench-18m@1", "Q8_0", text_of(&file)]).ok();
    let opened = ridgeline_weights::Checkpoint::open(&file).expect("a model");
    let layers = |i: usize| opened.tensors().any(|it| it.name.starts_with(&format!("blk.{i}.")));
    assert!(layers(0) && !layers(1));
    ridgeline(&["synth", "bench-18m:q4_0", "Q8_0", text_of(&file), "--force"]).fails(2, &["bench-18m:q4_0"]);
}

fn synth_depends_on_the_seed_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let make = |name: &str, seed: &str| {
        let path = folder.path().join(name);
        synthesise(text_of(&path), "Q8_0", seed);
        fs::read(path).expect("written")
    };
    let first = make("a.gguf", "1");
    assert!(first == make("b.gguf", "1"), "the same seed gives the same bytes");
    assert!(first != make("c.gguf", "2"), "another seed gives others");
    let json = ridgeline(&["inspect", text_of(&folder.path().join("a.gguf")), "--json"]).json();
    let names: Vec<_> = json["formats"].as_array().expect("formats").iter().map(|it| &it["format"]).collect();
    assert!(names.contains(&&serde_json::json!("Q8_0")), "{json}");
    let left: Vec<_> =
        fs::read_dir(folder.path()).expect("a folder").flatten().map(|it| it.file_name()).collect();
    assert!(left.iter().all(|it| !it.to_string_lossy().contains("partial")), "{left:?}");
}

fn quantize_keeps_its_own_input() {
    let folder = tempfile::tempdir().expect("a folder");
    let [file, out] = ["model.gguf", "out.gguf"].map(|it| folder.path().join(it));
    fs::copy(repository("models/tiny/draft.gguf"), &file).expect("it ships");
    let before = fs::read(&file).expect("a file");
    ridgeline(&["quantize", text_of(&file), text_of(&file), "Q8_0", "--force"]).fails(2, &["is the input"]);
    assert!(fs::read(&file).expect("a file") == before);
    let json = ridgeline(&["quantize", text_of(&file), text_of(&out), "Q8_0", "--json"]).json();
    let [before, after] = ["bytes_in", "bytes_out"].map(|key| json[key].as_u64().expect("bytes"));
    assert!(after < before * 6 / 10, "{json}");
    assert_eq!(fs::metadata(&out).expect("written").len(), after);
    let text = |model: &str| on_cpu(&["run", "-m", model, "-p", "It was", "-n", "16", "--temp", "0"]).ok();
    assert_eq!(text(text_of(&out)), text("tiny-draft:q8_0"));
}

fn shaders_are_all_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let json = ridgeline(&["shaders", "--out", text_of(folder.path()), "--json"]).json();
    let kernels = fs::read_dir(folder.path()).expect("written").flatten();
    let files: Vec<_> =
        kernels.flat_map(|it| fs::read_dir(it.path()).expect("a folder per kernel").flatten()).collect();
    assert_eq!(json["shaders"].as_u64(), Some(files.len() as u64));
    assert!(files.len() > 17, "{}", files.len());
    for file in files {
        let wgsl = fs::read_to_string(file.path()).expect("text");
        assert!(wgsl.contains("@compute") && !wgsl.contains("//#"), "{:?} is not expanded", file.path());
    }
}

fn logits_choose_the_token_that_run_chooses() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("l.safetensors");
    let run = on_cpu(&[
        "run",
        "-m",
        "tiny-target",
        "-p",
        "It was a",
        "-n",
        "6",
        "--temp",
        "0",
        "-ctk",
        "f32",
        "--json",
    ]);
    let run = run.json();
    let (mut tokens, generated) = (ids(&run["prompt_tokens"]), ids(&run["tokens"]));
    let prompt = tokens.len();
    tokens.extend(&generated);
    let list = tokens.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
    // Batches of four tokens: logits of all positions are written.
    on_cpu(&["logits", "-m", "tiny-target", "--tokens", &list, "-o", text_of(&file), "-b", "4"]).ok();
    let (shape, values) = logits(&file);
    assert_eq!(shape, [tokens.len(), 4096]);
    for (row, &token) in values.chunks(4096).skip(prompt - 1).zip(&generated) {
        assert_eq!(u64::from(ridgeline_speculative::argmax(row)), token);
    }
}

fn files_that_cannot_be_written_are_named() {
    let out = "no-such-folder/out.gguf";
    on_cpu(&["quantize", "tiny-draft", out, "F16"]).fails(2, &[out]);
    on_cpu(&["logits", "-m", "tiny-draft", "--tokens", "1", "-o", out]).fails(2, &[out]);
}

fn inspect_loads() {
    let json = ridgeline(&["inspect", "tiny-target", "--load", "--json"]).json();
    let number = |key: &str| json["load"][key].as_u64().expect("a number");
    assert_eq!(number("format_bytes"), json["tensor_bytes"].as_u64().expect("a number"));
    assert!(
        number("device_bytes") >= number("format_bytes")
            && number("device_bytes") < 2 * number("format_bytes")
    );
    assert!(number("peak_rss_bytes") > number("file_bytes") && number("file_bytes") > 8_000_000);
}

fn logits_agree_with_the_cpu() {
    let folder = tempfile::tempdir().expect("a folder");
    let tokens = "1214,361,261,746,484,2341,0,4095";
    let of = |name: &str, flags: &[&str]| {
        let file = folder.path().join(name);
        let arguments = ["logits", "-m", "tiny-target", "--tokens", tokens, "-o", text_of(&file)];
        ridgeline(&[&arguments, flags].concat()).ok();
        logits(&file).1
    };
    let (gpu, cpu) = (of("gpu", &[]), of("cpu", &["--device", "cpu"]));
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&mut gpu.iter().zip(&cpu).map(|(a, b)| f64::from(a - b)));
    // Both accumulate in at least f32. The bound for logits is 1e-4 relative error.
    assert!(difference / norm(&mut cpu.iter().map(|&x| f64::from(x))) <= 1e-4, "{difference}");
}

fn the_doctor_runs_a_kernel() {
    let json = ridgeline(&["doctor", "--json"]).json();
    let chosen = json["chosen"].as_str().expect("a device");
    assert!(json["adapters"].as_array().expect("adapters").iter().any(|it| it["name"] == chosen));
    assert!(
        ["plausible", "disturbed", "implausible", "absent"]
            .contains(&json["timestamps"].as_str().expect("a word"))
    );
    assert!(json["remedy"].is_null(), "there is an adapter");
    let gpus =
        serde_json::to_value(ridgeline_gpu::known_gpus(std::path::Path::new("/"))).expect("plain data");
    assert_eq!(json["gpus"], gpus);
    assert!(json["models"].as_array().expect("names").iter().any(|it| it == "tiny-target"));
    assert!(ridgeline(&["doctor"]).ok().contains(chosen));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("device.json");
    // The CPU executor runs the references themselves, so that no kernel is checked. Tests of `measure` check some.
    let printed = ridgeline(&["doctor", "--json", "--device", "cpu", "--report", text_of(&file)]).json();
    let report = fs::read_to_string(&file).expect("a report");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&report).expect("JSON"), printed);
    ridgeline(&["doctor", "--device", "cpu", "--report", "/no/such/folder/x"])
        .fails(2, &["/no/such/folder does not exist"]);
}

/// Cells of a model file are identified by its hash, not by its name.
fn a_file_is_measured_again_when_it_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    let [file, out] = ["m.gguf", "out"].map(|name| folder.path().join(name));
    let [model, out] = [&file, &out].map(|path| path.to_str().expect("UTF-8"));
    let bench = || {
        let arguments = [
            "bench-all",
            "-m",
            model,
            "--quick",
            "--out",
            out,
            "--json",
            "--filter",
            "^pass depth=0 .*work=tg128",
        ];
        let summary = ridgeline(&arguments).json();
        ["ok", "failed", "earlier"].map(|key| summary[key].as_u64().expect("a count"))
    };
    fs::copy(repository("models/tiny/draft.gguf"), &file).expect("copied");
    assert_eq!([bench(), bench()], [[1, 0, 0], [0, 0, 1]]);
    fs::copy(repository("models/tiny/target.gguf"), &file).expect("copied");
    assert_eq!([bench(), bench()], [[1, 0, 0], [0, 0, 1]]);
    let report = fs::read_to_string(Path::new(out).join("report.md")).expect("a report");
    assert!(report.contains("m.gguf") && !report.to_lowercase().contains("stored"), "{report}");
    assert!(!report.contains("| tiny-target"), "the anchor is in no table: {report}");
}
