//! `ridgeline probe`: the measured ceilings of this device, and their agreement with an earlier measurement.

use super::outputs;
use crate::globals::{Globals, REGRESSION};
use crate::{install, output};
use anyhow::Context;
use ridgeline_experiment::report::number::{bytes, si, si_range};
use ridgeline_experiment::report::{Align, Table};
use ridgeline_measure::probe::{self, Agreement, Ceiling, MatVecs, NOISE_FLOOR, Quantity};
use ridgeline_roofline::{Machine, Measured};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Measure the device's ceilings: memory bandwidth at several buffer sizes, peak FLOP/s, times of launch and synchronization
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Spend about 3 s instead of 20 s on each quantity: fewer sizes, wider confidence intervals
    #[arg(long)]
    quick: bool,
    /// Also write the result as JSON to this file, for a later --compare
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[arg(long, help = compare_help(), value_name = "FILE")]
    compare: Option<PathBuf>,
}

/// Share of the quantities in which two probes must agree: the confidence level of the intervals.
const MIN_AGREEMENT: f64 = 0.95;

fn compare_help() -> String {
    format!(
        "Compare with the file of an earlier `probe -o`. A quantity agrees if the 95 % intervals overlap, widened by {:.0} %. \
         Exit with code 4 if fewer than {:.0} % of the quantities agree",
        NOISE_FLOOR * 100.0,
        MIN_AGREEMENT * 100.0
    )
}

/// The output of `--json`.
#[derive(Debug, Serialize)]
struct Probe {
    machine: Machine,
    ceilings: Vec<Ceiling>,
}

/// The part of an earlier output that `--compare` needs. It has the same form in the files of all versions.
#[derive(Debug, Deserialize)]
struct EarlierProbe {
    machine: Machine,
}

pub(crate) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let earlier = args.compare.as_deref().map(read).transpose()?;
    if let Some(path) = &args.output {
        outputs::replaceable(path, "a probe in JSON", |bytes| bytes.starts_with(b"{"))?;
    }
    let mut device = install::open(globals)?;
    let name = device.gpu().map(|gpu| gpu.info().name.clone()).unwrap_or_default();
    let budget = probe::budget(args.quick);
    let mut ceilings: Vec<Ceiling> = Vec::new();
    // All quantities are measured twice, so that the intervals include drift between distant sessions.
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
    let machine = probe::machine(&name, &ceilings).context("a ceiling was not measured")?;
    if probe::block_spread(&machine) > probe::MAX_BLOCK_SPREAD {
        output::note(
            "timings vary widely: another program may be using the device, and the true ceilings may be higher; \
             close it and measure again",
        );
    }
    let agreements = earlier.map(|earlier| probe::agreement(&earlier.machine, &machine));
    let probe = Probe { machine, ceilings };
    if globals.json {
        output::json(&probe)?;
    } else {
        output::text(&tables(&probe))?;
    }
    // The ceilings are printed first, so that a full disk does not lose them.
    if let Some(path) = &args.output {
        let text = serde_json::to_string_pretty(&probe)?;
        std::fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    Ok(agreements.map_or(ExitCode::SUCCESS, |it| judge(&it)))
}

fn read(path: &Path) -> anyhow::Result<EarlierProbe> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} is not an output of probe --json", path.display()))
}

/// Prints the agreement of two probes on stderr.
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
    if agree as f64 >= MIN_AGREEMENT * of as f64 { ExitCode::SUCCESS } else { ExitCode::from(REGRESSION) }
}

/// The bandwidth curves side by side, then the scalar ceilings.
fn tables(probe: &Probe) -> String {
    let machine = &probe.machine;
    let rate = |m: Measured| format!("{} [{}]", si(m.value, "B/s"), si_range(m.lo, m.hi, "B/s"));
    let mut bandwidths =
        Table::new("", ["working set", "read", "copy", "triad"].map(|it| (it, Align::Right)));
    for sample in machine.bandwidth.read.samples() {
        let curves = [&machine.bandwidth.read, &machine.bandwidth.copy, &machine.bandwidth.triad];
        let rates = curves.map(|curve| rate(curve.at(sample.bytes)));
        bandwidths.push(std::iter::once(bytes(sample.bytes)).chain(rates));
    }
    format!("{}\n\n{}\n{}", machine.name, output::table(&bandwidths), output::table(&scalars(probe)))
}

/// The ceilings that are single numbers.
fn scalars(probe: &Probe) -> Table {
    let machine = &probe.machine;
    let row = |name: &str, m: Measured, unit: &str| {
        [name.to_owned(), si(m.value, unit), si_range(m.lo, m.hi, unit)]
    };
    use Align::{Left, Right};
    let mut table = Table::new("", [("ceiling", Left), ("value", Right), ("95 % interval", Right)]);
    table.push(row("f32 peak", machine.flops_f32, "FLOP/s"));
    table.push(match machine.flops_f16 {
        Some(m) => row("f16 peak", m, "FLOP/s"),
        None => ["f16 peak".to_owned(), "no f16 on this device".to_owned(), String::new()],
    });
    let o = machine.overheads;
    table.push(row("kernel launch", o.launch_s, "s"));
    table.push(row("queue submission", o.submission_s, "s"));
    table.push(row("synchronization", o.synchronisation_s, "s"));
    table.push(row("readback of 4 bytes", o.readback_s, "s"));
    for ceiling in &probe.ceilings {
        if let Ceiling::Matvec(MatVecs { products }) = ceiling {
            for p in products {
                table.push(row(&format!("mat-vec 8192², {}", p.format), p.streamed, "B/s"));
            }
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::{Machine, read};

    #[test]
    fn files_of_earlier_versions_can_be_compared() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let machine = Machine::flat("a device", 1e9, 1e10).expect("positive ceilings");
        for key in ["pieces", "ceilings"] {
            let text = serde_json::json!({ "machine": &machine, key: [{ "renamed_since": {} }] }).to_string();
            std::fs::write(file.path(), text).expect("written");
            assert_eq!(read(file.path()).expect("a probe").machine, machine, "{key}");
        }
        std::fs::write(file.path(), "{}").expect("written");
        let error = read(file.path()).expect_err("no probe").to_string();
        assert!(error.contains("is not an output of probe --json"), "{error}");
    }
}
