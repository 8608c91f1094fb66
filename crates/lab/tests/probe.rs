//! Two probes of the device agree within their own intervals. Ignored without an adapter, fails there where `CI=true`.

use libtest_mimic::{Arguments, Failed, Trial};
use ridgeline_experiment::matrix::Budget;
use ridgeline_lab::Device;
use ridgeline_lab::probe::{self, Error, Quantity};
use ridgeline_roofline::Measured;
use std::collections::HashSet;

/// Probes at most. Another program may take the machine during one of them, or as long as two of them take.
const PROBES: usize = 8;

fn main() {
    let args = Arguments::from_args();
    let adapter = !ridgeline_gpu::adapters().is_empty();
    let required = std::env::var("CI").is_ok_and(|v| v == "true");
    let trials = vec![
        Trial::test("two_probes_agree", two_probes_agree).with_ignored_flag(!adapter && !required),
        Trial::test("the_twins_have_no_ceilings", the_twins_have_no_ceilings),
    ];
    libtest_mimic::run(&args, trials).exit();
}

/// Bandwidth and fixed costs: of every quantity two probes agree, whichever two had the machine to themselves.
fn two_probes_agree() -> Result<(), Failed> {
    let mut device = Device::open(None)?;
    let mut probes: Vec<Vec<(String, Measured)>> = Vec::new();
    let mut open = Vec::new();
    while probes.len() < PROBES {
        let mut latest = Vec::new();
        for quantity in [Quantity::Copy, Quantity::Overheads] {
            latest.extend(probe::measure(&mut device, quantity, &BUDGET)?.piece.quantities());
        }
        assert!(latest.len() > 8, "a curve and four costs");
        let agreed: HashSet<String> = probes.iter().flat_map(|earlier| agreed(&latest, earlier)).collect();
        match probes.len() {
            0 => open = latest.iter().map(|(name, _)| name.clone()).collect(),
            _ => open.retain(|name: &String| !agreed.contains(name)),
        }
        if open.is_empty() {
            return Ok(());
        }
        probes.push(latest);
    }
    let of = |name: &String| -> Vec<Measured> {
        probes.iter().flatten().filter(|(it, _)| it == name).map(|&(_, measured)| measured).collect()
    };
    let apart: Vec<_> = open.iter().map(|name| (name, of(name))).collect();
    Err(format!("no two of {PROBES} probes agree: {apart:?}").into())
}

/// Names of the quantities that are the same in both.
fn agreed(these: &[(String, Measured)], others: &[(String, Measured)]) -> Vec<String> {
    let compared = probe::compared(these.to_vec(), others);
    compared.into_iter().filter(|it| it.agree).map(|it| it.quantity).collect()
}

const BUDGET: Budget = Budget { warmup: 1, min_reps: 6, max_reps: 20, budget_s: 2.0 };

fn the_twins_have_no_ceilings() -> Result<(), Failed> {
    let mut twins = Device::open(Some("cpu"))?;
    match probe::measure(&mut twins, Quantity::Overheads, &BUDGET) {
        Err(Error::NoClock) => Ok(()),
        other => Err(format!("a device without a clock was measured: {other:?}").into()),
    }
}
