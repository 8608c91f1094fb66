//! `ridgeline repeat`: runs the matrix twice, several times over, and prints how well two runs agree.

use super::bench_all::{self, usage};
use crate::globals::{FAILED, Globals, UsageError};
use crate::runner::{folder, interrupted, report};
use crate::{output, studies};
use ridgeline_experiment::agreement::{Agreement, agreement};
use ridgeline_experiment::report::{Align, Table, number};
use std::path::Path;
use std::process::ExitCode;

/// Run `bench-all` in pairs on this machine, and print the share of cells that agree within their intervals
///
/// Each run has a folder of its own: <DIR>/1, <DIR>/2 and so on, of --out or repeat/. An interrupted run is continued. Exits
/// with 1 if less than 95 % of the cells agree, or if a verdict flips between *holds* and *does not hold*.
#[derive(Debug, clap::Args)]
#[group(id = "repeat")]
pub(crate) struct Args {
    /// Pairs of runs
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pairs: u32,
    #[command(flatten)]
    run: bench_all::Args,
}

/// Least share of cells that have to agree.
const LEAST: f64 = 0.95;

pub(crate) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    if args.run.lists() {
        return Err(UsageError("repeat has no --list; use bench-all --list".to_owned()).into());
    }
    let base = args.run.out().map_or_else(|| "repeat".into(), Path::to_owned);
    let mut pairs = Vec::new();
    for pair in 0..args.pairs {
        let [a, b] = [2 * pair + 1, 2 * pair + 2].map(|i| base.join(i.to_string()));
        for out in [&a, &b] {
            bench_all::run(args.run.with_out(out), globals)?;
            if interrupted() {
                return Ok(ExitCode::from(FAILED));
            }
        }
        pairs.push(compare(&a, &b)?);
    }
    if globals.json {
        output::json(&pairs)?;
    } else {
        output::text(&output::table(&table(&pairs)))?;
        for (i, pair) in pairs.iter().enumerate() {
            pair.cells.iter().filter(|it| !it.agrees()).for_each(|it| {
                output::note(&format!(
                    "pair {}: {} took {} and {}, {:.1} times what their intervals allow",
                    i + 1,
                    it.label,
                    number::si(it.a.value, "s"),
                    number::si(it.b.value, "s"),
                    it.excess
                ));
            });
        }
    }
    let good = |it: &Agreement| it.share().is_some_and(|share| share >= LEAST) && it.flipped.is_empty();
    Ok(if pairs.iter().all(good) { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

/// The agreement of the runs in two folders.
fn compare(a: &Path, b: &Path) -> anyhow::Result<Agreement> {
    let catalogue = studies::catalogue();
    let [first, second] = [folder::records(a).map_err(usage)?, folder::records(b).map_err(usage)?];
    let verdicts =
        |records| report::conclude(records, &catalogue).map(|(conclusions, _)| conclusions.verdicts);
    let (before, after) = (verdicts(&first)?, verdicts(&second)?);
    Ok(agreement(&first, &second, [&before, &after]))
}

fn table(pairs: &[Agreement]) -> Table {
    let titles = ["pair", "cells", "agree", "median half-width", "flipped verdicts"];
    let mut table = Table::new("", titles.map(|title| (title, Align::Right)));
    for (i, pair) in pairs.iter().enumerate() {
        let percent = |share: Option<f64>| share.map_or_else(|| "–".to_owned(), number::percent);
        let flipped = if pair.flipped.is_empty() { "none".to_owned() } else { pair.flipped.join(", ") };
        table.push([
            (i + 1).to_string(),
            pair.cells.len().to_string(),
            percent(pair.share()),
            format!("± {}", percent(pair.half_width())),
            flipped,
        ]);
    }
    table
}
