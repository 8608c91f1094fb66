//! Pre-tokenizers: the split of a text into words, within which BPE merges.
//!
//! llama.cpp maps every name in `tokenizer.ggml.pre` to a list of regular expressions
//! (<https://github.com/ggml-org/llama.cpp/blob/master/src/llama-vocab.cpp>). Each expression splits every
//! piece of the previous one into matches and the text between them. A name that is not in the list here is an
//! error. The `regex` crate takes linear time and has no look-ahead. These expressions use only one look-ahead,
//! `\s+(?!\S)`, which [`Spaces`] implements.

mod table;

use std::ops::Range;

use regex::Regex;

pub(crate) use table::Pre;
use table::{Spaces, Split, TABLE};

/// The supported values of `tokenizer.ggml.pre`.
pub fn supported() -> impl Iterator<Item = &'static str> {
    TABLE.iter().flat_map(|(names, _)| names.iter().copied())
}

impl Pre {
    /// Looks a name up. A file without a name means `default`, as in llama.cpp.
    pub(crate) fn find(name: Option<&str>) -> Option<Self> {
        let name = name.filter(|name| !name.is_empty()).unwrap_or("default");
        TABLE.iter().find(|(names, _)| names.contains(&name)).map(|&(_, pre)| pre)
    }
}

/// The compiled expressions of one name.
#[derive(Debug)]
pub(crate) struct PreTokenizer {
    splits: Vec<(Regex, Spaces)>,
}

impl PreTokenizer {
    pub(crate) fn new(pre: Pre) -> Self {
        let compile = |split: &Split| {
            (Regex::new(split.pattern).expect("the table's expressions are tested to compile"), split.spaces)
        };
        Self { splits: pre.splits.iter().map(compile).collect() }
    }

    /// The words of `text`, as consecutive byte ranges.
    pub(crate) fn words(&self, text: &str) -> Vec<Range<usize>> {
        let mut pieces = Vec::new();
        if !text.is_empty() {
            pieces.push(0..text.len());
        }
        for (regex, spaces) in &self.splits {
            let mut finer = Vec::with_capacity(pieces.len());
            for piece in pieces {
                split_piece(regex, *spaces, text, piece, &mut finer);
            }
            pieces = finer;
        }
        pieces
    }
}

/// Splits one piece of `text` into matches and the text between them.
fn split_piece(regex: &Regex, spaces: Spaces, text: &str, piece: Range<usize>, out: &mut Vec<Range<usize>>) {
    let inside = &text[piece.clone()];
    let mut at = 0;
    while let Some(found) = regex.find_at(inside, at) {
        if at < found.start() {
            out.push(piece.start + at..piece.start + found.start());
        }
        let end = found.start() + trimmed_len(found.as_str(), spaces, found.end() == inside.len());
        out.push(piece.start + found.start()..piece.start + end);
        at = end;
    }
    if at < inside.len() {
        out.push(piece.start + at..piece.end);
    }
}

