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
    #[error("{path}: axis {axis} of experiment {experiment} has no values; list at least one")]
    EmptyAxis {
        /// The matrix file.
        path: PathBuf,
        /// The experiment.
        experiment: String,
        /// The axis.
        axis: String,
    },
    /// A budget whose values contradict each other.
    #[error(
        "{path}: budget of experiment {experiment} has min_reps {min_reps}, max_reps {max_reps}, budget_s {budget_s}; \
         1 <= min_reps <= max_reps and a finite budget_s > 0 are required"
    )]
    BadBudget {
        /// The matrix file.
        path: PathBuf,
        /// The experiment.
        experiment: String,
        /// Fewest timed repetitions.
        min_reps: u32,
        /// Most timed repetitions.
        max_reps: u32,
        /// Seconds.
        budget_s: f64,
    },
    /// A matrix names an experiment that is not in the list.
    #[error("no experiment is called {name:?}; there are {known}")]
    UnknownExperiment {
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
