//! Why a run did not begin, or could not go on.

use std::path::PathBuf;

/// Errors of running, reporting and comparing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The matrix, the selection or a journal.
    #[error(transparent)]
    Experiment(#[from] ridgeline_experiment::Error),
    /// No cell is left of the matrix.
    #[error("no cell of the matrix is selected by {}; `bench-all --list` shows them all", selection(filter.as_ref(), shard.as_ref()))]
    NothingSelected {
        /// The filter given.
        filter: Option<String>,
        /// The shard given.
        shard: Option<String>,
    },
    /// There is no device to measure on.
    #[error("{reason}")]
    NoDevice {
        /// What was found instead, and the remedy.
        reason: String,
    },
    /// The program that measures cannot be started.
    #[error("{path} cannot be started: {source}")]
    Start {
        /// The program.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The program that measures does not say which device it has.
    #[error("the device cannot be opened: {reason}")]
    NoAnswer {
        /// How it ended.
        reason: String,
    },
    /// A folder or file of results.
    #[error("{path}: {source}")]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Two journals have no point in common.
    #[error("{a} and {b} have no measured point in common")]
    NothingInCommon {
        /// One.
        a: PathBuf,
        /// The other.
        b: PathBuf,
    },
    /// A folder without a journal.
    #[error("{path} holds no journal; `bench-all --out` makes one")]
    NoJournal {
        /// The folder.
        path: PathBuf,
    },
}

impl Error {
    /// Whether the command line, not the machine, is to blame.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        use ridgeline_experiment::Error as E;
        match self {
            Self::NothingSelected { .. } | Self::NothingInCommon { .. } | Self::NoJournal { .. } => true,
            Self::Experiment(e) => matches!(
                e,
                E::Toml { .. }
                    | E::EmptyAxis { .. }
                    | E::BadBudget { .. }
                    | E::UnknownExperiment { .. }
                    | E::Filter { .. }
                    | E::Shard { .. }
                    | E::Json { .. }
            ),
            _ => false,
        }
    }
}

/// The selection in words.
fn selection(filter: Option<&String>, shard: Option<&String>) -> String {
    let filter = filter.map(|f| format!("--filter {f:?}"));
    let shard = shard.map(|s| format!("--shard {s}"));
    let words: Vec<String> = [filter, shard].into_iter().flatten().collect();
    if words.is_empty() { "an empty matrix".to_owned() } else { words.join(" ") }
}
