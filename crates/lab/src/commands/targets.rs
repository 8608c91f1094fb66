//! `ridgeline targets`: compares this engine's performance with its targets.

use crate::globals::{Globals, UsageError};
use crate::targets::{self, Plan, TargetResult};
use crate::{install, output};
use ridgeline_compute::Executor;
use ridgeline_experiment::report::{Align, Table, number};
use ridgeline_experiment::verdict::{Outcome, Unit};
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

impl Check {
    /// The id of the claim that the engine meets this target, such as `TGT-VERIFY`.
    fn claim(self) -> String {
        format!("TGT-{self:?}").to_uppercase()
    }
}

/// A measured target with the claim that it decides.
#[derive(serde::Serialize)]
struct Tested {
    claim: String,
    outcome: Option<Outcome>,
    #[serde(flatten)]
    target: TargetResult,
}

/// The targets of a check, with its claim.
fn named(check: Check, targets: Vec<TargetResult>) -> impl Iterator<Item = Tested> {
    targets.into_iter().map(move |target| Tested { claim: check.claim(), outcome: target.outcome(), target })
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
    let mut tested = Vec::new();
    let done = measure(&mut cx, &plan, &checks, args.peer.as_deref(), &mut tested);
    let (_, adapter) = cx.names();
    let any = done.is_ok() || !tested.is_empty();
    if globals.json && any {
        output::json(&serde_json::json!({ "adapter": adapter, "targets": tested }))?;
    } else if any {
        output::text(&format!("{adapter}\n\n{}", table(&tested)))?;
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
    tested: &mut Vec<Tested>,
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
    for &check in checks {
        output::note(&check.claim());
        match check {
            Check::Peer => {
                tested.extend(named(check, targets::compare_llama_cpp(cx, &plan.peer, software, peer)?));
            }
            Check::Verify => {
                for model in &plan.models {
                    tested.extend(named(check, targets::verification(cx, model, software)?));
                }
            }
            Check::Ceilings => {
                let machine = ceilings(cx)?;
                for model in &plan.models {
                    tested.extend(named(check, targets::against_ceilings(cx, model, &machine, software)?));
                }
            }
            Check::Depth => {
                let machine = ceilings(cx)?;
                tested.extend(named(check, vec![targets::depth(cx, &plan.deep, &machine)?]));
            }
            Check::Load => {
                let machine = ceilings(cx)?;
                tested.extend(named(check, vec![targets::load(cx, &plan.load, &machine)?]));
            }
            Check::Host => tested.extend(named(check, targets::host(cx, &plan.host)?)),
            Check::Upload => tested.extend(named(check, targets::upload(cx, &ceilings(cx)?)?)),
            Check::Products => tested.extend(named(check, targets::products(cx, &ceilings(cx)?, software)?)),
            Check::Stable => {
                for model in &plan.models {
                    tested.extend(named(check, vec![targets::stable(cx, model)?]));
                }
            }
        }
    }
    Ok(())
}

fn table(tested: &[Tested]) -> String {
    use Align::{Left, Right};
    let columns = [
        ("claim", Left),
        ("quantity", Left),
        ("target", Left),
        ("measured", Right),
        ("95 % interval", Right),
        ("result", Left),
        ("details", Left),
    ];
    let mut table = Table::new("", columns);
    for Tested { claim, outcome, target } in tested {
        let digits = |n: f64| number::digits(n, 3);
        let range = |range| Unit::Plain.range(range);
        table.push([
            claim.clone(),
            target.what.clone(),
            target.target.map_or_else(|| "none on this device".to_owned(), range),
            digits(target.here.value),
            format!("{} – {}", digits(target.here.lo), digits(target.here.hi)),
            outcome.map_or("–", Outcome::label).to_owned(),
            target.detail.clone(),
        ]);
    }
    output::table(&table)
}
