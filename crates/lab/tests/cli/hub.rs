//! Models of the Hugging Face Hub, from a server on this machine.

#[path = "../../../hub/tests/server/mod.rs"]
mod server;

use crate::Test;
use crate::program::{Done, command, finish, repository};
use server::{COMMIT, Content, Fault, Reply, Request, Server, checksum, content};
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const TESTS: &[Test] = &[
    ("a_model_is_fetched_once_and_used_by_name", a_model_is_fetched_once_and_used_by_name),
    ("a_model_that_is_not_fetched_has_a_remedy", a_model_that_is_not_fetched_has_a_remedy),
    (
        "another_quantization_is_never_made_in_place_of_a_file",
        another_quantization_is_never_made_in_place_of_a_file,
    ),
    ("a_folder_is_fetched_and_quantized", a_folder_is_fetched_and_quantized),
    ("a_killed_fetch_continues", a_killed_fetch_continues),
    ("two_processes_download_once", two_processes_download_once),
    ("a_denied_model_names_the_remedy_and_no_token", a_denied_model_names_the_remedy_and_no_token),
    ("nothing_is_fetched_for_a_wrong_command_line", nothing_is_fetched_for_a_wrong_command_line),
    ("real_weights_of_a_shape_are_fetched", real_weights_of_a_shape_are_fetched),
];

pub(crate) const ON_A_DEVICE: &[Test] = &[("hf_takes_the_place_of_m", hf_takes_the_place_of_m)];

/// A server and an empty cache.
struct Hub {
    server: Server,
    folder: TempDir,
}

impl Hub {
    fn of(files: Vec<Content>) -> Self {
        Self { server: Server::of(files), folder: tempfile::tempdir().expect("a folder") }
    }

    fn faulty(files: Vec<Content>, fault: Fault) -> Self {
        Self { server: Server::faulty(files, fault), folder: tempfile::tempdir().expect("a folder") }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(arguments);
        for name in
            ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "HF_TOKEN_PATH", "HUGGINGFACE_HUB_CACHE"]
        {
            command.env_remove(name);
        }
        for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
            command.env_remove(name);
        }
        let folder = self.folder.path();
        command.env("HF_ENDPOINT", &self.server.endpoint).env("HF_HUB_CACHE", folder).env("HF_HOME", folder);
        command.arg("--no-install");
        command
    }

    fn run(&self, arguments: &[&str]) -> Done {
        finish(&mut self.command(arguments))
    }

    fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().expect("the program starts")
    }

    /// A file of the snapshot.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("models--a--b/snapshots/{COMMIT}")).join(name)
    }
}

/// The shipped model as a file of a repository.
fn tiny(name: &'static str) -> Content {
    Content { name, bytes: fs::read(repository("models/tiny/target.gguf")).expect("it ships"), lfs: true }
}

fn a_model_is_fetched_once_and_used_by_name() {
    let hub = Hub::of(vec![content("README.md", 9, false), tiny("t-Q8_0.gguf"), tiny("t-Q4_K_M.gguf")]);
    let path = hub.path("t-Q4_K_M.gguf");
    let fetched = hub.run(&["fetch", "a/b"]);
    assert!(fetched.stderr.contains("fetching a/b: t-Q4_K_M.gguf"), "{}", fetched.stderr);
    assert_eq!(fetched.ok(), format!("{}\n", path.display()));
    assert!(fs::read(&path).expect("it is there") == tiny("").bytes);
    let again = hub.run(&["fetch", "hf:a/b", "--json"]).json();
    assert_eq!(again[0]["model"], "hf:a/b");
    assert_eq!((&again[0]["commit"], &again[0]["files"][0]["downloaded"]), (&COMMIT.into(), &false.into()));
    let before = hub.server.requests().len();
    let inspected = hub.run(&["inspect", "hf:a/b:Q4_K_M", "--json"]).json();
    assert_eq!(inspected["model"]["name"], "t-Q4_K_M.gguf");
    hub.run(&["tokenize", "-hf", "a/b", "-p", "Once", "--offline"]).ok();
    assert_eq!(hub.server.requests().len(), before, "neither a name nor --offline uses the network");
    hub.run(&["tokenize", "-hf", "a/b:q8_0", "-p", "Once"]).ok();
    assert!(hub.path("t-Q8_0.gguf").exists());
    assert_eq!(hub.server.file_requests().len(), 1, "two names of one content are one download");
}

