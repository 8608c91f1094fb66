//! What an experiment is: its matrix of cells, its journal, its statistics, the published numbers it is held
//! against, the verdicts, and the report. Knows no GPU, reads no clock and prints nothing.

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
