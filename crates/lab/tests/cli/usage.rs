//! Invalid command lines, missing models and missing devices.

use crate::Test;
use crate::program::{Done, command, finish, on_cpu, ridgeline};
use ridgeline_lab::install::Remedy;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(crate) const TESTS: &[Test] = &[
    ("help_and_version_are_data", help_and_version_are_data),
    ("wrong_flags_are_usage_errors", wrong_flags_are_usage_errors),
    ("settings_out_of_range_are_usage_errors", settings_out_of_range_are_usage_errors),
    ("an_unknown_model_lists_the_names_there_are", an_unknown_model_lists_the_names_there_are),
    ("the_root_can_be_moved", the_root_can_be_moved),
    ("an_unknown_device_has_its_own_code", an_unknown_device_has_its_own_code),
    ("a_machine_without_adapters_gets_a_remedy", a_machine_without_adapters_gets_a_remedy),
    ("a_machine_without_a_desktop_is_no_error", a_machine_without_a_desktop_is_no_error),
    ("a_closed_pipe_is_no_error", a_closed_pipe_is_no_error),
    ("llama_spellings_work", llama_spellings_work),
    ("models_without_a_vocabulary_are_refused", models_without_a_vocabulary_are_refused),
    ("a_context_too_small_is_an_error", a_context_too_small_is_an_error),
];

pub(crate) const ON_DEBIAN_AS_ROOT: &[Test] =
    &[("a_missing_adapter_is_installed", a_missing_adapter_is_installed)];

pub(crate) const ON_SWIFTSHADER: &[Test] = &[("swiftshader_is_found_by_name", swiftshader_is_found_by_name)];

fn help_and_version_are_data() {
    let help = ridgeline(&["--help"]).ok();
    for word in
        ["run", "speculate", "logits", "tokenize", "inspect", "synth", "quantize", "shaders", "doctor"]
    {
        assert!(help.lines().any(|line| line.trim_start().starts_with(word)), "{word} is not in: {help}");
    }
    let version = finish(&mut command(&["--version"])).ok();
    assert!(version.starts_with(concat!("ridgeline ", env!("CARGO_PKG_VERSION"))), "{version}");
}

fn wrong_flags_are_usage_errors() {
    let cases: &[(&[&str], &str)] = &[
        (&["run", "-m", "tiny-target", "--no-such-flag"], "--no-such-flag"),
        (&["run", "-p", "x"], "--model"),
        (&["run", "-m", "tiny-target", "-p", "x", "-n", "many"], "many"),
        (&["run", "-m", "tiny-target", "-p", "x", "-ctk", "q99"], "q99"),
        (&["synth", "smollm2-135m", "Q99", "x.gguf"], "choose one of: F32, F16"),
        (&["logits", "-m", "tiny-target", "--tokens", "1,x", "-o", "x"], "--tokens"),
        (&["dance"], "dance"),
    ];
    for (arguments, part) in cases {
        ridgeline(arguments).fails(2, &[part]);
    }
    for flag in ["-p", "-n", "-d"] {
        ridgeline(&["bench", flag, "many"]).fails(2, &[flag, "many", "list of token counts"]);
    }
    for (flag, value) in [("-p", "64-16"), ("-n", "8-4"), ("-d", "0,64-16"), ("-b", "64-16"), ("-ub", "9-1")]
    {
        ridgeline(&["bench", flag, value]).fails(2, &[flag, "ends before it begins"]);
    }
    ridgeline(&["bench", "-ub", "0"]).fails(2, &["-ub must be at least 1"]);
    ridgeline(&["bench", "-p", "0", "-n", "0"]).fails(2, &["nothing to measure"]);
    let nothing = finish(&mut command(&[]));
    assert!(nothing.code == 2 && nothing.stderr.contains("Usage"), "{nothing:?}");
}

fn settings_out_of_range_are_usage_errors() {
    let run = |flags: &[&str]| on_cpu(&[&["run", "-m", "tiny-target", "-p", "x", "-n", "1"], flags].concat());
    run(&["--min-p", "2"]).fails(2, &["min_p", "between 0 and 1"]);
    run(&["--repeat-penalty", "0"]).fails(2, &["repetition_penalty"]);
    run(&["-b", "0"]).fails(2, &["-b must be at least 1"]);
    run(&["--top-k", "-1", "--temp", "0"]).ok();
    assert!(run(&["-s", "-1"]).stderr.contains("seed = "), "a random seed is printed");
    run(&["-s", "-2"]).fails(2, &["--seed"]);
    let chunks = |n| on_cpu(&["perplexity", "-m", "tiny-target", "-p", "x", "--chunks", n]);
    chunks("-2").fails(2, &["--chunks", "-1 for all"]);
    chunks("0").fails(2, &["--chunks"]);
    chunks("-1").fails(1, &["tokens but a chunk has"]);
    on_cpu(&["doctor", "--report", "no/such/file.json"]).fails(2, &["no/such", "create it first"]);
    on_cpu(&["run", "-m", "tiny-target"]).fails(2, &["nothing to continue"]);
    on_cpu(&["run", "-m", "tiny-target:f16", "--format", "f32", "-p", "x"])
        .fails(2, &["already names a quantization type"]);
    on_cpu(&["inspect", "tiny-target:q99"]).fails(2, &["q99", "known are"]);
    on_cpu(&["synth", "tiny-target", "f16", "x.gguf"]).fails(2, &["is a model and not a shape"]);
}

