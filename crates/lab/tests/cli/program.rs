//! Runs `ridgeline` and captures its output.

use serde_json::Value;
use std::fmt::Debug;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Exit code and output of a finished process.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    /// Asserts success and returns stdout.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}", self.stderr);
        self.stdout
    }

    /// Asserts success and returns stdout as JSON.
    #[track_caller]
    pub(crate) fn json(self) -> Value {
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Asserts the exit code, a clean message with all parts, and an empty stdout.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, code, "{}", self.stderr);
        assert_eq!(self.stdout, "", "errors go to stderr");
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} is not in: {}", self.stderr);
        }
        for ugly in ["panicked", "RUST_BACKTRACE", "Error {", "Some(", "Caused by"] {
            assert!(!self.stderr.contains(ugly), "{ugly:?} is in: {}", self.stderr);
        }
    }
}

/// The command, without the variables of the tests' environment that change its behaviour.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ridgeline"));
    command.args(arguments).env_remove("RIDGELINE_ROOT").env_remove("RIDGELINE_LOG");
    // Mesa's device-select layer writes to stderr where there is no desktop.
    command.env("NODEVICE_SELECT", "1").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the command to its end, with `--no-install`.
pub(crate) fn ridgeline(arguments: &[&str]) -> Done {
    finish(command(arguments).arg("--no-install"))
}

/// As [`ridgeline`] on the CPU device.
pub(crate) fn on_cpu(arguments: &[&str]) -> Done {
    ridgeline(&[arguments, &["--device", "cpu"]].concat())
}

/// Runs the command with a text on stdin.
pub(crate) fn with_stdin(arguments: &[&str], text: &[u8]) -> Done {
    let mut child = command(arguments).stdin(Stdio::piped()).spawn().expect("the program starts");
    child.stdin.take().expect("piped").write_all(text).expect("it reads");
    done(child.wait_with_output().expect("it ends"))
}

pub(crate) fn finish(command: &mut Command) -> Done {
    done(command.output().expect("the program starts"))
}

fn done(output: std::process::Output) -> Done {
    let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
    Done {
        code: output.status.code().expect("it was not killed"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// Asserts that one of five measurements meets a condition, because other programs can disturb a measurement.
#[track_caller]
pub(crate) fn one_of_five<T: Debug>(measure: impl Fn() -> T, holds: impl Fn(&T) -> bool) {
    let mut all = Vec::new();
    while all.len() < 5 {
        let measured = measure();
        if holds(&measured) {
            return;
        }
        all.push(measured);
    }
    panic!("none of five measurements: {all:?}");
}

/// A file of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The folder of the original weights in F32.
pub(crate) fn originals() -> PathBuf {
    let shared = std::env::var_os("RIDGELINE_SHARED").map_or_else(|| repository("../shared"), PathBuf::from);
    shared.join("models")
}

/// Token ids of a JSON array.
#[track_caller]
pub(crate) fn ids(value: &Value) -> Vec<u64> {
    value.as_array().expect("an array").iter().map(|id| id.as_u64().expect("an id")).collect()
}
