//! The error type. Every variant has the name, the file or the address.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a model is not found or not fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is no name.
    #[error("{name:?}: {problem}; write it as user/model or user/model:QUANT")]
    Name {
        /// The text.
        name: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// The model is not in the cache.
    #[error(
        "{name} is not in the cache {folder}; fetch it with `ridgeline fetch {name}`, or give -hf {name} in place of -m",
        folder = folder.display()
    )]
    NotCached {
        /// The name.
        name: String,
        /// The cache.
        folder: PathBuf,
    },
    /// No file has the quantization.
    #[error("{repo} has no {selection} file; it has: {files}")]
    NoFile {
        /// The repository.
        repo: String,
        /// The quantization or file.
        selection: String,
        /// The GGUF files there are.
        files: String,
    },
    /// The repository has no weights that can be read.
    #[error("{repo} has no weights that can be read: {problem}")]
    NoWeights {
        /// The repository.
        repo: String,
        /// What it has.
        problem: String,
    },
    /// The repository has a part of a split file, but not another one.
    #[error("{repo}: the part {file} of a split file is missing")]
    NoPart {
        /// The repository.
        repo: String,
        /// The part.
        file: String,
    },
    /// The user's home folder is not known.
    #[error("the home folder is not known; set HF_HUB_CACHE to the folder of the cache")]
    NoHome,
    /// A file cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// An environment variable or a flag is not valid.
    #[error("{variable}: {problem}")]
    Setting {
        /// The variable.
        variable: String,
        /// What is wrong.
        problem: String,
    },
    /// The server wants another token, or a license to be accepted.
    #[error(
        "{address}: the server denies access ({status}{message}); accept the model's terms on its page, and set HF_TOKEN to a token that may read it"
    )]
    Denied {
        /// The address.
        address: String,
        /// The HTTP status.
        status: u16,
        /// The server's words, after a comma, or nothing.
        message: String,
    },
    /// The repository, revision or file does not exist.
    #[error(
        "{address}: not found (404{message}); check the spelling and case of user/model, and whether it needs HF_TOKEN"
    )]
    Missing {
        /// The address.
        address: String,
        /// The server's words, after a comma, or nothing.
        message: String,
    },
    /// The server allows no more requests for a time.
    #[error("{address}: too many requests (429); try again in {} s", wait.as_secs())]
    Busy {
        /// The address.
        address: String,
        /// The time that the server names.
        wait: Duration,
    },
    /// The server answers with another status than success.
    #[error("{address}: the server answers {status}{message}; try again later")]
    Status {
        /// The address.
        address: String,
        /// The HTTP status.
        status: u16,
        /// The server's words, after a comma, or nothing.
        message: String,
    },
    /// The server cannot be reached, or the connection breaks.
    #[error(
        "{address}: {problem}; check the network, HF_ENDPOINT and HTTPS_PROXY, and try again to continue"
    )]
    Connection {
        /// The address.
        address: String,
        /// The reason.
        problem: String,
    },
    /// The answer is not what the Hub's interface says.
    #[error("{address}: {problem}; HF_ENDPOINT must be a server with the Hub's interface")]
    Answer {
        /// The address.
        address: String,
        /// What is wrong.
        problem: String,
    },
    /// A file has another length than the server said.
    #[error("{file}: the server sends {got} B in place of {expected} B; nothing of it is used, try again")]
    Length {
        /// The file.
        file: String,
        /// The length received.
        got: u64,
        /// The length said.
        expected: u64,
    },
    /// A file has another checksum than the server said.
    #[error(
        "{file}: its checksum is {found}, and the server said {expected}; the file is deleted, try again"
    )]
    Checksum {
        /// The file.
        file: String,
        /// The checksum of what was received.
        found: String,
        /// The checksum said.
        expected: String,
    },
    /// No network may be used, and the model is not in the cache.
    #[error("HF_HUB_OFFLINE or --offline is set, and {source}")]
    Offline {
        /// What is missing.
        source: Box<Self>,
    },
}

impl Error {
    /// Whether the command line is wrong, as opposed to a server or a file.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Name { .. } | Self::NotCached { .. } | Self::NoFile { .. } | Self::Setting { .. }
        )
    }
}