fn an_unknown_model_lists_the_names_there_are() {
    for arguments in
        [["inspect", "nobody"].as_slice(), &["tokenize", "-m", "nobody"], &["run", "-m", "nobody", "-p", "x"]]
    {
        on_cpu(arguments).fails(2, &["nobody", "tiny-target", "tiny-draft", "smollm2-135m"]);
    }
    let bench = ridgeline(&["bench", "-m", "nobody"]);
    assert!(!bench.stderr.contains("ceilings"), "models are opened before the probe: {}", bench.stderr);
    bench.fails(2, &["nobody", "tiny-target"]);
    #[cfg(unix)]
    on_cpu(&["inspect", "/dev/null"]).fails(1, &["a device or a pipe"]);
    on_cpu(&["inspect", "no/such/file.gguf"]).fails(2, &["no/such/file.gguf", "no such file"]);
    on_cpu(&["inspect", "no-such-file.gguf"]).fails(2, &["no-such-file.gguf", "no such file"]);
}

fn the_root_can_be_moved() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("models")).expect("a folder");
    fs::write(folder.path().join("models/mine.toml"), "name = 1").expect("a file");
    let inspect = |name| finish(command(&["inspect", name]).env("RIDGELINE_ROOT", folder.path()));
    inspect("tiny-target").fails(2, &["choose one of: mine"]);
    inspect("mine").fails(1, &["name"]);
}

fn an_unknown_device_has_its_own_code() {
    let run = |flag| ridgeline(&["run", "-m", "tiny-target", "-p", "x", flag, "no-such-adapter"]);
    for flag in ["--device", "-dev"] {
        let Done { code, stderr, .. } = run(flag);
        assert_eq!(code, 3, "{stderr}");
        let remedy = ridgeline_gpu::adapters().is_empty();
        let expected = if remedy { "mesa-vulkan-drivers" } else { "seen here" };
        assert!(stderr.contains(expected) && !stderr.contains("panicked"), "{stderr}");
    }
    if let Some(adapter) = ridgeline_gpu::adapters().first() {
        for list in [format!("{},{}", adapter.name, adapter.name), format!("{}/cpu", adapter.name)] {
            ridgeline(&["bench", "-dev", &list]).fails(2, &["lists", "-dev", "one device"]);
        }
    }
    let doctor = ridgeline(&["doctor", "--json", "--device", "no-such-adapter"]);
    assert_eq!(doctor.code, 3, "{}", doctor.stderr);
    let findings: serde_json::Value = serde_json::from_str(&doctor.stdout).expect("JSON even then");
    assert!(findings["chosen"].is_null() && findings["problems"][0].is_string(), "{findings}");
}

/// The command with the driver of `manifest` as the only Vulkan driver.
fn with_only(manifest: &Path, arguments: &[&str]) -> Command {
    let mut command = command(arguments);
    command.env("VK_DRIVER_FILES", manifest).env("VK_ICD_FILENAMES", manifest);
    command
}

/// Adapters can be hidden from a process on Linux only. Unit tests check the remedy on other systems.
fn a_machine_without_adapters_gets_a_remedy() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let nothing = Path::new("/no/such/driver.json");
    let run = ["run", "-m", "tiny-target", "-p", "x", "-n", "1", "--no-install"];
    finish(&mut with_only(nothing, &run)).fails(3, &["no Vulkan", "try: ", "--device cpu"]);
    let doctor = finish(&mut with_only(nothing, &["doctor", "--json"]));
    assert_eq!(doctor.code, 3, "{}", doctor.stderr);
    let findings: serde_json::Value = serde_json::from_str(&doctor.stdout).expect("JSON");
    assert!(findings["remedy"].is_string() && findings["adapters"].as_array().is_some_and(Vec::is_empty));
    finish(&mut with_only(nothing, &[&run[..], &["--device", "cpu"]].concat())).ok();
}

/// Mesa's device-select layer prints an error where there is no desktop.
fn a_machine_without_a_desktop_is_no_error() {
    let mut command = command(&["doctor", "--json"]);
    for variable in ["DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "NODEVICE_SELECT"] {
        command.env_remove(variable);
    }
    let doctor = finish(&mut command);
    assert!(!doctor.stderr.contains("XDG_RUNTIME_DIR"), "{}", doctor.stderr);
    serde_json::from_str::<serde_json::Value>(&doctor.stdout).expect("JSON");
}

