//! Token ids to text and back, and chat templates.
//!
//! A [`Tokenizer`] comes from the vocabulary inside a GGUF file ([`GgufVocab`], filled by whoever read
//! the file) or from a `tokenizer.json`. Ids are the ones llama.cpp gives for GGUF vocabularies and the
//! ones the `tokenizers` crate gives for `tokenizer.json`. Nothing here reads files, clocks or devices.

mod bpe;
mod byte_level;
mod clock;
mod error;
mod gguf;
mod json;
mod parts;
mod pieces;
mod pre;
mod special;
mod spm;
mod template;
mod tokenizer;

pub use clock::DateTime;
pub use error::Error;
pub use gguf::GgufVocab;
pub use pieces::{Specials, TextStream};
pub use pre::supported as supported_pre_tokenizers;
pub use template::{ChatTemplate, Message};
pub use tokenizer::Tokenizer;
