//! SentencePiece BPE for GGUF vocabularies of model `llama`: merges ordered by token score.
//!
//! ```text
//! symbols = the characters, with spaces spelled ▁ (U+2581)
//! while some adjacent pair is a token: merge the pair of the highest score, the leftmost of equals
//! emit each symbol's token, or one byte token per byte
//! ```
//!
//! This is `llm_tokenizer_spm_session` of
//! <https://github.com/ggml-org/llama.cpp/blob/master/src/llama-vocab.cpp>: a priority queue over a linked list.
//! Two characters that are adjacent in no token are never merged. So a text is split between them first, which keeps
//! the queues short and the ids equal.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap, HashSet};

use crate::{Error, GgufVocab};

/// SentencePiece's spelling of a space.
pub(crate) const SPACE: &str = "▁";

/// A vocabulary with scores.
#[derive(Debug)]
pub(crate) struct Spm {
    ids: HashMap<Box<str>, u32>,
    scores: Vec<f32>,
    /// The token of each byte, if there is one.
    bytes: Box<[Option<u32>; 256]>,
    /// The length of the longest token, in bytes.
    longest: usize,
    pairs: Pairs,
}

/// The pairs of characters that are adjacent in some token.
#[derive(Debug)]
struct Pairs {
    /// The row is the first character, the bit is the second one.
    ascii: Box<[u128; 128]>,
    others: HashSet<(char, char)>,
}

impl Pairs {
    fn new<'t>(tokens: impl Iterator<Item = &'t str>) -> Self {
        let mut pairs = Self { ascii: Box::new([0; 128]), others: HashSet::new() };
        for token in tokens {
            for (a, b) in token.chars().zip(token.chars().skip(1)) {
                if a.is_ascii() && b.is_ascii() {
                    pairs.ascii[a as usize] |= 1 << (b as u32);
                } else {
                    pairs.others.insert((a, b));
                }
            }
        }
        pairs
    }

    fn contains(&self, a: char, b: char) -> bool {
        if a.is_ascii() && b.is_ascii() {
            self.ascii[a as usize] >> (b as u32) & 1 == 1
        } else {
            self.others.contains(&(a, b))
        }
    }

    /// Splits a text between characters that are adjacent in no token.
    fn segments<'t>(&self, text: &'t str) -> impl Iterator<Item = &'t str> {
        let mut rest = text;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let following = rest.char_indices().skip(1);
            let cut = rest.chars().zip(following).find(|&(a, (_, b))| !self.contains(a, b));
            let (segment, tail) = rest.split_at(cut.map_or(rest.len(), |(_, (at, _))| at));
            rest = tail;
            Some(segment)
        })
    }
}

/// A symbol of the doubly linked list. A merge extends the left symbol and empties the right one.
#[derive(Debug, Clone, Copy)]
struct Symbol {
    prev: Option<usize>,
    next: Option<usize>,
    start: usize,
    len: usize,
}

/// An adjacent pair that forms a token. Merges of its symbols make it stale, which `len` detects.
#[derive(Debug, Clone, Copy)]
struct Bigram {
    score: f32,
    left: usize,
    right: usize,
    len: usize,
}

impl Ord for Bigram {
    /// Higher score first, then the leftmost. `Spm::new` excludes NaN and -0.
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.left.cmp(&self.left))
    }
}

impl PartialOrd for Bigram {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Bigram {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Bigram {}

impl Spm {
    /// Builds the model of a vocabulary. Of two ids with the same text the lower one counts.
    pub(crate) fn new(vocab: &GgufVocab, file: &str) -> Result<Self, Error> {
        if vocab.scores.len() != vocab.tokens.len() {
            return Err(Error::LengthMismatch {
                file: file.to_owned(),
                array: "tokenizer.ggml.scores",
                tokens: vocab.tokens.len(),
                found: vocab.scores.len(),
            });
        }
        let mut ids: HashMap<Box<str>, u32> = HashMap::with_capacity(vocab.tokens.len());
        for (id, token) in (0..).zip(&vocab.tokens).filter(|(_, token)| !token.is_empty()) {
            ids.entry(token.as_str().into()).or_insert(id);
        }
        if let Some((id, _)) = (0..).zip(&vocab.scores).find(|(_, score)| score.is_nan()) {
            return Err(Error::BadScore { file: file.to_owned(), id });
        }
        let bytes = Box::new(std::array::from_fn(|byte| byte_token(&ids, byte)));
        Ok(Self {
            pairs: Pairs::new(vocab.tokens.iter().map(String::as_str)),
            bytes,
            // Adding zero turns -0 into 0, because `total_cmp` distinguishes them.
            scores: vocab.scores.iter().map(|score| score + 0.0).collect(),
            longest: vocab.tokens.iter().map(String::len).max().unwrap_or(0),
            ids,
        })
    }

