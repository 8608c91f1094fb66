//! The transformer forward pass. A [`Model`] is immutable weights on a device; a [`Session`] is one sequence
//! with its key/value cache.
//!
//! `forward` never touches a device: it records launches, and the session's executor runs them. A model
//! family is one file under `arch/`, composed of the blocks in `layers/`. Only [`Ops`] chooses kernels.

pub mod arch;
mod cache;
mod config;
mod error;
mod keys;
pub mod layers;
mod loader;
mod matrix;
mod model;
mod names;
mod ops;
mod reserved;
mod rope;
mod rows;
mod scratch;
mod session;
mod state;
mod switches;
mod timing;
mod vision;

pub use cache::KvCache;
pub use config::Config;
pub use error::Error;
pub use keys::Keys;
pub use loader::{LoadReport, Loader};
pub use matrix::{FusedLinear, Vector, WeightMatrix};
pub use model::Model;
pub use names::{Named, Set, UnknownName, parse_name};
pub use ops::{Activation, Ops};
pub use rope::RopeConfig;
pub use rows::Rows;
pub use scratch::Temp;
pub use session::{Session, SessionOptions, Shared};
pub use state::State;
pub use switches::{AttentionPath, Fusion, Fusions, MlaForm, Part, Parts, Switches};
pub use timing::RunTimes;
pub use vision::{ImageEncoder, ImageShape, VisionModel};
