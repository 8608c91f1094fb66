//! Pre-tokenizers: the split of a text into words, within which BPE merges.
//!
//! llama.cpp maps every name in `tokenizer.ggml.pre` to a list of regular expressions
//! (<https://github.com/ggml-org/llama.cpp/blob/master/src/llama-vocab.cpp>). Each expression splits every
//! piece of the previous one into matches and the text between them. A name that is not in the list here is an
//! error. The `regex` crate takes linear time and has no look-ahead. These expressions use only one look-ahead,
//! `\s+(?!\S)`, which [`Spaces`] implements.

use std::ops::Range;

use regex::Regex;

/// A pre-tokenizer: its expressions, and two options of the BPE model that depend on its name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pre {
    splits: &'static [Split],
    /// A word that is a token becomes that token, without merges.
    pub(crate) ignore_merges: bool,
    /// The default of `tokenizer.ggml.add_bos_token`.
    pub(crate) add_bos: bool,
}

/// One expression of a list.
#[derive(Debug, Clone, Copy)]
struct Split {
    pattern: &'static str,
    spaces: Spaces,
}

/// The matches that replace `\s+(?!\S)|\s+`. Before a word, such a run of whitespace loses its last character,
/// unless it has only one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spaces {
    /// Every match made of whitespace.
    All,
    /// Every match made of whitespace that does not end in a line break. The others are from an earlier branch,
    /// `\s*[\r\n]+`, which matches up to the last line break of a run.
    AfterNewlines,
}

/// English contractions, in any case of ASCII letters.
macro_rules! contraction {
    () => {
        r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
    };
}
/// Symbols and whitespace of GPT-4 and its descendants.
macro_rules! symbols_and_spaces {
    () => {
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+"
    };
}
/// Words of GPT-4o: an optional leading symbol, upper case, lower case, then `$tail`.
macro_rules! cased_words {
    ($tail:expr) => {
        concat!(
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
            $tail,
            r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
            $tail
        )
    };
}

const fn all(pattern: &'static str) -> Split {
    Split { pattern, spaces: Spaces::All }
}

const fn after_newlines(pattern: &'static str) -> Split {
    Split { pattern, spaces: Spaces::AfterNewlines }
}

const WORDS: Split = all(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+");
const DIGIT: Split = all(r"\p{N}");
const THREE_DIGITS: Split = all("[0-9][0-9][0-9]");

const GPT2: &[Split] = &[WORDS];
const STARCODER: &[Split] = &[DIGIT, WORDS];
const DEFAULT: &[Split] = &[all(r"[\p{P}\$\+<=>\^~\|]+"), WORDS, all(r"\p{N}+"), THREE_DIGITS];
const FALCON: &[Split] = &[all(r"[\p{P}\$\+<=>\^~\|`]+"), WORDS, THREE_DIGITS];
const LLAMA3: &[Split] = &[after_newlines(concat!(
    contraction!(),
    r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}",
    symbols_and_spaces!()
))];
const QWEN2: &[Split] =
    &[after_newlines(concat!(contraction!(), r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}", symbols_and_spaces!()))];
const QWEN35: &[Split] = &[after_newlines(concat!(
    contraction!(),
    r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+"
))];
/// From the models' tokenizer.json; llama.cpp approximates the letter classes.
const TEKKEN: &[Split] =
    &[after_newlines(concat!(cased_words!(""), r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+"))];
/// From the models' tokenizer.json; llama.cpp approximates the letter classes.
const GPT4O: &[Split] = &[after_newlines(concat!(
    cased_words!(concat!(contraction!(), "?")),
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+"
))];
const DEEPSEEK3: &[Split] = &[
    all(r"\p{N}{1,3}"),
    all(r"[一-龥\x{3040}-ゟ゠-ヿ]+"),
    after_newlines(concat!(
        r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"##,
        r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+"
    )),
];

const fn plain(splits: &'static [Split]) -> Pre {
    Pre { splits, ignore_merges: false, add_bos: false }
}

/// Every supported name, grouped by expressions.
const TABLE: &[(&[&str], Pre)] = &[
    (&["default"], plain(DEFAULT)),
    (
        &[
            "gpt-2",
            "phi-2",
            "mpt",
            "olmo",
            "jais",
            "trillion",
            "granite-docling",
            "gigachat",
            "a.x-4.0",
            "mellum",
            "exaone4",
        ],
        plain(GPT2),
    ),
    (
        &["starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2"],
        plain(STARCODER),
    ),
    (&["falcon"], plain(FALCON)),
    (
        &["llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"],
        Pre { splits: LLAMA3, ignore_merges: true, add_bos: true },
    ),
    (&["dbrx", "smaug-bpe", "glm4", "chatglm-bpe"], plain(LLAMA3)),
    (
        &[
            "qwen2",
            "deepseek-r1-qwen",
            "megrez",
            "stablelm2",
            "hunyuan",
            "solar-open",
            "grok-2",
            "kormo",
            "f2llmv2",
        ],
        plain(QWEN2),
    ),
    (&["qwen35"], plain(QWEN35)),
    (&["tekken"], Pre { splits: TEKKEN, ignore_merges: true, add_bos: true }),
    (&["gpt-4o", "llama4", "kanana2"], plain(GPT4O)),
    (&["deepseek-v3", "hunyuan-dense", "joyai-llm"], plain(DEEPSEEK3)),
];

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
    if at_end || from_earlier_branch || !found.chars().all(char::is_whitespace) {
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

    #[test]
    fn names_are_unique_and_unknown_ones_are_refused() {
        let mut names: Vec<_> = supported().collect();
        names.sort_unstable();
        let before = names.len();
        names.dedup();
        assert_eq!(names.len(), before);
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
