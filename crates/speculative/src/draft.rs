//! Drafts, and the trait of the proposers that make them.

use crate::{Dist, Error, Token};

/// Proposed continuations of the context: a tree in which every token comes after its parent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    /// The draft tokens.
    pub tokens: Vec<Token>,
    /// For each token the index of its parent, or [`Draft::ROOT`] if it follows the context. In a chain, the
    /// parent of `i` is `i − 1`.
    pub parents: Vec<u32>,
    /// For each token the distribution it was sampled from. `None` if the tokens were not sampled: each then
    /// counts as sampled from a point mass.
    pub probs: Option<Vec<Dist>>,
}

impl Draft {
    /// The parent of a token that directly follows the context. Equals `0 − 1` in wrapping arithmetic.
    pub const ROOT: u32 = u32::MAX;

    /// A draft in which every token follows the one before it.
    #[expect(clippy::cast_possible_truncation, reason = "a draft is a few tokens long")]
    pub fn chain(tokens: Vec<Token>, probs: Option<Vec<Dist>>) -> Self {
        let parents = (0..tokens.len()).map(|i| (i as u32).wrapping_sub(1)).collect();
        Self { tokens, parents, probs }
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether the draft has no tokens.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The first token whose parent is not its predecessor. `None` if the draft is a chain.
    pub fn branch(&self) -> Option<usize> {
        self.parents.iter().enumerate().position(|(i, &p)| {
            let chained = if i == 0 { p == Self::ROOT } else { p as usize == i - 1 };
            !chained
        })
    }

    /// Indices of the children of token `parent` (`None`: the context), in order of preference.
    pub fn children(&self, parent: Option<usize>) -> impl Iterator<Item = usize> + '_ {
        let wanted = move |p: u32| (p != Self::ROOT).then_some(p as usize) == parent;
        self.parents.iter().enumerate().filter(move |&(_, &p)| wanted(p)).map(|(i, _)| i)
    }

    /// Checks the preconditions of [`verify`](crate::verify()).
    ///
    /// # Errors
    /// [`Error::DraftShape`], [`Error::DraftParent`], or [`Error::ImpossibleDraft`].
    pub fn check(&self) -> Result<(), Error> {
        let n = self.tokens.len();
        let probs = self.probs.as_ref().map_or(n, Vec::len);
        if self.parents.len() != n || probs != n {
            return Err(Error::DraftShape { tokens: n, parents: self.parents.len(), probs });
        }
        for (index, &parent) in self.parents.iter().enumerate() {
            if parent != Self::ROOT && parent as usize >= index {
                return Err(Error::DraftParent { index, parent });
            }
        }
        for (index, dist) in self.probs.iter().flatten().enumerate() {
            let token = self.tokens[index];
            if dist.prob(token) <= 0.0 {
                return Err(Error::ImpossibleDraft { index, token });
            }
        }
        Ok(())
    }
}

/// A source of drafts.
///
/// Speculation is lossless only if proposers obey one rule. A proposer may decide what to propose, and
/// whether, from the context and the draft so far. The decision must not depend on the value of a sampled
/// token that it then withholds.
pub trait Proposer {
    /// Error of the proposer.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Size of the vocabulary, if the proposer has one of its own.
    fn vocab(&self) -> Option<usize> {
        None
    }

    /// Starts a new sequence with `prompt`. Work done here, such as the draft model's prefill, does not count
    /// as drafting.
    ///
    /// # Errors
    /// When the prompt cannot be evaluated.
    fn begin(&mut self, _prompt: &[Token]) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Proposes a continuation of `context` of at most `max` tokens. The draft may be empty.
    ///
    /// # Errors
    /// When the proposer's model fails.
    fn propose(&mut self, context: &[Token], max: usize) -> Result<Draft, Self::Error>;

    /// Called after each round with the tokens added to the context: the accepted draft tokens and one more.
    fn observe(&mut self, _accepted: &[Token]) {}
}

impl<P: Proposer + ?Sized> Proposer for &mut P {
    type Error = P::Error;

    fn vocab(&self) -> Option<usize> {
        (**self).vocab()
    }

    fn begin(&mut self, prompt: &[Token]) -> Result<(), Self::Error> {
        (**self).begin(prompt)
    }

    fn propose(&mut self, context: &[Token], max: usize) -> Result<Draft, Self::Error> {
        (**self).propose(context, max)
    }

    fn observe(&mut self, accepted: &[Token]) {
        (**self).observe(accepted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_a_tree_of_predecessors() {
        let draft = Draft::chain(vec![5, 6, 7], None);
        assert_eq!(draft.parents, [Draft::ROOT, 0, 1]);
        assert_eq!(draft.branch(), None);
        draft.check().expect("a chain is well formed");
        let tree = Draft { parents: vec![Draft::ROOT, 0, 0], ..draft };
        assert_eq!(tree.branch(), Some(2));
        assert_eq!(tree.children(Some(0)).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(tree.children(None).collect::<Vec<_>>(), [0]);
        tree.check().expect("a tree is well formed");
    }

    #[test]
    fn malformed_drafts_are_named() {
        let short = Draft { tokens: vec![1, 2], parents: vec![Draft::ROOT], probs: None };
        assert!(matches!(short.check(), Err(Error::DraftShape { tokens: 2, parents: 1, probs: 2 })));
        let forward = Draft { tokens: vec![1, 2], parents: vec![Draft::ROOT, 1], probs: None };
        assert!(matches!(forward.check(), Err(Error::DraftParent { index: 1, parent: 1 })));
        let impossible = Draft::chain(vec![1], Some(vec![Dist::point(2)]));
        assert!(matches!(impossible.check(), Err(Error::ImpossibleDraft { index: 0, token: 1 })));
    }
}
