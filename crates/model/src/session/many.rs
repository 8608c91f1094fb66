//! Several sequences in one forward pass.
//!
//! ```text
//! for each sequence: add all tokens but the last to the pass; a pass that is full runs, without logits
//! add the last token of each sequence behind them, or to another pass if they do not fit; run, with logits of these
//! ```

use super::Session;
use super::read_back::{floats, words};
use super::record::Output;
use super::token_table::Segment;
use crate::Error;
use ridgeline_compute::{Executor, Recording};
use ridgeline_speculative::{LanguageModel, Logits, Token};
use std::ops::ControlFlow;

/// A forward pass: its tokens, the sequences that they belong to, and the number of last tokens whose logits are wanted.
#[derive(Default)]
struct Pass {
    tokens: Vec<Token>,
    segments: Vec<Segment>,
    rows: usize,
}

impl<E: Executor> Session<E> {
    /// Appends tokens to sequences, each given with its index. Row `i` of the logits predicts the token after those of entry
    /// `i`.
    ///
    /// It is one forward pass if the tokens fit a [batch](Self::batch). Other sequences do not change.
    ///
    /// # Errors
    /// An unknown sequence, one that is there twice, or one without tokens. Tokens beyond the vocabulary or the context. More
    /// entries than a forward pass has rows of logits. After a failure of the device, truncate every sequence of the call to
    /// its former length.
    pub fn extend_many(&mut self, entries: &[(usize, &[Token])]) -> Result<Logits, Error> {
        let vocab = self.vocab();
        let mut data = Vec::with_capacity(entries.len() * vocab);
        self.run_many(entries, Output::Logits, |bytes| data.extend(floats(bytes)))?;
        Ok(Logits { vocab, data })
    }

    /// [`Self::extend_many`] that returns the most probable next token of each entry. The lowest id wins a tie.
    ///
    /// # Errors
    /// As [`Self::extend_many`].
    pub fn extend_many_greedy(&mut self, entries: &[(usize, &[Token])]) -> Result<Vec<Token>, Error> {
        let mut picks = Vec::with_capacity(entries.len());
        self.run_many(entries, Output::GreedyTokens, |bytes| picks.extend(words(bytes)))?;
        Ok(picks)
    }

    /// Greedy decoding of sequences together: each forward pass appends one token of each. An entry is a sequence and its next
    /// token. Returns `n` choices for each entry, of which the last is not appended.
    ///
    /// # Errors
    /// As [`Self::extend_many`].
    pub fn decode_many(&mut self, entries: &[(usize, Token)], n: usize) -> Result<Vec<Vec<Token>>, Error> {
        let mut choices = vec![Vec::with_capacity(n); entries.len()];
        if n == 0 || entries.is_empty() {
            return Ok(choices);
        }
        let tokens: Vec<Token> = entries.iter().map(|entry| entry.1).collect();
        let each: Vec<(usize, &[Token])> =
            entries.iter().zip(tokens.chunks(1)).map(|(entry, token)| (entry.0, token)).collect();
        self.check_many(&each)?;
        for &(sequence, _) in entries {
            self.check_room(self.sequences[sequence].len + n)?;
        }
        let segments: Vec<Segment> = entries.iter().map(|entry| self.segment(entry.0, 1)).collect();
        self.decode_on_device((&segments, &tokens), n, &|_| None, &mut |picks| {
            for pass in picks.chunks(choices.len()) {
                choices.iter_mut().zip(pass).for_each(|(of, &pick)| of.push(pick));
            }
            ControlFlow::Continue(())
        })?;
        Ok(choices)
    }

    /// Records the forward passes of [`Self::extend_many_greedy`] one after the other, and passes each to `on_pass`. Nothing
    /// runs. For costs.
    ///
    /// # Errors
    /// As [`Self::extend_many`].
    pub fn record_many(
        &mut self,
        entries: &[(usize, &[Token])],
        on_pass: &mut dyn FnMut(&Recording),
    ) -> Result<(), Error> {
        self.check_many(entries)?;
        for Pass { tokens, segments, rows } in self.passes(entries) {
            self.record_pass((&tokens, &segments), rows, Output::GreedyTokens);
            on_pass(&self.recording);
        }
        Ok(())
    }

    fn run_many(
        &mut self,
        entries: &[(usize, &[Token])],
        output: Output,
        mut on_bytes: impl FnMut(&[u8]),
    ) -> Result<(), Error> {
        self.check_many(entries)?;
        let appended: Vec<(usize, usize)> = entries.iter().map(|entry| (entry.0, entry.1.len())).collect();
        self.begin_append(&appended)?;
        for Pass { tokens, segments, rows } in self.passes(entries) {
            self.run_pass(&tokens, (&segments, rows), output, &mut on_bytes)?;
        }
        for &(sequence, _) in entries {
            self.sequences[sequence].history.settle();
        }
        Ok(())
    }

    /// Checks that each entry can be appended, and all of them in one call.
    fn check_many(&self, entries: &[(usize, &[Token])]) -> Result<(), Error> {
        for (i, &(sequence, tokens)) in entries.iter().enumerate() {
            self.check_sequence(sequence)?;
            let twice = entries[..i].iter().any(|entry| entry.0 == sequence);
            let problem = match tokens {
                _ if twice => Some("is there twice in one call; join its tokens"),
                [] => Some("has no tokens to append, and so no logits; leave it out"),
                _ => None,
            };
            if let Some(what) = problem {
                return Err(Error::Sequence { sequence, what });
            }
            self.check_tokens(sequence, tokens)?;
        }
        let (rows, most) = (entries.len(), self.scratch.rows);
        if rows > most {
            return Err(Error::Batch { tokens: rows, batch: self.scratch.tokens, rows, most });
        }
        Ok(())
    }

    /// The next `n` tokens of a sequence.
    fn segment(&self, sequence: usize, n: usize) -> Segment {
        Segment { sequence, position: self.sequences[sequence].len, n }
    }

    /// The forward passes that append the entries.
    fn passes(&self, entries: &[(usize, &[Token])]) -> Vec<Pass> {
        let batch = self.scratch.tokens;
        let (mut passes, mut pass, mut last) = (Vec::new(), Pass::default(), Pass::default());
        for &(sequence, tokens) in entries {
            let Some((end, mut others)) = tokens.split_last() else { continue };
            let mut next = self.segment(sequence, 1);
            while !others.is_empty() {
                let n = others.len().min(batch - pass.tokens.len());
                let (own, rest) = others.split_at(n);
                pass.push(own, Segment { n, ..next });
                (next.position, others) = (next.position + n, rest);
                if pass.tokens.len() == batch {
                    passes.push(std::mem::take(&mut pass));
                }
            }
            last.push(&[*end], next);
        }
        if pass.tokens.len() + last.tokens.len() > batch {
            passes.push(std::mem::take(&mut pass));
        }
        pass.rows = last.tokens.len();
        pass.tokens.extend(last.tokens);
        pass.segments.extend(last.segments);
        passes.push(pass);
        passes.retain(|pass| !pass.tokens.is_empty());
        passes
    }
}

impl Pass {
    fn push(&mut self, tokens: &[Token], segment: Segment) {
        self.tokens.extend_from_slice(tokens);
        self.segments.push(segment);
    }
}
