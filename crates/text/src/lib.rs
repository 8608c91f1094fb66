//! Token ids to text and back, and chat templates.
//!
//! A [`Tokenizer`] is built from the vocabulary of a GGUF file ([`GgufVocab`], filled by the file reader) or
//! from a `tokenizer.json`. Ids are those of llama.cpp for GGUF vocabularies, and those of the `tokenizers`
//! crate for `tokenizer.json`. This crate reads no files, clocks or devices.

mod bpe;
mod byte_level;
mod clock;
mod ends;
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
pub use ends::Ends;
pub use error::Error;
pub use gguf::GgufVocab;
pub use pieces::{Specials, TextStream};
pub use pre::supported as supported_pre_tokenizers;
pub use template::{ChatTemplate, Message};
pub use tokenizer::Tokenizer;