/// The length of a match after the look-ahead of `\s+(?!\S)|\s+`, in bytes. The match of whitespace is greedy, so
/// the next character is not whitespace.
fn trimmed_len(found: &str, spaces: Spaces, at_end: bool) -> usize {
    let from_earlier_branch = spaces == Spaces::AfterNewlines && found.ends_with(['\r', '\n']);
    if spaces == Spaces::Never || at_end || from_earlier_branch || !found.chars().all(char::is_whitespace) {
        return found.len();
    }
    match found.char_indices().next_back() {
        Some((last, _)) if last > 0 => last,
        _ => found.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words<'t>(name: &str, text: &'t str) -> Vec<&'t str> {
        let pre_tokenizer = PreTokenizer::new(Pre::find(Some(name)).unwrap());
        pre_tokenizer.words(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn every_expression_compiles_and_never_loses_text() {
        let text = "I'Ve  paid 12345 \u{a0}\n\n  for a.b, Ｃ#\r\n\t x_y ''s 我想 e\u{301}te \u{1}\u{2} 1½ .\n/ end  ";
        for name in supported() {
            let pre_tokenizer = PreTokenizer::new(Pre::find(Some(name)).unwrap());
            let ranges = pre_tokenizer.words(text);
            let mut at = 0;
            for range in ranges {
                assert_eq!(range.start, at, "{name}");
                assert!(range.end > range.start, "{name}");
                at = range.end;
            }
            assert_eq!(at, text.len(), "{name}");
            assert!(pre_tokenizer.words("").is_empty());
        }
    }

    /// The published tokenizers' words, by the implementation that `tests/data/make.py` names.
    #[test]
    fn words_are_those_of_an_independent_tokenizer() {
        let file = include_str!("../tests/data/pre_tokenizers.json");
        let golden: serde_json::Value = serde_json::from_str(file).unwrap();
        let samples = golden["samples"].as_array().unwrap();
        let names = golden["names"].as_object().unwrap();
        assert!(names.len() >= 20 && samples.len() >= 8);
        for (name, cases) in names {
            let cases = cases.as_array().unwrap();
            assert_eq!(cases.len(), samples.len());
            for (text, case) in samples.iter().zip(cases) {
                let text = text.as_str().unwrap();
                let expected: Vec<&str> =
                    case["words"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
                assert_eq!(words(name, text), expected, "{name}: {text:?}");
            }
        }
    }

    #[test]
    fn names_are_unique_and_unknown_ones_are_refused() {
        let mut names: Vec<_> = supported().collect();
        names.sort_unstable();
        let before = names.len();
        names.dedup();
        assert_eq!(names.len(), before);
        for wanted in [
            "deepseek-llm",
            "deepseek-coder",
            "deepseek-v3",
            "gpt-neox",
            "olmo",
            "smollm",
            "tekken",
            "qwen35",
        ] {
            assert!(Pre::find(Some(wanted)).is_some(), "{wanted}");
        }
        assert!(Pre::find(Some("gpt-5")).is_none());
        assert!(Pre::find(Some("GPT-2")).is_none());
        assert!(Pre::find(None).is_some());
    }

    #[test]
    fn whitespace_gives_its_last_character_to_the_next_word() {
        assert_eq!(words("gpt-2", "a   b"), ["a", "  ", " b"]);
        assert_eq!(words("gpt-2", "a\n\nb  "), ["a", "\n", "\n", "b", "  "]);
        assert_eq!(words("gpt-2", "a \tb"), ["a", " ", "\t", "b"]);
        assert_eq!(words("qwen2", "a\n\n  b"), ["a", "\n\n", " ", " b"]);
        assert_eq!(words("qwen2", "a \n\tb"), ["a", " \n", "\tb"]);
        assert_eq!(words("llama-bpe", "  12345 x"), [" ", " ", "123", "45", " x"]);
    }

    #[test]
    fn families_differ_where_they_should() {
        assert_eq!(words("gpt-2", "it'S 123"), ["it", "'", "S", " 123"]);
        assert_eq!(words("qwen2", "it'S 123"), ["it", "'S", " ", "1", "2", "3"]);
        assert_eq!(words("smollm", "a 12"), ["a", " ", "1", "2"]);
        assert_eq!(words("default", "x=1234,y"), ["x", "=", "123", "4", ",", "y"]);
        assert_eq!(words("qwen2", "e\u{301}t"), ["e", "\u{301}t"]);
        assert_eq!(words("qwen35", "e\u{301}t"), ["e\u{301}t"]);
        assert_eq!(words("gpt-4o", "HelloWorld's"), ["Hello", "World's"]);
        assert_eq!(words("tekken", "HelloWorld 12"), ["Hello", "World", " ", "1", "2"]);
        assert_eq!(words("deepseek-v3", "x我想 a12"), ["x", "我想", " a", "12"]);
    }
}
