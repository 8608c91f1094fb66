//! The parts of a tokenizer, as the readers of both kinds of vocabulary return them.

use crate::ChatTemplate;
use crate::pieces::Pieces;

/// A tokenizer whose encoder is `E`.
#[derive(Debug)]
pub(crate) struct Parts<E> {
    pub(crate) encoder: E,
    pub(crate) pieces: Pieces,
    pub(crate) bos: Option<u32>,
    pub(crate) eos: Option<u32>,
    pub(crate) add_bos: bool,
    pub(crate) add_eos: bool,
    pub(crate) template: Option<ChatTemplate>,
    /// Ids that end a text, besides `eos`.
    pub(crate) ends: Vec<u32>,
    /// What may be wrong with the ids, one sentence each.
    pub(crate) notes: Vec<String>,
}

impl<E> Parts<E> {
    /// The same parts with another encoder.
    pub(crate) fn map<F>(self, wrap: impl FnOnce(E) -> F) -> Parts<F> {
        let Self { encoder, pieces, bos, eos, add_bos, add_eos, template, ends, notes } = self;
        Parts { encoder: wrap(encoder), pieces, bos, eos, add_bos, add_eos, template, ends, notes }
    }
}
