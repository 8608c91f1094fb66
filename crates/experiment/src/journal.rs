//! The journal: an append-only JSONL file, flushed to disk after every line, so that it survives a kill.
//!
//! A killed run leaves at most one torn last line. Opening for append truncates it; reading ignores it. Damage
//! anywhere else is an error.

use crate::record::{Build, Record, SCHEMA, Status};
use crate::upgrade::{self, SCHEMA_1, SCHEMA_2};
use crate::{Error, canonical};
use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A journal open for appending, locked against a second writer.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    records: Vec<Record>,
}

impl Journal {
    /// Opens or creates a journal, and reads its records.
    ///
    /// # Errors
    /// [`Error::JournalBusy`] while another process has it open, [`Error::JournalSchema`] for an unknown schema,
    /// [`Error::JournalLine`] where it is damaged, [`Error::Io`] otherwise.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let io = || Error::io(path);
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(path).map_err(io())?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::JournalBusy { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(Error::Io { path: path.to_owned(), source }),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io())?;
        let (records, valid) = parse(path, &bytes)?;
        if valid < bytes.len() {
            file.set_len(valid as u64).map_err(io())?;
        }
        file.seek(SeekFrom::End(0)).map_err(io())?;
        // A last line that is whole but for its newline is kept.
        if valid > 0 && bytes[valid - 1] != b'\n' {
            file.write_all(b"\n").map_err(io())?;
        }
        file.sync_data().map_err(io())?;
        Ok(Self { path: path.to_owned(), file, records })
    }

    /// Appends one record and flushes it to disk.
    ///
    /// # Errors
    /// [`Error::JournalSchema`] where the record carries another schema, [`Error::Json`] or [`Error::Io`]
    /// where it cannot be written.
    pub fn append(&mut self, record: Record) -> Result<(), Error> {
        if record.schema != SCHEMA {
            let line = self.records.len() + 1;
            return Err(schema(&self.path, line, record.schema));
        }
        let mut line = serde_json::to_vec(&record).map_err(Error::json("journal record"))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(Error::io(&self.path))?;
        self.file.sync_data().map_err(Error::io(&self.path))?;
        self.records.push(record);
        Ok(())
    }

    /// Every record, in the order written.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Path of the journal file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Reads every record of a journal without locking it; a torn last line is ignored.
///
/// # Errors
/// As [`Journal::open`], but never [`Error::JournalBusy`].
pub fn read(path: &Path) -> Result<Vec<Record>, Error> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    Ok(parse(path, &bytes)?.0)
}

/// The newest record of every cell on every machine, in order of first appearance.
///
/// An older success does not hide a newer failure, nor the reverse.
#[must_use]
pub fn newest(records: &[Record]) -> Vec<&Record> {
    let mut places: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut kept: Vec<&Record> = Vec::new();
    for record in records {
        let places = places.entry(record.cell_id.as_str()).or_default();
        match places.iter().find(|&&at| kept[at].machine == record.machine) {
            Some(&at) => kept[at] = record,
            None => {
                places.push(kept.len());
                kept.push(record);
            }
        }
    }
    kept
}

/// The newest record of every cell and machine, if it is ok, in order of first appearance.
#[must_use]
pub fn last_ok(records: &[Record]) -> Vec<&Record> {
    newest(records).into_iter().filter(|r| r.status == Status::Ok).collect()
}

/// The visits of every cell on every machine: its ok records in order of time, of one build and one model file.
///
/// Of several builds, the newest that measured the point counts. A cell has no visits if it failed twice in a row at
/// last, or if a newer build has only failed. So an older success does not hide a newer failure.
#[must_use]
pub fn visits<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<Vec<&'a Record>> {
    let mut index: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut cells: Vec<Vec<&Record>> = Vec::new();
    let mut last = None;
    for record in records {
        last = Some(&record.build);
        let places = index.entry(point_key(record)).or_default();
        match places.iter().find(|&&at| cells[at][0].machine == record.machine) {
            Some(&at) => cells[at].push(record),
            None => {
                places.push(cells.len());
                cells.push(vec![record]);
            }
        }
    }
    cells.into_iter().map(|cell| counting(cell, last)).filter(|cell| !cell.is_empty()).collect()
}

