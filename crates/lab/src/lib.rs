//! The commands of `ridgeline` and the experiments that they run. Only this crate prints, reads the date, and depends on
//! all other crates.

pub mod cli;
mod commands;
pub mod experiments;
pub mod globals;
pub mod install;
pub mod output;
mod peer;
pub mod provenance;
pub mod runner;
mod targets;
mod trace;
