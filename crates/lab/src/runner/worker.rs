//! The parent's side of one child process: starting it, hearing it, and learning how it died.

use super::protocol::{Job, Reply};
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Lines of standard error that are kept for the reason of a failure.
const LAST_WORDS: usize = 4;

/// Longest that a child may take to end after its last cell; drivers can hang in their exit handlers.
const GRACE: Duration = Duration::from_secs(10);

/// A program that answers jobs: this one again, with a hidden command.
#[derive(Clone, Debug)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// The arguments that make it a child.
    pub arguments: Vec<String>,
}

/// Why a child says nothing more.
#[derive(Debug)]
pub(crate) enum ChildExit {
    /// It ended by itself, and well.
    Ended,
    /// It crashed or was killed: how, and its last words.
    Crashed(String),
    /// It was still at work after so long, and has been killed.
    TimedOut(Duration),
}

/// A child process at work. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    /// Open as long as this process lives: its end tells the child to end.
    _lifeline: ChildStdin,
    replies: Receiver<Reply>,
    words: OutputTail,
    listener: Option<JoinHandle<()>>,
}

/// The last lines a child printed that are no replies.
type OutputTail = Arc<Mutex<VecDeque<String>>>;

impl Worker {
    /// Starts a child on a job.
    pub(crate) fn start(program: &Program, job: &Job) -> io::Result<Self> {
        let mut child = Command::new(&program.path)
            .args(&program.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (Some(mut lifeline), Some(output), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            unreachable!("all three were asked for");
        };
        let (sender, replies) = mpsc::channel();
        let words = OutputTail::default();
        let heard = Arc::clone(&words);
        std::thread::spawn(move || {
            each_line(output, |line| match serde_json::from_str(&line) {
                Ok(reply) => drop(sender.send(reply)),
                // Not ours: a driver that prints where it should not.
                Err(_) => remember(&heard, line),
            });
        });
        let heard = Arc::clone(&words);
        let listener = std::thread::spawn(move || each_line(errors, |line| remember(&heard, line)));
        let mut line = serde_json::to_vec(job)?;
        line.push(b'\n');
        // A child that is dead already cannot be written to; its silence will say how it died.
        let _ = lifeline.write_all(&line).and_then(|()| lifeline.flush());
        Ok(Self { child, _lifeline: lifeline, replies, words, listener: Some(listener) })
    }

    /// The next reply, awaited no longer than `limit`.
    pub(crate) fn next(&mut self, limit: Duration) -> Result<Reply, ChildExit> {
        match self.replies.recv_timeout(limit) {
            Ok(reply) => Ok(reply),
            Err(RecvTimeoutError::Timeout) => {
                self.kill();
                Err(ChildExit::TimedOut(limit))
            }
            Err(RecvTimeoutError::Disconnected) => Err(self.ended()),
        }
    }

    /// How a child ended that has closed its standard output.
    fn ended(&mut self) -> ChildExit {
        let patience = Instant::now();
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if patience.elapsed() < GRACE => std::thread::sleep(Duration::from_millis(5)),
                // It has said all it had to say and hangs in an exit handler: that is no failure of a cell.
                Ok(None) | Err(_) => break None,
            }
        };
        match status {
            Some(status) if !status.success() => ChildExit::Crashed(self.exit_reason(status)),
            Some(_) => ChildExit::Ended,
            None => {
                self.kill();
                ChildExit::Ended
            }
        }
    }

    /// How it ended and what it said last.
    fn exit_reason(&mut self, status: ExitStatus) -> String {
        if let Some(listener) = self.listener.take() {
            // A thread that only reads lines does not panic.
            let _ = listener.join();
        }
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let said = if words.is_empty() { String::new() } else { format!("; it said: {}", words.join(" / ")) };
        format!("the process that measured it ended with {status}{said}")
    }

    fn kill(&mut self) {
        // Both fail only where it is dead and reaped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Every non-empty line of a stream, whatever its encoding, until it ends.
fn each_line(stream: impl Read, mut take: impl FnMut(String)) {
    let mut stream = BufReader::new(stream);
    let mut bytes = Vec::new();
    while matches!(stream.read_until(b'\n', &mut bytes), Ok(n) if n > 0) {
        let line = String::from_utf8_lossy(&bytes).trim().to_owned();
        if !line.is_empty() {
            take(line);
        }
        bytes.clear();
    }
}

fn remember(words: &OutputTail, line: String) {
    let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
    if words.len() == LAST_WORDS {
        words.pop_front();
    }
    words.push_back(line);
}
