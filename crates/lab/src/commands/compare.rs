//! `ridgeline compare`: tests for differences between two runs.

use super::bench_all::usage;
use crate::globals::{Globals, REGRESSION, UsageError};
use crate::output;
use crate::runner::{Error, folder};
use ridgeline_experiment::compare::compare;
use std::path::PathBuf;
use std::process::ExitCode;

/// Compare two runs of `bench-all` cell by cell: a change counts if p < 0.05 (t test of visits, Holm) and it exceeds --margin
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Results folder of the first run
    before: PathBuf,
    /// Results folder of the second run
    after: PathBuf,
    /// Ignore changes of the median time up to this percentage, however significant
    #[arg(long, default_value_t = 2.0, value_name = "PERCENT")]
    margin: f64,
    /// Exit with code 4 if any cell became significantly slower, by more than --margin
    #[arg(long)]
    fail_on_regression: bool,
}

pub(crate) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    if !args.margin.is_finite() || args.margin < 0.0 {
        return Err(UsageError(format!("--margin is {}: use a percentage of at least 0", args.margin)).into());
    }
    let before = folder::records(&args.before).map_err(usage)?;
    let after = folder::records(&args.after).map_err(usage)?;
    let comparison = compare(&before, &after, args.margin / 100.0);
    if comparison.changes.is_empty() {
        return Err(usage(Error::NothingInCommon { a: args.before, b: args.after }));
    }
    if globals.json {
        output::json(&comparison)?;
    } else {
        output::text(&output::table(&comparison.table()))?;
    }
    for (side, path) in [(&comparison.only_before, &args.before), (&comparison.only_after, &args.after)] {
        if !side.is_empty() {
            output::note(&format!("{} points are only in {}", side.len(), path.display()));
        }
    }
    let worse = args.fail_on_regression && comparison.has_regression();
    Ok(if worse { ExitCode::from(REGRESSION) } else { ExitCode::SUCCESS })
}
