//! Checksums of files: the SHA-256 of Git LFS, and Git's SHA-1 of small files.
//!
//! Git hashes `blob <length>\0` and the content: <https://git-scm.com/book/en/v2/Git-Internals-Git-Objects>.

use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// A checksum, in lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Digest {
    /// SHA-256 of the content.
    Sha256(String),
    /// SHA-1 of Git's object.
    Git(String),
}

impl Digest {
    /// Reads the checksum in an `ETag` header or a listing. `None` where the text is no checksum.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches("W/").trim_matches('"').to_ascii_lowercase();
        match text.len() {
            _ if !text.bytes().all(|it| it.is_ascii_hexdigit()) => None,
            64 => Some(Self::Sha256(text)),
            40 => Some(Self::Git(text)),
            _ => None,
        }
    }

    /// The digits.
    pub(crate) fn hex(&self) -> &str {
        match self {
            Self::Sha256(hex) | Self::Git(hex) => hex,
        }
    }

    /// The checksum of the same kind of a file.
    pub(crate) fn of_file(&self, path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        match self {
            Self::Sha256(_) => sha256(file),
            Self::Git(_) => {
                let mut hasher = Sha1::new();
                hasher.update(format!("blob {}\0", file.metadata()?.len()));
                Ok(Self::Git(hashed(hasher, file)?))
            }
        }
    }
}

/// The SHA-256 of a file.
pub(crate) fn sha256(file: File) -> io::Result<Digest> {
    hashed(Sha256::new(), file).map(Digest::Sha256)
}

fn hashed(mut hasher: impl sha2::Digest, mut file: File) -> io::Result<String> {
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_git_and_of_lfs() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("f");
        std::fs::write(&path, "hello\n").expect("a file");
        // `printf 'hello\n' | git hash-object --stdin` and `| sha256sum`.
        let git = "ce013625030ba8dba906f756967f9e9ca394464a";
        let lfs = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        for (text, hex) in [(git.to_owned(), git), (format!("W/\"{}\"", lfs.to_uppercase()), lfs)] {
            let digest = Digest::parse(&text).expect("a checksum");
            assert_eq!(digest.of_file(&path).expect("it reads").hex(), hex);
            assert_eq!(digest.hex(), hex);
        }
        for text in ["", "\"5f0\"", &"g".repeat(40), "ce013625030ba8dba906f756967f9e9ca394464a-3"] {
            assert_eq!(Digest::parse(text), None, "{text}");
        }
    }
}
