//! The transformer forward pass: a [`Model`] is the immutable weights on a device, a [`Session`] is one sequence
//! with its key/value cache.
//!
//! `forward` never touches a device: it records launches, and the executor the session holds runs them. A model
//! family is one file under `arch/`, built from the blocks of `layers/`; which kernels run is decided in
//! [`Ops`] alone.

pub mod arch;
mod cache;
mod config;
mod error;
pub mod layers;
mod loader;
mod matrix;
mod model;
mod ops;
mod scratch;
mod session;
mod switches;
mod timing;

pub use cache::KvCache;
pub use config::{Config, RopeConfig};
pub use error::Error;
pub use loader::{LoadReport, Loader};
pub use matrix::{FusedLinear, Vector, WeightMatrix};
pub use model::Model;
pub use ops::{Activation, Ops};
pub use scratch::Temp;
pub use session::{Session, SessionOptions, Shared};
pub use switches::{AttentionPath, Fusion, Fusions, Switches};
pub use timing::RunTimes;
