//! llama.cpp in a child process, for interleaved speed comparisons.

use ridgeline_measure::Error;
use serde::Deserialize;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const SCRIPT: &str = include_str!("peer.py");

/// llama.cpp's speed in tokens per second.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Rates {
    /// Prompt processing of 64 tokens in one batch.
    pub pp64: f64,
    /// Generation of 16 tokens.
    pub tg16: f64,
}

/// llama.cpp on the CPU, through the Python package `llama-cpp-python`.
#[derive(Debug)]
pub(crate) struct Peer {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// Opens a GGUF file in llama.cpp; `python` is an interpreter that has the package.
    pub(crate) fn open(python: &Path, file: &Path) -> Result<Self, Error> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).to_string();
        let mut command = Command::new(python);
        command.arg("-c").arg(SCRIPT).arg(file).arg(threads);
        // `bin/ridgeline.rs` sets this for our own process; llama.cpp runs with the system's defaults.
        command.env_remove("GLIBC_TUNABLES");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child =
            command.spawn().map_err(|source| broken(format!("{}: {source}", python.display())))?;
        let (requests, answers) = (child.stdin.take(), child.stdout.take());
        let answers = BufReader::new(answers.ok_or_else(|| broken("its stdout is not piped".to_owned()))?);
        Ok(Self { child, requests, answers })
    }

    /// Measures both speeds once.
    pub(crate) fn rates(&mut self) -> Result<Rates, Error> {
        let sent = self.requests.as_mut().map(|pipe| pipe.write_all(b"go\n").and_then(|()| pipe.flush()));
        if !matches!(sent, Some(Ok(()))) {
            return Err(broken("its process exited".to_owned()));
        }
        let mut line = String::new();
        let read = self.answers.read_line(&mut line);
        match read {
            Ok(n) if n > 0 => serde_json::from_str(&line).map_err(|error| broken(format!("{error}: {line}"))),
            _ => Err(broken(
                "its process exited; check that llama-cpp-python is installed and built for this CPU"
                    .to_owned(),
            )),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The script exits at the end of its stdin. Kill it in case it hangs.
        self.requests.take();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn broken(reason: String) -> Error {
    Error::Peer { reason }
}
