//! The error type. Every variant has the file.

/// Why a tokenizer or a chat template could not be built or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An unsupported `tokenizer.ggml.model`.
    #[error("{file}: tokenizer.ggml.model is `{model}`; supported are `gpt2` and `llama`")]
    UnknownModel {
        /// File the vocabulary came from.
        file: String,
        /// The value found.
        model: String,
    },
    /// An unsupported `tokenizer.ggml.pre`. A guess would give wrong ids.
    #[error(
        "{file}: tokenizer.ggml.pre is `{pre}`, which is not a supported pre-tokenizer; use the model's tokenizer.json instead"
    )]
    UnknownPre {
        /// File the vocabulary came from.
        file: String,
        /// The value found.
        pre: String,
    },
    /// The vocabulary has no tokens at all.
    #[error("{file}: the vocabulary has no tokens")]
    EmptyVocabulary {
        /// File the vocabulary came from.
        file: String,
    },
    /// A token id above the limit of this crate.
    #[error("{file}: token id {id} is above the limit of {limit}")]
    IdTooLarge {
        /// File the vocabulary came from.
        file: String,
        /// The largest id found.
        id: u64,
        /// The largest id accepted.
        limit: u32,
    },
    /// An array of the vocabulary does not have one entry per token.
    #[error("{file}: {array} has {found} entries for {tokens} tokens")]
    LengthMismatch {
        /// File the vocabulary came from.
        file: String,
        /// The metadata key of the array.
        array: &'static str,
        /// How many tokens there are.
        tokens: usize,
        /// How many entries the array has.
        found: usize,
    },
    /// A score is not a number, so merges have no order.
    #[error("{file}: the score of token {id} is not a number")]
    BadScore {
        /// File the vocabulary came from.
        file: String,
        /// The token with that score.
        id: u32,
    },
    /// A byte-level vocabulary without merges.
    #[error("{file}: tokenizer.ggml.merges is missing or empty, but a `gpt2` vocabulary requires it")]
    MissingMerges {
        /// File the vocabulary came from.
        file: String,
    },
    /// A merge that is not two tokens whose concatenation is a third one.
    #[error("{file}: merge {index} ({merge:?}) is not two tokens that form a third one")]
    BadMerge {
        /// File the vocabulary came from.
        file: String,
        /// Position in the list of merges, from 0.
        index: usize,
        /// The text of the merge.
        merge: String,
    },
    /// A token of type *byte* that is not written `<0xHH>`.
    #[error("{file}: token {id} has type byte, but its text {token:?} is not of the form <0xHH>")]
    BadByteToken {
        /// File the vocabulary came from.
        file: String,
        /// The id of the token.
        id: u32,
        /// Its text.
        token: String,
    },
    /// A special token's id is outside the vocabulary.
    #[error("{file}: {what} is {id}, outside the vocabulary of {tokens} tokens")]
    SpecialOutOfRange {
        /// File the vocabulary came from.
        file: String,
        /// Which special token: the metadata key.
        what: &'static str,
        /// The id found.
        id: u32,
        /// How many tokens there are.
        tokens: usize,
    },
    /// The configuration names a special token that is not in the vocabulary, or requires one without naming it.
    #[error("{file}: {what} is {token:?}, which is not in the vocabulary")]
    SpecialMissing {
        /// File the vocabulary came from.
        file: String,
        /// Which special token: the metadata key.
        what: &'static str,
        /// Its text; empty if the configuration names none.
        token: String,
    },
    /// The text has a byte for which the vocabulary has no token.
    #[error("{file}: the vocabulary has no token for byte {byte:#04X}")]
    MissingByte {
        /// File the vocabulary came from.
        file: String,
        /// The byte.
        byte: u8,
    },
    /// An id that is not in the vocabulary.
    #[error("{file}: token id {id} is not in the vocabulary of {tokens} tokens")]
    UnknownId {
        /// File the vocabulary came from.
        file: String,
        /// The id.
        id: u32,
        /// How many ids there are.
        tokens: usize,
    },
    /// An invalid JSON file.
    #[error("{file}: {part}: {detail}")]
    Json {
        /// The file.
        file: String,
        /// `tokenizer.json` or `tokenizer_config.json`.
        part: &'static str,
        /// The parser's error.
        detail: String,
    },
    /// A part of a tokenizer.json that this crate cannot decode.
    #[error("{file}: {part} of type `{found}` is not supported")]
    Unsupported {
        /// The file.
        file: String,
        /// Which part of the tokenizer.
        part: &'static str,
        /// The type found.
        found: String,
    },
    /// A BPE model that leaves out merges at random, so that a text has no one list of ids.
    #[error(
        "{file}: its BPE model drops merges at random (`dropout` {dropout}), so that ids differ from run to run; set `dropout` to null"
    )]
    Dropout {
        /// The file.
        file: String,
        /// The share of merges that it drops.
        dropout: f64,
    },
    /// A valid vocabulary from which no tokenizer can be built.
    #[error("{file}: the tokenizer cannot be built: {detail}")]
    Build {
        /// File the vocabulary came from.
        file: String,
        /// The reason.
        detail: String,
    },
    /// The tokenizer failed on a text.
    #[error("{file}: encoding failed: {detail}")]
    Encode {
        /// File the vocabulary came from.
        file: String,
        /// The tokenizer's error.
        detail: String,
    },
    /// A run of whitespace on which the regular expressions of a tokenizer.json would fail.
    #[error("{file}: the text has {chars} whitespace characters in a row, above the limit of {limit}")]
    WhitespaceRun {
        /// File the vocabulary came from.
        file: String,
        /// Length of the run.
        chars: usize,
        /// Longest run accepted.
        limit: usize,
    },
    /// The chat template does not parse.
    #[error("{file}: the chat template does not parse: {detail}")]
    TemplateSyntax {
        /// File the template came from.
        file: String,
        /// The error and its line.
        detail: String,
    },
    /// The chat template rejected the messages, or failed on them.
    #[error("{file}: the chat template failed: {detail}")]
    TemplateRender {
        /// File the template came from.
        file: String,
        /// The error and its line.
        detail: String,
    },
}
