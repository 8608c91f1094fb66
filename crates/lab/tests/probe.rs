//! Two probes of the device agree within their own intervals. Ignored without an adapter, fails there where `CI=true`.

use libtest_mimic::{Arguments, Failed, Trial};
use ridgeline_experiment::matrix::Budget;
use ridgeline_lab::probe::{self, Agreement, Quantity};
use ridgeline_lab::{Device, probe::Error};

/// Comparisons that may fail because another program took the machine for one of the two probes.
const ATTEMPTS: usize = 3;

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

/// Bandwidth and fixed costs: a probe, and another after it.
fn two_probes_agree() -> Result<(), Failed> {
    let mut device = Device::open(None)?;
    let mut probe = || -> Result<Vec<_>, Error> {
        let mut all = Vec::new();
        for quantity in [Quantity::Copy, Quantity::Overheads] {
            all.extend(probe::measure(&mut device, quantity, &BUDGET)?.piece.quantities());
        }
        Ok(all)
    };
    let mut earlier = probe()?;
    let mut worst = String::new();
    for _ in 0..ATTEMPTS {
        let later = probe()?;
        let compared = probe::compared(earlier, &later);
        assert!(compared.len() > 8, "a curve and four costs");
        let apart: Vec<&Agreement> = compared.iter().filter(|a| !a.agree).collect();
        if apart.len() * 20 <= compared.len() {
            return Ok(());
        }
        worst = format!("{} of {} disagree: {apart:?}", apart.len(), compared.len());
        earlier = later;
    }
    Err(worst.into())
}

const BUDGET: Budget = Budget { warmup: 1, min_reps: 6, max_reps: 20, budget_s: 2.0 };

fn the_twins_have_no_ceilings() -> Result<(), Failed> {
    let mut twins = Device::open(Some("cpu"))?;
    match probe::measure(&mut twins, Quantity::Overheads, &BUDGET) {
        Err(Error::NoClock) => Ok(()),
        other => Err(format!("a device without a clock was measured: {other:?}").into()),
    }
}
