//! What can go wrong outside a measurement: files, tables, filters and names.

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
        /// What the system said.
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
        "{path} line {line} has schema {found}, this program writes {expected}; start afresh with --fresh"
    )]
    JournalSchema {
        /// The journal.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// What the line says.
        found: String,
        /// What this program writes.
        expected: &'static str,
    },
    /// A line before the last is not a record, so the file was damaged and not merely cut short.
    #[error("{path} line {line} is not a journal record: {source}")]
    JournalLine {
        /// The journal.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// Something did not turn into JSON or back.
    #[error("{what}: {source}")]
    Json {
        /// What was being converted.
        what: String,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// A TOML file does not parse.
    #[error("{path}: {source}")]
    Toml {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: Box<toml::de::Error>,
    },
    /// An axis lists no values, so the matrix would silently be empty.
    #[error("{path}: experiment {experiment}, axis {axis} has no values")]
    EmptyAxis {
        /// The matrix file.
        path: PathBuf,
        /// The experiment.
        experiment: String,
        /// The axis.
        axis: String,
    },
    /// A budget that cannot be met.
    #[error("{path}: experiment {experiment} asks for {min_reps} to {max_reps} repetitions in {budget_s} s")]
    BadBudget {
        /// The matrix file.
        path: PathBuf,
        /// The experiment.
        experiment: String,
        /// Fewest repetitions.
        min_reps: u32,
        /// Most repetitions.
        max_reps: u32,
        /// Seconds.
        budget_s: f64,
    },
    /// A matrix names an experiment that is not in the list.
    #[error("no experiment is called {name:?}; there are {known}")]
    UnknownExperiment {
        /// What the matrix says.
        name: String,
        /// The names there are, with commas.
        known: String,
    },
    /// A filter is not a regular expression.
    #[error("--filter {pattern:?}: {source}")]
    Filter {
        /// The pattern.
        pattern: String,
        /// What the parser said.
        source: regex::Error,
    },
    /// A shard is not `I/N` with `1 ≤ I ≤ N`.
    #[error("--shard {text:?} is not I/N with I from 1 to N")]
    Shard {
        /// What was given.
        text: String,
    },
    /// A claim or table that no published file holds.
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
