//! `ridgeline run-cells`: the worker process of `bench-all`. Users do not call it.

use crate::globals::Globals;
use crate::{measures, runner};
use std::process::ExitCode;

/// Measure the cells of one job, which is read from stdin
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(crate) struct Args {}

pub(crate) fn run(_: Args, _: &Globals) -> anyhow::Result<ExitCode> {
    Ok(runner::serve(&measures::measures())?)
}
