//! The one error type of this crate. Errors of a model or a proposer are carried as their source.

use crate::Token;

/// An error of another crate, kept whole as the source of ours.
pub(crate) type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What can go wrong while sampling, drafting or verifying.
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
    /// Generation needs at least one token to continue from.
    #[error("the prompt is empty; give at least one token, for instance the vocabulary's BOS token")]
    EmptyPrompt,
    /// The next pass would need more positions than the model's cache has.
    #[error(
        "the model holds {len} of {capacity} positions and {needed} more are needed; raise the context size or generate fewer tokens"
    )]
    CapacityExhausted {
        /// Positions in use.
        len: usize,
        /// Positions the cache can hold.
        capacity: usize,
        /// Positions the next pass would add.
        needed: usize,
    },
    /// Draft and target do not share a vocabulary, so a drafted id would mean another text.
    #[error("the target has {target} tokens and the draft {draft}; speculation needs one shared vocabulary")]
    VocabMismatch {
        /// Vocabulary size of the target.
        target: usize,
        /// Vocabulary size of the draft.
        draft: usize,
    },
    /// A token id is not in the vocabulary.
    #[error("token {token} is not in a vocabulary of {vocab}")]
    TokenOutOfVocab {
        /// The offending id.
        token: Token,
        /// Size of the vocabulary.
        vocab: usize,
    },
    /// A model returned another number of rows (or of greedy picks) than it was asked for.
    #[error("the model returned {got} rows where {expected} were wanted")]
    RowCount {
        /// Rows that were wanted.
        expected: usize,
        /// Rows that came.
        got: usize,
    },
    /// A logit is NaN or +infinity, so no distribution can be made of its row.
    #[error("logit {token} is {value}; the model's arithmetic overflowed or read uninitialised memory")]
    BadLogit {
        /// Token whose logit is bad.
        token: Token,
        /// The value found.
        value: f32,
    },
    /// Every logit of a row is −infinity (or the row is empty), so there is nothing to choose from.
    #[error("no token has a finite logit")]
    NoCandidate,
    /// A setting is outside its range.
    #[error("{name} = {value} is out of range; it must be {requirement}")]
    Parameter {
        /// Name of the setting.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What would be accepted.
        requirement: &'static str,
    },
    /// The arrays of a draft disagree in length.
    #[error("a draft of {tokens} tokens has {parents} parents and {probs} distributions")]
    DraftShape {
        /// Number of tokens.
        tokens: usize,
        /// Number of parents; must equal `tokens`.
        parents: usize,
        /// Number of distributions; must equal `tokens` where there are any.
        probs: usize,
    },
    /// A draft token names a parent that does not come before it.
    #[error("draft token {index} names parent {parent}, which does not come before it")]
    DraftParent {
        /// Index of the token.
        index: usize,
        /// The parent it names.
        parent: u32,
    },
    /// A proposer returned more tokens than it was allowed.
    #[error("the proposer returned {got} tokens where at most {max} were allowed")]
    DraftTooLong {
        /// Tokens returned.
        got: usize,
        /// Tokens allowed.
        max: usize,
    },
    /// A draft token has probability zero in the distribution it was said to come from.
    #[error("draft token {index} (id {token}) has probability zero in its own draft distribution")]
    ImpossibleDraft {
        /// Index of the token in the draft.
        index: usize,
        /// Its id.
        token: Token,
    },
    /// The loop evaluates drafts as one sequence and cannot place a branching tree in the target's cache.
    #[error("draft token {index} branches off; this loop verifies chains only")]
    BranchingDraft {
        /// Index of the first token whose parent is not its predecessor.
        index: usize,
    },
}
