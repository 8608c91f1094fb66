//! Two probes of the device agree within their intervals. Without an adapter the test is ignored, or fails if `CI=true`.

use libtest_mimic::{Arguments, Failed, Trial};
use ridgeline_experiment::matrix::Budget;
use ridgeline_measure::Device;
use ridgeline_measure::probe::{self, Error, Quantity};
use ridgeline_roofline::Measured;
use std::collections::BTreeMap;

/// Most probes. Other programs may use the machine during one or two of them.
const PROBES: usize = 8;

fn main() {
    let args = Arguments::from_args();
    let adapter = !ridgeline_gpu::adapters().is_empty();
    let required = std::env::var("CI").is_ok_and(|v| v == "true");
    let trials = vec![
        Trial::test("two_probes_agree", two_probes_agree).with_ignored_flag(!adapter && !required),
        Trial::test("the_cpu_executor_has_no_ceilings", the_cpu_executor_has_no_ceilings),
    ];
    libtest_mimic::run(&args, trials).exit();
}

/// Probes bandwidth and fixed costs until more than a third of all pairs of probes agree on every quantity.
///
/// Two probes suffice on an idle machine. More are needed where another program disturbs one of them.
fn two_probes_agree() -> Result<(), Failed> {
    let mut device = Device::open(None)?;
    let mut probes: Vec<Vec<(String, Measured)>> = Vec::new();
    // Per quantity the number of pairs of probes that agree.
    let mut agreed: BTreeMap<String, usize> = BTreeMap::new();
    while probes.len() < PROBES {
        let mut latest = Vec::new();
        for quantity in [Quantity::Copy, Quantity::Overheads] {
            latest.extend(probe::measure(&mut device, quantity, &BUDGET)?.ceiling.quantities());
        }
        assert!(latest.len() > 8, "a curve and four costs");
        for (name, _) in &latest {
            agreed.entry(name.clone()).or_default();
        }
        for it in probes.iter().flat_map(|earlier| probe::compared(latest.clone(), earlier)) {
            *agreed.entry(it.quantity).or_default() += usize::from(it.agree);
        }
        probes.push(latest);
        let pairs = probes.len() * (probes.len() - 1) / 2;
        if pairs > 0 && agreed.values().all(|&agreeing| 3 * agreeing > pairs) {
            return Ok(());
        }
    }
    Err(format!("too few pairs of {PROBES} probes agree: {agreed:?}; {probes:?}").into())
}

const BUDGET: Budget = Budget { warmup: 1, min_reps: 6, max_reps: 20, budget_s: 2.0 };

fn the_cpu_executor_has_no_ceilings() -> Result<(), Failed> {
    let mut cpu = Device::open(Some("cpu"))?;
    match probe::measure(&mut cpu, Quantity::Overheads, &BUDGET) {
        Err(Error::NoClock) => Ok(()),
        other => Err(format!("expected Error::NoClock on the CPU executor, got {other:?}").into()),
    }
}
