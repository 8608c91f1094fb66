//! What the tokens of a forward pass see, as data: the rows of the KV cache that attention reads for each.

use crate::common::to_u32;
use bytemuck::{Pod, Zeroable};
use ridgeline_compute::TestRng;

/// One token: the row of the KV cache that stores it, and the rows that it sees.
///
/// A row is an index within one head of the cache. The token sees rows `first` to `end` − 1, and row `end` + i for every
/// bit i of `ancestors`. A token sees at least one row.
///
/// | mask | row | first | end | ancestors |
/// |---|---|---|---|---|
/// | causal | position | 0 | position + 1 | 0 |
/// | sliding window W | position | max(0, position + 1 − W) | position + 1 | 0 |
/// | bidirectional | position | 0 | number of tokens | 0 |
/// | tree of up to 32 drafts after n tokens | n + node | 0 | n | the node and its ancestors |
/// | sequence whose rows begin at b | b + position | b | b + position + 1 | 0 |
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub struct TokenInfo {
    /// Row that stores its keys and values.
    pub row: u32,
    /// Position in the sequence, for RoPE.
    pub position: u32,
    /// First visible row.
    pub first: u32,
    /// One past the last row of the contiguous visible rows.
    pub end: u32,
    /// Visible rows from `end` on, one per bit.
    pub ancestors: u32,
    padding: [u32; 3],
}

impl TokenInfo {
    /// Bytes of one token in the binding `tokens`.
    pub const BYTES: u64 = 32;

    /// Bytes that hold `row` and `position`.
    pub(crate) const PLACE_BYTES: u64 = 16;

    /// A token that sees rows `first` to `end` − 1.
    #[must_use]
    pub const fn new(row: u32, position: u32, first: u32, end: u32) -> Self {
        Self { row, position, first, end, ancestors: 0, padding: [0; 3] }
    }

    /// The token at `position` of a sequence whose rows begin at `base`. It sees itself and the tokens before it: all of
    /// them, or the nearest, so that it sees at most `window` tokens.
    #[must_use]
    pub const fn causal(base: u32, position: u32, window: Option<u32>) -> Self {
        let seen = match window {
            Some(window) if window <= position => window,
            _ => position + 1,
        };
        let end = base + position + 1;
        Self::new(base + position, position, end - seen, end)
    }

    /// The same token, which also sees row `end` + i for every bit i of `ancestors`.
    #[must_use]
    pub const fn with_ancestors(self, ancestors: u32) -> Self {
        Self { ancestors, ..self }
    }

    /// One past the last visible row.
    #[must_use]
    pub const fn visible_end(self) -> u32 {
        self.end + u32::BITS - self.ancestors.leading_zeros()
    }

    /// The visible rows, in ascending order.
    pub fn rows(self) -> impl Iterator<Item = u32> {
        let drafted = (0..u32::BITS).filter(move |bit| self.ancestors >> bit & 1 == 1);
        (self.first..self.end).chain(drafted.map(move |bit| self.end + bit))
    }

    /// Number of visible rows.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.end - self.first + self.ancestors.count_ones()
    }
}

/// The tokens of a binding, as a CPU reference sees them.
pub(crate) fn tokens(words: &[u32]) -> &[TokenInfo] {
    bytemuck::cast_slice(words)
}

/// What the tokens of a launch see together. The host counts it, because costs are known before a launch runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct VisibleRows {
    /// Σ over the tokens of their visible rows: scores per query head.
    pub visible: u32,
    /// Distinct visible rows: rows read per KV head.
    pub unique: u32,
    /// First row that any token sees.
    pub first: u32,
    /// One past the last row that any token sees.
    pub end: u32,
}

impl VisibleRows {
    /// Counts the rows that `tokens` see.
    ///
    /// # Panics
    /// If the visible rows of all tokens exceed 32 bits.
    #[must_use]
    pub fn of(tokens: &[TokenInfo]) -> Self {
        let mut ranges: Vec<(u32, u32)> = Vec::with_capacity(tokens.len());
        for token in tokens {
            ranges.push((token.first, token.end));
            if token.ancestors != 0 {
                ranges
                    .extend(token.rows().skip((token.end - token.first) as usize).map(|row| (row, row + 1)));
            }
        }
        ranges.retain(|(first, end)| first < end);
        ranges.sort_unstable();
        let (mut unique, mut counted) = (0, 0);
        for &(first, end) in &ranges {
            unique += end.saturating_sub(first.max(counted));
            counted = counted.max(end);
        }
        let first = ranges.first().map_or(0, |range| range.0);
        let visible = to_u32(tokens.iter().map(|token| u64::from(token.count())).sum::<u64>());
        Self { visible, unique, first, end: counted }
    }
}

/// One past the last row that stores any of the tokens.
#[must_use]
pub fn stored_end(tokens: &[TokenInfo]) -> u32 {
    tokens.iter().map(|token| token.row + 1).max().unwrap_or(0)
}

/// One past the largest position: rows of a RoPE table that the tokens need.
#[must_use]
pub fn positions(tokens: &[TokenInfo]) -> u32 {
    tokens.iter().map(|token| token.position + 1).max().unwrap_or(0)
}

/// Most rows between the first and the last visible row of a workgroup that serves `per_workgroup` consecutive tokens.
#[must_use]
pub fn widest_range(tokens: &[TokenInfo], per_workgroup: u32) -> u32 {
    let ranges = tokens.chunks(per_workgroup as usize).map(range);
    ranges.map(|[first, end]| end - first).max().unwrap_or(0)
}

