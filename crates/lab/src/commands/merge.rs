//! `ridgeline merge`: joins the journals of several runs, and writes the report.

use super::bench_all::usage;
use crate::globals::{Globals, Usage};
use crate::runner::folder::{self, Folder, JOURNAL};
use crate::runner::report;
use crate::{experiments, output};
use ridgeline_experiment::journal;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// Join the journals of several runs, such as the shards of one matrix
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folders of the runs
    #[arg(required = true, value_name = "DIR")]
    dirs: Vec<PathBuf>,
    /// Output folder; it must not contain a journal
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
}

pub(crate) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let journals = args.dirs.iter().map(|dir| folder::records(dir)).collect::<Result<Vec<_>, _>>();
    let records = journal::merge(journals.map_err(usage)?);
    let target = Folder::open(&args.out).map_err(usage)?;
    let path = target.path().join(JOURNAL);
    if path.exists() {
        return Err(Usage(format!("{} already exists: choose another --out", path.display())).into());
    }
    journal::write(&path, &records)?;
    let [page, text] = report::write(&args.out, &experiments::catalogue())?;
    if globals.json {
        output::json(&json!({ "records": records.len(), "journal": path, "html": page, "markdown": text }))?;
    } else {
        output::text(&format!("{}\n{}\n{}\n", path.display(), page.display(), text.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}