    pub(crate) fn token_id(&self, token: &str) -> Option<u32> {
        self.ids.get(token).copied()
    }

    /// Appends the ids of a text without special tokens; `prefix_space` adds a leading space.
    pub(crate) fn encode(
        &self,
        text: &str,
        prefix_space: bool,
        file: &str,
        out: &mut Vec<u32>,
    ) -> Result<(), Error> {
        let mut spelled = if prefix_space { SPACE.to_owned() } else { String::new() };
        spelled.push_str(&text.replace(' ', SPACE));
        for segment in self.pairs.segments(&spelled) {
            for symbol in self.merge(segment) {
                self.emit(&segment[symbol.start..symbol.start + symbol.len], file, out)?;
            }
        }
        Ok(())
    }

    /// Appends the token of a symbol, or the tokens of its bytes.
    fn emit(&self, part: &str, file: &str, out: &mut Vec<u32>) -> Result<(), Error> {
        if let Some(&id) = self.ids.get(part) {
            out.push(id);
            return Ok(());
        }
        for byte in part.bytes() {
            let id = self.bytes[usize::from(byte)]
                .ok_or_else(|| Error::MissingByte { file: file.to_owned(), byte })?;
            out.push(id);
        }
        Ok(())
    }

    /// Merges adjacent symbols until no pair is a token.
    fn merge(&self, text: &str) -> Vec<Symbol> {
        let mut symbols = characters(text);
        let mut queue = BinaryHeap::new();
        for left in 0..symbols.len().saturating_sub(1) {
            queue.extend(self.bigram(text, &symbols, left, left + 1));
        }
        while let Some(Bigram { left, right, len, .. }) = queue.pop() {
            let (a, b) = (symbols[left], symbols[right]);
            // A stale entry: another merge has changed one of the two symbols.
            if a.len == 0 || b.len == 0 || a.len + b.len != len {
                continue;
            }
            symbols[left].len = len;
            symbols[left].next = b.next;
            symbols[right].len = 0;
            if let Some(next) = b.next {
                symbols[next].prev = Some(left);
                queue.extend(self.bigram(text, &symbols, left, next));
            }
            if let Some(prev) = a.prev {
                queue.extend(self.bigram(text, &symbols, prev, left));
            }
        }
        symbols.retain(|symbol| symbol.len > 0);
        symbols
    }

