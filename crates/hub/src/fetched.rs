//! What a fetch yields.

use crate::Found;

/// A file of a fetched model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedFile {
    /// The path in the repository.
    pub file: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256, or Git's SHA-1 of a small file, in hexadecimal digits. `None` for a file that was there without one.
    pub checksum: Option<String>,
    /// Whether it was downloaded now.
    pub downloaded: bool,
}

/// A fetched model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Where it is.
    pub found: Found,
    /// The commit. `None` without the server.
    pub commit: Option<String>,
    /// Its files. Empty without the server.
    pub files: Vec<FetchedFile>,
}
