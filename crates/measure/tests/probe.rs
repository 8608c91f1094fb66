//! Two probes of the device agree within their own intervals. Ignored without an adapter, fails there where `CI=true`.

use libtest_mimic::{Arguments, Failed, Trial};
use ridgeline_experiment::matrix::Budget;
use ridgeline_measure::Device;
use ridgeline_measure::probe::{self, Error, Quantity};
use ridgeline_roofline::Measured;
use std::collections::BTreeMap;

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

/// Bandwidth and fixed costs: of every quantity two probes agree or, where another program took the machine during one of
/// them, more than a third of the pairs of several.
fn two_probes_agree() -> Result<(), Failed> {
    let mut device = Device::open(None)?;
    let mut probes: Vec<Vec<(String, Measured)>> = Vec::new();
    // Pairs of probes that agree on a quantity.
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
    Err(format!("of the pairs of {PROBES} probes so few agree: {agreed:?}; {probes:?}").into())
}

const BUDGET: Budget = Budget { warmup: 1, min_reps: 6, max_reps: 20, budget_s: 2.0 };

fn the_twins_have_no_ceilings() -> Result<(), Failed> {
    let mut twins = Device::open(Some("cpu"))?;
    match probe::measure(&mut twins, Quantity::Overheads, &BUDGET) {
        Err(Error::NoClock) => Ok(()),
        other => Err(format!("a device without a clock was measured: {other:?}").into()),
    }
}
