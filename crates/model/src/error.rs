//! Errors of loading and running a model.

use std::path::PathBuf;

/// Errors of loading a checkpoint and of running its forward pass.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The checkpoint cannot be read.
    #[error(transparent)]
    Weights(#[from] ridgeline_weights::Error),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] ridgeline_compute::Error),
    /// The model family is not supported.
    #[error("{path}: architecture {name:?} is not supported; supported: {supported}")]
    Architecture {
        /// The checkpoint.
        path: PathBuf,
        /// Its `general.architecture`.
        name: String,
        /// The supported families.
        supported: String,
    },
    /// A hyperparameter that is invalid or that no kernel supports.
    #[error("{path}: {what} is {value}, but {rule}")]
    Dimension {
        /// The checkpoint.
        path: PathBuf,
        /// Its name.
        what: &'static str,
        /// Its value.
        value: String,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// A tensor that the family's forward pass does not use. Logits without it would be wrong.
    #[error(
        "{path}: tensor {name:?} is not used by the forward pass of {architecture}; without it the logits would be wrong"
    )]
    UnusedTensor {
        /// The checkpoint.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The family.
        architecture: String,
    },
    /// More tokens than the cache holds for a sequence.
    #[error(
        "{wanted} tokens exceed the context of {capacity}; use a larger context (-c) or a shorter prompt"
    )]
    ContextFull {
        /// Tokens in the cache, including the new ones.
        wanted: usize,
        /// Context size.
        capacity: usize,
    },
    /// More tokens or rows of logits than one recording can hold.
    #[error(
        "{tokens} tokens with {rows} rows of logits in one forward pass; the session allows {batch} tokens with {most} rows"
    )]
    Batch {
        /// Requested tokens.
        tokens: usize,
        /// Most tokens per recording.
        batch: usize,
        /// Requested rows.
        rows: usize,
        /// Most rows per recording.
        most: usize,
    },
    /// A sequence that the session does not have.
    #[error("there is no sequence {sequence}: the session has {sequences}, counted from 0")]
    NoSequence {
        /// The sequence.
        sequence: usize,
        /// How many the session has.
        sequences: usize,
    },
    /// Tokens that one call cannot append together with those of other sequences.
    #[error("sequence {sequence} {what}")]
    Sequence {
        /// The sequence.
        sequence: usize,
        /// What is wrong, and what to do.
        what: &'static str,
    },
    /// A token outside the vocabulary.
    #[error("token {token} is outside the vocabulary of {vocab} tokens")]
    Token {
        /// The token.
        token: u32,
        /// Size of the vocabulary.
        vocab: usize,
    },
    /// Embeddings that do not fit the positions which they are given for.
    #[error(
        "{rows} values of embeddings for {positions} positions of a model of width {hidden}; each position needs one row, and positions must rise and lie within the context of {capacity}"
    )]
    Embeddings {
        /// Values.
        rows: usize,
        /// Positions.
        positions: usize,
        /// Width of the residual stream.
        hidden: usize,
        /// Context size.
        capacity: usize,
    },
    /// An image of another size than the encoder's.
    #[error(
        "an image of {found} values; the encoder takes {expected}: three channels of its image size squared"
    )]
    Pixels {
        /// Its values.
        found: usize,
        /// Those of the encoder.
        expected: usize,
    },
    /// The recurrent state is not known, because an earlier call failed.
    #[error(
        "an earlier call failed and left an unknown recurrent state; truncate the sequence before going on"
    )]
    StateLost,
    /// A quantization type that cannot store keys and values.
    #[error("the key/value cache of this model (-ctk, -ctv) cannot be {format}; supported: {supported}")]
    CacheFormat {
        /// The requested type.
        format: &'static str,
        /// The supported types.
        supported: String,
    },
}
