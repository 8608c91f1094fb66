//! Text quality by llama-perplexity's protocol: the text in chunks, each read with an empty cache, the tokens of its
//! second half predicted from everything before them.
//!
//! A reference reads the same chunk right after the model, so that their logits are compared while they are there:
//! memory holds one chunk's, and there is no file of them.

use crate::Error;
use crate::timing::timed;
use ridgeline_experiment::quality::{LogSoftmax, Paired, PairedSummary, Perplexity};
use ridgeline_speculative::{LanguageModel, Logits, Rows, Token};
use ridgeline_text::Tokenizer;

/// Fewest tokens of a chunk: its second half has to hold something to predict.
pub const SHORTEST: usize = 4;

/// A tokenised text, cut into chunks.
#[derive(Clone, Debug)]
pub struct Text {
    tokens: Vec<Token>,
    chunk: usize,
    bos: Option<Token>,
}

impl Text {
    /// Tokenises a text for chunks of `chunk` tokens, the first `most` of them. Where the model expects a token at
    /// the beginning of a text, it replaces the first token of every chunk, as in llama-perplexity.
    ///
    /// # Errors
    /// A text that does not fill one chunk, or does not turn into tokens.
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

    /// First position of a chunk whose logits are scored.
    const fn first(&self) -> usize {
        self.chunk / 2
    }

    /// Tokens of a chunk that are predicted.
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

/// What a model made of a text, chunk by chunk.
#[derive(Clone, Debug, Default)]
pub struct Quality {
    /// The model's own figures.
    pub perplexity: Perplexity,
    /// The reference's.
    pub reference: Perplexity,
    /// Both on the same tokens.
    pub paired: Paired,
    /// Tokens the model read.
    pub read: u64,
    /// How long that took, nanoseconds: the device, and bringing back the logits, but not scoring them.
    pub ns: u64,
    /// The same chunk by chunk.
    pub chunk_ns: Vec<u64>,
}

impl Quality {
    /// Tokens read per second.
    #[must_use]
    pub fn tokens_per_second(&self) -> f64 {
        self.read as f64 * 1e9 / self.ns as f64
    }

    /// How it compares with the reference, where there was one.
    #[must_use]
    pub fn vs_reference(&self) -> Option<PairedSummary> {
        self.paired.summary()
    }

    /// Reads one chunk with the model, and with the reference where there is one.
    ///
    /// # Errors
    /// A model that fails, or whose logits are no numbers.
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

/// The logits of a chunk from position `first` on, but for its last token, after which nothing is known to follow.
fn read<M: LanguageModel>(model: &mut M, chunk: &[Token], first: usize) -> Result<Logits, Error>
where
    Error: From<M::Error>,
{
    model.truncate(0);
    model.extend(&chunk[..first], Rows::None)?;
    Ok(model.extend(&chunk[first..chunk.len() - 1], Rows::All)?)
}
