//! Byte-level BPE for GGUF vocabularies of model `gpt2`: [`PreTokenizer`] splits text into words, and the
//! `tokenizers` crate merges.

use std::collections::HashSet;

use tokenizers::Model as _;
use tokenizers::models::bpe::{BPE, Vocab};

use crate::byte_level::{first_missing, missing_bytes, spell};
use crate::pre::{Pre, PreTokenizer};
use crate::{Error, GgufVocab};

/// A BPE model and its pre-tokenizer.
#[derive(Debug)]
pub(crate) struct Bpe {
    model: BPE,
    pre_tokenizer: PreTokenizer,
    /// Bytes without a token, which the model would drop silently.
    missing: Box<[bool; 256]>,
}

impl Bpe {
    /// Builds the model of a checked vocabulary; `ids` has the id of each token.
    pub(crate) fn new(vocab: &GgufVocab, ids: Vocab, pre: Pre, file: &str) -> Result<Self, Error> {
        if vocab.merges.is_empty() {
            return Err(Error::MissingMerges { file: file.to_owned() });
        }
        let merges = merges(&vocab.merges, &ids, file)?;
        let missing = missing_bytes(|c| ids.contains_key(c));
        let model = BPE::builder()
            .vocab_and_merges(ids, merges)
            .ignore_merges(pre.ignore_merges)
            .build()
            .map_err(|error| Error::Build { file: file.to_owned(), detail: error.to_string() })?;
        Ok(Self { model, pre_tokenizer: PreTokenizer::new(pre), missing })
    }

    pub(crate) fn token_id(&self, token: &str) -> Option<u32> {
        self.model.token_to_id(token)
    }

    /// Appends the ids of a text without special tokens.
    pub(crate) fn encode(&self, text: &str, file: &str, out: &mut Vec<u32>) -> Result<(), Error> {
        if let Some(byte) = first_missing(text, &self.missing) {
            return Err(Error::MissingByte { file: file.to_owned(), byte });
        }
        let mut spelled = String::new();
        for word in self.pre_tokenizer.words(text) {
            spelled.clear();
            spell(&text[word], &mut spelled);
            let tokens = self
                .model
                .tokenize(&spelled)
                .map_err(|error| Error::Encode { file: file.to_owned(), detail: error.to_string() })?;
            out.extend(tokens.iter().map(|token| token.id));
        }
        Ok(())
    }
}

/// The merges as pairs of tokens. A duplicate pair keeps its first rank, which is the stronger one.
fn merges(lines: &[String], ids: &Vocab, file: &str) -> Result<Vec<(String, String)>, Error> {
    let mut seen = HashSet::with_capacity(lines.len());
    let mut merges = Vec::with_capacity(lines.len());
    let mut joined = String::new();
    for (index, line) in lines.iter().enumerate() {
        let pair = split_merge(line).and_then(|(left, right)| {
            joined.clear();
            joined.push_str(left);
            joined.push_str(right);
            ids.get(&joined)?;
            Some(((left, right), (*ids.get(left)?, *ids.get(right)?)))
        });
        let Some(((left, right), pair)) = pair else {
            return Err(Error::BadMerge { file: file.to_owned(), index, merge: line.clone() });
        };
        if seen.insert(pair) {
            merges.push((left.to_owned(), right.to_owned()));
        }
    }
    Ok(merges)
}

/// A merge is two tokens with a space between them; a leading space belongs to the first token.
fn split_merge(line: &str) -> Option<(&str, &str)> {
    let space = line.bytes().skip(1).position(|byte| byte == b' ')? + 1;
    Some((&line[..space], &line[space + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_split_at_the_first_space_that_is_not_in_front() {
        assert_eq!(split_merge("Ġ t"), Some(("Ġ", "t")));
        assert_eq!(split_merge("  t"), Some((" ", "t")));
        assert_eq!(split_merge("ab"), None);
        assert_eq!(split_merge(""), None);
        assert_eq!(split_merge(" "), None);
    }
}
