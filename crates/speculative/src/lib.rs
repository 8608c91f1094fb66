//! Sampling and speculative decoding over an abstract language model.
//!
//! A [`LanguageModel`] turns tokens into logits and can forget its newest tokens. Everything else here is built
//! on those two verbs: plain generation ([`generate()`]), draft-model speculation ([`Speculator`] with a
//! [`ModelProposer`]), acceptance accounting ([`Stats`]) and the arithmetic that says beforehand whether
//! speculation can pay ([`planner`]).
//!
//! The crate knows no GPU, reads no clock and prints nothing. The clock that the timers need is an argument.

mod dist;
mod draft;
mod error;
mod evaluate;
mod generate;
mod model;
pub mod planner;
mod propose;
mod sampling;
mod speculate;
mod stats;
mod synthetic;
mod verify;

pub use dist::Dist;
pub use draft::{Draft, Proposer};
pub use error::Error;
pub use generate::{FinishReason, Generation, generate};
pub use model::{Choice, LanguageModel, Logits, OnTokens, Rows, Token, argmax, decode_on_host};
pub use propose::{DraftOptions, ModelProposer};
pub use sampling::{RngStream, Sampler, SamplerRng};
pub use speculate::{Speculation, Speculator};
pub use stats::Stats;
pub use synthetic::{RandomProposer, SynthRates};
pub use verify::{Acceptance, Verification, verify};
