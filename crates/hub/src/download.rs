//! One file of a repository: received, continued after a break, and checked.
//!
//! A part of a file lies in `blobs/<checksum>.incomplete`, where `huggingface_hub` has it too. It gets its name only when
//! its length and its checksum are those that the server said.

use crate::client::repeat;
use crate::digest::{Digest, sha256};
use crate::http::{Answer, Failure, Http};
use crate::listing::Remote;
use crate::{Error, Event};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

/// A file to receive.
pub(crate) struct Download<'a> {
    pub(crate) http: &'a Http,
    pub(crate) address: String,
    /// The path in the repository, for messages.
    pub(crate) file: &'a str,
    pub(crate) remote: Remote,
    /// Where it is received.
    pub(crate) part: &'a Path,
    /// The first pause after a failure.
    pub(crate) pause: Duration,
}

impl Download<'_> {
    /// Receives the file into `part`, and returns its checksum. A part of an earlier process is continued.
    ///
    /// # Errors
    /// The server fails again and again, or its bytes are not those it said; the part is then deleted.
    pub(crate) fn run(&mut self, on: &mut dyn FnMut(Event<'_>)) -> Result<Digest, Error> {
        let mut continued = length(self.part)? > 0;
        loop {
            self.receive_all(on)?;
            let checked = self.check();
            // The part of an earlier process may be of something else.
            if matches!(checked, Err(Error::Checksum { .. })) && continued {
                continued = false;
                continue;
            }
            return checked;
        }
    }

    fn receive_all(&mut self, on: &mut dyn FnMut(Event<'_>)) -> Result<(), Error> {
        let have = length(self.part)?;
        if self.remote.bytes.is_some_and(|it| have > it) {
            self.discard()?;
        }
        let (file, pause) = (self.file, self.pause);
        let have = length(self.part)?;
        on(Event::Start { file, have, bytes: self.remote.bytes });
        if self.remote.bytes == Some(have) && have > 0 {
            return Ok(());
        }
        let mut longest = have;
        // Both closures report, and never at once.
        let on = std::cell::RefCell::new(on);
        repeat(
            pause,
            &mut |error, wait| (*on.borrow_mut())(Event::Retry { file, reason: error.to_string(), wait }),
            &mut || {
                let received = self.receive(&mut |bytes| (*on.borrow_mut())(Event::Received { bytes }));
                received.map_err(|failure| {
                    let now = length(self.part).unwrap_or_default();
                    let progress = now > longest;
                    longest = longest.max(now);
                    (failure, progress)
                })
            },
        )
    }

    /// One request: appends what the server sends.
    fn receive(&mut self, on_bytes: &mut dyn FnMut(u64)) -> Result<(), Failure> {
        let have = length(self.part).map_err(Failure::Fatal)?;
        let answer = self.http.get(&self.address, have)?;
        let Some(begin) = begin(&answer, have) else {
            self.discard().map_err(Failure::Fatal)?;
            return Err(self.broken(&answer, "the server does not continue where it should"));
        };
        let said = match answer.status {
            206 => answer.range().and_then(|(_, total)| total),
            _ => answer.length(),
        };
        self.remote.digest = self.remote.digest.take().or_else(|| Digest::parse(answer.etag()?));
        if let (Some(expected), Some(got)) = (self.remote.bytes, said)
            && expected != got
        {
            return Err(Failure::Retry(self.wrong_length(got), None));
        }
        let expected = self.remote.bytes.or(said);
        let mut out = self.open(begin).map_err(Failure::Fatal)?;
        let got = self.append(&mut out, answer, begin, expected, on_bytes)?;
        match expected {
            Some(expected) if got < expected => {
                let problem = format!("the connection ends after {got} of {expected} B");
                Err(Failure::Retry(Error::Connection { address: self.address.clone(), problem }, None))
            }
            _ => out.sync_all().map_err(|it| Failure::Fatal(self.io(it))),
        }
    }

    /// Writes a body at the end of the part, and returns the part's new length.
    fn append(
        &self,
        out: &mut File,
        mut answer: Answer,
        begin: u64,
        expected: Option<u64>,
        on_bytes: &mut dyn FnMut(u64),
    ) -> Result<u64, Failure> {
        let (mut at, mut buffer) = (begin, vec![0; 1 << 18]);
        on_bytes(at);
        loop {
            let n = match answer.body.read(&mut buffer) {
                Ok(0) => return Ok(at),
                Ok(n) => n,
                Err(error) => return Err(self.broken(&answer, &error.to_string())),
            };
            at += n as u64;
            if let Some(expected) = expected.filter(|it| at > *it) {
                self.discard().map_err(Failure::Fatal)?;
                return Err(Failure::Fatal(Error::Length { file: self.file.to_owned(), got: at, expected }));
            }
            out.write_all(&buffer[..n]).map_err(|it| Failure::Fatal(self.io(it)))?;
            on_bytes(at);
        }
    }

    /// The part, for writing at its end, which is at `begin`.
    fn open(&self, begin: u64) -> Result<File, Error> {
        let opened = OpenOptions::new().create(true).append(true).open(self.part);
        opened.and_then(|it| it.set_len(begin).map(|()| it)).map_err(|it| self.io(it))
    }

    /// Compares length and checksum with what the server said. A wrong part is deleted.
    fn check(&self) -> Result<Digest, Error> {
        let bytes = length(self.part)?;
        if let Some(expected) = self.remote.bytes.filter(|it| *it != bytes) {
            self.discard()?;
            return Err(Error::Length { file: self.file.to_owned(), got: bytes, expected });
        }
        let Some(expected) = &self.remote.digest else {
            return File::open(self.part).and_then(sha256).map_err(|it| self.io(it));
        };
        let found = expected.of_file(self.part).map_err(|it| self.io(it))?;
        if found == *expected {
            return Ok(found);
        }
        self.discard()?;
        let (found, expected) = (found.hex().to_owned(), expected.hex().to_owned());
        Err(Error::Checksum { file: self.file.to_owned(), found, expected })
    }

    fn discard(&self) -> Result<(), Error> {
        match fs::remove_file(self.part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.io(error)),
            _ => Ok(()),
        }
    }

    fn wrong_length(&self, got: u64) -> Error {
        Error::Length { file: self.file.to_owned(), got, expected: self.remote.bytes.unwrap_or_default() }
    }

    fn broken(&self, answer: &Answer, problem: &str) -> Failure {
        Failure::Retry(
            Error::Connection { address: answer.address.clone(), problem: problem.to_owned() },
            None,
        )
    }

    fn io(&self, source: io::Error) -> Error {
        Error::Io { path: self.part.to_owned(), source }
    }
}

/// The byte at which an answer begins, if it fits to a part of `have` bytes. Some servers send the whole file.
fn begin(answer: &Answer, have: u64) -> Option<u64> {
    match answer.status {
        200 => Some(0),
        206 => answer.range().map(|(begin, _)| begin).filter(|it| *it == have),
        _ => None,
    }
}

/// The length of a file; 0 where there is none.
fn length(path: &Path) -> Result<u64, Error> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(source) => Err(Error::Io { path: path.to_owned(), source }),
    }
}