fn a_model_that_is_not_fetched_has_a_remedy() {
    let hub = Hub::of(vec![tiny("t-Q4_K_M.gguf")]);
    hub.run(&["inspect", "hf:a/b"]).fails(2, &["hf", "not in the cache", "ridgeline fetch a/b"]);
    hub.run(&["tokenize", "-hf", "a/b", "-p", "x", "--offline"]).fails(1, &["--offline", "not in the cache"]);
    hub.run(&["inspect", "hf:b"]).fails(2, &["\"b\"", "user/model"]);
    hub.run(&["fetch", "https://huggingface.co/a/b"]).fails(2, &["leave out all before user/model"]);
    hub.run(&["fetch", "a/b:Q5_K_M"]).fails(2, &["no Q5_K_M file", "t-Q4_K_M.gguf"]);
    assert!(hub.server.file_requests().is_empty());
    finish(hub.command(&["fetch", "a/b"]).env("HF_ENDPOINT", "ftp://x"))
        .fails(2, &["HF_ENDPOINT", "https://"]);
    let done = finish(
        hub.command(&["fetch", "a/b"]).env("HF_ENDPOINT", "http://127.0.0.1:9").env("HF_TOKEN", "a b"),
    );
    done.fails(2, &["HF_TOKEN: the token"]);
}

fn another_quantization_is_never_made_in_place_of_a_file() {
    let hub = Hub::of(vec![tiny("t-Q4_K_M.gguf"), tiny("t-Q8_0.gguf")]);
    hub.run(&["fetch", "a/b"]).ok();
    for name in ["hf:a/b:q8_0", "shape:hf:a/b:q8_0"] {
        hub.run(&["inspect", name])
            .fails(2, &["no q8_0 file", "t-Q4_K_M.gguf in the cache", "ridgeline fetch a/b:q8_0"]);
    }
    let shape = hub.run(&["inspect", "shape:hf:a/b@1", "--json"]).json();
    assert_eq!(shape["model"]["hash"], serde_json::Value::Null, "the weights are random");
}

fn a_folder_is_fetched_and_quantized() {
    let source = repository("crates/model/tests/data/llama");
    let read = |name: &'static str| {
        let bytes = fs::read(source.join(name)).expect("it is in the repository");
        Content { name, bytes, lfs: name.ends_with(".safetensors") }
    };
    let hub = Hub::of(["model.safetensors", "config.json", "tokenizer.json"].map(read).to_vec());
    hub.run(&["fetch", "a/b"]).ok();
    let inspected = |name: &str| hub.run(&["inspect", name, "--json"]).json();
    assert_eq!(inspected("hf:a/b")["model"]["name"], "a/b");
    assert_eq!(inspected("hf:a/b:q8_0")["model"]["name"], "a/b:q8_0");
    hub.run(&["inspect", "hf:a/b:q99"]).fails(2, &["q99", "known are"]);
}

