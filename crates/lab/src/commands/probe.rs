//! `ridgeline probe`: the measured ceilings of this device, and whether they agree with an earlier measurement.

use crate::cli::{self, Globals};
use ridgeline_measure::probe::{self, Agreement, MatVecs, NOISE_FLOOR, Ceiling, Quantity};
use crate::{install, output};
use anyhow::Context;
use ridgeline_experiment::report::number::{bytes, si, si_range};
use ridgeline_roofline::{Machine, Measured};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Measure what this device can do at best: bandwidth by working-set size, arithmetic, and the fixed costs
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Fewer sizes and less time for each; wider intervals
    #[arg(long)]
    quick: bool,
    /// Also write the JSON to this file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Hold the result against an earlier `probe --json`; exit 4 where fewer than 95 % of the quantities agree
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
}

/// Share of the quantities in which two probes have to agree: that of the intervals' own confidence.
const AGREE: f64 = 0.95;

/// What is written with `--json`.
#[derive(Debug, Serialize, Deserialize)]
struct Probe {
    machine: Machine,
    ceilings: Vec<Ceiling>,
}

pub(crate) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let earlier = args.compare.as_deref().map(read).transpose()?;
    let mut device = install::open(globals)?;
    let name = device.gpu().map(|gpu| gpu.info().name.clone()).unwrap_or_default();
    let budget = probe::budget(args.quick);
    let mut ceilings: Vec<Ceiling> = Vec::new();
    // Once through everything and then again: the two sessions of a quantity are far apart in time.
    for session in ["first", "second"] {
        for (i, quantity) in Quantity::ALL.into_iter().enumerate() {
            output::note(&format!("measuring {quantity:?}, {session} session"));
            let ceiling = probe::session(&mut device, quantity, &budget)?.ceiling;
            match ceilings.get_mut(i) {
                Some(earlier) => *earlier = earlier.joined(&ceiling).ok_or(probe::Error::Mismatch)?,
                None => ceilings.push(ceiling),
            }
        }
    }
    let machine = probe::machine(&name, &ceilings).context("a ceiling is missing")?;
    if probe::block_spread(&machine) > probe::MAX_BLOCK_SPREAD {
        output::note(
            "blocks differ widely: other programs use this machine, and its ceilings may be higher than this; \
             measure again when it is quiet",
        );
    }
    let agreements = earlier.map(|earlier| probe::agreement(&earlier.machine, &machine));
    let probe = Probe { machine, ceilings };
    if let Some(path) = &args.output {
        let text = serde_json::to_string_pretty(&probe)?;
        std::fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    if globals.json {
        output::json(&probe)?;
    } else {
        output::text(&tables(&probe))?;
    }
    Ok(agreements.map_or(ExitCode::SUCCESS, |it| judge(&it)))
}

fn read(path: &Path) -> anyhow::Result<Probe> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| format!("{} is no output of probe --json", path.display()))
}

/// Tells how two probes compare, on stderr.
fn judge(agreements: &[Agreement]) -> ExitCode {
    for a in agreements.iter().filter(|a| !a.agree) {
        let interval = |m: Measured| format!("{} [{}]", si(m.value, ""), si_range(m.lo, m.hi, ""));
        output::note(&format!("{}: {} before, {} now", a.quantity, interval(a.a), interval(a.b)));
    }
    let agree = agreements.iter().filter(|a| a.agree).count();
    let of = agreements.len();
    output::note(&format!(
        "{agree} of {of} quantities agree within their intervals, widened by {:.0} %",
        NOISE_FLOOR * 100.0
    ));
    if agree as f64 >= AGREE * of as f64 { ExitCode::SUCCESS } else { ExitCode::from(cli::REGRESSION) }
}

/// Everything as text: the curves side by side, then the rest line by line.
fn tables(probe: &Probe) -> String {
    let machine = &probe.machine;
    let rate = |m: Measured| format!("{} [{}]", si(m.value, "B/s"), si_range(m.lo, m.hi, "B/s"));
    let mut rows = vec![["working set", "read", "copy", "triad"].map(str::to_owned).to_vec()];
    for sample in machine.bandwidth.read.samples() {
        let curves = [&machine.bandwidth.read, &machine.bandwidth.copy, &machine.bandwidth.triad];
        let rates = curves.map(|curve| rate(curve.at(sample.bytes)));
        rows.push(std::iter::once(bytes(sample.bytes)).chain(rates).collect());
    }
    let mut text = format!("{}\n\n{}\n", machine.name, output::table(&[true; 4], &rows));
    text += &output::table(&[false, true, true], &scalars(probe));
    text
}

/// The quantities that are single numbers.
fn scalars(probe: &Probe) -> Vec<Vec<String>> {
    let machine = &probe.machine;
    let row = |name: &str, m: Measured, unit: &str| {
        vec![name.to_owned(), si(m.value, unit), format!("[{}]", si_range(m.lo, m.hi, unit))]
    };
    let mut rows = vec![row("32-bit arithmetic", machine.flops_f32, "FLOP/s")];
    rows.push(match machine.flops_f16 {
        Some(m) => row("16-bit arithmetic", m, "FLOP/s"),
        None => vec!["16-bit arithmetic".to_owned(), "not on this device".to_owned(), String::new()],
    });
    let o = machine.overheads;
    rows.push(row("one more launch", o.launch_s, "s"));
    rows.push(row("submission", o.submission_s, "s"));
    rows.push(row("synchronisation", o.synchronisation_s, "s"));
    rows.push(row("reading four bytes back", o.readback_s, "s"));
    for ceiling in &probe.ceilings {
        if let Ceiling::Matvec(MatVecs { products }) = ceiling {
            for p in products {
                rows.push(row(&format!("matrix × vector, 8192², {}", p.format), p.streamed, "B/s"));
            }
        }
    }
    rows
}
