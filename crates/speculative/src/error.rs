//! The error type of this crate. It carries errors of a model or a proposer as the source.

use crate::Token;

/// An error of another crate, kept as the source.
pub(crate) type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Errors of sampling, drafting and verification.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The target model failed.
    #[error("the target model failed")]
    Target(#[source] Source),
    /// The draft model failed.
    #[error("the draft model failed")]
    DraftModel(#[source] Source),
    /// The proposer failed.
    #[error("the proposer failed")]
    Proposer(#[source] Source),
    /// The prompt is empty.
    #[error("the prompt is empty; it must have at least one token, for instance BOS")]
    EmptyPrompt,
    /// The next forward pass needs more positions than the cache has.
    #[error(
        "the context is full: {len} of {capacity} positions are in use and {needed} more are needed; use a larger context or generate fewer tokens"
    )]
    CapacityExhausted {
        /// Positions in use.
        len: usize,
        /// Context size.
        capacity: usize,
        /// Positions that the next forward pass adds.
        needed: usize,
    },
    /// Draft and target have different vocabularies, so their token ids mean different texts.
    #[error(
        "the target's vocabulary has {target} tokens and the draft's {draft}; speculation needs one shared vocabulary"
    )]
    VocabMismatch {
        /// Vocabulary size of the target.
        target: usize,
        /// Vocabulary size of the draft.
        draft: usize,
    },
    /// A token id outside the vocabulary.
    #[error("token {token} is outside the vocabulary of {vocab} tokens")]
    TokenOutOfVocab {
        /// The id.
        token: Token,
        /// Size of the vocabulary.
        vocab: usize,
    },
    /// A model returned an unexpected number of rows or greedy choices.
    #[error("the model returned {got} rows, but {expected} were expected")]
    RowCount {
        /// Expected rows.
        expected: usize,
        /// Returned rows.
        got: usize,
    },
    /// A logit is NaN or +∞, so its row has no distribution.
    #[error(
        "the logit of token {token} is {value}; the forward pass overflowed or read uninitialized memory"
    )]
    BadLogit {
        /// The token.
        token: Token,
        /// Its logit.
        value: f32,
    },
    /// Every logit of a row is −∞, or the row is empty.
    #[error("no token has a finite logit, so none can be chosen")]
    NoCandidate,
    /// A setting is outside its range.
    #[error("{name} = {value} is out of range; it must be {requirement}")]
    Parameter {
        /// Name of the setting.
        name: &'static str,
        /// Its value.
        value: f64,
        /// The accepted range.
        requirement: &'static str,
    },
    /// The arrays of a draft disagree in length.
    #[error(
        "a draft of {tokens} tokens has {parents} parents and {probs} distributions; all three must be equal"
    )]
    DraftShape {
        /// Number of tokens.
        tokens: usize,
        /// Number of parents; must equal `tokens`.
        parents: usize,
        /// Number of distributions; must equal `tokens`, unless there are none.
        probs: usize,
    },
    /// The parent of a draft token does not come before it.
    #[error("the parent of draft token {index} is {parent}, but a parent must come before its child")]
    DraftParent {
        /// Index of the token.
        index: usize,
        /// The parent.
        parent: u32,
    },
    /// A proposer returned more tokens than allowed.
    #[error("the proposer returned {got} draft tokens, but at most {max} are allowed")]
    DraftTooLong {
        /// Tokens returned.
        got: usize,
        /// Tokens allowed.
        max: usize,
    },
    /// A draft token has probability zero in its own distribution.
    #[error(
        "draft token {index} (id {token}) has probability zero in its draft distribution, so it cannot be sampled from it"
    )]
    ImpossibleDraft {
        /// Index of the token in the draft.
        index: usize,
        /// Its id.
        token: Token,
    },
    /// The draft is a tree. The target's cache holds one sequence, so only chains can be verified.
    #[error("draft token {index} starts a second branch; only chains can be verified")]
    BranchingDraft {
        /// Index of the first token whose parent is not its predecessor.
        index: usize,
    },
}
