//! `quantize`, and the same recipes behind the colon of a model's name: which tensor gets which format, and what is
//! refused without a trace.

use crate::Test;
use crate::program::{Done, command, finish, on_cpu, repository, ridgeline};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

pub(crate) const TESTS: &[Test] = &[
    ("each_tensor_has_the_format_of_its_recipe", each_tensor_has_the_format_of_its_recipe),
    ("a_suffix_is_what_quantize_writes", a_suffix_is_what_quantize_writes),
    ("random_weights_are_drawn_in_the_mix", random_weights_are_drawn_in_the_mix),
    ("the_bytes_depend_on_nothing_else", the_bytes_depend_on_nothing_else),
    ("what_cannot_be_written_is_refused", what_cannot_be_written_is_refused),
    (
        "nothing_is_destroyed_or_degraded_without_being_asked",
        nothing_is_destroyed_or_degraded_without_being_asked,
    ),
    ("what_cannot_be_read_leaves_everything_as_it_was", what_cannot_be_read_leaves_everything_as_it_was),
];

fn text_of(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn inspect(model: &str) -> Value {
    ridgeline(&["inspect", model, "--json"]).json()
}

/// Every file of a folder.
fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    let mut names: Vec<_> = entries.map(|it| it.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The format of each matrix, such as `attn_v 2`; vectors are checked to be in single precision.
fn matrices(inspected: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for tensor in inspected["tensors"].as_array().expect("tensors") {
        let text = |key: &str| tensor[key].as_str().expect("text").to_owned();
        let (name, format) = (text("name"), text("format"));
        if tensor["shape"].as_array().is_some_and(|it| it.len() == 1) {
            assert_eq!(format, "F32", "{name}");
            continue;
        }
        let parts: Vec<_> = name.split('.').collect();
        found.push(match parts[..] {
            ["blk", layer, role, "weight"] => (format!("{role} {layer}"), format),
            [role, "weight"] => (role.to_owned(), format),
            _ => panic!("{name}"),
        });
    }
    found
}

/// A quantization mix, its `general.file_type`, the format of most matrices, and those of the others.
type Row = (&'static str, u64, &'static str, &'static [(&'static str, &'static str)]);

/// Four layers, a head that is the embedding, two query heads for each value head: the rules of llama.cpp by hand.
#[rustfmt::skip]
const MIXES: &[Row] = &[
    ("F16", 1, "F16", &[]),
    ("Q8_0", 7, "Q8_0", &[]),
    ("Q4_0", 2, "Q4_0", &[("token_embd", "Q6_K")]),
    ("Q4_K_S", 14, "Q4_K", &[("token_embd", "Q6_K"), ("attn_v 0", "Q5_K"), ("attn_v 1", "Q5_K"),
        ("attn_v 2", "Q5_K"), ("attn_v 3", "Q5_K")]),
    ("Q4_K_M", 15, "Q4_K", &[("token_embd", "Q6_K"), ("attn_v 2", "Q6_K"), ("attn_v 3", "Q6_K"),
        ("ffn_down 2", "Q6_K"), ("ffn_down 3", "Q6_K")]),
    ("Q3_K_M", 12, "Q3_K", &[("token_embd", "Q6_K"), ("attn_v 0", "Q5_K"), ("attn_v 1", "Q5_K"),
        ("attn_v 2", "Q4_K"), ("attn_v 3", "Q4_K"), ("ffn_down 0", "Q4_K"), ("ffn_down 1", "Q4_K"),
        ("ffn_down 2", "Q4_K"), ("ffn_down 3", "Q4_K"), ("attn_output 0", "Q4_K"), ("attn_output 1", "Q4_K"),
        ("attn_output 2", "Q4_K"), ("attn_output 3", "Q4_K")]),
    ("Q2_K", 10, "Q2_K", &[("token_embd", "Q6_K"), ("attn_v 0", "Q3_K"), ("attn_v 1", "Q3_K"),
        ("attn_v 2", "Q3_K"), ("attn_v 3", "Q3_K"), ("ffn_down 0", "Q3_K"), ("ffn_down 1", "Q3_K"),
        ("ffn_down 2", "Q3_K"), ("ffn_down 3", "Q3_K"), ("attn_output 0", "Q3_K"), ("attn_output 1", "Q3_K"),
        ("attn_output 2", "Q3_K"), ("attn_output 3", "Q3_K")]),
];

fn each_tensor_has_the_format_of_its_recipe() {
    let folder = tempfile::tempdir().expect("a folder");
    let [file, pure] = ["mix.gguf", "pure.gguf"].map(|it| folder.path().join(it));
    for &(mix, file_type, rest, exceptions) in MIXES {
        let report = ridgeline(&["quantize", "tiny-target", text_of(&file), mix, "--json", "--force"]).json();
        assert_eq!(report["bytes_out"].as_u64(), fs::metadata(&file).ok().map(|it| it.len()), "{report}");
        assert_eq!(report["type"], mix);
        let inspected = inspect(text_of(&file));
        assert_eq!(inspected["metadata"]["general.file_type"], file_type, "{mix}");
        let found = matrices(&inspected);
        assert_eq!(found.len(), 1 + 4 * 7);
        for (name, format) in &found {
            let wanted = exceptions.iter().find(|it| it.0 == name).map_or(rest, |it| it.1);
            assert_eq!(format, wanted, "{mix}: {name}");
        }
        assert!(exceptions.iter().all(|it| found.iter().any(|found| found.0 == it.0)), "{mix}");
        ridgeline(&["quantize", "tiny-target", text_of(&pure), mix, "--pure", "--force"]).ok();
        assert!(matrices(&inspect(text_of(&pure))).iter().all(|it| it.1 == rest), "{mix}");
    }
    // What is already so is copied: a second pass loses nothing.
    let again = folder.path().join("again.gguf");
    ridgeline(&["quantize", text_of(&file), text_of(&again), MIXES[MIXES.len() - 1].0]).ok();
    assert!(fs::read(&file).expect("written") == fs::read(&again).expect("written"));
    assert_eq!(files(folder.path()), ["again.gguf", "mix.gguf", "pure.gguf"], "and nothing else");
}

fn a_suffix_is_what_quantize_writes() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("model.gguf");
    for mix in ["Q4_K_M", "Q3_K_S"] {
        ridgeline(&["quantize", "tiny-draft", text_of(&file), mix, "--force"]).ok();
        let written = blake3::hash(&fs::read(&file).expect("written")).to_hex();
        for name in [format!("tiny-draft:{mix}"), format!("tiny/draft:{}", mix.to_lowercase())] {
            let model = &inspect(&name)["model"];
            assert_eq!(model["hash"], written.as_str(), "{name}");
            assert!(model["name"].as_str().is_some_and(|it| it.ends_with(&mix.to_lowercase())), "{model}");
        }
        // A file that is so already is taken as it is.
        let itself = &inspect(&format!("{}:{mix}", text_of(&file)))["model"];
        assert_eq!(itself["hash"], written.as_str());
    }
    // A format wins over the mix of its name, which has exceptions.
    assert!(matrices(&inspect("tiny-draft:q2_k")).iter().all(|it| it.1 == "Q2_K"));

    let run = |arguments: &[&str]| on_cpu(&[&["run", "-p", "It", "-n", "2"], arguments].concat());
    run(&["-m", "tiny-draft:q4_k_m", "--format", "q4_k"])
        .fails(2, &["already names a quantization type", "Q4_K"]);
    run(&["-m", "tiny-draft:q4_k_m:q8_0"]).fails(2, &["tiny-draft:q4_k_m:q8_0"]);
    run(&["-m", "tiny-draft:q4_x_m"]).fails(2, &["q4_x_m", "known are", "MXFP4", "mixes", "Q4_K_M"]);
    run(&["-m", "tiny-draft:mlx4_g64"]).fails(1, &["MLX4_G64", "no encoder"]);
    let tokens = |model: &str| run(&["-m", model, "--temp", "0", "--json"]).json()["tokens"].clone();
    assert_eq!(tokens("tiny-draft:q3_k_s"), tokens(text_of(&file)));
}

fn random_weights_are_drawn_in_the_mix() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("random.gguf");
    // Twelve layers, three query heads for each value head: the first and last eighth, and every third between.
    let drawn = inspect("bench-110m:q4_k_m");
    let six = |name: &str| {
        let down = |it: usize| format!("ffn_down {it}") == name || format!("attn_v {it}") == name;
        name == "token_embd" || [0, 3, 6, 9, 10, 11].into_iter().any(down)
    };
    let found = matrices(&drawn);
    for (name, format) in &found {
        assert_eq!(format, if six(name) { "Q6_K" } else { "Q4_K" }, "{name}");
    }
    assert_eq!(found.iter().filter(|it| it.1 == "Q6_K").count(), 13);
    assert_eq!(drawn["model"]["name"], "bench-110m:q4_k_m");
    assert!(drawn["model"]["hash"].is_null());

    let report = ridgeline(&["synth", "bench-110m", "q4_k_m", text_of(&file), "--json"]).json();
    assert_eq!(report["format"], "Q4_K_M");
    let written = inspect(text_of(&file));
    assert_eq!((&written["tensors"], &written["formats"]), (&drawn["tensors"], &drawn["formats"]));
    assert_eq!(written["metadata"]["general.file_type"], 15);
}

/// The number of the first processor that this process may run on.
fn a_processor() -> String {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has it");
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("a line");
    list.trim().chars().take_while(char::is_ascii_digit).collect()
}

/// As [`ridgeline`], with one processor to run on and so in one thread.
fn on_one_processor(arguments: &[&str]) -> Done {
    let plain = command(arguments);
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", &a_processor()]).arg(plain.get_program()).args(plain.get_args());
    finish(pinned.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()))
}

