//! The search for special tokens in a text, before it is split into words.
//!
//! llama.cpp's rule (`tokenizer_st_partition`): from the longest token to the shortest, take all occurrences in
//! the text that longer tokens left. An Aho-Corasick automaton first finds the tokens that occur at all. The cost
//! is then independent of the number of special tokens.

use aho_corasick::AhoCorasick;

/// A part of a text: a token found in it, or plain text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part<'t> {
    Text(&'t str),
    Token(u32),
}

/// When a special token is recognized in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// In every text (`USER_DEFINED` tokens).
    Always,
    /// Only with `parse_special` (`CONTROL` and `UNKNOWN` tokens).
    WhenParsed,
}

/// The special tokens of a vocabulary.
#[derive(Debug)]
pub(crate) struct SpecialTokens {
    /// From the longest text to the shortest.
    tokens: Vec<(u32, String, Found)>,
    /// The patterns are in the order of `tokens`; `None` if there are no special tokens.
    finder: Option<AhoCorasick>,
}

impl SpecialTokens {
    /// Builds the finder; `None` if the automaton would be too large, which needs gigabytes of tokens.
    pub(crate) fn new(mut tokens: Vec<(u32, String, Found)>) -> Option<Self> {
        tokens.sort_by_key(|(id, text, _)| (std::cmp::Reverse(text.len()), *id));
        let finder = if tokens.is_empty() {
            None
        } else {
            Some(AhoCorasick::new(tokens.iter().map(|(_, text, _)| text)).ok()?)
        };
        Some(Self { tokens, finder })
    }

    /// Splits a text into tokens and plain text. No part is empty.
    pub(crate) fn split<'t>(&self, text: &'t str, parse_special: bool) -> Vec<Part<'t>> {
        if text.is_empty() {
            return Vec::new();
        }
        let mut parts = vec![Part::Text(text)];
        for (id, token, _) in self.occurring(text, parse_special) {
            let mut finer = Vec::with_capacity(parts.len() + 2);
            for part in parts {
                match part {
                    Part::Text(text) => split_text(text, token, *id, &mut finer),
                    token @ Part::Token(_) => finer.push(token),
                }
            }
            parts = finer;
        }
        parts
    }

    /// The tokens that occur in the text and are to be recognized, longest first.
    fn occurring(&self, text: &str, parse_special: bool) -> impl Iterator<Item = &(u32, String, Found)> {
        let mut occurs = vec![false; self.tokens.len()];
        if let Some(finder) = &self.finder {
            for found in finder.find_overlapping_iter(text) {
                occurs[found.pattern().as_usize()] = true;
            }
        }
        self.tokens
            .iter()
            .zip(occurs)
            .filter(move |((_, _, found), occurs)| *occurs && (parse_special || *found == Found::Always))
            .map(|(token, _)| token)
    }
}

fn split_text<'t>(text: &'t str, token: &str, id: u32, out: &mut Vec<Part<'t>>) {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(token) {
        if !before.is_empty() {
            out.push(Part::Text(before));
        }
        out.push(Part::Token(id));
        rest = after;
    }
    if !rest.is_empty() {
        out.push(Part::Text(rest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> SpecialTokens {
        SpecialTokens::new(vec![
            (0, "<|a|>".into(), Found::WhenParsed),
            (1, "<|a|><|b|>".into(), Found::Always),
            (2, "ab".into(), Found::Always),
        ])
        .unwrap()
    }

    #[test]
    fn longer_tokens_win_and_control_tokens_wait_to_be_asked_for() {
        use Part::{Text, Token};
        let tokens = tokens();
        assert_eq!(tokens.split("x<|a|><|b|><|a|>", true), [Text("x"), Token(1), Token(0)]);
        assert_eq!(tokens.split("x<|a|>abab", false), [Text("x<|a|>"), Token(2), Token(2)]);
        assert_eq!(tokens.split("plain", true), [Text("plain")]);
        assert!(tokens.split("", true).is_empty());
    }

    #[test]
    fn no_special_tokens_is_fine() {
        let none = SpecialTokens::new(Vec::new()).unwrap();
        assert_eq!(none.split("x", true), [Part::Text("x")]);
    }
}
