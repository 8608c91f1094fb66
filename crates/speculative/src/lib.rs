//! Sampling and speculative decoding over an abstract language model.
//!
//! A [`LanguageModel`] appends tokens, returns logits, and can forget its newest tokens. Everything else uses
//! only these operations:
//! - plain generation: [`generate()`];
//! - speculation with a draft model: [`Speculator`] with a [`ModelProposer`];
//! - acceptance statistics: [`Stats`];
//! - predicted speedup of speculation: [`planner`].
//!
//! The crate uses no GPU, reads no clock and prints nothing. Callers pass the clock for timings.

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
pub use generate::{FinishReason, Generation, generate, generate_after};
pub use model::{Choice, LanguageModel, Logits, OnTokens, Rows, Token, argmax, decode_on_host};
pub use propose::{DraftOptions, ModelProposer};
pub use sampling::{RngStream, Sampler, SamplerRng};
pub use speculate::{Speculation, Speculator};
pub use stats::Stats;
pub use synthetic::{RandomProposer, SynthRates};
pub use verify::{Acceptance, Verification, verify};
