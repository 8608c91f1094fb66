//! `ridgeline targets`: compares this engine's performance with its targets.

use crate::globals::{Globals, UsageError};
use crate::targets::{self, Plan, TargetResult};
use crate::{install, output};
use ridgeline_compute::Executor;
use ridgeline_experiment::report::{Align, Table, number};
use ridgeline_measure::Error;
use ridgeline_measure::MeasureContext;
use ridgeline_roofline::Machine;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Check ridgeline's own performance targets, such as speed over measured bandwidth (for its developers)
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Targets to measure, separated by commas [default: all]
    #[arg(long, value_name = "TARGET", value_delimiter = ',')]
    only: Vec<Check>,
    /// Models for verify, ceilings and stable, separated by commas [default: those in matrix/targets.toml]
    #[arg(short, long, value_delimiter = ',')]
    model: Vec<String>,
    /// Model of the target depth [default: `deep` in matrix/targets.toml]
    #[arg(long, value_name = "MODEL")]
    deep: Option<String>,
    /// Model of the target load [default: `load` in matrix/targets.toml]
    #[arg(long, value_name = "MODEL")]
    load: Option<String>,
    /// Model of the target host [default: `host` in matrix/targets.toml]
    #[arg(long, value_name = "MODEL")]
    host: Option<String>,
    /// Python interpreter with llama-cpp-python, for the target peer. Without it, peer compares with published figures on
    /// a software adapter, and is skipped on a GPU
    #[arg(long, value_name = "PYTHON")]
    peer: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Check {
    /// Speed over llama.cpp
    Peer,
    /// Time of a forward pass over a few tokens, over one token
    Verify,
    /// Decode and prompt speed as shares of the measured bandwidth and FLOP/s
    Ceilings,
    /// Decode time at a depth of 8192 tokens, over depth 0 plus the reads of the KV cache
    Depth,
    /// Time to load a model, over one file read plus one copy on the device
    Load,
    /// Host time per launch and per run in a decode step
    Host,
    /// Upload speed as a share of the copy bandwidth
    Upload,
    /// Mat-vec speed of every quantization type, as a share of the read bandwidth
    Products,
    /// Share of logits whose bits differ between runs
    Stable,
}

const ALL: [Check; 9] = [
    Check::Peer,
    Check::Verify,
    Check::Ceilings,
    Check::Depth,
    Check::Load,
    Check::Host,
    Check::Upload,
    Check::Products,
    Check::Stable,
];

pub(crate) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let mut device = install::open(globals)?;
    let tuning = ridgeline_measure::tune::stored(&mut device);
    let mut cx = MeasureContext::new(device, None, tuning, 0);
    cx.require_clock().map_err(|error| UsageError(error.to_string()))?;
    let mut plan = Plan::shipped();
    if !args.model.is_empty() {
        plan.models.clone_from(&args.model);
    } else if !cx.device.borrow().caps().software {
        plan.models.clone_from(&plan.gpu_models);
    }
    plan.deep = args.deep.unwrap_or(plan.deep);
    plan.load = args.load.unwrap_or(plan.load);
    plan.host = args.host.unwrap_or(plan.host);
    let checks = if args.only.is_empty() { ALL.to_vec() } else { args.only.clone() };
    let mut findings = Vec::new();
    let done = measure(&mut cx, &plan, &checks, args.peer.as_deref(), &mut findings);
    let (_, adapter) = cx.names();
    let any = done.is_ok() || !findings.is_empty();
    if globals.json && any {
        output::json(&serde_json::json!({ "adapter": adapter, "targets": findings }))?;
    } else if any {
        output::text(&format!("{adapter}\n\n{}", table(&findings)))?;
    }
    done.map(|()| ExitCode::SUCCESS).map_err(Into::into)
}

/// Measures the targets of some checks. The ceilings are measured once, before the first check that needs them. An error
/// leaves the findings before it.
fn measure(
    cx: &mut MeasureContext,
    plan: &Plan,
    checks: &[Check],
    peer: Option<&Path>,
    findings: &mut Vec<TargetResult>,
) -> Result<(), Error> {
    let software = cx.device.borrow().caps().software;
    let mut known: Option<Machine> = None;
    let mut ceilings = |cx: &MeasureContext| -> Result<Machine, Error> {
        let machine = match known.take() {
            Some(machine) => machine,
            None => {
                output::note("measuring the device's ceilings");
                cx.ceilings()?
            }
        };
        known = Some(machine.clone());
        Ok(machine)
    };
    for check in checks {
        output::note(&format!("{check:?}"));
        match check {
            Check::Peer => findings.extend(targets::compare_llama_cpp(cx, &plan.peer, software, peer)?),
            Check::Verify => {
                for model in &plan.models {
                    findings.extend(targets::verification(cx, model, software)?);
                }
            }
            Check::Ceilings => {
                let machine = ceilings(cx)?;
                for model in &plan.models {
                    findings.extend(targets::against_ceilings(cx, model, &machine, software)?);
                }
            }
            Check::Depth => {
                let machine = ceilings(cx)?;
                findings.push(targets::depth(cx, &plan.deep, &machine)?);
            }
            Check::Load => {
                let machine = ceilings(cx)?;
                findings.push(targets::load(cx, &plan.load, &machine)?);
            }
            Check::Host => findings.extend(targets::host(cx, &plan.host)?),
            Check::Upload => findings.extend(targets::upload(cx, &ceilings(cx)?)?),
            Check::Products => findings.extend(targets::products(cx, &ceilings(cx)?, software)?),
            Check::Stable => {
                for model in &plan.models {
                    findings.push(targets::stable(cx, model)?);
                }
            }
        }
    }
    Ok(())
}

fn table(findings: &[TargetResult]) -> String {
    use Align::{Left, Right};
    let columns = [
        ("quantity", Left),
        ("target", Left),
        ("measured", Right),
        ("95 % interval", Right),
        ("result", Left),
        ("details", Left),
    ];
    let mut table = Table::new("", columns);
    for it in findings {
        let digits = |n: f64| number::digits(n, 3);
        table.push([
            it.what.clone(),
            it.target.map_or_else(|| "none on this device".to_owned(), |range| range.to_string()),
            digits(it.here.value),
            format!("{} – {}", digits(it.here.lo), digits(it.here.hi)),
            it.verdict().to_owned(),
            it.detail.clone(),
        ]);
    }
    output::table(&table)
}
