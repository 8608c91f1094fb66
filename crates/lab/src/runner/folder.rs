//! A folder of results: `journal.jsonl`, its reports, and a lock against concurrent runs.

use super::Error;
use crate::provenance;
use ridgeline_experiment::journal::{self, Journal};
use ridgeline_experiment::record::Record;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Name of the journal in its folder.
pub const JOURNAL: &str = "journal.jsonl";

/// A results folder, locked by this process.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    journal: Option<Journal>,
    /// Holds the lock; the system releases it when this process ends.
    _lock: File,
}

impl Folder {
    /// Creates the folder if it is missing, and locks it.
    ///
    /// It retries for a second, because a killed run may not have exited yet.
    ///
    /// # Errors
    /// [`ridgeline_experiment::Error::JournalBusy`] while another run holds the lock.
    pub fn open(path: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(path).map_err(at(path))?;
        let lock_path = path.join(".lock");
        let lock = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(at(&lock_path))?;
        for _ in 0..20 {
            match lock.try_lock() {
                Ok(()) => return Ok(Self { path: path.to_owned(), journal: None, _lock: lock }),
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(50)),
                Err(TryLockError::Error(source)) => return Err(Error::Io { path: lock_path, source }),
            }
        }
        Err(ridgeline_experiment::Error::JournalBusy { path: path.to_owned() }.into())
    }

    /// Path of the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Renames an earlier journal, so that the next one starts empty; returns its new path.
    ///
    /// # Errors
    /// Where it cannot be renamed.
    pub fn put_aside(&mut self) -> Result<Option<PathBuf>, Error> {
        let path = self.path.join(JOURNAL);
        if !path.exists() {
            return Ok(None);
        }
        let stamp = provenance::run_id();
        let aside = self.path.join(format!("journal-until-{stamp}.jsonl"));
        std::fs::rename(&path, &aside).map_err(at(&path))?;
        Ok(Some(aside))
    }

    /// Opens the journal for appending.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn start_journal(&mut self) -> Result<(), Error> {
        self.journal = Some(Journal::open(&self.path.join(JOURNAL))?);
        Ok(())
    }

    /// The records so far; none before [`Folder::start_journal`].
    #[must_use]
    pub fn records(&self) -> &[Record] {
        self.journal.as_ref().map_or(&[], Journal::records)
    }

    /// Appends a record and flushes it to disk.
    ///
    /// # Errors
    /// As [`Journal::append`].
    ///
    /// # Panics
    /// Before [`Folder::start_journal`].
    pub fn append(&mut self, record: Record) -> Result<(), Error> {
        let journal = self.journal.as_mut().expect("start_journal is called before append");
        Ok(journal.append(record)?)
    }
}

/// The records of a folder of results, or of a journal file itself.
///
/// # Errors
/// [`Error::NoJournal`] where there is none; as [`journal::read`] otherwise.
pub fn records(path: &Path) -> Result<Vec<Record>, Error> {
    let file = if path.is_dir() { path.join(JOURNAL) } else { path.to_owned() };
    if !file.exists() {
        return Err(Error::NoJournal { path: path.to_owned() });
    }
    Ok(journal::read(&file)?)
}

/// Writes a file under a temporary name and renames it, so that no reader sees a partial file.
///
/// # Errors
/// Where it cannot be written.
pub fn write(path: &Path, text: &str) -> Result<(), Error> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let temporary = path.with_file_name(name);
    std::fs::write(&temporary, text).map_err(at(&temporary))?;
    std::fs::rename(&temporary, path).map_err(at(path))
}

/// An [`Error::Io`] at a path.
fn at(path: &Path) -> impl FnOnce(io::Error) -> Error + '_ {
    move |source| Error::Io { path: path.to_owned(), source }
}