fn the_bytes_depend_on_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("model.gguf");
    for mix in ["Q4_K_M", "IQ4_XS", "MXFP4", "Q5_1"] {
        let arguments = ["quantize", "tiny-target", text_of(&file), mix, "--force"];
        let bytes = |done: Done| {
            done.ok();
            fs::read(&file).expect("written")
        };
        let first = bytes(ridgeline(&arguments));
        assert!(first == bytes(ridgeline(&arguments)), "{mix}: again");
        if cfg!(target_os = "linux") {
            assert!(first == bytes(on_one_processor(&arguments)), "{mix}: in one thread");
        }
    }
}

fn what_cannot_be_written_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let quantize = |model: &str, out: &Path, mix: &str| ridgeline(&["quantize", model, text_of(out), mix]);
    let out = folder.path().join("out.gguf");
    for mix in ["Q99", "", "MLX4_G64"] {
        quantize("tiny-draft", &out, mix).fails(2, &["'<TYPE>'", "choose one of: ", "Q4_K_M"]);
    }
    quantize("nobody", &out, "Q8_0").fails(2, &["nobody", "tiny-target"]);
    quantize("no-such.gguf", &out, "Q8_0").fails(2, &["no-such.gguf", "no such file"]);
    assert!(files(folder.path()).is_empty());

    fs::write(&out, "not a folder").expect("a file");
    let below = out.join("model.gguf");
    quantize("tiny-draft", &below, "Q8_0").fails(2, &["out.gguf/model.gguf", "does not exist"]);
    let taken = folder.path().join("taken");
    fs::create_dir(&taken).expect("a folder");
    quantize("tiny-draft", &taken, "Q8_0").fails(2, &["taken", "a folder"]);
    quantize("tiny-draft", &out, "Q8_0").fails(2, &["out.gguf", "--force"]);
    assert_eq!(files(folder.path()), ["out.gguf", "taken"]);
    assert_eq!(fs::read(&out).expect("a file"), b"not a folder");
}

