//! The commands of `ridgeline`, and the measures and studies that they run. Only this crate prints, reads the date, and depends on
//! all other crates.

mod audit;
pub mod cli;
mod commands;
mod cut;
mod diagnosis;
pub mod globals;
mod hub;
pub mod install;
pub mod measures;
pub mod output;
mod peer;
pub mod provenance;
pub mod runner;
pub mod studies;
#[cfg(test)]
mod synthetic;
mod tables;
mod targets;
mod trace;
