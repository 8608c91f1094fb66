//! The experiments, and the commands of `ridgeline` that run them: the only crate that reads the calendar, prints, and
//! knows every other crate.

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
