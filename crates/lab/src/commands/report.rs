//! `ridgeline report`: writes the report of a journal, without measuring.

use super::bench_all::usage;
use super::outputs;
use crate::globals::{Globals, UsageError};
use crate::runner::{folder, report};
use crate::{output, studies};
use anyhow::Context;
use ridgeline_experiment::report::{Report, excerpt, html, markdown};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Write the report of a `bench-all` run from its journal (journal.jsonl), without measuring
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Results folder of the run
    dir: PathBuf,
    /// Write one file instead of two: Markdown if its name ends in .md, otherwise HTML [default: report.html and
    /// report.md in <DIR>]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Also write every figure as SVG, CSV and Vega-Lite into this folder [default: figures in <DIR>]
    #[arg(long, value_name = "DIR")]
    figures: Option<PathBuf>,
    /// Print the first figure and three sentences as Markdown, and write only that figure into this folder
    #[arg(long, value_name = "DIR", conflicts_with_all = ["output", "figures"])]
    excerpt: Option<PathBuf>,
    /// Print these sections as Markdown and write nothing: anchors of report.html, such as the-answer,gap-2
    #[arg(long, value_name = "ANCHOR", value_delimiter = ',', conflicts_with_all = ["output", "figures", "excerpt"])]
    sections: Vec<String>,
}

pub(crate) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let catalogue = studies::catalogue();
    let made =
        folder::records(&args.dir).and_then(|records| report::make(&records, &catalogue)).map_err(usage)?;
    if let Some(folder) = &args.excerpt {
        return print_excerpt(&made, folder);
    }
    if !args.sections.is_empty() {
        return print_sections(&made, &args.sections);
    }
    if let Some(folder) = &args.figures {
        report::save_figures(&made, folder).map_err(usage)?;
    }
    if globals.json || args.output.is_some() {
        if let Some(path) = &args.output {
            let is_own = |bytes: &[u8]| bytes.starts_with(b"<") || bytes.starts_with(b"#");
            outputs::replaceable(path, "a report", is_own)?;
            let text = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("md"));
            folder::write(path, &if text { markdown::markdown(&made) } else { html(&made)? })?;
        }
        if globals.json {
            output::json(&made)?;
        }
    } else {
        for path in report::save(&made, &args.dir).map_err(usage)? {
            output::text(&format!("{}\n", path.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the sections with these anchors, in their order, as Markdown.
fn print_sections(made: &Report, anchors: &[String]) -> anyhow::Result<ExitCode> {
    let find = |anchor: &String| {
        let all = || made.sections.iter().map(|it| it.id.as_str()).collect::<Vec<_>>().join(", ");
        let found = made.sections.iter().find(|it| it.id == *anchor).cloned();
        found.ok_or_else(|| UsageError(format!("the report has no section {anchor:?}; it has: {}", all())))
    };
    let sections = anchors.iter().map(find).collect::<Result<Vec<_>, _>>()?;
    output::text(&sections.iter().map(markdown::section).collect::<String>())?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the first figure into a folder, and prints Markdown that shows it above the first sentences.
fn print_excerpt(made: &Report, folder: &Path) -> anyhow::Result<ExitCode> {
    let it = excerpt(made).context("the report has no figure, or no paragraph beside it")?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    folder::write(&folder.join(&it.figure.name), &it.figure.text)?;
    let quoted: String = it.sentences.iter().map(|sentence| format!("> {sentence}\n")).collect();
    output::text(&format!("![{}]({}/{})\n\n{quoted}", it.caption, folder.display(), it.figure.name))?;
    Ok(ExitCode::SUCCESS)
}
