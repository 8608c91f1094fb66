//! Errors that prevent or stop a run.

use std::path::PathBuf;

/// Errors of running, reporting and comparing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The matrix, the selection or a journal.
    #[error(transparent)]
    Experiment(#[from] ridgeline_experiment::Error),
    /// The selection matches no cell of the matrix.
    #[error("no cell of the matrix is selected by {}; `bench-all --list` shows them all", selection(filter.as_ref(), shard.as_ref(), studies))]
    NothingSelected {
        /// The filter given.
        filter: Option<String>,
        /// The shard given.
        shard: Option<String>,
        /// The experiments or studies given.
        studies: Vec<String>,
    },
    /// There is no device to measure on.
    #[error("{reason}")]
    NoDevice {
        /// What was found, and what to do.
        reason: String,
    },
    /// The measuring process cannot be started.
    #[error("{path} cannot be started: {source}")]
    Start {
        /// The program.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The measuring process did not report its device.
    #[error("the device cannot be opened: {reason}")]
    NoAnswer {
        /// How the process ended.
        reason: String,
    },
    /// A folder or file of results.
    #[error("{path}: {source}")]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// Two journals have no point in common.
    #[error("{a} and {b} have no measured point in common; compare journals of the same matrix")]
    NothingInCommon {
        /// The first journal.
        a: PathBuf,
        /// The second journal.
        b: PathBuf,
    },
    /// A folder without a journal.
    #[error("{path} holds no journal; `bench-all --out` creates one")]
    NoJournal {
        /// The folder.
        path: PathBuf,
    },
}

impl Error {
    /// Whether the error is one of usage: a wrong argument, matrix or journal.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        use ridgeline_experiment::Error as E;
        match self {
            Self::NothingSelected { .. } | Self::NothingInCommon { .. } | Self::NoJournal { .. } => true,
            Self::Experiment(e) => matches!(
                e,
                E::Toml { .. }
                    | E::InMatrix { .. }
                    | E::UnknownStudy { .. }
                    | E::UnknownMeasure { .. }
                    | E::Filter { .. }
                    | E::Shard { .. }
                    | E::Json { .. }
            ),
            _ => false,
        }
    }
}

/// The selection as command-line options.
fn selection(filter: Option<&String>, shard: Option<&String>, studies: &[String]) -> String {
    let filter = filter.map(|f| format!("--filter {f:?}"));
    let shard = shard.map(|s| format!("--shard {s}"));
    let studies = studies.iter().map(|it| format!("--study {it}"));
    let words: Vec<String> = [filter, shard].into_iter().flatten().chain(studies).collect();
    if words.is_empty() { "an empty matrix".to_owned() } else { words.join(" ") }
}
