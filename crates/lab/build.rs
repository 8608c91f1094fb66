//! Passes the compiler's version, the Git revision and the versions of important crates to the program.
//!
//! Only release builds, which are the ones for measurements, have a revision. They are rebuilt after every commit;
//! debug builds need not be.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Crates whose version can change a measurement or a token.
const CRATES: [&str; 12] = [
    "aho-corasick",
    "gguf-rs",
    "half",
    "memmap2",
    "minijinja",
    "naga",
    "rand",
    "rand_xoshiro",
    "safetensors",
    "tokenizers",
    "wgpu",
    "wgpu-hal",
];

fn main() {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("../..");
    set("RIDGELINE_RUSTC", &output(Command::new(variable("RUSTC")).arg("--version")).unwrap_or_default());
    let lock = root.join("Cargo.lock");
    println!("cargo::rerun-if-changed=build.rs");
    if lock.exists() {
        println!("cargo::rerun-if-changed={}", lock.display());
    }
    set("RIDGELINE_CRATES", &versions(&std::fs::read_to_string(lock).unwrap_or_default()));
    let release = variable("PROFILE") == "release";
    set("RIDGELINE_PROFILE", if release { "release" } else { "debug" });
    if release {
        revision(&root);
    }
}

/// Revision of this workspace's Git checkout, and whether it has uncommitted changes.
fn revision(root: &Path) {
    for watched in [".git/logs/HEAD", "crates", "shaders", "models", "matrix"] {
        let watched = root.join(watched);
        if watched.exists() {
            println!("cargo::rerun-if-changed={}", watched.display());
        }
    }
    let git = |arguments: &[&str]| output(Command::new("git").arg("-C").arg(root).args(arguments));
    if !root.join(".git").exists() {
        return;
    }
    let Some(revision) = git(&["rev-parse", "HEAD"]) else { return };
    set("RIDGELINE_GIT_REV", &revision);
    let Some(changes) = git(&["status", "--porcelain"]) else { return };
    set("RIDGELINE_GIT_DIRTY", if changes.is_empty() { "false" } else { "true" });
    if let (false, Some(digest)) = (changes.is_empty(), changes_digest(root)) {
        set("RIDGELINE_GIT_CHANGES", &digest);
    }
}

/// A short digest of the uncommitted changes to tracked files, which distinguishes two modified builds.
fn changes_digest(root: &Path) -> Option<String> {
    let mut diff = Command::new("git");
    let mut diff = diff.arg("-C").arg(root).args(["diff", "HEAD"]).stdout(Stdio::piped()).spawn().ok()?;
    let text = diff.stdout.take()?;
    let digest = output(Command::new("git").args(["hash-object", "--stdin"]).stdin(text))?;
    diff.wait().ok()?;
    digest.get(..12).map(str::to_owned)
}

/// `name version` of every crate in [`CRATES`], one per line, from the text of a lock file.
fn versions(lock: &str) -> String {
    let value = |line: &str, key: &str| {
        line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"').map(str::to_owned)
    };
    let mut found = Vec::new();
    let mut name = String::new();
    for line in lock.lines() {
        if let Some(n) = value(line, "name") {
            name = n;
        }
        if let Some(version) = value(line, "version").filter(|_| CRATES.contains(&name.as_str())) {
            found.push(format!("{name} {version}"));
        }
    }
    found.join(";")
}

/// The trimmed stdout of a command; `None` if it fails.
fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|o| o.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// An environment variable that cargo always sets.
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("cargo sets {name} for build scripts"))
}

/// Sets an environment variable for the crate's `env!`.
fn set(name: &str, value: &str) {
    println!("cargo::rustc-env={name}={value}");
}
