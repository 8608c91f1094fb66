//! Another engine in a process of its own, asked for its speed turn by turn with ours.

use ridgeline_measure::Error;
use serde::Deserialize;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const SCRIPT: &str = include_str!("peer.py");

/// Tokens per second of the other engine.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Rates {
    /// Reading 64 tokens at once.
    pub pp64: f64,
    /// Generating 16, one by one.
    pub tg16: f64,
}

/// llama.cpp on the processor, through its Python package `llama-cpp-python`.
#[derive(Debug)]
pub(crate) struct Peer {
    child: Child,
    ask: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// Opens a GGUF file in the other engine; `python` is an interpreter that has the package.
    pub(crate) fn open(python: &Path, file: &Path) -> Result<Self, Error> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).to_string();
        let mut command = Command::new(python);
        command.arg("-c").arg(SCRIPT).arg(file).arg(threads);
        // It runs as it would by itself, and not with this program's settings of the C library.
        command.env_remove("GLIBC_TUNABLES");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child =
            command.spawn().map_err(|source| broken(format!("{}: {source}", python.display())))?;
        let (ask, answers) = (child.stdin.take(), child.stdout.take());
        let answers = BufReader::new(answers.ok_or_else(|| broken("it has no output".to_owned()))?);
        Ok(Self { child, ask, answers })
    }

    /// Its speed, once.
    pub(crate) fn rates(&mut self) -> Result<Rates, Error> {
        let told = self.ask.as_mut().map(|ask| ask.write_all(b"go\n").and_then(|()| ask.flush()));
        if !matches!(told, Some(Ok(()))) {
            return Err(broken("it ended".to_owned()));
        }
        let mut line = String::new();
        let read = self.answers.read_line(&mut line);
        match read {
            Ok(n) if n > 0 => serde_json::from_str(&line).map_err(|error| broken(format!("{error}: {line}"))),
            _ => Err(broken(
                "it ended; is llama-cpp-python installed there, and built for this processor?".to_owned(),
            )),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It ends when nobody can ask any more; one that does not is ended.
        self.ask.take();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn broken(reason: String) -> Error {
    Error::Peer { reason }
}