    /// The bigram of two adjacent symbols, if they form a token.
    fn bigram(&self, text: &str, symbols: &[Symbol], left: usize, right: usize) -> Option<Bigram> {
        let (a, b) = (symbols[left], symbols[right]);
        let len = a.len + b.len;
        if len > self.longest {
            return None;
        }
        let id = *self.ids.get(&text[a.start..a.start + len])?;
        Some(Bigram { score: self.scores[id as usize], left, right, len })
    }
}

/// One symbol per character, linked in order.
fn characters(text: &str) -> Vec<Symbol> {
    let mut symbols: Vec<Symbol> = text
        .char_indices()
        .enumerate()
        .map(|(index, (start, c))| Symbol {
            prev: index.checked_sub(1),
            next: Some(index + 1),
            start,
            len: c.len_utf8(),
        })
        .collect();
    if let Some(last) = symbols.last_mut() {
        last.next = None;
    }
    symbols
}

/// The token of a byte: `<0xHH>`, or else the byte itself if it is a character.
fn byte_token(ids: &HashMap<Box<str>, u32>, byte: usize) -> Option<u32> {
    let hex = format!("<0x{byte:02X}>");
    let by_hex = ids.get(hex.as_str()).copied();
    by_hex.or_else(|| {
        let c = char::from_u32(u32::try_from(byte).ok()?).filter(char::is_ascii)?;
        ids.get(c.encode_utf8(&mut [0; 4]) as &str).copied()
    })
}

/// The byte of a token of the form `<0xHH>`.
pub(crate) fn parse_byte_token(token: &str) -> Option<u8> {
    let hex = token.strip_prefix("<0x")?.strip_suffix('>')?;
    let two_digits = hex.len() == 2 && hex.bytes().all(|c| c.is_ascii_hexdigit());
    if two_digits { u8::from_str_radix(hex, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(tokens: &[(&str, f32)]) -> Spm {
        let vocab = GgufVocab {
            tokens: tokens.iter().map(|(token, _)| (*token).to_owned()).collect(),
            scores: tokens.iter().map(|(_, score)| *score).collect(),
            ..GgufVocab::default()
        };
        Spm::new(&vocab, "test").unwrap()
    }

    fn encode(model: &Spm, text: &str) -> Result<Vec<u32>, Error> {
        let mut ids = Vec::new();
        model.encode(text, false, "test", &mut ids)?;
        Ok(ids)
    }

    #[test]
    fn the_highest_score_merges_first_and_the_leftmost_of_equals() {
        let model = model(&[("a", 0.0), ("b", 0.0), ("c", 0.0), ("ab", -2.0), ("bc", -1.0), ("aa", -0.0)]);
        assert_eq!(encode(&model, "abc").unwrap(), [0, 4]);
        assert_eq!(encode(&model, "aaa").unwrap(), [5, 0]);
        assert_eq!(encode(&model, "").unwrap(), [0u32; 0]);
    }

    #[test]
    fn cutting_between_characters_that_no_token_joins_changes_nothing() {
        let model = model(&[
            ("a", 0.0),
            ("b", 0.0),
            ("▁", 0.0),
            ("ab", -1.0),
            ("▁a", -2.0),
            ("▁ab", -3.0),
            ("ä", 0.0),
            ("bä", -0.5),
        ]);
        let text = "▁ab▁abäb▁▁a";
        let segments: Vec<&str> = model.pairs.segments(text).collect();
        assert_eq!(segments, ["▁ab", "▁abä", "b", "▁", "▁a"]);
        let whole: Vec<&str> = model.merge(text).iter().map(|s| &text[s.start..s.start + s.len]).collect();
        let cut: Vec<&str> = segments
            .iter()
            .flat_map(|&segment| {
                model.merge(segment).into_iter().map(move |s| &segment[s.start..s.start + s.len])
            })
            .collect();
        assert_eq!(whole, cut);
        assert_eq!(whole, ["▁ab", "▁a", "bä", "b", "▁", "▁a"]);
    }

    #[test]
    fn unknown_characters_become_bytes_or_an_error() {
        let model = model(&[("<0xC3>", 0.0), ("<0xA4>", 0.0), ("x", 0.0), ("▁", 0.0)]);
        assert_eq!(encode(&model, "äx ").unwrap(), [0, 1, 2, 3]);
        assert!(matches!(encode(&model, "y"), Err(Error::MissingByte { byte: b'y', .. })));
    }

    #[test]
    fn byte_tokens_parse_strictly() {
        assert_eq!(parse_byte_token("<0x0A>"), Some(10));
        for bad in ["<0xA>", "<0x+1>", "<0xGG>", "0x0A", "<0x0A", "<0x00A>", ""] {
            assert_eq!(parse_byte_token(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_long_text_is_not_quadratic() {
        // A quadratic merge of a million characters would take hours.
        let model = model(&[("a", 0.0), ("aa", 1.0), ("aaaa", 2.0)]);
        let ids = encode(&model, &"a".repeat(1 << 20)).unwrap();
        assert_eq!(ids.len(), 1 << 18);
    }
}