fn a_killed_fetch_continues() {
    let whole = tiny("t.gguf").bytes.len().to_string();
    let stalls = move |request: &Request, _: usize, mut reply: Reply| {
        if request.is_file() && request.from().is_none() {
            reply = reply.with("Content-Length", &whole).cut(10_000);
            reply.stall = true;
        }
        reply
    };
    let hub = Hub::faulty(vec![tiny("t.gguf")], Box::new(stalls));
    let mut first = hub.start(&["fetch", "a/b"]);
    let part = format!("models--a--b/blobs/{}.incomplete", checksum(&tiny("t.gguf")));
    let part = hub.folder.path().join(part);
    for _ in 0..600 {
        if fs::metadata(&part).is_ok_and(|it| it.len() == 10_000) {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    first.kill().and_then(|()| first.wait()).expect("it was running");
    hub.run(&["inspect", "hf:a/b"]).fails(2, &["not in the cache"]);
    hub.run(&["fetch", "a/b"]).ok();
    let begins: Vec<_> = hub.server.file_requests().iter().map(Request::from).collect();
    assert_eq!(begins, [None, Some(10_000)]);
    assert!(fs::read(hub.path("t.gguf")).expect("it is there") == tiny("").bytes && !part.exists());
}

fn two_processes_download_once() {
    let slow = |request: &Request, _: usize, reply| {
        if request.is_file() {
            thread::sleep(Duration::from_secs(2));
        }
        reply
    };
    let hub = Hub::faulty(vec![tiny("t.gguf")], Box::new(slow));
    let both = [0, 1].map(|_| hub.start(&["fetch", "a/b"]));
    let errors = both.map(|it| {
        let output = it.wait_with_output().expect("it ends");
        assert!(output.status.success());
        String::from_utf8(output.stderr).expect("UTF-8")
    });
    assert_eq!(hub.server.file_requests().len(), 1, "{errors:?}");
    assert!(errors.iter().any(|it| it.contains("another process fetches t.gguf")), "{errors:?}");
}

fn a_denied_model_names_the_remedy_and_no_token() {
    let denied = |_: &Request, _: usize, _| Reply::status(401, ("X-Error-Code", "GatedRepo"));
    let hub = Hub::faulty(vec![tiny("t.gguf")], Box::new(denied));
    let done = hub.run(&["run", "-hf", "a/b", "-p", "x", "-hft", "hf_secret", "--device", "cpu"]);
    assert!(!done.stderr.contains("hf_secret"), "{}", done.stderr);
    done.fails(1, &["401, GatedRepo", "HF_TOKEN"]);
    let sent = hub.server.requests();
    assert_eq!(sent[0].headers.get("authorization").map(String::as_str), Some("Bearer hf_secret"));
    fs::write(hub.folder.path().join("token"), "hf_of_file\n").expect("a file");
    hub.run(&["fetch", "a/b"]).fails(1, &["GatedRepo"]);
    assert_eq!(hub.server.requests()[1].headers["authorization"], "Bearer hf_of_file");
}

fn nothing_is_fetched_for_a_wrong_command_line() {
    let hub = Hub::of(vec![tiny("t.gguf")]);
    hub.run(&["run", "-hf", "a/b", "--no-such-flag"]).fails(2, &["--no-such-flag"]);
    hub.run(&["run", "-p", "x", "-hf"]).fails(2, &["-hf has no value"]);
    hub.run(&["run", "-hff", "t.gguf", "-p", "x"]).fails(2, &["-hff t.gguf has no -hf"]);
    hub.run(&["doctor", "-hf", "a/b"]).fails(2, &["--model"]);
    assert!(hub.server.requests().is_empty());
}

fn real_weights_of_a_shape_are_fetched() {
    let file = tiny("t-Q8_0.gguf");
    let hub = Hub::of(vec![tiny("t-Q4_K_M.gguf"), file.clone()]);
    let root = tempfile::tempdir().expect("a folder");
    fs::create_dir(root.path().join("models")).expect("a folder");
    let shape = fs::read_to_string(repository("models/bench-18m.toml")).expect("it ships");
    let write = |name: &str, more: &str| {
        let shape = shape.replace("\nlayers", &format!("{more}\nlayers"));
        fs::write(root.path().join("models").join(format!("{name}.toml")), shape).expect("a file");
    };
    let published = |sha256: &str| {
        format!("repo = \"a/b\"\nrevision = \"v1\"\nfile = \"{}\"\nsha256 = \"{sha256}\"\n", file.name)
    };
    write("real", &published(&checksum(&file)));
    write("wrong", &published(&"0".repeat(64)));
    write("none", "");
    let list = |model: &str, weights: &str| {
        let arguments = ["bench-all", "--list", "-m", model, "--weights", weights];
        finish(hub.command(&arguments).env("RIDGELINE_ROOT", root.path()))
    };
    list("real", "random").ok();
    assert!(hub.server.requests().is_empty(), "nothing is fetched unless a flag says so");
    let cells = list("real", "real").ok();
    assert!(cells.contains("hf:a/b@v1:t-Q8_0.gguf"), "{cells}");
    list("wrong", "real").fails(1, &["checksum", "models/wrong.toml"]);
    list("none", "real").fails(2, &["not published", "--weights real"]);
    list("real@2", "real").fails(2, &["not published in this size"]);
    list("shape:real", "real").fails(2, &["random weights by its name"]);
    finish(hub.command(&["fetch", "real"]).env("RIDGELINE_ROOT", root.path())).ok();
    assert_eq!(hub.server.file_requests().len(), 1);
}

fn hf_takes_the_place_of_m() {
    let hub = Hub::of(vec![tiny("t-Q4_K_M.gguf"), tiny("t-Q8_0.gguf")]);
    let flags = ["-p", "8", "-n", "2", "-r", "1", "--no-probe", "-o", "csv"];
    let rows = hub.run(&[&["bench", "-hf", "a/b,a/b:Q8_0"], &flags[..]].concat()).ok();
    for name in ["t-Q4_K_M.gguf", "t-Q8_0.gguf"] {
        assert_eq!(rows.lines().filter(|it| it.contains(name)).count(), 2, "{rows}");
    }
    let text =
        |model: &[&str]| hub.run(&[&["run", "-p", "Once", "-n", "8", "--temp", "0"], model].concat()).ok();
    assert_eq!(text(&["-hf", "a/b", "-hff", "t-Q8_0.gguf"]), text(&["-m", "tiny-target"]));
    hub.run(&["speculate", "-hf", "a/b", "-hfd", "a/b:Q8_0", "-p", "Once", "-n", "4"]).ok();
}
