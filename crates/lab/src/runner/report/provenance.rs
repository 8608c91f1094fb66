//! Where the numbers of a report come from: devices, builds, commands, times, models and seeds.

use super::distinct;
use crate::measures::title;
use ridgeline_experiment::record::{Build, Record};
use ridgeline_experiment::report::number;

/// Keys and values, in the order of the report.
pub(super) fn rows(records: &[Record]) -> Vec<(String, String)> {
    let mut rows: Vec<(String, String)> = Vec::new();
    let mut row = |key: &str, value: String| rows.push((key.to_owned(), value));
    for machine in distinct(records.iter().map(|r| &r.machine)) {
        let limits = machine.limits.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>();
        row("device", format!("{}; {}; {}", machine.adapter, machine.driver, machine.backend));
        row("limits", limits.join(", "));
    }
    let builds = distinct(records.iter().map(|r| &r.build));
    for build in &builds {
        let n = records.iter().filter(|r| r.build == **build).count();
        row("build", format!("{}; {n} records", build_line(build)));
    }
    if let Some(build) = builds.last() {
        let crates: Vec<String> =
            build.crates.iter().map(|(name, version)| format!("{name} {version}")).collect();
        row("crates", crates.join(", "));
    }
    for argv in distinct(records.iter().map(|r| &r.argv)) {
        row("command", argv.join(" "));
    }
    let starts = || records.iter().map(|r| r.started_utc.as_str());
    if let (Some(first), Some(last)) = (starts().min(), starts().max()) {
        let runs = distinct(records.iter().map(|r| &r.run_id)).len();
        row("measured", format!("{first} to {last}, in {runs} invocations, {} records", records.len()));
    }
    for model in models(records) {
        row("model", model);
    }
    for seed in distinct(records.iter().map(|r| &r.seed)) {
        row("seed", seed.to_string());
    }
    rows
}

/// Every model with its size and hash, by its name in the matrix. The name of a converted file in the cache is a hash.
fn models(records: &[Record]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for record in records {
        let Some(model) = &record.model else { continue };
        let text = |key: &str| record.point.get(key).and_then(|it| it.as_str());
        let name = match (text("model"), text("format")) {
            (Some(name), Some(format)) => title(name, format),
            _ => model.name.clone(),
        };
        let hash = model.hash.as_deref().map_or("random weights".to_owned(), |h| format!("BLAKE3 {h}"));
        let line = format!("{name}, {}, {hash}", number::bytes(model.bytes));
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

fn build_line(build: &Build) -> String {
    let revision = match (&build.git_rev, build.dirty) {
        (Some(revision), Some(true)) => format!("{revision} with uncommitted changes"),
        (Some(revision), _) => revision.clone(),
        (None, _) => "revision unknown".to_owned(),
    };
    format!("ridgeline {}; {revision}; {}", build.version, build.rustc)
}