fn nothing_is_destroyed_or_degraded_without_being_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let [first, second] = ["first.gguf", "second.gguf"].map(|it| folder.path().join(it));
    let quantize = |from: &Path, to: &Path, more: &[&str]| {
        ridgeline(&[&["quantize", text_of(from), text_of(to)], more].concat())
    };
    ridgeline(&["quantize", "tiny-draft", text_of(&first), "10"]).ok();
    assert_eq!(inspect(text_of(&first))["metadata"]["general.file_type"], 10, "a number is llama.cpp's");
    quantize(&first, &first, &["Q8_0", "--force", "--allow-requantize"])
        .fails(2, &["the output is the input"]);
    quantize(&first, &second, &["Q8_0"]).fails(2, &["quantized to", "--allow-requantize"]);
    quantize(&first, &second, &["F32"]).fails(2, &["--allow-requantize"]);
    assert_eq!(files(folder.path()), ["first.gguf"]);
    quantize(&first, &second, &["Q8_0", "--allow-requantize"]).ok();
    let logits = |out: &Path| {
        ridgeline(&[
            "logits",
            "-m",
            text_of(&first),
            "--tokens",
            "1,2",
            "-o",
            text_of(out),
            "--device",
            "cpu",
        ])
    };
    logits(&second).fails(2, &["second.gguf", "not a file of logits"]);
    let out = folder.path().join("logits.safetensors");
    logits(&out).ok();
    logits(&out).ok();
}

/// Puts a weight that is no number at the end of the last matrix.
fn spoil(path: &Path) -> String {
    let inspected = inspect(text_of(path));
    let tensors = inspected["tensors"].as_array().expect("tensors");
    let is_matrix = |it: &Value| it["shape"].as_array().is_some_and(|it| it.len() == 2);
    let last = tensors.iter().rposition(is_matrix).expect("a matrix");
    let size = |it: &Value| it["bytes"].as_u64().expect("bytes").next_multiple_of(32);
    let behind: u64 = tensors[last + 1..].iter().map(size).sum();
    let mut bytes = fs::read(path).expect("a file");
    let end = bytes.len() - usize::try_from(behind).expect("it fits");
    bytes[end - 4..end].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(path, bytes).expect("a file");
    tensors[last]["name"].as_str().expect("a name").to_owned()
}

fn what_cannot_be_read_leaves_everything_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let [broken, out] = ["in.gguf", "out.gguf"].map(|it| folder.path().join(it));
    let unchanged = |parts: &[&str]| {
        let before = fs::read(&broken).expect("a file");
        ridgeline(&["quantize", text_of(&broken), text_of(&out), "Q4_K_M", "--force"]).fails(1, parts);
        assert!(fs::read(&broken).expect("a file") == before);
        assert_eq!(fs::read(&out).expect("a file"), b"precious");
        assert_eq!(files(folder.path()), ["in.gguf", "out.gguf"]);
    };
    fs::write(&out, "precious").expect("a file");
    let whole = fs::read(repository("models/tiny/draft.gguf")).expect("it ships");
    for length in [0, 3, 200, whole.len() - 1] {
        fs::write(&broken, &whole[..length]).expect("a file");
        unchanged(&["in.gguf"]);
    }
    ridgeline(&["quantize", "tiny-draft", text_of(&broken), "F32", "--force"]).ok();
    let tensor = spoil(&broken);
    unchanged(&["in.gguf", &tensor, "not finite"]);
}
