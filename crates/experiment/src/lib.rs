//! Experiments: the matrix of cells, the journal, statistics, published numbers, verdicts and the report.
//!
//! This crate uses no GPU, reads no clock and prints nothing.

pub mod agreement;
pub mod audit;
mod because;
pub mod bench_table;
pub mod canonical;
mod caveats;
pub mod compare;
pub mod data;
mod error;
pub mod finding;
pub mod journal;
pub mod matrix;
pub mod measure;
pub mod published;
pub mod quality;
pub mod record;
pub mod register;
pub mod report;
pub mod rows;
pub mod stats;
pub mod study;
mod upgrade;
pub mod verdict;

pub use error::Error;
