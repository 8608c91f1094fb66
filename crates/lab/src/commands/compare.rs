//! `ridgeline compare`: two journals, with statistics.

use super::bench_all::usage;
use crate::cli::{Globals, REGRESSION, Usage};
use crate::output;
use crate::runner::{Error, TIMED_IN_BLOCKS, folder};
use ridgeline_experiment::compare::compare;
use ridgeline_experiment::report::markdown;
use std::path::PathBuf;
use std::process::ExitCode;

/// Compare two runs, point by point, with statistics
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of the first run
    before: PathBuf,
    /// Folder of the second run
    after: PathBuf,
    /// Smallest difference that counts, in per cent
    #[arg(long, default_value_t = 2.0, value_name = "PERCENT")]
    margin: f64,
    /// Exit with 4 where a point got slower
    #[arg(long)]
    fail_on_regression: bool,
}

pub(crate) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    if !args.margin.is_finite() || args.margin < 0.0 {
        return Err(Usage(format!("--margin {} is not a percentage of zero or more", args.margin)).into());
    }
    let before = folder::records(&args.before).map_err(usage)?;
    let after = folder::records(&args.after).map_err(usage)?;
    let comparison = compare(&before, &after, args.margin / 100.0, &TIMED_IN_BLOCKS);
    if comparison.changes.is_empty() {
        return Err(usage(Error::NothingInCommon { a: args.before, b: args.after }));
    }
    if globals.json {
        output::json(&comparison)?;
    } else {
        output::text(&markdown::table(&comparison.table()))?;
    }
    for (side, path) in [(&comparison.only_before, &args.before), (&comparison.only_after, &args.after)] {
        if !side.is_empty() {
            output::note(&format!("{} points are in {} alone", side.len(), path.display()));
        }
    }
    let worse = args.fail_on_regression && comparison.has_regression();
    Ok(if worse { ExitCode::from(REGRESSION) } else { ExitCode::SUCCESS })
}
