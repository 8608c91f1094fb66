//! Errors outside a measurement: files, matrices, filters and names.

use std::path::{Path, PathBuf};

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read, written or locked.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// Another process is writing this journal.
    #[error("{path} is being written by another run; wait for it or choose another folder with --out")]
    JournalBusy {
        /// The journal.
        path: PathBuf,
    },
    /// A journal holds records of another schema.
    #[error(
        "{path}, line {line}: schema {found} is not supported, this program writes {expected}; start a new journal with --fresh"
    )]
    JournalSchema {
        /// The journal.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// The schema of the line.
        found: String,
        /// The schema that this program writes.
        expected: &'static str,
    },
    /// A complete line is not a record: the file was damaged, not merely cut short.
    #[error(
        "{path}, line {line}: not a journal record ({source}); repair the line or start a new journal with --fresh"
    )]
    JournalLine {
        /// The journal.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// The parser's error.
        source: serde_json::Error,
    },
    /// A value could not be converted to or from JSON.
    #[error("{what}: {source}")]
    Json {
        /// The value that was converted.
        what: String,
        /// The parser's error.
        source: serde_json::Error,
    },
    /// A TOML file does not parse.
    #[error("{path}: {source}")]
    Toml {
        /// The file.
        path: PathBuf,
        /// The parser's error.
        source: Box<toml::de::Error>,
    },
    /// An axis lists no values, so the matrix would silently be empty.
    #[error("axis {axis} of measure {measure} has no values; list at least one")]
    EmptyAxis {
        /// The measure.
        measure: String,
        /// The axis.
        axis: String,
    },
    /// An error in a group of a matrix file.
    #[error("{path}, line {line}: {source}")]
    InMatrix {
        /// The matrix file.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// The error.
        source: Box<Self>,
    },
    /// A matrix or a claim names an experiment of no study.
    #[error("no experiment is called {id:?}; there are {known}")]
    UnknownStudy {
        /// The id given.
        id: String,
        /// The known ids, comma-separated.
        known: String,
    },
    /// A matrix names a model that does not exist.
    #[error("{reason}")]
    UnknownModel {
        /// The name given, which the reason repeats.
        name: String,
        /// Why it cannot be opened.
        reason: String,
    },
    /// A claim compares a value that no experiment produces.
    #[error("claim {claim} compares the value {value:?}, which experiment {study} does not produce")]
    UnknownValue {
        /// The claim.
        claim: String,
        /// The value.
        value: String,
        /// The experiment of the claim.
        study: String,
    },
    /// A budget whose values contradict each other.
    #[error(
        "budget of measure {measure} has min_reps {min_reps}, max_reps {max_reps}, budget_s {budget_s}; \
         1 <= min_reps <= max_reps and a finite budget_s > 0 are required"
    )]
    BadBudget {
        /// The measure.
        measure: String,
        /// Fewest timed repetitions.
        min_reps: u32,
        /// Most timed repetitions.
        max_reps: u32,
        /// Seconds.
        budget_s: f64,
    },
    /// A matrix names a measure that is not in the list.
    #[error("no measure is called {name:?}; there are {known}")]
    UnknownMeasure {
        /// The name in the matrix.
        name: String,
        /// The known names, comma-separated.
        known: String,
    },
    /// A filter is not a regular expression.
    #[error("--filter {pattern:?} is not a regular expression: {source}")]
    Filter {
        /// The pattern.
        pattern: String,
        /// The parser's error.
        source: regex::Error,
    },
    /// A shard is not `I/N` with `1 ≤ I ≤ N`.
    #[error("--shard {text:?} is not I/N with I from 1 to N")]
    Shard {
        /// The value given.
        text: String,
    },
    /// No file of published numbers has this claim or table.
    #[error("no published {kind} is called {id:?}")]
    UnknownPublished {
        /// "claim" or "table".
        kind: &'static str,
        /// The id asked for.
        id: String,
    },
}

impl Error {
    /// An [`Error::Io`] at a path.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    /// An [`Error::Json`] about something.
    pub(crate) fn json(what: impl Into<String>) -> impl FnOnce(serde_json::Error) -> Self {
        move |source| Self::Json { what: what.into(), source }
    }
}
