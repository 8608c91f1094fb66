//! `ridgeline targets`: what this program's own engine ought to reach here, and what it does.

use crate::cli::{Globals, Usage};
use ridgeline_measure::MeasureContext;
use crate::targets::{self, TargetResult, Plan};
use crate::{install, output};
use ridgeline_measure::Error;
use ridgeline_compute::Executor;
use ridgeline_experiment::report::number;
use ridgeline_roofline::Machine;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Hold this program's own engine against the targets set for it: ratios within one run on this device
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which: peer, verify, ceilings, depth, load, host, upload, products, stable; several with commas [default: all]
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Models that are verified and held against the ceilings, in place of those of matrix/targets.toml
    #[arg(short, long, value_delimiter = ',')]
    model: Vec<String>,
    /// Model that is decoded at a depth of 8192, in place of the one there
    #[arg(long)]
    deep: Option<String>,
    /// Model that is loaded, in place of the one there
    #[arg(long)]
    load: Option<String>,
    /// Model whose decode steps the host's cost is measured with, in place of the one there
    #[arg(long)]
    host: Option<String>,
    /// Python interpreter with llama-cpp-python, for the comparison with llama.cpp on the processor
    #[arg(long, value_name = "PYTHON")]
    peer: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Peer,
    Verify,
    Ceilings,
    Depth,
    Load,
    Host,
    Upload,
    Products,
    Stable,
}

const ALL: [Part; 9] = [
    Part::Peer,
    Part::Verify,
    Part::Ceilings,
    Part::Depth,
    Part::Load,
    Part::Host,
    Part::Upload,
    Part::Products,
    Part::Stable,
];

pub(crate) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let mut device = install::open(globals)?;
    let tuning = ridgeline_measure::tune::stored(&mut device);
    let mut cx = MeasureContext::new(device, None, tuning, 0);
    cx.require_clock().map_err(|error| Usage(error.to_string()))?;
    let mut plan = Plan::shipped();
    if !args.model.is_empty() {
        plan.models.clone_from(&args.model);
    } else if !cx.device.borrow().caps().software {
        plan.models.clone_from(&plan.gpu_models);
    }
    plan.deep = args.deep.unwrap_or(plan.deep);
    plan.load = args.load.unwrap_or(plan.load);
    plan.host = args.host.unwrap_or(plan.host);
    let parts = if args.only.is_empty() { ALL.to_vec() } else { args.only.clone() };
    let findings = measure(&mut cx, &plan, &parts, args.peer.as_deref())?;
    let (_, adapter) = cx.names();
    if globals.json {
        output::json(&serde_json::json!({ "adapter": adapter, "targets": findings }))?;
    } else {
        output::text(&format!("{adapter}\n\n{}", table(&findings)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Measures some parts. The device's ceilings are measured when one first asks for them.
fn measure(cx: &mut MeasureContext, plan: &Plan, parts: &[Part], peer: Option<&Path>) -> Result<Vec<TargetResult>, Error> {
    let software = cx.device.borrow().caps().software;
    let mut known: Option<Machine> = None;
    let mut ceilings = |cx: &MeasureContext| -> Result<Machine, Error> {
        let machine = match known.take() {
            Some(machine) => machine,
            None => {
                output::note("measuring this device's ceilings");
                cx.ceilings()?
            }
        };
        known = Some(machine.clone());
        Ok(machine)
    };
    let mut findings = Vec::new();
    for part in parts {
        output::note(&format!("{part:?}"));
        match part {
            Part::Peer => findings.extend(targets::compare_llama_cpp(cx, &plan.peer, software, peer)?),
            Part::Verify => {
                for model in &plan.models {
                    findings.extend(targets::verification(cx, model, software)?);
                }
            }
            Part::Ceilings => {
                let machine = ceilings(cx)?;
                for model in &plan.models {
                    findings.extend(targets::against_ceilings(cx, model, &machine, software)?);
                }
            }
            Part::Depth => {
                let machine = ceilings(cx)?;
                findings.push(targets::depth(cx, &plan.deep, &machine)?);
            }
            Part::Load => {
                let machine = ceilings(cx)?;
                findings.push(targets::load(cx, &plan.load, &machine)?);
            }
            Part::Host => findings.extend(targets::host(cx, &plan.host)?),
            Part::Upload => findings.extend(targets::upload(cx, &ceilings(cx)?)?),
            Part::Products => findings.extend(targets::products(cx, &ceilings(cx)?, software)?),
            Part::Stable => {
                for model in &plan.models {
                    findings.push(targets::stable(cx, model)?);
                }
            }
        }
    }
    Ok(findings)
}

fn table(findings: &[TargetResult]) -> String {
    let mut rows =
        vec![["quantity", "target", "measured", "95 % interval", "result", "details"].map(str::to_owned).to_vec()];
    for it in findings {
        let digits = |n: f64| number::digits(n, 3);
        rows.push(vec![
            it.what.clone(),
            it.target.map_or_else(|| "none on this device".to_owned(), |range| range.to_string()),
            digits(it.here.value),
            format!("{} – {}", digits(it.here.lo), digits(it.here.hi)),
            it.verdict().to_owned(),
            it.detail.clone(),
        ]);
    }
    output::table(&[false, false, true, true, false, false], &rows)
}
