//! Shared memory-mapped files: the only `unsafe` of this crate.

use std::{fs::File, path::Path, sync::Arc};

use memmap2::Mmap;

use crate::Error;

/// A read-only mapping of a whole file; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Map(Option<Arc<Mmap>>);

impl Map {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let io = |source| Error::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if metadata.is_dir() {
            return Err(io(std::io::ErrorKind::IsADirectory.into()));
        }
        // Some systems cannot map an empty file.
        if metadata.len() == 0 {
            return Ok(Self(None));
        }
        #[expect(unsafe_code, reason = "weights are borrowed from the page cache")]
        // SAFETY: the mapping is read-only. As in every program that maps a model, the file must not be truncated or
        // rewritten while it is open.
        let map = unsafe { Mmap::map(&file) }.map_err(io)?;
        Ok(Self(Some(Arc::new(map))))
    }
}

impl AsRef<[u8]> for Map {
    fn as_ref(&self) -> &[u8] {
        self.0.as_deref().map_or(&[], |it| &it[..])
    }
}