/// The records of a cell that count; see [`visits`].
fn counting<'a>(mut cell: Vec<&'a Record>, last: Option<&Build>) -> Vec<&'a Record> {
    let ok = |r: &&Record| r.status == Status::Ok;
    let failed = cell.iter().rev().take_while(|r| !ok(r)).count();
    let newest_failed = cell.last().filter(|r| !ok(r)).map(|r| &r.build);
    cell.retain(ok);
    cell.sort_by(|a, b| a.started_utc.cmp(&b.started_utc));
    let own = cell.iter().any(|r| Some(&r.build) == last);
    let build = if own { last } else { cell.last().map(|r| &r.build) };
    if failed > 1 || newest_failed.is_some_and(|it| Some(it) != build) {
        return Vec::new();
    }
    let model = cell.last().and_then(|r| r.model.clone());
    cell.retain(|r| Some(&r.build) == build && r.model == model);
    cell
}

/// The newest record of every cell and machine, if it is not ok, in order of first appearance.
#[must_use]
pub fn not_ok(records: &[Record]) -> Vec<&Record> {
    newest(records).into_iter().filter(|r| r.status != Status::Ok).collect()
}

/// The union of journals, such as those of all shards: every record once, sorted by start time.
#[must_use]
pub fn merge(journals: Vec<Vec<Record>>) -> Vec<Record> {
    let mut seen = HashSet::new();
    let mut all: Vec<Record> = journals
        .into_iter()
        .flatten()
        .filter(|r| seen.insert((r.run_id.clone(), r.cell_id.clone(), r.visit, r.started_utc.clone())))
        .collect();
    all.sort_by(|a, b| a.started_utc.cmp(&b.started_utc));
    all
}

/// Writes records as a new journal: to a temporary file, then renamed, so that no reader sees a partial file.
///
/// # Errors
/// [`Error::Io`] or [`Error::Json`].
pub fn write(path: &Path, records: &[Record]) -> Result<(), Error> {
    let mut text = String::new();
    for record in records {
        text += &serde_json::to_string(record).map_err(Error::json("journal record"))?;
        text.push('\n');
    }
    let temporary = path.with_extension("partial");
    let mut file = File::create(&temporary).map_err(Error::io(&temporary))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_data()).map_err(Error::io(&temporary))?;
    std::fs::rename(&temporary, path).map_err(Error::io(path))
}

/// Key of a record's point: equal for records of two journals whatever their budgets.
#[must_use]
pub fn point_key(record: &Record) -> String {
    format!("{} {}", record.measure, canonical::canonical(&record.point))
}

/// The records of a file, and the length in bytes up to a torn last line.
fn parse(path: &Path, bytes: &[u8]) -> Result<(Vec<Record>, usize), Error> {
    let mut records = Vec::new();
    let mut valid = 0;
    for (i, line) in bytes.split_inclusive(|&b| b == b'\n').enumerate() {
        let complete = line.ends_with(b"\n");
        if line.trim_ascii().is_empty() {
            valid += if complete { line.len() } else { 0 };
            continue;
        }
        match parse_line(path, i + 1, line) {
            Ok(parsed) => records.extend(parsed),
            Err(Error::JournalLine { .. }) if !complete => break,
            Err(error) => return Err(error),
        }
        valid += line.len();
    }
    Ok((records, valid))
}

/// The records of one line: one, or several where an earlier schema had a row of several measures.
///
/// The schema is read first, because the other keys depend on it.
fn parse_line(path: &Path, line: usize, text: &[u8]) -> Result<Vec<Record>, Error> {
    let bad = |source| Error::JournalLine { path: path.to_owned(), line, source };
    let mut value: serde_json::Value = serde_json::from_slice(text).map_err(bad)?;
    match value.get("schema").and_then(|s| s.as_str()).unwrap_or("none") {
        SCHEMA => return Ok(vec![serde_json::from_value(value).map_err(bad)?]),
        SCHEMA_1 => upgrade::from_schema_1(&mut value),
        SCHEMA_2 => {}
        found => return Err(schema(path, line, found.to_owned())),
    }
    upgrade::from_schema_2(value)
        .into_iter()
        .map(|value| serde_json::from_value(value).map_err(bad))
        .collect()
}

fn schema(path: &Path, line: usize, found: String) -> Error {
    Error::JournalSchema { path: path.to_owned(), line, found, expected: SCHEMA }
}
