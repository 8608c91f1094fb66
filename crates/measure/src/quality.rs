//! Perplexity by the protocol of llama-perplexity, and comparison with a reference model.
//!
//! ```text
//! for each chunk of the text:  empty the cache, put BOS first if the model expects it
//!     score tokens chunk/2 + 1 .. chunk, each given all tokens before it
//! perplexity = exp(mean negative log-likelihood)
//! ```
//!
//! A reference model reads each chunk right after the model. Memory holds the logits of one chunk, and no logit file is
//! needed.

use crate::Error;
use crate::timing::timed;
use ridgeline_experiment::quality::{LogSoftmax, Paired, PairedSummary, Perplexity};
use ridgeline_speculative::{LanguageModel, Logits, Rows, Token};
use ridgeline_text::Tokenizer;

/// Fewest tokens of a chunk: its second half must contain a token to score.
pub const SHORTEST: usize = 4;

/// A tokenized text, cut into chunks.
#[derive(Clone, Debug)]
pub struct Text {
    tokens: Vec<Token>,
    chunk: usize,
    bos: Option<Token>,
}

impl Text {
    /// Tokenizes a text for at most `most` chunks of `chunk` tokens.
    ///
    /// Where the model expects BOS, it replaces the first token of every chunk, as in llama-perplexity.
    ///
    /// # Errors
    /// [`Error::ShortText`] where the text does not fill one chunk, [`Error::Text`] where it cannot be tokenized.
    pub fn new(tokenizer: &Tokenizer, text: &str, chunk: usize, most: Option<usize>) -> Result<Self, Error> {
        let bos = tokenizer.bos().filter(|_| tokenizer.add_bos());
        let mut tokens: Vec<Token> = bos.into_iter().collect();
        tokens.extend(tokenizer.encode(text)?);
        let chunk = chunk.max(SHORTEST);
        let chunks = (tokens.len() / chunk).min(most.unwrap_or(usize::MAX));
        if chunks == 0 {
            return Err(Error::ShortText { tokens: tokens.len(), chunk });
        }
        tokens.truncate(chunks * chunk);
        Ok(Self { tokens, chunk, bos })
    }

    /// Number of chunks.
    #[must_use]
    pub const fn chunks(&self) -> usize {
        self.tokens.len() / self.chunk
    }

    /// First position of a chunk whose logits are used.
    const fn first(&self) -> usize {
        self.chunk / 2
    }

    /// Scored tokens per chunk.
    #[must_use]
    pub const fn scored(&self) -> usize {
        self.chunk - 1 - self.first()
    }

    fn chunk(&self, i: usize) -> Vec<Token> {
        let mut chunk = self.tokens[i * self.chunk..][..self.chunk].to_vec();
        if let Some(bos) = self.bos {
            chunk[0] = bos;
        }
        chunk
    }
}

/// Quality of a model on a text, summed chunk by chunk.
#[derive(Clone, Debug, Default)]
pub struct Quality {
    /// Negative log-likelihoods of the model in nats.
    pub perplexity: Perplexity,
    /// Those of the reference; empty without one.
    pub reference: Perplexity,
    /// Paired differences on the same tokens; empty without a reference.
    pub paired: Paired,
    /// Tokens that the model read.
    pub read: u64,
    /// Time of reading in nanoseconds: forward passes and read-back of logits, without scoring.
    pub ns: u64,
    /// The same per chunk.
    pub chunk_ns: Vec<u64>,
}

impl Quality {
    /// Tokens read per second.
    #[must_use]
    pub fn tokens_per_second(&self) -> f64 {
        self.read as f64 * 1e9 / self.ns as f64
    }

    /// Summary of the comparison with the reference; `None` without one.
    #[must_use]
    pub fn vs_reference(&self) -> Option<PairedSummary> {
        self.paired.summary()
    }

    /// Reads chunk `i` with the model and the reference, and adds its scores.
    ///
    /// # Errors
    /// [`Error::NotNumbers`] where a logit is NaN, [`Error::Vocabularies`] where the vocabularies differ, or the error of
    /// a model.
    pub fn add<M, R>(
        &mut self,
        text: &Text,
        i: usize,
        model: &mut M,
        reference: Option<&mut R>,
    ) -> Result<(), Error>
    where
        M: LanguageModel,
        R: LanguageModel,
        Error: From<M::Error> + From<R::Error>,
    {
        let chunk = text.chunk(i);
        let (own, ns) = timed(|| read(model, &chunk, text.first()));
        let own = own?;
        self.read += chunk.len() as u64 - 1;
        self.ns += ns;
        self.chunk_ns.push(ns);
        let other = reference.map(|it| read(it, &chunk, text.first())).transpose()?;
        for (row, &next) in chunk[text.first() + 1..].iter().enumerate() {
            let next = next as usize;
            let scored = LogSoftmax::of(own.row(row)).ok_or(Error::NotNumbers)?;
            self.perplexity.push(-scored.log_p(next).ok_or(Error::Vocabularies)?);
            if let Some(other) = &other {
                let reference = LogSoftmax::of(other.row(row)).ok_or(Error::NotNumbers)?;
                self.reference.push(-reference.log_p(next).ok_or(Error::Vocabularies)?);
                if !self.paired.push(&scored, &reference, next) {
                    return Err(Error::Vocabularies);
                }
            }
        }
        Ok(())
    }
}

/// The logits of a chunk from position `first` on. The last token is not read: no token is known to follow it.
fn read<M: LanguageModel>(model: &mut M, chunk: &[Token], first: usize) -> Result<Logits, Error>
where
    Error: From<M::Error>,
{
    model.truncate(0)?;
    model.extend(&chunk[..first], Rows::None)?;
    Ok(model.extend(&chunk[first..chunk.len() - 1], Rows::All)?)
}
