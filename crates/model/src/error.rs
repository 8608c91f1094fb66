//! Errors of loading and running a model.

use std::path::PathBuf;

/// What can go wrong between a checkpoint and its logits.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The checkpoint cannot be read.
    #[error(transparent)]
    Weights(#[from] ridgeline_weights::Error),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] ridgeline_compute::Error),
    /// No file under `arch/` knows this family.
    #[error("{path}: architecture {name:?} is not supported; supported: {supported}")]
    Architecture {
        /// The checkpoint.
        path: PathBuf,
        /// Its `general.architecture`.
        name: String,
        /// The families that are.
        supported: String,
    },
    /// A dimension of the model does not fit the kernels or makes no sense.
    #[error("{path}: {what} is {value}, but {rule}")]
    Dimension {
        /// The checkpoint.
        path: PathBuf,
        /// Which dimension or parameter.
        what: &'static str,
        /// Its value.
        value: String,
        /// What it would have to satisfy.
        rule: &'static str,
    },
    /// A tensor that the family's forward pass would leave out.
    #[error(
        "{path}: tensor {name:?} is not part of {architecture} as supported here; its results would be wrong"
    )]
    UnusedTensor {
        /// The checkpoint.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The family.
        architecture: String,
    },
    /// More tokens than the cache holds.
    #[error(
        "{wanted} tokens do not fit a context of {capacity}; make the context larger (-c) or the prompt shorter"
    )]
    ContextFull {
        /// Tokens the cache would have to hold.
        wanted: usize,
        /// Tokens it can hold.
        capacity: usize,
    },
    /// More tokens or rows of logits than one recording was made for.
    #[error(
        "{tokens} tokens with {rows} rows of logits in one pass; this session was made for {batch} with {most}"
    )]
    Batch {
        /// Tokens asked for.
        tokens: usize,
        /// Tokens per recording.
        batch: usize,
        /// Rows asked for.
        rows: usize,
        /// Rows per recording.
        most: usize,
    },
    /// A context longer than the model's sliding attention window.
    #[error(
        "a context of {context} is longer than the model's attention window of {window}; use -c {window} at most"
    )]
    Window {
        /// Positions asked for.
        context: usize,
        /// Positions a query sees.
        window: usize,
    },
    /// A token outside the vocabulary.
    #[error("token {token} is not in the vocabulary of {vocab}")]
    Token {
        /// The token.
        token: u32,
        /// Size of the vocabulary.
        vocab: usize,
    },
    /// A number format that cannot hold keys and values.
    #[error("{format} cannot hold the key/value cache; supported: {supported}")]
    CacheFormat {
        /// The format asked for.
        format: &'static str,
        /// The formats that can.
        supported: String,
    },
}