/// The loader does not search Chromium's folder. A user who names a driver file gets that driver alone.
fn swiftshader_is_found_by_name() {
    let arguments = ["doctor", "--json", "--device", "SwiftShader"];
    let findings = finish(&mut command(&arguments)).json();
    assert!(findings["chosen"].to_string().contains("SwiftShader Device"), "{findings}");
    let nothing = Path::new("/no/such/driver.json");
    assert_eq!(finish(&mut with_only(nothing, &arguments)).code, 3);
}

/// The manifest of Mesa's software driver, if it is installed.
fn software_driver() -> Option<PathBuf> {
    let entries = fs::read_dir("/usr/share/vulkan/icd.d").ok()?;
    entries.flatten().map(|it| it.path()).find(|it| it.to_string_lossy().contains("lvp_icd"))
}

/// Whether [`a_missing_adapter_is_installed`] can run on this machine.
pub(crate) fn can_play_install() -> bool {
    Remedy::here() == Remedy::Install && software_driver().is_some()
}

/// A fake `apt-get` copies the driver's manifest to the loader's path, and the same process continues.
fn a_missing_adapter_is_installed() {
    let folder = tempfile::tempdir().expect("a folder");
    let [manifest, log, apt] = ["driver.json", "log", "apt-get"].map(|name| folder.path().join(name));
    let driver = software_driver().expect("checked before");
    let (log_path, from, to) = (log.display(), driver.display(), manifest.display());
    let script =
        format!("#!/bin/sh\necho noise\necho \"$@\" >> {log_path}\n[ \"$1\" = update ] || cp {from} {to}\n");
    // A shell writes the file. If this process did, a child forked by another test could inherit the open file, and
    // starting the script would fail with ETXTBSY.
    let write = ["-c", "printf %s \"$1\" > \"$0\" && chmod +x \"$0\""];
    let made = Command::new("sh").args(write).arg(&apt).arg(script).status().expect("a shell");
    assert!(made.success());
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap_or_default());
    let run = ["run", "-m", "tiny-target", "-p", "It", "-n", "4", "--temp", "0"];
    let done = finish(with_only(&manifest, &run).env("PATH", path));
    assert!(
        done.stderr.contains("installing a software one") && done.stderr.contains("noise"),
        "{}",
        done.stderr
    );
    assert!(!done.ok().contains("noise"), "stdout is for data");
    let calls = fs::read_to_string(log).expect("it was called");
    assert!(calls.starts_with("update\ninstall -y"), "{calls}");
    assert!(calls.contains("mesa-vulkan-drivers libvulkan1"), "{calls}");
}

fn a_closed_pipe_is_no_error() {
    let arguments =
        ["run", "-m", "tiny-target", "-p", "It was", "-n", "200", "--temp", "0", "--device", "cpu"];
    let mut child = command(&arguments).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut stdout = child.stdout.take().expect("piped");
    let mut byte = [0];
    stdout.read_exact(&mut byte).expect("text comes before the end");
    drop(stdout);
    let output = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !stderr.contains("error"), "{stderr}");
}

fn llama_spellings_work() {
    let long = ["--cache-type-k", "f32", "--device", "cpu", "--seed", "3", "--n-predict", "8"];
    let short = ["-ctk", "f32", "-dev", "cpu", "-s", "3", "-n", "8"];
    let text =
        |flags: &[&str]| ridgeline(&[&["run", "-m", "tiny-target", "-p", "It was"], flags].concat()).ok();
    assert_eq!(text(&long), text(&short));
    let spec = |flags: &[&str]| {
        on_cpu(&[&["speculate", "-m", "tiny-target", "-p", "It", "-n", "4"], flags].concat())
    };
    let json = spec(&["-md", "tiny-draft", "--draft-max", "2", "--json"]).json();
    assert!(json["stats"]["drafted_at"].as_array().expect("counts").len() <= 2, "{json}");
    spec(&["-md", "tiny-draft", "--draft-max", "1", "--draft-min", "2"]).fails(2, &["n_min"]);
    spec(&["-md", "tiny-draft", "--draft-p-min", "1.5"]).fails(2, &["p_min"]);
}

fn models_without_a_vocabulary_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let random = folder.path().join("random.gguf");
    let random = random.to_str().expect("UTF-8");
    crate::files::synthesise(random, "f16", "0");
    on_cpu(&["run", "-m", random, "-p", "x", "-n", "1"]).fails(2, &["no vocabulary"]);
    on_cpu(&["tokenize", "-m", random]).fails(2, &["no vocabulary"]);
    on_cpu(&["speculate", "-m", "tiny-target", "-md", random, "-p", "x"]).fails(2, &["no vocabulary"]);
}

fn a_context_too_small_is_an_error() {
    let done = on_cpu(&[
        "run",
        "-m",
        "tiny-target",
        "-p",
        "It was a bright morning",
        "-n",
        "32",
        "-c",
        "4",
        "--json",
    ]);
    done.fails(1, &["4", "positions"]);
    on_cpu(&["logits", "-m", "tiny-target", "--tokens", "4096", "-o", "never.safetensors"])
        .fails(1, &["4096"]);
}
