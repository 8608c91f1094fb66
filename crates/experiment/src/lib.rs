//! Experiments: the matrix of cells, the journal, statistics, published numbers, verdicts and the report.
//!
//! This crate uses no GPU, reads no clock and prints nothing.

pub mod bench_table;
pub mod canonical;
pub mod compare;
mod error;
pub mod experiment;
pub mod journal;
pub mod matrix;
pub mod published;
pub mod quality;
pub mod record;
pub mod report;
pub mod stats;
mod upgrade;
pub mod verdict;

pub use error::Error;
