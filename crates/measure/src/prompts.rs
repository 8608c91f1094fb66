//! Prompts of real text against random tokens of equal lengths: whether the time of a prompt depends on its tokens.
//!
//! ```text
//! for each repetition:  for each prompt: time it, and as many random tokens; the order alternates
//! ```
//!
//! A change of the machine's pace meets both sides, because a prompt and its random tokens are milliseconds apart.

use crate::Error;
use crate::timing::timed;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use ridgeline_speculative::{LanguageModel, Rows, Token};
use ridgeline_text::Tokenizer;

/// Tokenized prompts, each with as many random tokens.
#[derive(Clone, Debug)]
pub struct Prompts {
    /// Text first, random tokens second.
    pairs: Vec<[Vec<Token>; 2]>,
    /// Repetitions so far.
    repetitions: usize,
}

impl Prompts {
    /// Tokenizes each line of `text` as a prompt. Empty lines are left out.
    ///
    /// # Errors
    /// [`Error::ShortText`] without a line, [`Error::Text`] where a line cannot be tokenized.
    pub fn new(tokenizer: &Tokenizer, text: &str, vocab: usize, seed: u64) -> Result<Self, Error> {
        let vocab = u32::try_from(vocab).unwrap_or(u32::MAX);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut pairs = Vec::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let tokens = tokenizer.encode(line)?;
            let random = tokens.iter().map(|_| rng.random_range(0..vocab)).collect();
            pairs.push([tokens, random]);
        }
        if pairs.is_empty() {
            return Err(Error::ShortText { tokens: 0, chunk: 1 });
        }
        Ok(Self { pairs, repetitions: 0 })
    }

    /// Tokens of each prompt.
    pub fn lengths(&self) -> impl Iterator<Item = usize> {
        self.pairs.iter().map(|[text, _]| text.len())
    }

    /// Nanoseconds of each prompt and of its random tokens, until the next token is known.
    ///
    /// # Errors
    /// The error of the model.
    pub fn time<M: LanguageModel>(&mut self, model: &mut M) -> Result<Vec<[u64; 2]>, M::Error> {
        let mut times = Vec::with_capacity(self.pairs.len());
        for (i, pair) in self.pairs.iter().enumerate() {
            let (first, mut ns) = ((i + self.repetitions) % 2, [0; 2]);
            for side in [first, 1 - first] {
                model.truncate(0)?;
                let (pick, one) = timed(|| model.extend_greedy(&pair[side], Rows::Last));
                pick?;
                ns[side] = one;
            }
            times.push(ns);
        }
        self.repetitions += 1;
        Ok(times)
    }
}

#[cfg(test)]
mod tests {
    use super::Prompts;
    use crate::models;

    #[test]
    fn each_line_has_as_many_random_tokens() {
        let checkpoint = models::checkpoint("tiny-draft", None).expect("it ships");
        let tokenizer = models::tokenizer(&checkpoint).expect("a vocabulary").expect("a tokenizer");
        let text = "A dog runs over a field.\n\nTwo cups stand on a table.\n";
        let of = |seed| Prompts::new(&tokenizer, text, 4096, seed).expect("two lines");
        let prompts = of(1);
        assert_eq!(prompts.pairs.len(), 2);
        for [text, random] in &prompts.pairs {
            assert!(text.len() > 4 && text.len() == random.len() && text != random);
            assert!(random.iter().all(|&it| it < 4096));
        }
        assert_eq!(prompts.lengths().count(), 2);
        assert_eq!(prompts.pairs, of(1).pairs, "the same seed");
        assert_ne!(prompts.pairs, of(2).pairs, "another seed");
        assert!(Prompts::new(&tokenizer, "\n \n", 4096, 1).is_err());
    }
}
