//! The parent's side of a child process: starts it, receives its replies, and reports how it ended.

use super::protocol::{Job, Reply};
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Lines of output that are kept for the reason of a failure.
const TAIL_LINES: usize = 4;

/// Time limit of a child to exit after its last cell; drivers can hang in their exit handlers.
const GRACE: Duration = Duration::from_secs(10);

/// The measuring program: this one again, with a hidden command.
#[derive(Clone, Debug)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// The arguments that select the hidden command.
    pub arguments: Vec<String>,
}

/// How a child ended.
#[derive(Debug)]
pub(crate) enum ChildExit {
    /// It exited successfully.
    Ended,
    /// It crashed or was killed: exit status and last lines of output.
    Crashed(String),
    /// It exceeded this time limit and was killed.
    TimedOut(Duration),
}

/// A running child process, killed on drop.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    /// Open as long as this process lives; the child exits when it closes.
    _stdin: ChildStdin,
    replies: Receiver<Reply>,
    tail: OutputTail,
    stderr_reader: Option<JoinHandle<()>>,
}

/// The last lines of a child's output that are not replies.
type OutputTail = Arc<Mutex<VecDeque<String>>>;

impl Worker {
    /// Starts a child and sends it a job.
    pub(crate) fn start(program: &Program, job: &Job) -> io::Result<Self> {
        let mut child = Command::new(&program.path)
            .args(&program.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (Some(mut stdin), Some(output), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            unreachable!("stdin, stdout and stderr are piped");
        };
        let (sender, replies) = mpsc::channel();
        let tail = OutputTail::default();
        let stdout_tail = Arc::clone(&tail);
        std::thread::spawn(move || {
            each_line(output, |line| match serde_json::from_str(&line) {
                Ok(reply) => drop(sender.send(reply)),
                // Not a reply: some drivers print to standard output.
                Err(_) => push(&stdout_tail, line),
            });
        });
        let stderr_tail = Arc::clone(&tail);
        let stderr_reader = std::thread::spawn(move || each_line(errors, |line| push(&stderr_tail, line)));
        let mut line = serde_json::to_vec(job)?;
        line.push(b'\n');
        // Writing fails where the child is already dead; `next` then reports how it ended.
        let _ = stdin.write_all(&line).and_then(|()| stdin.flush());
        Ok(Self { child, _stdin: stdin, replies, tail, stderr_reader: Some(stderr_reader) })
    }

    /// Waits for the next reply; kills the child after `limit`.
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

    /// How the child ended, after it has closed its standard output.
    fn ended(&mut self) -> ChildExit {
        let closed = Instant::now();
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if closed.elapsed() < GRACE => std::thread::sleep(Duration::from_millis(5)),
                // It sent all replies and hangs in an exit handler: this is not a failure of a cell.
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

    /// The exit status and the last lines of output.
    fn exit_reason(&mut self, status: ExitStatus) -> String {
        if let Some(reader) = self.stderr_reader.take() {
            // A thread that only reads lines does not panic.
            let _ = reader.join();
        }
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<&str> = tail.iter().map(String::as_str).collect();
        let output = if lines.is_empty() {
            String::new()
        } else {
            format!("; its last output: {}", lines.join(" / "))
        };
        format!("the process that measured it ended with {status}{output}")
    }

    fn kill(&mut self) {
        // Both fail only if it is already dead and reaped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Calls `take` with every non-empty line of a stream; invalid UTF-8 is replaced.
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

fn push(tail: &OutputTail, line: String) {
    let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
    if tail.len() == TAIL_LINES {
        tail.pop_front();
    }
    tail.push_back(line);
}
