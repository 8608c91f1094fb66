//! The rows of `bench`, printed when they are measured.

use crate::globals::UsageError;
use crate::output;
use anyhow::Context;
use ridgeline_experiment::bench_table::{BenchRow, Output, Shown, Writer};
use serde_json::Value;

/// Prints each row at once: on stdout, and with `-oe` on stderr.
pub(super) struct Rows {
    first: Writer,
    second: Option<Writer>,
}

impl Rows {
    /// Rows in the format of stdout and of stderr, with columns for `shown` and for the fields `names`.
    pub(super) fn new(first: Output, second: Option<Output>, shown: Shown, names: Vec<&'static str>) -> Self {
        let second = second.map(|it| Writer::new(it, shown, names.clone()));
        Self { first: Writer::new(first, shown, names), second }
    }

    /// Prints a row.
    pub(super) fn push(&mut self, row: &BenchRow, fields: &[(&'static str, Value)]) -> anyhow::Result<()> {
        output::text(&self.first.row(row, fields)?).context("standard output")?;
        if let Some(second) = &mut self.second {
            output::ask(&second.row(row, fields)?);
        }
        Ok(())
    }

    /// Prints what follows the last row.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        output::text(&self.first.finish()).context("standard output")?;
        if let Some(second) = self.second {
            output::ask(&second.finish());
        }
        Ok(())
    }
}

/// The format that `-o` or `-oe` names, or the one that suits stdout.
pub(super) fn format_of(flag: &str, text: Option<&str>) -> Result<Output, UsageError> {
    match text {
        None if output::is_terminal() => Ok(Output::Plain),
        None | Some("md") => Ok(Output::Md),
        Some("csv") => Ok(Output::Csv),
        Some("json") => Ok(Output::Json),
        Some("jsonl") => Ok(Output::Jsonl),
        Some("sql") => Ok(Output::Sql),
        Some(other) => {
            Err(UsageError(format!("{flag} {other:?} is unknown: use md, csv, json, jsonl or sql")))
        }
    }
}

/// Whether a format is for people, so that text may follow the rows.
pub(super) const fn is_table(output: Output) -> bool {
    matches!(output, Output::Plain | Output::Md)
}