/// The first visible row of any of the tokens, and one past the last.
pub(crate) fn range(tokens: &[TokenInfo]) -> [u32; 2] {
    let first = tokens.iter().map(|token| token.first).min().unwrap_or(0);
    [first, tokens.iter().map(|token| token.visible_end()).max().unwrap_or(first)]
}

/// Tokens of a launch under test, behind `token0` others.
#[derive(Debug)]
pub(crate) struct TestTokens {
    pub(crate) token0: u32,
    all: Vec<TokenInfo>,
}

impl TestTokens {
    /// `n` tokens with one of the masks, after `depth` tokens of the sequence.
    pub(crate) fn sample(rng: &mut TestRng, n: u32, depth: u32) -> Self {
        let token0 = rng.range(0, 3);
        // Launches must not read these.
        let mut all = vec![TokenInfo::default(); token0 as usize];
        let window = rng.range(1, 70);
        match rng.range(0, 5) {
            0 | 1 => all.extend((depth..depth + n).map(|position| TokenInfo::causal(0, position, None))),
            2 => all.extend((depth..depth + n).map(|position| TokenInfo::causal(0, position, Some(window)))),
            3 => all.extend((depth..depth + n).map(|row| TokenInfo::new(row, row, 0, depth + n))),
            4 => {
                // Two sequences alternate. The second is in later rows and at another depth.
                let token = |t: u32| match t % 2 {
                    0 => TokenInfo::causal(0, depth + t / 2, None),
                    _ => TokenInfo::causal(depth + n + 5, 3 + t / 2, None),
                };
                all.extend((0..n).map(token));
            }
            _ => all.extend(tree(rng, n, depth)),
        }
        Self { token0, all }
    }

    /// The tokens of the launch.
    pub(crate) fn launched(&self) -> &[TokenInfo] {
        &self.all[self.token0 as usize..]
    }

    /// What they see.
    pub(crate) fn visible(&self) -> VisibleRows {
        VisibleRows::of(self.launched())
    }

    /// Rows that a cache needs. A token sees only rows that the launch or an earlier one stored.
    pub(crate) fn stored_end(&self) -> u32 {
        stored_end(self.launched())
    }

    /// Rows that a RoPE table needs.
    pub(crate) fn positions(&self) -> u32 {
        positions(self.launched())
    }

    /// The words of the binding.
    pub(crate) fn words(&self) -> Vec<u32> {
        bytemuck::cast_slice(&self.all).to_vec()
    }
}

/// A random tree of drafts: the parent of a node is an earlier node, or the last token of the sequence.
fn tree(rng: &mut TestRng, n: u32, depth: u32) -> Vec<TokenInfo> {
    let mut nodes: Vec<TokenInfo> = Vec::new();
    for node in 0..n {
        let parent = nodes.get(rng.range(0, node) as usize).copied();
        let (position, ancestors) = parent.map_or((depth, 0), |it| (it.position + 1, it.ancestors));
        nodes.push(TokenInfo::new(depth + node, position, 0, depth).with_ancestors(ancestors | 1 << node));
    }
    nodes
}

#[cfg(test)]
mod tests {
    use super::{TestTokens, TokenInfo, VisibleRows, widest_range};
    use ridgeline_compute::TestRng;
    use std::collections::BTreeSet;

    #[test]
    fn a_window_includes_the_token_itself() {
        let rows = |position, window| TokenInfo::causal(100, position, window).rows().collect::<Vec<_>>();
        assert_eq!(rows(5, Some(3)), [103, 104, 105]);
        assert_eq!(rows(1, Some(3)), [100, 101]);
        assert_eq!(rows(2, Some(3)), [100, 101, 102]);
        assert_eq!(rows(3, None), [100, 101, 102, 103]);
    }

    #[test]
    fn a_node_of_a_tree_sees_its_ancestors_only() {
        let node = TokenInfo::new(12, 9, 3, 7).with_ancestors(0b10_0101);
        assert_eq!(node.rows().collect::<Vec<_>>(), [3, 4, 5, 6, 7, 9, 12]);
        assert_eq!((node.count(), node.visible_end()), (7, 13));
        let whole = TokenInfo::new(0, 0, 0, 0).with_ancestors(u32::MAX);
        assert_eq!((whole.count(), whole.visible_end()), (32, 32));
    }

    #[test]
    fn counts_equal_an_enumeration_of_the_rows() {
        for seed in 0..200 {
            let mut rng = TestRng::new(seed);
            let (n, depth) = (rng.range(1, 20), rng.range(0, 90));
            let tokens = TestTokens::sample(&mut rng, n, depth);
            let tokens = tokens.launched();
            assert_eq!(tokens.len(), n as usize);
            let rows: Vec<u32> = tokens.iter().flat_map(|token| token.rows()).collect();
            let unique: BTreeSet<u32> = rows.iter().copied().collect();
            let counted = VisibleRows::of(tokens);
            assert_eq!([counted.visible, counted.unique].map(|n| n as usize), [rows.len(), unique.len()]);
            assert_eq!([Some(&counted.first), Some(&(counted.end - 1))], [unique.first(), unique.last()]);
            assert_eq!(widest_range(tokens, n), counted.end - counted.first);
            let stored: BTreeSet<u32> = tokens.iter().map(|token| token.row).collect();
            assert_eq!(stored.len(), tokens.len(), "every token has a row of its own");
        }
    }
}
