//! `ridgeline run-cells`: what `bench-all` starts as its child. It is not meant to be typed.

use crate::globals::Globals;
use crate::{experiments, runner};
use std::process::ExitCode;

/// Measure the cells of one job, read from standard input
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(crate) struct Args {}

pub(crate) fn run(_: Args, _: &Globals) -> anyhow::Result<ExitCode> {
    Ok(runner::serve(&experiments::experiments())?)
}
