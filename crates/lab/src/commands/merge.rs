//! `ridgeline merge`: joins the journals of several runs, and writes the report.

use super::bench_all::usage;
use crate::globals::{Globals, UsageError};
use crate::runner::folder::{self, Folder, JOURNAL};
use crate::runner::report;
use crate::{output, studies};
use ridgeline_experiment::journal;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// Join the results of several `bench-all` runs, such as its --shard parts, and write their report
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Results folders of the runs; a record that several hold is kept once
    #[arg(required = true, value_name = "DIR")]
    dirs: Vec<PathBuf>,
    /// Output folder for the joined journal.jsonl and its report; it must not hold a journal yet
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
}

pub(crate) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let journals = args.dirs.iter().map(|dir| folder::records(dir)).collect::<Result<Vec<_>, _>>();
    let records = journal::merge(journals.map_err(usage)?);
    let target = Folder::open(&args.out).map_err(usage)?;
    let path = target.path().join(JOURNAL);
    if path.exists() {
        return Err(UsageError(format!("{} already exists: choose another --out", path.display())).into());
    }
    journal::write(&path, &records)?;
    let [page, text] = report::write(&args.out, &studies::catalogue())?;
    if globals.json {
        output::json(&json!({ "records": records.len(), "journal": path, "html": page, "markdown": text }))?;
    } else {
        output::text(&format!("{}\n{}\n{}\n", path.display(), page.display(), text.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}
